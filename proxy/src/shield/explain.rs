//! Everything that touches an address: lists, country, limits, and what happens to its packets, asked twice: of the tables in memory,
//! which follow the lists, and of the kernel's maps, which the kernel program goes by.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use openclaw_common::abi::{Config, Entry, Prefix4, Prefix6, class, subnet};
use openclaw_common::bucket::Uncounted;
use openclaw_common::decide::{Record, Tables, decide};
use openclaw_common::packet::{Address, Flow};
use openclaw_common::verdict::{Reason, Verdict};
use openclaw_core::config::Mode;
use openclaw_core::country::country_code;
use openclaw_core::route::pick_for_client;
use serde::{Deserialize, Serialize};

use super::api::{Answer, ApiError, EntryView};
use super::host::sources_only;
use super::kernel::{Ban, KernelError, Maps};
use super::lists::Kind;
use super::prefix::{self, AnyNet};
use super::state::State;
use super::store::Now;
use crate::telemetry::chain;

/// What touches an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    pub address: String,
    /// `drop` or `pass`: what happens to its packets because of the source alone.
    pub verdict: String,
    /// Dotted code.
    pub reason: String,
    /// The same as a sentence.
    pub meaning: String,
    /// ISO 3166-1.
    pub country: Option<String>,
    /// Entries around it, the widest first.
    pub allow: Vec<EntryView>,
    pub block: Vec<EntryView>,
    /// What it is counted for.
    pub limits: Vec<LimitView>,
    /// Where its connections and datagrams are forwarded, where they are not read as requests.
    #[serde(default)]
    pub relays: Vec<RelayView>,
    /// What the kernel's maps say; nothing where there are none.
    pub kernel: Option<KernelView>,
    /// Whether both say the same; true where there is one side only.
    pub agree: bool,
    /// Why the verdict is not what the lists say, or what is wrong.
    pub notes: Vec<String>,
}

/// A limit of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitView {
    /// Key of the configuration.
    pub name: String,
    /// As it is configured, for people.
    pub limit: String,
    /// Of the burst, what is used up now.
    pub used: Option<u64>,
    pub burst: Option<u64>,
}

/// A listener that forwards bytes, as a source meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayView {
    pub listener: String,
    /// As it is written.
    pub mode: String,
    /// Nothing where the name that a client asks for decides.
    pub upstream: Option<String>,
}

/// The kernel's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelView {
    pub verdict: String,
    pub reason: String,
    pub country: Option<String>,
}

impl State {
    pub(super) fn explain(&self, address: &str) -> Result<Answer, ApiError> {
        let Ok(ip) = address.parse::<IpAddr>() else {
            let shown = prefix::shorten(address);
            return Err(ApiError::usage(&format!(
                "`{shown}` is not a single address"
            )));
        };
        let ip = ip.to_canonical();
        let now = self.now();
        let config = self.kernel_config();
        let (reason, country) = {
            let tables = self.shared.read();
            source(&config, ip, &tables.at(now.mono_ns))
        };
        let mut notes = Vec::new();
        let kernel = self.kernel_view(ip, now, &mut notes);
        let agree = kernel.as_ref().is_none_or(|kernel| {
            kernel.reason == reason.code() && kernel.country.as_deref() == country
        });
        if let Some(kernel) = kernel.as_ref().filter(|_| !agree) {
            notes.push(format!(
                "the kernel's maps say {} ({}): they do not follow the lists; restart the proxy to write them anew",
                kernel.verdict, kernel.reason
            ));
        }
        let net = AnyNet::from(ip);
        let entries = |kind| {
            let mut found = self.store.around(kind, net);
            found.retain(|found| found.record.until_ns == 0 || found.record.until_ns > now.mono_ns);
            let views = found.iter();
            views
                .map(|found| self.view(found.net, found.list, &found.record, now))
                .collect::<Vec<_>>()
        };
        let (allow, block) = (entries(Kind::Allow), entries(Kind::Block));
        if !block.is_empty() && allow.is_empty() && reason.verdict() == Verdict::Pass {
            notes.push(format!(
                "it is blocked, but passes: {}",
                self.why_passing(reason)
            ));
        }
        if reason == Reason::Geo.monitored() {
            let why = self.why_passing(reason);
            notes.push(format!("its country is kept out, but it passes: {why}"));
        }
        if !block.is_empty() && !allow.is_empty() {
            notes.push("the allow list overrules the block list".into());
        }
        Ok(Answer::Explained(Explained {
            address: ip.to_string(),
            verdict: verdict(reason).into(),
            reason: reason.code().into(),
            meaning: reason.summary().into(),
            country: country.map(str::to_owned),
            limits: self.limits(ip, reason, now.mono_ns),
            relays: self.relays(ip),
            allow,
            block,
            kernel,
            agree,
            notes,
        }))
    }

