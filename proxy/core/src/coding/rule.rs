//! What a route says of compression.

use super::Coding;

/// `compress` of a route, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In order of preference; never empty.
    pub codings: Vec<Coding>,
    /// What is coded.
    pub types: Vec<MediaType>,
    /// A body that is known to be smaller goes as it is.
    pub min_size: u64,
    /// How much effort is made.
    pub levels: Levels,
    /// So many responses are coded at the same time by one worker.
    pub max_at_once: usize,
}

/// The effort of each coding, as its own library counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// From 0 to 11.
    pub br: u8,
    /// From 1 to 19.
    pub zstd: u8,
    /// From 1 to 9.
    pub gzip: u8,
}

/// Which media types (RFC 9110 §8.3.1); letters are lower-case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `*`
    Any,
    /// `text/*`, as `text/`.
    Family(String),
    /// `+json`, whatever stands before it (RFC 6838 §4.2.8).
    Suffix(String),
    /// `text/html`
    Exact(String),
}

impl Rule {
    /// The effort for a coding.
    pub const fn level(&self, coding: Coding) -> u8 {
        match coding {
            Coding::Br => self.levels.br,
            Coding::Zstd => self.levels.zstd,
            Coding::Gzip => self.levels.gzip,
        }
    }

    /// Whether responses of that `Content-Type` are coded. Calls of gRPC have codings of their own.
    pub fn takes(&self, content_type: &[u8]) -> bool {
        let media = content_type.split(|byte| *byte == b';').next();
        let media = media.unwrap_or_default().trim_ascii();
        let is_call = starts_with(media, b"application/grpc");
        !media.is_empty() && !is_call && self.types.iter().any(|known| known.is(media))
    }
}

impl MediaType {
    /// `None`: not written like one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let is_token = |part: &str| crate::message::field::is_token(part.as_bytes());
        if text == "*" || text == "*/*" {
            return Some(Self::Any);
        }
        if text.starts_with('+') {
            let is_suffix = text.len() > 1 && is_token(&text);
            return is_suffix.then_some(Self::Suffix(text));
        }
        let (family, kind) = text.split_once('/')?;
        if !is_token(family) || !is_token(kind) || family.contains('*') {
            return None;
        }
        match kind {
            "*" => Some(Self::Family(format!("{family}/"))),
            _ if kind.contains('*') => None,
            _ => Some(Self::Exact(text)),
        }
    }

    fn is(&self, media: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Family(family) => starts_with(media, family.as_bytes()),
            Self::Suffix(suffix) => {
                let start = media.len().checked_sub(suffix.len());
                let end = start.and_then(|start| media.get(start..));
                end.is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
            }
            Self::Exact(exact) => media.eq_ignore_ascii_case(exact.as_bytes()),
        }
    }
}

fn starts_with(media: &[u8], start: &[u8]) -> bool {
    let begin = media.get(..start.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn types_are_told_by_family_suffix_or_name() {
        let check = |types: &[&str], media: &str, expected: bool| {
            let types = types.iter().map(|text| MediaType::parse(text).unwrap());
            let rule = Rule {
                codings: vec![Coding::Gzip],
                types: types.collect(),
                min_size: 0,
                levels: Levels {
                    br: 1,
                    zstd: 1,
                    gzip: 1,
                },
                max_at_once: 1,
            };
            assert_eq!(
                rule.takes(media.as_bytes()),
                expected,
                "{types:?} {media}",
                types = rule.types
            );
        };
        check(&["text/*"], "text/html; charset=utf-8", true);
        check(&["text/*"], "TEXT/HTML", true);
        check(&["text/*"], "textual/html", false);
        check(&["text/html"], "text/html", true);
        check(&["text/html"], "text/html5", false);
        check(&["Application/JSON"], "application/json", true);
        check(&["+json"], "application/ld+json;x=y", true);
        check(&["+json"], "application/json", false);
        check(&["+json"], "json", false);
        check(&["*"], "image/png", true);
        check(&["*/*"], "image/png", true);
        check(&["*"], "", false);
        check(&["*"], "application/grpc+proto", false);
        check(&["+json"], "application/grpc-web+json", false);
    }

    #[test]
    fn what_is_no_type_is_not_taken_for_one() {
        for bad in [
            "",
            "text",
            "text/",
            "/html",
            "te xt/html",
            "*/html",
            "text/h*",
            "text/html;q=1",
            "+",
        ] {
            assert_eq!(MediaType::parse(bad), None, "{bad}");
        }
    }
}
