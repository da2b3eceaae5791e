//! `mirror` of a route: copies of requests for another upstream, whose answers nobody sees.

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::{route, values};

#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Index into `Config::upstreams`.
    pub to: usize,
    /// Of all requests, above 0 and at most 100.
    pub percent: f64,
    /// The largest body that is copied.
    pub max_body: u64,
    /// How many copies a worker has under way.
    pub max_in_flight: usize,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route.mirror",
    doc: "Copies of requests for another upstream. Its answers are thrown away; it never delays a request, nor fails one.",
    keys: &[
        Key::required("to", "upstream", "\"app\"", "Who gets the copies."),
        Key::default(
            "percent",
            "number",
            "100",
            "How many of a hundred requests are copied.",
        ),
        Key::default(
            "max_body",
            "size",
            "\"64k\"",
            "Requests with a larger body are not copied. A copy goes when the body is whole.",
        ),
        Key::default(
            "max_in_flight",
            "number",
            "64",
            "How many copies each worker has under way; above that requests are not copied.",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>, upstreams: &[String]) -> Option<Mirror> {
    let to = section.value("to", |node| {
        route::find_upstream(values::string(node)?, upstreams)
    });
    let percent = section.value("percent", percent);
    let max_body = section.value("max_body", values::size);
    let max_in_flight = section.value("max_in_flight", values::count(1, 65_536));
    Some(Mirror {
        to: to?,
        percent: percent?,
        max_body: max_body?,
        max_in_flight: max_in_flight? as usize,
    })
}

fn percent(node: &Node) -> Result<f64, Unread> {
    let percent = values::number(node)?;
    if percent > 0.0 && percent <= 100.0 {
        Ok(percent)
    } else {
        Err(
            Complaint::new(format!("{percent} is not a part of a hundred"))
                .hint("write a number above 0, up to 100")
                .into(),
        )
    }
}
