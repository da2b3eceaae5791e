//! Which certificate of a listener a name gets, and whether a request came by a connection that another one was shown on.

use std::collections::HashMap;

/// Places of certificates in the listener's list.
type Places = Vec<u32>;

/// The certificates of a listener by the names they bear: exact ones first, then wildcards, else the first certificate.
#[derive(Debug)]
pub struct ByName {
    exact: HashMap<Box<str>, Places>,
    /// By what stands behind `*.`; a wildcard covers one label (RFC 9525 §6.3).
    wildcard: HashMap<Box<str>, Places>,
    default: Places,
}

impl ByName {
    /// From the names of each certificate, lower-case, in the order of the list.
    pub fn new<'a>(certificates: impl IntoIterator<Item = &'a [String]>) -> Self {
        let mut exact: HashMap<Box<str>, Places> = HashMap::new();
        let mut wildcard: HashMap<Box<str>, Places> = HashMap::new();
        let mut default = Places::new();
        let mut first = None;
        for (place, names) in (0..).zip(certificates) {
            for name in names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(name.into()).or_default().push(place);
            }
            // The first one's twins of another algorithm bear the same names.
            if *first.get_or_insert(names) == names {
                default.push(place);
            }
        }
        Self {
            exact,
            wildcard,
            default,
        }
    }

    /// The certificates for a server name, lower-case: several if they differ in their algorithm alone.
    pub fn find(&self, server_name: Option<&str>) -> &[u32] {
        let named = server_name.and_then(|name| self.bearing(name).next());
        named.unwrap_or(&self.default)
    }

    fn bearing(&self, name: &str) -> impl Iterator<Item = &Places> {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        self.exact.get(name).into_iter().chain(wildcard)
    }

    /// Whether a request for `host` came by a connection that was opened for another certificate: the one that
    /// `server_name` got does not bear the host, and another one does (RFC 9110 §7.4). A host that no certificate bears
    /// is not for TLS to judge. Both names without a port, the server name lower-case.
    pub fn is_misdirected(&self, server_name: &str, host: &[u8]) -> bool {
        if host.eq_ignore_ascii_case(server_name.as_bytes()) {
            return false;
        }
        let Ok(host) = str::from_utf8(host) else {
            return false;
        };
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let used = self.find(Some(server_name));
        let mut bearing = self.bearing(host).flatten().peekable();
        bearing.peek().is_some() && !bearing.any(|place| used.contains(place))
    }
}

#[cfg(test)]
mod tests {
    use super::ByName;

    fn by_name(lists: &[&[&str]]) -> ByName {
        let lists: Vec<Vec<String>> = lists
            .iter()
            .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
            .collect();
        ByName::new(lists.iter().map(Vec::as_slice))
    }

    #[test]
    fn a_name_gets_its_own_certificate_before_a_wildcards_and_the_first_otherwise() {
        let names = by_name(&[&["a.test"], &["*.b.test"], &["x.b.test"], &["a.test"]]);
        for (asked, expected) in [
            (Some("a.test"), &[0, 3][..]),
            (Some("y.b.test"), &[1]),
            (Some("x.b.test"), &[2]),
            (Some("b.test"), &[0, 3]),
            (Some("y.x.b.test"), &[0, 3]),
            (None, &[0, 3]),
        ] {
            assert_eq!(names.find(asked), expected, "{asked:?}");
        }
    }

    #[test]
    fn a_host_is_misdirected_only_if_another_certificate_bears_it() {
        let names = by_name(&[&["a.test", "also.test"], &["*.b.test"], &["x.b.test"]]);
        let check = |server_name, host: &str, expected| {
            let got = names.is_misdirected(server_name, host.as_bytes());
            assert_eq!(got, expected, "{server_name} {host}");
        };
        check("a.test", "A.test", false);
        check("a.test", "also.test.", false);
        check("a.test", "nobody.test", false);
        check("a.test", "y.b.test", true);
        check("a.test", "Y.B.Test.", true);
        check("y.b.test", "x.b.test", false);
        check("x.b.test", "y.b.test", true);
        check("unknown.test", "also.test", false);
        check("unknown.test", "x.b.test", true);
        assert!(!names.is_misdirected("a.test", b"\xff.b.test"));
    }
}
