//! `[[test]]`: what is to become of a request or a packet, asked by `openclaw test`.

use std::net::IpAddr;

use super::keys::{self, Key};
use super::matcher::{self, Wanted};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::{Node, Value};
use super::{names, values};
use crate::assay::{Asked, CachePart, Packet, Wire};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// As it is written, else what is asked.
    pub name: String,
    pub asks: Asks,
    pub expect: Expect,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    Request(Asked),
    Packet(Packet),
}

impl Asks {
    /// As it is written.
    pub fn text(&self) -> &str {
        match self {
            Self::Request(asked) => &asked.text,
            Self::Packet(packet) => &packet.text,
        }
    }
}

/// What is absent is not looked at. Never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    pub verdict: Option<String>,
    pub route: Option<String>,
    pub status: Option<u16>,
    pub reason: Option<String>,
    pub upstream: Option<String>,
    pub target: Option<String>,
    pub location: Option<String>,
    pub cache: Option<CachePart>,
    /// By lower-case name.
    pub headers: Vec<(String, Wanted)>,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "test",
    doc: "What is to become of a request or a packet: `openclaw test` asks, without a socket, and a proxy that runs does not look at it. The shield is what this file and its lists say; what a proxy has learnt since (bans, `blocklist add`, lists at URLs) is not known.",
    keys: &[
        Key::optional(
            "name",
            "string",
            "\"pictures\"",
            "What reports call it. Absent: what it asks.",
        ),
        Key::optional(
            "request",
            "method and URL",
            "\"GET http://www.example.com/static/a.png\"",
            "A request: a URL, or a path, whose host is then the Host of headers, else localhost. A test has either this or packet.",
        ),
        Key::default(
            "headers",
            "table of strings",
            "{}",
            "Its fields; with Content-Length it has a body of that length.",
        )
        .example("{ \"X-Beta\" = \"1\" }"),
        Key::default(
            "from",
            "address",
            "\"127.0.0.1\"",
            "Who connects: the client, or a trusted proxy that names it in X-Forwarded-For.",
        ),
        Key::optional(
            "listener",
            "listener",
            "\"web\"",
            "Where it comes in. Absent: the first that has the port of the URL and its scheme, else the first that has its scheme.",
        ),
        Key::optional(
            "protocol",
            "word",
            "\"h1\"",
            "h1, h2 or h3: the listener has to speak it.",
        )
        .words(&["h1", "h2", "h3"]),
        Key::default(
            "times",
            "number",
            "1",
            "How often it is asked at once, for limits; the last one is meant.",
        ),
        Key::optional(
            "packet",
            "packet",
            "\"tcp 203.0.113.9 -> :443 syn\"",
            "A packet as the kernel program sees it: tcp, udp or icmp, who sends it, the address (absent: this host) and port that it goes to, and flags of TCP (absent: syn; none: none), initial or short (of QUIC), fragment. It is the first of its source.",
        ),
        Key::required(
            "expect",
            "table",
            "{ status = 200 }",
            "What is to become of it; at least one of these.",
        )
        .fields(&EXPECT),
    ],
    later: &[],
};

static EXPECT: keys::Section = keys::Section {
    name: "test.expect",
    doc: "What is to become of a request or a packet.",
    keys: &[
        Key::optional("route", "route", "\"static\"", "The route that takes it."),
        Key::optional(
            "status",
            "number",
            "200",
            "The status that the proxy itself answers with. No endpoint is asked: 200 to 299 stand for a request that is sent on to one.",
        ),
        Key::optional(
            "reason",
            "reason",
            "\"route.none\"",
            "The code of its refusal, or of what the shield decides.",
        ),
        Key::optional(
            "upstream",
            "upstream",
            "\"app\"",
            "The upstream that gets it; where that is drawn anew for each request, one that may.",
        ),
        Key::optional(
            "target",
            "path",
            "\"/x?y\"",
            "Path and query that the endpoint gets.",
        ),
        Key::optional(
            "location",
            "URL",
            "\"https://www.example.com/new\"",
            "Where it is redirected to.",
        ),
        Key::optional(
            "cache",
            "word",
            "\"store\"",
            "store: it is answered from the cache, or its answer may be kept; lookup: the first alone; none.",
        ).words(&["store", "lookup", "none"]),
        Key::default(
            "headers",
            "table of conditions",
            "{}",
            "Response fields that the configuration writes: this value; true: any; false: none. What an endpoint would say is not known.",
        )
        .example("{ \"X-Frame-Options\" = \"DENY\" }"),
        Key::optional(
            "verdict",
            "word",
            "\"drop\"",
            "What the shield does with a packet, or with the connection of a request: pass, drop, or tx where it answers itself.",
        ),
    ],
    later: &[],
};

/// How a request comes, as far as it is not written in its line.
#[derive(PartialEq)]
struct Way {
    fields: Vec<(String, String)>,
    from: IpAddr,
    listener: Option<String>,
    wire: Option<Wire>,
    times: u64,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            from: Asked::NOBODY,
            listener: None,
            wire: None,
            times: 1,
        }
    }
}

