//! What the lists of a configuration would decide, by the same decision as everywhere else: without a kernel, and without what a proxy
//! has learnt since or what this machine adds of its own, so that the answer is the same everywhere.

use openclaw_common::abi::{self, flags};
use openclaw_common::bucket::Uncounted;
use openclaw_common::decide::{Decision, Tables, decide, read, sight, weigh};
use openclaw_common::packet::{Address, Flow};
use openclaw_common::ports::{self, Set};
use openclaw_common::syn::{Answered, Listeners, Task, after_answer};
use openclaw_common::{rate, verdict};
use openclaw_core::assay::Gate;
use openclaw_core::config::{Config, ListSource, SynMode};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::feeds::{self, read_file};
use super::host::{HostRecord, HostTables, View};
use super::ports::Ports;
use super::store::{Now, Store};
use super::{geo, own, policy, state};
use crate::telemetry::chain;

/// All entries were made now, and now it stays.
const NOW: Now = Now {
    mono_ns: 1,
    unix: 0,
};

/// See the module.
#[derive(Debug)]
pub struct Rehearsal {
    config: abi::Config,
    tables: HostTables,
    ports: Ports,
}

impl Rehearsal {
    /// Reads the files that the configuration names. Beside it what is not known: lists at URLs, files that cannot be read.
    pub fn new(config: &Config) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let mut store = Store::default();
        state::set_lists(&mut store, config, &own::of_config(config), NOW);
        for list in &config.shield.lists {
            let name = &list.name;
            let kind = feeds::kind(list);
            let ListSource::File(path) = &list.source else {
                notes.push(format!(
                    "the list `{name}` is not in a file: it counts as empty"
                ));
                continue;
            };
            store.claim_feed(kind, name);
            let filled = read_file(path).and_then(|parsed| {
                let filled = store.fill_feed(kind, name, &parsed.entries, NOW);
                filled.map(|_| ()).map_err(|error| error.to_string())
            });
            if let Err(why) = filled {
                notes.push(format!("the list `{name}` counts as empty: {why}"));
            }
        }
        if let Some(geo) = &config.shield.geo {
            match geo::load(geo) {
                Ok(countries) => store.set_countries(Some(Arc::new(countries))),
                Err(error) => notes.push(format!("no country is kept out: {}", chain(&error))),
            }
        }
        let tables = HostTables::build(store.lists());
        let is_always = config.shield.syn.mode == SynMode::Always;
        let this = Self {
            config: abi::Config {
                flags: flags::ENABLED,
                attack: u32::from(is_always),
                ..policy::decided(config, &tables)
            },
            ports: Ports::of(config),
            tables,
        };
        (this, notes)
    }

    fn stage(&self) -> Stage<'_> {
        Stage {
            view: self.tables.at(NOW.mono_ns),
            ports: &self.ports,
        }
    }
}

impl Gate for Rehearsal {
    fn connection(&self, peer: IpAddr) -> Decision {
        let here = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let flow = Flow::accepted(SocketAddr::new(peer, 0), here);
        decide(&self.config, &flow, &self.stage())
    }

    fn frame(&self, frame: &[u8]) -> Decision {
        let flow = match read(&self.config, frame) {
            Ok(flow) => flow,
            Err(reason) => return reason.into(),
        };
        let stage = self.stage();
        let sighting = sight(&self.config, &flow, &stage);
        let judgement = weigh(&self.config, &flow, frame, &stage, &Busy, &sighting);
        match judgement.task {
            Task::Answer | Task::AnswerRaw if self.config.attack != 0 => {
                after_answer(&self.config, judgement.reason, Answered::Sent).into()
            }
            // In peace the listener has room, and an acknowledgement is of an open connection.
            Task::Answer | Task::AnswerRaw | Task::Verify | Task::VerifyRaw | Task::Nothing => {
                judgement.reason.into()
            }
        }
    }
}

/// Listeners that take everything, and remember nothing.
struct Busy;

impl Listeners for Busy {
    type Word = Uncounted;

    fn is_served(&self, _: Address, _: u16) -> bool {
        true
    }

    fn count_syn(&self) {}

    fn kept(&self, _: u32) -> Option<Uncounted> {
        None
    }

    fn answers(&self) -> Option<Uncounted> {
        None
    }
}

/// The tables for whole packets, each the first of its source.
struct Stage<'a> {
    view: View<'a>,
    ports: &'a Ports,
}

impl Tables for Stage<'_> {
    type Record = HostRecord;
    type Ban4 = HostRecord;
    type Ban6 = HostRecord;
    type Word = Uncounted;

    fn class4(&self, source: [u8; 4]) -> u16 {
        self.view.class4(source)
    }

    fn class6(&self, source: [u8; 16]) -> Option<u16> {
        self.view.class6(source)
    }

    fn ban4(&self, source: [u8; 4]) -> Option<HostRecord> {
        self.view.ban4(source)
    }

    fn ban6(&self, source: [u8; 16]) -> Option<HostRecord> {
        self.view.ban6(source)
    }

    fn host6(&self, source: [u8; 16]) -> Option<HostRecord> {
        self.view.host6(source)
    }

    fn fine4(&self, source: [u8; 4]) -> Option<HostRecord> {
        self.view.fine4(source)
    }

    fn fine6(&self, source: [u8; 16]) -> Option<HostRecord> {
        self.view.fine6(source)
    }

    fn ports(&self, set: Set, word: u32) -> u64 {
        let set = match set {
            Set::Tcp => &self.ports.tcp,
            Set::Udp => &self.ports.udp,
            Set::Quic => &self.ports.quic,
        };
        let inside = set.iter().filter(|port| ports::word(**port) == word);
        inside.fold(0, |bits, port| bits | ports::bit(*port))
    }

    fn bucket(&self, _: Address, _: rate::Kind, _: u64) -> Option<Uncounted> {
        None
    }

    fn now_ns(&self) -> u64 {
        self.view.now_ns()
    }

    fn tick_ns(&self) -> u64 {
        self.view.tick_ns()
    }

    fn note(&self, _: &abi::Config, _: &Flow, _: verdict::Reason, _: u8) {}
}
