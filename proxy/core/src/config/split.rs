//! `split_by` of a route: who sees the same variant, where a route goes to several upstreams.

use super::names;
use super::problem::Complaint;
use super::reader::Unread;
use super::tree::Node;
use super::values;

/// What decides which of several upstreams a request goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SplitBy {
    /// IPv6 clients by their /64.
    #[default]
    ClientIp,
    /// Lower-case name.
    Header(String),
    /// By the value of the cookie.
    Cookie(String),
    /// Every request for itself.
    Random,
}

pub(super) fn read(node: &Node) -> Result<SplitBy, Unread> {
    let text = values::string(node)?;
    let wrong = |hint: &str| {
        let complaint = Complaint::new(format!("nothing is split by `{text}`"));
        Unread::from(complaint.hint(hint))
    };
    match text.split_once(':') {
        None if text == "client_ip" => Ok(SplitBy::ClientIp),
        None if text == "random" => Ok(SplitBy::Random),
        Some(("header", name)) if names::is_token(name) => {
            Ok(SplitBy::Header(name.to_ascii_lowercase()))
        }
        Some(("cookie", name)) if names::is_token(name) => Ok(SplitBy::Cookie(name.to_owned())),
        None if matches!(text, "header" | "cookie") => {
            Err(wrong("name it, such as \"cookie:session\""))
        }
        Some(_) | None => Err(wrong("write client_ip, header:NAME, cookie:NAME or random")),
    }
}