    fn kernel_view(&self, ip: IpAddr, now: Now, notes: &mut Vec<String>) -> Option<KernelView> {
        match in_kernel(self.maps.as_deref()?, ip, now.mono_ns) {
            Ok(kernel) => Some(kernel),
            Err(error) => {
                notes.push(format!(
                    "the kernel's maps cannot be read: {}",
                    chain(&error)
                ));
                None
            }
        }
    }

    /// Where listeners that forward bytes lead the source.
    fn relays(&self, ip: IpAddr) -> Vec<RelayView> {
        let listeners = self.config.listeners.iter();
        let relays = listeners.filter(|listener| !listener.mode.is_http());
        relays
            .map(|listener| {
                let upstream = match &listener.mode {
                    Mode::Tcp(targets) | Mode::Udp(targets) => {
                        self.config.upstreams.get(pick_for_client(targets, ip))
                    }
                    Mode::Http | Mode::Tls(_) => None,
                };
                RelayView {
                    listener: listener.name.to_string(),
                    mode: listener.mode.name().to_owned(),
                    upstream: upstream.map(|upstream| upstream.name.to_string()),
                }
            })
            .collect()
    }
}

/// Reason and country by these tables.
fn source<T: Tables>(config: &Config, ip: IpAddr, tables: &T) -> (Reason, Option<&'static str>) {
    let peer = SocketAddr::new(ip, 0);
    let flow = Flow::accepted(peer, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    let (word, fine) = match flow.source {
        Address::V4(source) => (tables.class4(source), tables.fine4(source)),
        Address::V6(source) => {
            let word = tables.class6(source).unwrap_or(0);
            (word | config.default6, tables.fine6(source))
        }
    };
    // A part of the word's range may be in another country.
    let part = fine
        .filter(|fine| word & class::FINE != 0 && fine.reason() == Reason::Geo as u32)
        .map(|fine| fine.rule() as u8);
    let country = country_code(part.unwrap_or((word & class::COUNTRY) as u8));
    (decide(config, &flow, tables).reason, country)
}

fn verdict(reason: Reason) -> &'static str {
    match reason.verdict() {
        Verdict::Drop => "drop",
        Verdict::Pass => "pass",
        Verdict::Tx => "tx",
    }
}

fn in_kernel(maps: &Maps, ip: IpAddr, now_ns: u64) -> Result<KernelView, KernelError> {
    let held = Held::read(maps, ip, now_ns)?;
    let (reason, country) = source(&maps.config()?, ip, &held);
    Ok(KernelView {
        verdict: verdict(reason).into(),
        reason: reason.code().into(),
        country: country.map(str::to_owned),
    })
}

/// All that the kernel's maps hold of one address, read once.
struct Held {
    word: Option<u16>,
    /// The ban that is found first.
    subnet: Option<Entry>,
    host: Option<Entry>,
    fine: Option<Entry>,
    now_ns: u64,
}

impl Held {
    fn read(maps: &Maps, ip: IpAddr, now_ns: u64) -> Result<Self, KernelError> {
        Ok(match Address::from(ip) {
            Address::V4(address) => Self {
                word: Some(maps.class4.load(class::index4(address))),
                subnet: None,
                host: maps.ban4.get(address).map(of_ban),
                fine: maps.fine4().get(&Prefix4::new(address, 32))?,
                now_ns,
            },
            Address::V6(address) => Self {
                word: Some(maps.class6.load(class::key6(address))),
                subnet: maps.ban6.get(subnet(address)).map(of_ban),
                host: maps.host6.get(&address)?,
                fine: maps.fine6().get(&Prefix6::host(address))?,
                now_ns,
            },
        })
    }
}

fn of_ban(ban: Ban) -> Entry {
    Entry {
        until_ns: ban.end(),
        hits: ban.hits.into(),
        ..Entry::default()
    }
}

/// An entry of a map, read out of it.
struct Copied(Entry);

impl Record for Copied {
    fn until_ns(&self) -> u64 {
        self.0.until_ns
    }

    fn reason(&self) -> u32 {
        self.0.reason
    }

    fn rule(&self) -> u32 {
        self.0.rule
    }

    fn hit(&self) {}
}

impl Tables for Held {
    type Record = Copied;
    type Ban4 = Copied;
    type Ban6 = Copied;
    type Word = Uncounted;

    fn class4(&self, _: [u8; 4]) -> u16 {
        self.word.unwrap_or(0)
    }

    fn class6(&self, _: [u8; 16]) -> Option<u16> {
        self.word
    }

    fn ban4(&self, _: [u8; 4]) -> Option<Copied> {
        self.host.map(Copied)
    }

    fn ban6(&self, _: [u8; 16]) -> Option<Copied> {
        self.subnet.map(Copied)
    }

    fn host6(&self, _: [u8; 16]) -> Option<Copied> {
        self.host.map(Copied)
    }

    fn fine4(&self, _: [u8; 4]) -> Option<Copied> {
        self.fine.map(Copied)
    }

    fn fine6(&self, _: [u8; 16]) -> Option<Copied> {
        self.fine.map(Copied)
    }

    sources_only!();
}
