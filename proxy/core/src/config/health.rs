//! `health` and `breaker` of an upstream: which endpoints are left out.

use std::time::Duration;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::{Node, Value};
use super::upstream_words::UpstreamProtocol;
use super::values;
use crate::health::Rules;

/// How endpoints are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub question: Question,
    pub every: Duration,
    pub timeout: Duration,
    pub fall: u32,
    pub rise: u32,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Connects, and no more.
    Tcp,
    Http(HttpQuestion),
    /// `grpc.health.v1.Health/Check`.
    Grpc(GrpcQuestion),
}

/// Which service of gRPC is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcQuestion {
    /// Empty: the server as a whole.
    pub service: String,
    /// The endpoint as written, if none.
    pub host: Option<String>,
}

/// A GET, and which answers are good ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpQuestion {
    pub path: String,
    /// The endpoint as written, if none.
    pub host: Option<String>,
    /// Empty: 200 to 399.
    pub status: Vec<u16>,
    /// What the first 64 KiB of the body must contain.
    pub body: Option<String>,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream.health",
    doc: "Endpoints are asked whether they are well. One that is not gets nothing while another is left; when all say that they are not, they are used as if none did.",
    keys: &[
        Key::optional(
            "path",
            "path",
            "\"/health\"",
            "What is asked for with GET. Absent: a connection that is made is enough.",
        ),
        Key::optional(
            "grpc",
            "boolean or string",
            "\"my.package.Service\"",
            "Asks in the words of gRPC instead (grpc.health.v1.Health/Check): a service by its name, or with `true` the server as a whole. Needs `protocol = \"h2\"`.",
        ),
        Key::optional(
            "host",
            "string",
            "\"app.example.com\"",
            "The Host of the question. Absent: the endpoint as written.",
        ),
        Key::default(
            "status",
            "list of numbers",
            "[]",
            "The good answers; empty: 200 to 399.",
        )
        .example("[200, 204]"),
        Key::optional(
            "body",
            "string",
            "\"ok\"",
            "What a good answer contains in its first 64 KiB.",
        ),
        Key::default(
            "every",
            "duration",
            "\"5s\"",
            "The time between two questions, give or take a tenth.",
        ),
        Key::default(
            "timeout",
            "duration",
            "\"1s\"",
            "How long an answer may take, the connection included.",
        ),
        Key::default(
            "fall",
            "number",
            "3",
            "So many bad answers in a row take an endpoint out.",
        ),
        Key::default(
            "rise",
            "number",
            "2",
            "So many good ones in a row bring it back.",
        ),
    ],
    later: &[],
};

pub(super) static BREAKER: keys::Section = keys::Section {
    name: "upstream.breaker",
    doc: "An endpoint that fails request after request is left alone. Failures are connections that cannot be made, timeouts, resets, broken answers, and 502, 503 and 504; other statuses are none, 500 neither: it tells of one request rather than of the endpoint.",
    keys: &[
        Key::default("failures", "number", "5", "So many failures…"),
        Key::default(
            "window",
            "duration",
            "\"10s\"",
            "…within this time open the breaker: nothing is sent.",
        ),
        Key::default(
            "open",
            "duration",
            "\"5s\"",
            "After this time one request tries; if it goes well, the breaker closes.",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>, protocol: Option<UpstreamProtocol>) -> Option<Health> {
    // A key that is wrong has been told by then; here it is only missing, and the section with it, once all keys were read.
    let path = section.optional("path", target).ok();
    let grpc = section.optional("grpc", service).ok();
    let host = section.optional("host", values::text).ok();
    let status = section.list("status", |node| {
        Ok(u16::try_from(values::count(100, 599)(node)?).unwrap_or_default())
    });
    let body = section.optional("body", values::text).ok();
    let every = section.value("every", values::duration);
    let timeout = section.value("timeout", values::duration);
    let fall = section.value("fall", values::count(1, 1_000));
    let rise = section.value("rise", values::count(1, 1_000));
    let (path, grpc) = (path?, grpc?.flatten());
    tell_of_strangers(section, path.is_some(), grpc.is_some());
    if grpc.is_some() && protocol == Some(UpstreamProtocol::H1) {
        let complaint = Complaint::new("gRPC is spoken over HTTP/2, and these endpoints speak h1");
        section.complain(
            "grpc",
            complaint.hint("add protocol = \"h2\" to the upstream"),
        );
    }
    Some(Health {
        question: match (path, grpc) {
            (_, Some(service)) => Question::Grpc(GrpcQuestion {
                service,
                host: host?,
            }),
            (None, None) => Question::Tcp,
            (Some(path), None) => Question::Http(HttpQuestion {
                path,
                host: host?,
                status: status?,
                body: body?,
            }),
        },
        every: every?,
        timeout: timeout?,
        fall: fall?,
        rise: rise?,
    })
}

/// Says which keys are there that the question has no use for.
fn tell_of_strangers(section: &Section<'_>, has_path: bool, is_grpc: bool) {
    let complain = |key: &str, message: String, hint: &str| {
        if section.has(key) {
            section.complain(key, Complaint::new(message).hint(hint));
        }
    };
    let of_answers = ["host", "status", "body"];
    if is_grpc {
        for key in ["path", "status", "body"] {
            let message = format!("`{key}` is of a question by HTTP, and `grpc` asks another one");
            complain(key, message, "leave one of the two out");
        }
    } else if !has_path {
        for key in of_answers {
            let message = format!("`{key}` is about answers, which only a `path` asks for");
            complain(key, message, "add path = \"/health\"");
        }
    }
}

/// The name of a service; empty for the whole server, nothing where none is asked for.
fn service(node: &Node) -> Result<Option<String>, Unread> {
    match &node.value {
        Value::Boolean(asked) => Ok(asked.then(String::new)),
        Value::String(_) => {
            let text = values::text(node)?;
            let is_name = text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_name {
                let complaint = Complaint::new(format!("`{text}` is no service of gRPC"));
                return Err(complaint
                    .hint("write a name such as \"my.package.Service\"")
                    .into());
            }
            Ok(Some(text))
        }
        Value::Broken
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Table(_) => Err(values::expected("true or the name of a service", node)),
    }
}

pub(super) fn read_breaker(section: &Section<'_>) -> Option<Rules> {
    let failures = section.value("failures", values::count(1, 10_000));
    let window = section.value("window", values::duration);
    let open = section.value("open", values::duration);
    Some(Rules {
        failures: failures?,
        window: window?,
        open: open?,
    })
}

fn target(node: &Node) -> Result<String, Unread> {
    let text = values::text(node)?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !text.starts_with('/') || !is_plain || text.contains('#') {
        let complaint = Complaint::new(format!("`{text}` cannot be asked for"));
        return Err(complaint.hint("write a path such as \"/health\"").into());
    }
    Ok(text)
}
