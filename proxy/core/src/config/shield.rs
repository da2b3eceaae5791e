//! `[shield]`: the packet filter in the kernel.

use std::net::IpAddr;
use std::path::PathBuf;

use super::geo::Geo;
use super::keys::{self, Key};
use super::lists::ShieldList;
use super::problem::Complaint;
use super::reader::{Fault, Section};
use super::syn::{self, Syn};
use super::tree::Node;
use super::values;

#[derive(Clone, Debug)]
pub struct Shield {
    /// Empty: no XDP.
    pub interfaces: Vec<String>,
    pub mode: ShieldMode,
    pub action: ShieldAction,
    pub allow: Vec<Prefix>,
    pub block: Vec<Prefix>,
    pub lists: Vec<ShieldList>,
    pub geo: Option<Geo>,
    pub syn: Syn,
    pub pin_dir: PathBuf,
    pub on_exit: OnExit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShieldMode {
    Auto,
    Native,
    Generic,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShieldAction {
    Enforce,
    Monitor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    Keep,
    Detach,
}

/// A range of addresses, host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "shield",
    doc: "The packet filter in the kernel (XDP).",
    keys: &[
        Key::default(
            "interfaces",
            "list of names",
            "[]",
            "The network interfaces to filter on. Empty: no XDP.",
        )
        .example("[\"eth0\"]"),
        Key::default(
            "mode",
            "word",
            "\"auto\"",
            "auto tries native and falls back to generic; native, generic, off.",
        ),
        Key::default(
            "action",
            "word",
            "\"enforce\"",
            "enforce drops packets; monitor only counts what it would drop.",
        ),
        Key::default(
            "allow",
            "list of prefixes",
            "[]",
            "Never blocked nor banned, whatever a list says.",
        )
        .example("[\"10.0.0.0/8\", \"2001:db8::/32\"]"),
        Key::default(
            "block",
            "list of prefixes",
            "[]",
            "Always blocked, unless allowed.",
        )
        .example("[\"203.0.113.0/24\"]"),
        Key::default(
            "lists",
            "list of tables",
            "[]",
            "Lists that others keep, in files and at URLs.",
        )
        .fields(&super::lists::KEYS)
        .example("[{ name = \"drop\", file = \"drop.netset\" }]"),
        Key::optional(
            "geo",
            "table",
            "{ database = \"country.mmdb\", deny = [\"ZZ\"] }",
            "Which countries are kept out, or the only ones let in.",
        )
        .fields(&super::geo::KEYS),
        Key::default("syn", "table", "{}", "Floods of new TCP connections.")
            .fields(&syn::KEYS)
            .example("{ mode = \"auto\", per_source = \"200/s\", burst = 400, enter = \"20k/s\" }"),
        Key::default(
            "pin_dir",
            "path",
            "\"/sys/fs/bpf/openclaw\"",
            "Where the maps and links are pinned, so that they outlive a restart.",
        ),
        Key::default(
            "on_exit",
            "word",
            "\"keep\"",
            "keep goes on filtering when the proxy stops; detach takes the filter off.",
        ),
    ],
    later: &[("udp", "limits on UDP packets (`udp`)")],
};

pub(super) fn read(section: &Section<'_>) -> Option<Shield> {
    let interfaces = section.list("interfaces", interface);
    let mode = section.value(
        "mode",
        values::choice(&[
            ("auto", ShieldMode::Auto),
            ("native", ShieldMode::Native),
            ("generic", ShieldMode::Generic),
            ("off", ShieldMode::Off),
        ]),
    );
    let action = section.value(
        "action",
        values::choice(&[
            ("enforce", ShieldAction::Enforce),
            ("monitor", ShieldAction::Monitor),
        ]),
    );
    let allow = section.list("allow", values::prefix);
    let block = section.list("block", values::prefix);
    let lists = super::lists::read(section);
    let geo = match section.section("geo") {
        Some(geo) => Some(super::geo::read(&geo)?),
        None if section.has("geo") => return None,
        None => None,
    };
    let syn = section
        .section("syn")
        .and_then(|section| syn::read(&section));
    let pin_dir = section.value("pin_dir", |node| section.reader.path(node));
    let on_exit = section.value(
        "on_exit",
        values::choice(&[("keep", OnExit::Keep), ("detach", OnExit::Detach)]),
    );
    Some(Shield {
        interfaces: interfaces?,
        mode: mode?,
        action: action?,
        allow: allow?,
        block: block?,
        lists: lists?,
        geo,
        syn: syn?,
        pin_dir: pin_dir?,
        on_exit: on_exit?,
    })
}

/// A name that `dev_valid_name` of the kernel takes.
fn interface(node: &Node) -> Result<String, Fault> {
    let name = values::text(node)?;
    let odd = |character: char| character == '/' || character == ':' || character.is_whitespace();
    if name.len() > 15 || name == "." || name == ".." || name.contains(odd) {
        return Err(
            Complaint::new(format!("`{name}` is not the name of an interface"))
                .hint("`ip link` lists them")
                .into(),
        );
    }
    Ok(name)
}
