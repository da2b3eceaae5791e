//! `[cache]`, and `cache` of a route: what is kept, for how long, and how much of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::values;
use crate::caching::{Query, Rule};
use crate::message::field::is_token;

/// The store that the routes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Bytes that stored responses take at the most.
    pub memory: u64,
    /// What is behind it.
    pub disk: Option<CacheDisk>,
}

/// Stored responses on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheDisk {
    pub path: PathBuf,
    /// Bytes that their files take at the most.
    pub max: u64,
    /// Bytes of memory that knowing them takes at the most.
    pub index: u64,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "cache",
    doc: "Where responses are kept for the routes with `cache`.",
    keys: &[
        Key::default(
            "memory",
            "size",
            "\"64m\"",
            "What stored responses may take, a fifth of it while they are on their way; when they are more, those that are asked for least go first. Taken only as routes store something.",
        ),
        Key::optional(
            "disk",
            "table",
            "{ path = \"/var/cache/openclaw\", max = \"10g\" }",
            "Keeps them on disk as well, over restarts; what is larger than a 32nd of `memory` is there alone.",
        )
        .fields(&DISK),
    ],
    later: &[],
};

static DISK: keys::Section = keys::Section {
    name: "cache.disk",
    doc: "Stored responses on disk, one file each. What cannot be written or read passes, and is counted.",
    keys: &[
        Key::required(
            "path",
            "path",
            "\"/var/cache/openclaw\"",
            "A directory into which nobody but the user of the proxy may write. Made where it is missing; files of others in it are left alone. One process at a time uses it.",
        ),
        Key::required(
            "max",
            "size",
            "\"10g\"",
            "What the files may take; before they are more, the oldest go that nobody has asked for lately. A response larger than half of it, or than `max_object` of its route, is not stored.",
        ),
        Key::default(
            "index",
            "size",
            "\"64m\"",
            "Memory for knowing what is there: about 256 bytes a response, its URI, what Vary names of its request, and 8 bytes a tag. When that is full the oldest go, too.",
        ),
    ],
    later: &[],
};

pub(super) static RULE: keys::Section = keys::Section {
    name: "route.cache",
    doc: "Stores responses and answers with them. Without it nothing is stored; with cache = {} RFC 9111 and what origins say decide.",
    keys: &[
        Key::optional(
            "ttl",
            "duration",
            "\"24h\"",
            "How long a response is fresh at least, where the origin says nothing or less. What it forbids (no-store, private, no-cache) stays forbidden.",
        ),
        Key::optional(
            "heuristic",
            "share",
            "\"10%\"",
            "For how long a response is fresh where nothing says it: this part of the time since its Last-Modified (RFC 9111 §4.2.2), for 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501 and what is called public. Absent: nothing is guessed.",
        ),
        Key::default(
            "heuristic_max",
            "duration",
            "\"24h\"",
            "The longest that comes of `heuristic`.",
        ),
        Key::default(
            "status",
            "list of numbers",
            "[]",
            "Statuses that are stored. Absent: all for which the origin states a lifetime, and `ttl` is for 200, 203, 204, 300, 301 and 308.",
        )
        .example("[200, 404]"),
        Key::default(
            "vary",
            "list of fields",
            "[]",
            "Request fields by which stored responses are told apart, beside those of the response's Vary.",
        )
        .example("[\"Accept-Encoding\"]"),
        Key::optional(
            "stale_while_revalidate",
            "duration",
            "\"1h\"",
            "How long a stale response is still the answer while it is asked for again (RFC 5861), where the origin does not say.",
        ),
        Key::optional(
            "stale_if_error",
            "duration",
            "\"24h\"",
            "How long a stale response is the answer where no endpoint gives a better one than 500 to 504 (RFC 5861), where the origin does not say.",
        ),
        Key::optional(
            "key",
            "table",
            "{ query = [\"id\"], cookies = [\"lang\"] }",
            "What tells responses apart beside host and path.",
        )
        .fields(&PARTS),
        Key::default(
            "bypass",
            "list of conditions",
            "[]",
            "Requests with one of these go past the cache: header:NAME, or cookie:NAME.",
        )
        .example("[\"cookie:session\", \"header:X-Preview\"]"),
        Key::default(
            "max_object",
            "size",
            "\"8m\"",
            "The largest body that is stored.",
        ),
        Key::optional(
            "slice",
            "size",
            "\"1m\"",
            "A request for one range of something that is not stored whole has the slices of this size that it touches fetched and stored, one by one, however large the whole is. Its endpoint has to answer ranges with a strong ETag and Content-Range, or the request passes; so do several ranges at once, and the last bytes of something (bytes=-500) as long as nothing says how long it is. What is stored whole and fresh answers ranges itself; a request for the whole is not put together out of slices, and where it is stored it takes its room beside them. From 64k to 64m, and not more than `max_object`. Absent: ranges are answered out of what is stored whole.",
        ),
        Key::default(
            "obey_requests",
            "boolean",
            "true",
            "Whether a client may ask for something fresher than what is stored (Cache-Control of requests, RFC 9111 §5.2.1). false: nobody can send requests past the cache to the endpoints.",
        ),
    ],
    later: &[],
};

