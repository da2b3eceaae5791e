//! `[log]`: what is written, and where.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{self, Key};
use super::reader::Section;
use super::values;

#[derive(Clone, Debug)]
pub struct Log {
    pub level: Level,
    pub access: AccessLog,
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

#[derive(Clone, Debug)]
pub struct AccessLog {
    pub to: AccessTarget,
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
        ),
        Key::default(
            "access",
            "table",
            "{ to = \"stdout\", format = \"json\" }",
            "The access log, one line a request.",
        )
        .fields(&ACCESS),
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
        Key::default("format", "word", "\"json\"", "json or combined."),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Log> {
    let level = section.value(
        "level",
        values::choice(&[
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
            ("trace", Level::Trace),
        ]),
    );
    let access = section
        .section("access")
        .and_then(|access| read_access(&access));
    let slow = section.value("slow", values::duration);
    let recent = section.value("recent", values::size);
    Some(Log {
        level: level?,
        access: access?,
        slow: slow?,
        recent: recent?,
    })
}

fn read_access(section: &Section<'_>) -> Option<AccessLog> {
    let to = section.value("to", |node| match values::string(node)? {
        "off" => Ok(AccessTarget::Off),
        "stdout" => Ok(AccessTarget::Stdout),
        _ => section.reader.path(node).map(AccessTarget::File),
    });
    let format = section.value(
        "format",
        values::choice(&[
            ("json", AccessFormat::Json),
            ("combined", AccessFormat::Combined),
        ]),
    );
    Some(AccessLog {
        to: to?,
        format: format?,
    })
}
