//! `compress` of a route: which responses go out in a content coding, and in which.

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Item, Section, Unread};
use super::tree::{Node, Value};
use super::values;
use crate::coding::{Coding, Levels, MediaType, Rule};

pub(super) static RULE: keys::Section = keys::Section {
    name: "route.compress",
    doc: "How responses are compressed. What an endpoint has compressed itself goes on as it is, unless its client cannot read that: then it is decompressed. What is a part of something (206) or must not be transformed (Cache-Control: no-transform) is left alone.",
    keys: &[
        Key::default(
            "encodings",
            "list of codings",
            "[\"br\", \"zstd\", \"gzip\"]",
            "What is offered, best first. A client gets what it weights highest in Accept-Encoding; of equals, the first.",
        ),
        Key::default(
            "types",
            "list of media types",
            "[\"text/*\", \"application/json\", \"application/javascript\", \"application/x-javascript\", \"application/xml\", \"application/wasm\", \"application/x-ndjson\", \"application/yaml\", \"application/vnd.ms-fontobject\", \"font/ttf\", \"font/otf\", \"image/bmp\", \"image/x-icon\", \"image/vnd.microsoft.icon\", \"+json\", \"+xml\", \"+yaml\", \"+text\"]",
            "Which responses are worth it, by Content-Type: a name, a family such as text/*, the end of a name such as +json, or *. Calls of gRPC are left alone.",
        )
        .example("[\"text/*\", \"application/json\", \"+json\"]"),
        Key::default(
            "min_size",
            "size",
            "\"1k\"",
            "A body that is known to be smaller goes as it is.",
        ),
        Key::default("level", "table", "{}", "How much effort is made.").fields(&LEVELS),
        Key::default(
            "max_at_once",
            "number",
            "256",
            "So many responses are compressed at the same time by one worker; more go as they are, and are not stored so (`detail=busy` in Cache-Status). At the default levels a large body takes up to 4 MiB of memory in br, 1.6 in zstd, 1 in gzip, one that is known to be small mostly less; higher levels take far more (br 9: 35 MiB). One that is decompressed counts as 1 (gzip), 8 (zstd) or 16 (br).",
        ),
    ],
    later: &[],
};

static LEVELS: keys::Section = keys::Section {
    name: "route.compress.level",
    doc: "The effort of each coding: a higher level makes fewer bytes and takes more time. At the defaults br saves most and takes several times as long as zstd and gzip.",
    keys: &[
        Key::default("br", "number", "5", "From 0 to 11."),
        Key::default("zstd", "number", "3", "From 1 to 19."),
        Key::default("gzip", "number", "2", "From 1 to 9."),
    ],
    later: &[],
};

/// The shortest way to write it.
const LIST: &str = "write compress = [\"br\", \"zstd\", \"gzip\"]";

/// `Err`: it is wrong, and that is told.
pub(super) fn of_route(section: &Section<'_>) -> Result<Option<Rule>, ()> {
    let Some(items) = section.items("compress") else {
        return Ok(None);
    };
    if !section.has("to") {
        let complaint = Complaint::new("only what comes from an upstream is compressed")
            .hint("add to = \"UPSTREAM\", or leave `compress` out");
        section.complain("compress", complaint);
    }
    let path = section.key_path("compress");
    if let [item] = &*items
        && let Value::Boolean(wanted) = item.node.value
    {
        let hint = if wanted {
            LIST
        } else {
            "leave `compress` out: without it nothing is compressed"
        };
        let complaint = Complaint::new("`compress` is a list of codings, or a table").hint(hint);
        section.reader.report(item.node.place, &path, complaint);
        return Err(());
    }
    let is_table = |item: &Item| item.path == path && matches!(item.node.value, Value::Table(_));
    if items.iter().any(is_table) {
        let table = section.section("compress").ok_or(())?;
        let codings = table.items("encodings");
        return read(&table, codings).map(Some).ok_or(());
    }
    // The codings alone stand for a table that says nothing else.
    let node = Node {
        place: section.place_of("compress"),
        value: Value::Table(Vec::new()),
    };
    let table = section.item_section("compress", Item { path, node });
    let rule = read(&table.ok_or(())?, Some(items));
    rule.map(Some).ok_or(())
}

fn read(section: &Section<'_>, codings: Option<Vec<Item>>) -> Option<Rule> {
    let codings = codings.and_then(|items| read_codings(section, &items));
    let types = section.list("types", media_type);
    let min_size = section.value("min_size", values::size);
    let levels = section
        .section("level")
        .and_then(|section| read_levels(&section));
    let max_at_once = section.value("max_at_once", values::count(1, 65_536));
    Some(Rule {
        codings: codings?,
        types: types?,
        min_size: min_size?,
        levels: levels?,
        max_at_once: max_at_once? as usize,
    })
}

fn read_codings(section: &Section<'_>, items: &[Item]) -> Option<Vec<Coding>> {
    let words = Coding::ALL.map(|coding| (coding.name(), coding));
    let coding = |node: &Node| {
        values::choice(&words)(node).map_err(|unread| match unread {
            Unread::Complaint(complaint) => complaint.or_hint(Some(LIST.to_owned())).into(),
            Unread::Told => Unread::Told,
        })
    };
    let parse = |item: &Item| section.parse(&item.path, &item.node, coding);
    let read: Vec<Option<Coding>> = items.iter().map(parse).collect();
    let codings: Vec<Coding> = read.into_iter().collect::<Option<_>>()?;
    if codings.is_empty() {
        let complaint = Complaint::new("this list names no coding");
        section.complain("encodings", complaint.hint("leave `compress` out"));
        return None;
    }
    for (index, item) in items.iter().enumerate() {
        let (before, rest) = codings.split_at_checked(index)?;
        if let Some(coding) = rest.first().filter(|coding| before.contains(coding)) {
            let complaint = Complaint::new(format!("`{}` is named twice", coding.name()))
                .hint("once is enough");
            section
                .reader
                .report(item.node.place, &item.path, complaint);
        }
    }
    Some(codings)
}

fn read_levels(section: &Section<'_>) -> Option<Levels> {
    let level = |name, least, most| {
        let level = section.value(name, values::count(least, most))?;
        u8::try_from(level).ok()
    };
    let (br, zstd, gzip) = (
        level("br", 0, 11),
        level("zstd", 1, 19),
        level("gzip", 1, 9),
    );
    Some(Levels {
        br: br?,
        zstd: zstd?,
        gzip: gzip?,
    })
}

fn media_type(node: &Node) -> Result<MediaType, Unread> {
    let text = values::text(node)?;
    MediaType::parse(&text).ok_or_else(|| {
        Complaint::new(format!("`{text}` is no media type"))
            .hint("write \"text/html\", \"text/*\", \"+json\" or \"*\"")
            .into()
    })
}
