//! `limit` of a route: how many requests, for whom.

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::values;
use crate::limit::Quota;

/// A limit on the requests of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub quota: Quota,
    pub key: LimitKey,
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// IPv6 clients by their /64.
    ClientIp,
    /// Lower-case name.
    Header(String),
    Cookie(String),
    /// All requests of the route.
    Route,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route.limit",
    doc: "How many requests a route takes.",
    keys: &[
        Key::required(
            "rate",
            "rate",
            "\"10/min\"",
            "So many at once, and one more whenever its part of the period is over: 10/min takes 10 and then one every 6 s. More are answered with 429.",
        ),
        Key::default("burst", "number", "0", "So many more at once."),
        Key::default(
            "key",
            "word",
            "\"client_ip\"",
            "Whose requests are counted together: client_ip (IPv6 by /64), header:NAME, cookie:NAME (without it: by client_ip), or route for all of them.",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Limit> {
    let rate = section.value("rate", values::rate);
    let burst = section.value("burst", values::count(0, 1_000_000_000));
    let key = section.value("key", key);
    let (rate, burst) = (rate?, burst?);
    let quota = Quota::new(rate, burst.into());
    if quota.is_none() {
        let complaint = Complaint::new("this allowance would take longer than a year to come back");
        let hint = "write a smaller burst or a higher rate";
        section.complain("burst", complaint.hint(hint));
    }
    Some(Limit {
        quota: quota?,
        key: key?,
    })
}

fn key(node: &Node) -> Result<LimitKey, Unread> {
    let text = values::string(node)?;
    let wrong = |hint: &str| {
        let complaint = Complaint::new(format!("`{text}` is no key of a limit"));
        Unread::from(complaint.hint(hint))
    };
    let token = |name: &str| {
        let of_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !name.is_empty() && name.bytes().all(of_token)
    };
    match text.split_once(':') {
        None if text == "client_ip" => Ok(LimitKey::ClientIp),
        None if text == "route" => Ok(LimitKey::Route),
        Some(("header", name)) if token(name) => Ok(LimitKey::Header(name.to_ascii_lowercase())),
        Some(("cookie", name)) if token(name) => Ok(LimitKey::Cookie(name.to_owned())),
        Some(("header" | "cookie", _)) | None if text != "header" && text != "cookie" => {
            Err(wrong("write client_ip, header:NAME, cookie:NAME or route"))
        }
        Some(_) | None => Err(wrong("name it, such as \"header:X-Api-Key\"")),
    }
}