pub(super) fn read(section: &Section<'_>) -> Option<Test> {
    let name = section.optional("name", values::text);
    let expect = section
        .section("expect")
        .and_then(|section| read_expect(&section));
    let way = read_way(section);
    let fields = way.as_ref().map_or(&[][..], |way| &way.fields);
    let asked = section.optional("request", |node| request(node, fields));
    let packet = section.optional("packet", |node| {
        Packet::read(&values::text(node)?).map_err(|told| Complaint::new(told).into())
    });
    let (way, expect) = (way?, expect?);
    let asks = match (asked.ok()?, packet.ok()?) {
        (Some(asked), None) => Asks::Request(Asked {
            from: way.from,
            listener: way.listener,
            wire: way.wire,
            times: way.times,
            is_strict: true,
            ..asked
        }),
        (None, Some(packet)) => {
            check_packet(section, &way, &expect)?;
            Asks::Packet(packet)
        }
        (Some(_), Some(_)) => {
            let complaint =
                Complaint::new("`request` and `packet` exclude each other").hint("write two tests");
            section.complain("packet", complaint);
            return None;
        }
        (None, None) => {
            let hint = "add request = \"GET http://…\" or packet = \"tcp 203.0.113.9 -> :443 syn\"";
            let complaint = Complaint::new("this test asks nothing").hint(hint);
            section
                .reader
                .report(section.place, &section.path, complaint);
            return None;
        }
    };
    Some(Test {
        name: name.ok()?.unwrap_or_else(|| asks.text().to_owned()),
        asks,
        expect,
    })
}

/// What a packet does not have.
fn check_packet(section: &Section<'_>, way: &Way, expect: &Expect) -> Option<()> {
    if *way != Way::default() {
        let message = "`headers`, `from`, `listener`, `protocol` and `times` are of requests";
        section.complain(
            "packet",
            Complaint::new(message).hint("leave them out, or ask by `request`"),
        );
        return None;
    }
    let of_packets = Expect {
        verdict: expect.verdict.clone(),
        reason: expect.reason.clone(),
        ..Expect::default()
    };
    if *expect != of_packets {
        let complaint = Complaint::new("a packet has a `verdict` and a `reason` alone")
            .hint("leave the other keys out, or ask by `request`");
        section.complain("expect", complaint);
        return None;
    }
    Some(())
}

fn read_way(section: &Section<'_>) -> Option<Way> {
    let fields = section.pairs("headers", |name, node| {
        if !names::is_token(name) {
            return Err(Complaint::new(format!("`{name}` is not a field name"))
                .hint(names::TOKEN)
                .into());
        }
        Ok((name.to_owned(), matcher::field_value(node)?))
    });
    let from = section.value("from", address);
    let listener = section.optional("listener", values::text);
    let wires = [("h1", Wire::H1), ("h2", Wire::H2), ("h3", Wire::H3)];
    let wire = section.optional("protocol", values::choice(&wires));
    let times = section.value("times", values::count(1, 1_000_000_000));
    Some(Way {
        fields: fields?,
        from: from?,
        listener: listener.ok()?,
        wire: wire.ok()?,
        times: times?.into(),
    })
}

fn request(node: &Node, fields: &[(String, String)]) -> Result<Asked, Unread> {
    let text = values::text(node)?;
    let (method, url) = text.split_once(' ').ok_or_else(|| {
        let hint = format!("did you mean \"GET {text}\"?");
        Complaint::new("a request is a method and a URL").hint(hint)
    })?;
    let mut fields = fields.to_vec();
    if Asked::names_no_host(url.trim(), &fields) {
        fields.push(("Host".to_owned(), Asked::HOST.to_owned()));
    }
    Asked::new(method, url.trim(), &fields).map_err(|told| Complaint::new(told).into())
}

fn address(node: &Node) -> Result<IpAddr, Unread> {
    let text = values::string(node)?;
    text.parse().map_err(|error| {
        Complaint::new(format!("`{text}` is no address: {error}"))
            .hint("write \"203.0.113.9\" or \"2001:db8::9\"")
            .into()
    })
}

fn read_expect(section: &Section<'_>) -> Option<Expect> {
    let text = |key| section.optional(key, values::text);
    let verdicts = ["pass", "drop", "tx"].map(|word| (word, word));
    let parts = [CachePart::Store, CachePart::Lookup, CachePart::None];
    let parts = parts.map(|part| (part.word(), part));
    let verdict = section.optional("verdict", values::choice(&verdicts));
    let (route, reason, upstream) = (text("route"), text("reason"), text("upstream"));
    let (target, location) = (text("target"), text("location"));
    let status = section.optional("status", values::count(100, 599));
    let cache = section.optional("cache", values::choice(&parts));
    let headers = section.pairs("headers", header);
    let expect = Expect {
        verdict: verdict.ok()?.map(str::to_owned),
        route: route.ok()?,
        status: status.ok()?.and_then(|status| u16::try_from(status).ok()),
        reason: reason.ok()?,
        upstream: upstream.ok()?,
        target: target.ok()?,
        location: location.ok()?,
        cache: cache.ok()?,
        headers: headers?,
    };
    if expect == Expect::default() {
        let complaint = Complaint::new("this test expects nothing");
        let hint = "write what is to come of it, such as status = 200";
        section
            .reader
            .report(section.place, &section.path, complaint.hint(hint));
        return None;
    }
    Some(expect)
}

fn header(name: &str, node: &Node) -> Result<(String, Wanted), Unread> {
    if !names::is_token(name) {
        return Err(Complaint::new(format!("`{name}` is not a field name"))
            .hint(names::TOKEN)
            .into());
    }
    let wanted = match node.value {
        Value::Boolean(true) => Wanted::Present,
        Value::Boolean(false) => Wanted::Absent,
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Table(_)
        | Value::Broken => Wanted::Is(matcher::field_value(node)?),
    };
    Ok((name.to_ascii_lowercase(), wanted))
}
