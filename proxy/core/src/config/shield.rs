//! `[shield]`: the packet filter in the kernel.

use std::net::IpAddr;
use std::path::PathBuf;

use super::geo::Geo;
use super::keys::{self, Key};
use super::lists::ShieldList;
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::syn::{self, Syn};
use super::tree::Node;
use super::udp::{self, Udp};
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
    /// For bans and block lists alone.
    pub block_action: ShieldAction,
    pub syn: Syn,
    pub udp: Udp,
    /// Fragments of protocols that have ports which are served.
    pub fragments: PacketAction,
    /// Packets that no honest host sends.
    pub invalid: PacketAction,
    /// One drop in so many is kept for `openclaw shield drops`; 0: only while somebody follows them.
    pub sample: u32,
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

impl ShieldAction {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Monitor => "monitor",
        }
    }

    pub(super) fn read(node: &Node) -> Result<Self, Unread> {
        values::choice(&[("enforce", Self::Enforce), ("monitor", Self::Monitor)])(node)
    }
}

/// What becomes of a kind of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketAction {
    Drop,
    /// It passes, and is counted as what would be dropped.
    Monitor,
    Pass,
}

impl PacketAction {
    fn read(node: &Node) -> Result<Self, Unread> {
        values::choice(&[
            ("drop", Self::Drop),
            ("monitor", Self::Monitor),
            ("pass", Self::Pass),
        ])(node)
    }
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
        ).words(&["auto", "native", "generic", "off"]),
        Key::default(
            "action",
            "word",
            "\"enforce\"",
            "enforce drops packets; monitor only counts what it would drop, whatever single rules say.",
        ).words(&["enforce", "monitor"]),
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
            "block_action",
            "word",
            "\"enforce\"",
            "The same for bans and block lists alone.",
        ).words(&["enforce", "monitor"]),
        Key::default("udp", "table", "{}", "Limits of UDP packets.")
            .fields(&udp::KEYS)
            .example("{ per_source = \"5k/s\" }"),
        Key::default(
            "fragments",
            "word",
            "\"drop\"",
            "IP fragments of TCP or UDP, where a port of that protocol is served: drop, monitor, pass.",
        ).words(&["drop", "monitor", "pass"]),
        Key::default(
            "invalid",
            "word",
            "\"drop\"",
            "Packets that no honest host sends (TCP flags that contradict each other, source equal to destination, port 0, short QUIC Initials): drop, monitor, pass.",
        ).words(&["drop", "monitor", "pass"]),
        Key::default(
            "sample",
            "number",
            "64",
            "One drop in so many (a power of two) is kept for `openclaw shield drops`. 0: only while somebody follows them.",
        ),
        Key::default(
            "pin_dir",
            "path",
            "\"/sys/fs/bpf/openclaw\"",
            "Where the maps and links are pinned, so that they outlive a restart: on a BPF file system, in a directory that belongs to the \
user of the proxy and that he can reach (systemd mounts /sys/fs/bpf closed: chmod 0711).",
        ),
        Key::default(
            "on_exit",
            "word",
            "\"keep\"",
            "keep goes on filtering when the proxy stops; detach takes the filter off.",
        ).words(&["keep", "detach"]),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Shield> {
    let interfaces = section.list("interfaces", interface);
    let interfaces = interfaces.map(|all| each_once(section, all));
    let mode = section.value(
        "mode",
        values::choice(&[
            ("auto", ShieldMode::Auto),
            ("native", ShieldMode::Native),
            ("generic", ShieldMode::Generic),
            ("off", ShieldMode::Off),
        ]),
    );
    let action = section.value("action", ShieldAction::read);
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
    let block_action = section.value("block_action", ShieldAction::read);
    let udp = section
        .section("udp")
        .and_then(|section| udp::read(&section));
    let fragments = section.value("fragments", PacketAction::read);
    let invalid = section.value("invalid", PacketAction::read);
    let sample = section.value("sample", sample);
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
        block_action: block_action?,
        syn: syn?,
        udp: udp?,
        fragments: fragments?,
        invalid: invalid?,
        sample: sample?,
        pin_dir: pin_dir?,
        on_exit: on_exit?,
    })
}

fn each_once(section: &Section<'_>, names: Vec<String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if once.contains(&name) {
            let complaint = Complaint::new(format!("`{name}` is named more than once"));
            section.reader.warn(
                section.place_of("interfaces"),
                &section.key_path("interfaces"),
                complaint.hint("once is enough"),
            );
        } else {
            once.push(name);
        }
    }
    once
}

/// The kernel program tells them apart by the low bits of a counter.
fn sample(node: &Node) -> Result<u32, Unread> {
    let sample = values::count(0, 1 << 20)(node)?;
    if sample != 0 && !sample.is_power_of_two() {
        return Err(Complaint::new(format!("{sample} is not a power of two"))
            .hint(format!("write {} or 0", sample.next_power_of_two()))
            .into());
    }
    Ok(sample)
}

/// A name that `dev_valid_name` of the kernel takes.
fn interface(node: &Node) -> Result<String, Unread> {
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