static PARTS: keys::Section = keys::Section {
    name: "route.cache.key",
    doc: "What tells responses apart beside host and path. An endpoint is asked with all of a request, whatever stands here: what is left out must not change what it answers.",
    keys: &[
        Key::default(
            "query",
            "all, none or list of parameters",
            "\"all\"",
            "The parameters of the query that count, in whatever order they come; purges name them in this one.",
        )
        .example("[\"id\"]"),
        Key::default("headers", "list of fields", "[]", "Request fields, as in `vary`."),
        Key::default("cookies", "list of names", "[]", "Cookies, by their values."),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Cache> {
    let memory = section.value("memory", values::size)?;
    if memory < 1 << 20 {
        let complaint = Complaint::new("a cache of less than 1m keeps nothing");
        section.complain(
            "memory",
            complaint.hint("write \"64m\", or leave `cache` out of the routes"),
        );
    }
    let disk = if section.has("disk") {
        Some(section.section("disk").and_then(|disk| read_disk(&disk))?)
    } else {
        None
    };
    Some(Cache { memory, disk })
}

/// The `cache` of a route. `Err` with a problem that was told.
pub(super) fn of_route(section: &Section<'_>) -> Result<Option<Rule>, ()> {
    if section.has("cache") && section.has("mirror") {
        section.reader.conflict(
            section.place_of("cache"),
            section.place_of("mirror"),
            &section.key_path("mirror"),
            Complaint::new("`cache` and `mirror` exclude each other: what the cache answers would not be copied")
                .hint("keep one of them"),
        );
    }
    let Some(section) = section.section("cache") else {
        return if section.has("cache") {
            Err(())
        } else {
            Ok(None)
        };
    };
    read_rule(&section).map(Some).ok_or(())
}

fn read_disk(section: &Section<'_>) -> Option<CacheDisk> {
    let path = section.value("path", |node| section.reader.path(node));
    let max = section.value("max", values::size)?;
    if max < 1 << 20 {
        let complaint = Complaint::new("a disk of less than 1m keeps nothing");
        section.complain("max", complaint.hint("write \"10g\", or leave `disk` out"));
    }
    let index = section.value("index", values::size);
    Some(CacheDisk {
        path: path?,
        max,
        index: index?,
    })
}

fn read_rule(section: &Section<'_>) -> Option<Rule> {
    let ttl = section.optional("ttl", values::duration);
    let heuristic = section.optional("heuristic", values::percent);
    let heuristic_max = section.value("heuristic_max", values::duration);
    let status = section.list("status", status);
    let vary = section.list("vary", field_name);
    let parts = if section.has("key") {
        section.section("key").and_then(|parts| read_parts(&parts))
    } else {
        Some((Query::All, Vec::new()))
    };
    let bypass = section.list("bypass", bypass);
    let stale_while_revalidate = section.optional("stale_while_revalidate", values::duration);
    let stale_if_error = section.optional("stale_if_error", values::duration);
    let max_object = section.value("max_object", values::size);
    let slice = section.optional("slice", slice);
    if let (Ok(Some(slice)), Some(most)) = (&slice, max_object)
        && *slice > most
    {
        let complaint = Complaint::new("a slice larger than `max_object` is not stored");
        section.complain("slice", complaint.hint("make `max_object` as large"));
    }
    let obeys_requests = section.value("obey_requests", values::boolean);
    let (query, more) = parts?;
    let mut vary = vary?;
    vary.extend(more);
    Some(Rule {
        ttl: ttl.ok()?,
        heuristic: heuristic.ok()?,
        heuristic_max: heuristic_max?,
        status: status?,
        vary,
        query,
        bypass: bypass?,
        stale_while_revalidate: stale_while_revalidate.ok()?,
        stale_if_error: stale_if_error.ok()?,
        max_object: max_object?,
        obeys_requests: obeys_requests?,
        // The route says it, which knows its edits, and what it takes.
        filled: Vec::new(),
        owner: Arc::default(),
        slice: slice.ok()?,
    })
}

fn slice(node: &Node) -> Result<u64, Unread> {
    const SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 20;
    let size = values::size(node)?;
    if !SIZES.contains(&size) {
        let complaint = Complaint::new(format!("slices of {size} bytes are out of range"));
        return Err(complaint
            .hint("write a size from \"64k\" to \"64m\"")
            .into());
    }
    Ok(size)
}

/// What counts of the query, and what else tells responses apart.
fn read_parts(section: &Section<'_>) -> Option<(Query, Vec<String>)> {
    // A word is a list of one.
    let query = section.list("query", values::text);
    let query = query.map(
        |names| match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["all"] => Query::All,
            ["none"] => Query::Only(Vec::new()),
            _ => Query::Only(names),
        },
    );
    let headers = section.list("headers", field_name);
    let cookies = section.list("cookies", cookie_name);
    let mut others = headers?;
    others.extend(cookies?);
    Some((query?, others))
}

fn bypass(node: &Node) -> Result<String, Unread> {
    let text = values::text(node)?;
    match text.split_once(':') {
        Some(("header", name)) if is_token(name.as_bytes()) => {
            Ok(format!("header:{}", name.to_ascii_lowercase()))
        }
        Some(("cookie", name)) if is_token(name.as_bytes()) => Ok(text),
        Some(_) | None => {
            let complaint = Complaint::new(format!("nothing goes past the cache by `{text}`"));
            Err(complaint.hint("write header:NAME or cookie:NAME").into())
        }
    }
}

fn cookie_name(node: &Node) -> Result<String, Unread> {
    let name = values::text(node)?;
    if !is_token(name.as_bytes()) {
        return Err(Complaint::new(format!("`{name}` is no name of a cookie"))
            .hint(super::names::TOKEN)
            .into());
    }
    Ok(format!("cookie:{name}"))
}

fn status(node: &Node) -> Result<u16, Unread> {
    let status = values::count(200, 599)(node)?;
    match status {
        206 | 304 => Err(Complaint::new(format!(
            "a {status} is a part of an exchange, and is not stored"
        ))
        .hint("leave it out")
        .into()),
        _ => Ok(u16::try_from(status).unwrap_or(u16::MAX)),
    }
}

fn field_name(node: &Node) -> Result<String, Unread> {
    let name = values::text(node)?;
    if !is_token(name.as_bytes()) {
        return Err(Complaint::new(format!("`{name}` is no name of a field"))
            .hint(super::names::TOKEN)
            .into());
    }
    Ok(name.to_ascii_lowercase())
}
