//! `[log]`: what is written, and where.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::values;
use crate::redact::Redact;

#[derive(Clone, Debug)]
pub struct Log {
    pub level: Level,
    pub access: AccessLog,
    /// Refusals, bans, and what operators change.
    pub security: SecurityLog,
    pub redact: Redact,
    /// An answer that begins later than this is worth a look.
    pub slow: Duration,
    /// How much memory a worker remembers exchanges in that went wrong or were slow.
    pub recent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    const WORDS: [(&'static str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    /// The level of that name.
    pub fn of(word: &str) -> Option<Self> {
        let mut words = Self::WORDS.iter();
        words
            .find(|(name, _)| *name == word)
            .map(|(_, level)| *level)
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        words
            .find(|(_, level)| *level == self)
            .map_or("", |(name, _)| name)
    }
}

#[derive(Clone, Debug)]
pub struct AccessLog {
    pub to: AccessTarget,
    pub format: AccessFormat,
    /// Of all requests that go well, above 0 and at most 1.
    pub sample: f32,
}

#[derive(Clone, Debug)]
pub struct SecurityLog {
    pub to: AccessTarget,
    /// JSON or ECS.
    pub format: AccessFormat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTarget {
    Off,
    Stdout,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    Json,
    Combined,
    /// JSON by the Elastic Common Schema.
    Ecs,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "log",
    doc: "What is written, and where.",
    keys: &[
        Key::default(
            "level",
            "word",
            "\"info\"",
            "How much the program says on stderr: error, warn, info, debug or trace.",
        ).words(&["error", "warn", "info", "debug", "trace"]),
        Key::default(
            "access",
            "table",
            "{ to = \"stdout\", format = \"json\" }",
            "The access log, one line a request.",
        )
        .fields(&ACCESS),
        Key::default(
            "security",
            "table",
            "{ to = \"off\" }",
            "The security log: one line for each refusal and each ban, for the beginning and the end of a flood, and for whatever an operator changes, with the user and the process that asked.",
        )
        .fields(&SECURITY),
        Key::optional(
            "redact",
            "table",
            "{ query = [\"token\"], client = \"/24\" }",
            "What is left out of logs, of `openclaw tail` and of `openclaw explain id`.",
        )
        .fields(&REDACT),
        Key::default(
            "slow",
            "duration",
            "\"1s\"",
            "A request whose answer begins later than this is remembered for `openclaw explain id`, as are refused and failed ones.",
        ),
        Key::default(
            "recent",
            "size",
            "\"1m\"",
            "How much memory each worker remembers such requests in; the oldest make room. \"0\" remembers nothing.",
        ),
    ],
    later: &[],
};

static ACCESS: keys::Section = keys::Section {
    name: "log.access",
    doc: "The access log.",
    keys: &[
        Key::default("to", "path", "\"stdout\"", "stdout, off or a file."),
        Key::default(
            "format",
            "word",
            "\"json\"",
            "json, combined, or ecs (JSON by the Elastic Common Schema).",
        )
        .words(&["json", "combined", "ecs"]),
        Key::default(
            "sample",
            "number",
            "1.0",
            "Which part of the requests that go well is logged. What was refused, failed or was slow always is.",
        ),
    ],
    later: &[],
};

static SECURITY: keys::Section = keys::Section {
    name: "log.security",
    doc: "The security log.",
    keys: &[
        Key::default("to", "path", "\"off\"", "off, stdout or a file."),
        Key::default("format", "word", "\"json\"", "json or ecs.").words(&["json", "ecs"]),
    ],
    later: &[],
};

static REDACT: keys::Section = keys::Section {
    name: "log.redact",
    doc: "What is left out of logs.",
    keys: &[
        Key::default(
            "query",
            "list of names",
            "[]",
            "Query parameters whose values are left out, of paths and of `referer`.",
        )
        .example("[\"token\", \"password\"]"),
        Key::default(
            "headers",
            "list of names",
            "[]",
            "Header fields that are left out: user-agent, referer.",
        )
        .example("[\"referer\"]"),
        Key::optional(
            "client",
            "prefix length",
            "\"/24\"",
            "How much is kept of the addresses of clients; of IPv6 addresses twice as many bits.",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Log> {
    let level = section.value("level", values::choice(&Level::WORDS));
    let access = section
        .section("access")
        .and_then(|access| read_access(&access));
    let security = section
        .section("security")
        .and_then(|security| read_security(&security));
    let redact = if section.has("redact") {
        let redact = section.section("redact");
        redact.and_then(|redact| read_redact(&redact))
    } else {
        Some(Redact::default())
    };
    let slow = section.value("slow", values::duration);
    let recent = section.value("recent", values::size);
    Some(Log {
        level: level?,
        access: access?,
        security: security?,
        redact: redact?,
        slow: slow?,
        recent: recent?,
    })
}

fn target(section: &Section<'_>) -> Option<AccessTarget> {
    section.value("to", |node| match values::string(node)? {
        "off" => Ok(AccessTarget::Off),
        "stdout" => Ok(AccessTarget::Stdout),
        word @ ("none" | "no" | "false" | "stderr") => {
            Err(Complaint::new(format!("`{word}` is no place for a log"))
                .hint(
                    "write \"off\", \"stdout\" or a path such as \"/var/log/openclaw/access.log\"",
                )
                .into())
        }
        _ => section.reader.path(node).map(AccessTarget::File),
    })
}

fn read_access(section: &Section<'_>) -> Option<AccessLog> {
    let to = target(section);
    let format = section.value(
        "format",
        values::choice(&[
            ("json", AccessFormat::Json),
            ("combined", AccessFormat::Combined),
            ("ecs", AccessFormat::Ecs),
        ]),
    );
    let sample = section.value("sample", sample);
    Some(AccessLog {
        to: to?,
        format: format?,
        sample: sample?,
    })
}

fn read_security(section: &Section<'_>) -> Option<SecurityLog> {
    let to = target(section);
    let format = section.value(
        "format",
        values::choice(&[("json", AccessFormat::Json), ("ecs", AccessFormat::Ecs)]),
    );
    Some(SecurityLog {
        to: to?,
        format: format?,
    })
}

fn sample(node: &Node) -> Result<f32, Unread> {
    let part = values::number(node)?;
    if part > 0.0 && part <= 1.0 {
        return Ok(part as f32);
    }
    let complaint = Complaint::new(format!("{part} is not a part of one"));
    let hint = "write a number above 0, up to 1; to = \"off\" logs nothing";
    Err(complaint.hint(hint).into())
}

fn read_redact(section: &Section<'_>) -> Option<Redact> {
    let query = section.list("query", |node| {
        Ok(values::string(node)?.to_ascii_lowercase())
    });
    let choice = values::choice(&[("user-agent", true), ("referer", false)]);
    let headers = section.list("headers", choice);
    let client = section.optional("client", |node| {
        let bits = values::string(node)?.strip_prefix('/');
        let bits: Option<u8> = bits.and_then(|bits| bits.parse().ok());
        bits.filter(|bits| (8..=32).contains(bits)).ok_or_else(|| {
            let complaint = Complaint::new("this is not how much of an address is kept");
            complaint
                .hint("write \"/8\" to \"/32\", such as \"/24\"")
                .into()
        })
    });
    let headers = headers?;
    Some(Redact {
        query: query?,
        user_agent: headers.contains(&true),
        referer: headers.contains(&false),
        client: client.ok()?,
    })
}
