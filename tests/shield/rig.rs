//! A loaded kernel program beside the decision function of the host, on the same lists.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::PathBuf,
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
};

use openclaw::shield::kernel::{Kernel, Maps, Subject, monotonic_ns};
use openclaw_common::{
    abi::{Config, Entry, Prefix4, Prefix6, class, flags, subnet},
    bucket::Word,
    decide::{Decision, Record, Tables, judge},
    packet::{Address, Flow},
    ports::{self, Set},
    rate::Kind,
    slot::SHARED,
    verdict::Reason,
};
use openclaw_core::config;

use crate::support::Folder;

/// A pin directory of its own, removed at the end.
pub struct PinDir(pub PathBuf);

impl PinDir {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Not the name of a proxy's folder, which stands for the pins of one that has none here.
        Self(PathBuf::from(format!(
            "/sys/fs/bpf/openclaw-pins-{}-{number}",
            std::process::id()
        )))
    }
}

/// The configuration of a shield in this process, loaded and attached to nothing, with more keys of `[shield]`.
pub fn unattached(pins: &PinDir, folder: &Folder, more: &str) -> config::Config {
    let text = format!(
        "[server]\nstate_dir = \"{}\"\n[shield]\ninterfaces = [\"oc-no-such\"]\npin_dir = \"{}\"\n{more}\n[listener.web]\nbind = [\"127.0.0.1:0\"]\n",
        folder.path().join("state").display(),
        pins.0.display()
    );
    let source = config::Source {
        name: "openclaw.toml",
        text: &text,
        files: &config::NoFiles,
        variable: &|_| None,
    };
    config::load(&source).unwrap().config
}

impl Drop for PinDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The kernel program, switched on.
pub fn load(pins: &PinDir) -> Kernel {
    let kernel =
        Kernel::load(&pins.0).expect("these tests need root, BPF and an embedded kernel program");
    kernel
        .maps()
        .begin(&Config {
            flags: flags::ENABLED,
            ..Config::OFF
        })
        .unwrap();
    kernel
}

/// The lists in memory.
#[derive(Default)]
pub struct HostTables {
    pub class4: HashMap<u32, u16>,
    pub class6: HashMap<[u8; 4], u16>,
    pub ban4: HashMap<[u8; 4], Held>,
    /// Of /64s and of single addresses.
    pub ban6: HashMap<Prefix6, Held>,
    pub fine4: HashMap<Prefix4, Held>,
    pub fine6: HashMap<Prefix6, Held>,
    pub ports: HashMap<Set, Vec<u16>>,
    pub buckets: RefCell<HashMap<(Vec<u8>, bool), Arrival>>,
    /// What was dropped or would have been: reason and country.
    pub noted: RefCell<Vec<(Reason, u8)>>,
}

/// What a source has sent.
#[derive(Clone)]
pub struct Arrival(Rc<Cell<u64>>);

impl Word for Arrival {
    fn load(&self) -> u64 {
        self.0.get()
    }
    fn replace(&self, old: u64, new: u64) -> bool {
        let was_old = self.0.get() == old;
        if was_old {
            self.0.set(new);
        }
        was_old
    }
    fn add(&self, more: u64) {
        self.0.set(self.0.get() + more);
    }
}

pub struct Held {
    pub entry: Entry,
    pub hits: Cell<u64>,
}

impl From<Entry> for Held {
    fn from(entry: Entry) -> Self {
        Self {
            entry,
            hits: Cell::new(0),
        }
    }
}

impl Record for &Held {
    fn until_ns(&self) -> u64 {
        self.entry.until_ns
    }
    fn reason(&self) -> u32 {
        self.entry.reason
    }
    fn rule(&self) -> u32 {
        self.entry.rule
    }
    fn hit(&self) {
        self.hits.set(self.hits.get() + 1);
    }
}

impl<'a> Tables for &'a HostTables {
    type Record = &'a Held;
    type Ban4 = &'a Held;
    type Ban6 = &'a Held;
    type Word = Arrival;

    fn class4(&self, source: [u8; 4]) -> u16 {
        self.class4
            .get(&class::index4(source))
            .copied()
            .unwrap_or(0)
    }
    fn class6(&self, source: [u8; 16]) -> Option<u16> {
        self.class6.get(&class::key6(source)).copied()
    }
    fn ban4(&self, source: [u8; 4]) -> Option<&'a Held> {
        self.ban4.get(&source)
    }
    fn ban6(&self, source: [u8; 16]) -> Option<&'a Held> {
        self.ban6.get(&Prefix6::new(source, 64))
    }
    fn host6(&self, source: [u8; 16]) -> Option<&'a Held> {
        self.ban6.get(&Prefix6::host(source))
    }
    fn fine4(&self, source: [u8; 4]) -> Option<&'a Held> {
        (0..=32)
            .rev()
            .find_map(|length| self.fine4.get(&Prefix4::new(source, length)))
    }
    fn fine6(&self, source: [u8; 16]) -> Option<&'a Held> {
        (0..=128)
            .rev()
            .find_map(|length| self.fine6.get(&Prefix6::new(source, length)))
    }
    fn ports(&self, set: Set, word: u32) -> u64 {
        let ports = self.ports.get(&set).map_or(&[][..], Vec::as_slice);
        ports::words(ports.iter().copied())[word as usize]
    }
    fn bucket(&self, source: Address, kind: Kind, first_ns: u64) -> Option<Arrival> {
        let source = match source {
            Address::V4(address) => address.to_vec(),
            Address::V6(address) => address[..8].to_vec(),
        };
        let mut buckets = self.buckets.borrow_mut();
        let key = (source, kind == Kind::Syn);
        let found = buckets.get(&key).cloned();
        if found.is_none() {
            buckets.insert(key, Arrival(Rc::new(Cell::new(first_ns))));
        }
        found
    }
    fn note(&self, _: &Config, _: &Flow, reason: Reason, country: u8) {
        self.noted.borrow_mut().push((reason, country));
    }
    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }
    fn tick_ns(&self) -> u64 {
        monotonic_ns()
    }
}

/// Both sides with the same lists.
pub struct Rig {
    pub kernel: Kernel,
    pub maps: std::sync::Arc<Maps>,
    pub host: HostTables,
    pub config: Config,
    pins: PinDir,
}

impl Rig {
    /// Fails where root or BPF is missing.
    pub fn new() -> Self {
        let pins = PinDir::new();
        let kernel = Kernel::load(&pins.0)
            .expect("these tests need root, BPF and an embedded kernel program");
        let maps = kernel.maps();
        let mut rig = Self {
            kernel,
            maps,
            host: HostTables::default(),
            config: Config::OFF,
            pins,
        };
        rig.configure(Config {
            flags: flags::ENABLED,
            ..Config::OFF
        });
        rig
    }

    /// Where the maps are pinned.
    pub fn pin_dir(&self) -> &std::path::Path {
        &self.pins.0
    }

    pub fn configure(&mut self, config: Config) {
        self.config = config;
        self.maps.begin(&config).unwrap();
    }

    pub fn protect(&mut self, set: Set, ports: &[u16]) {
        self.maps.set_ports(set, ports.iter().copied()).unwrap();
        self.host.ports.insert(set, ports.to_vec());
    }

    pub fn class4(&mut self, address: [u8; 4], bits: u16) {
        let index = class::index4(address);
        let word = self.host.class4.entry(index).or_default();
        *word |= bits;
        self.maps.class4.store(index, *word);
    }

    pub fn class6(&mut self, address: &str, bits: u16) {
        let word = self
            .host
            .class6
            .entry(class::key6(v6(address)))
            .or_default();
        *word |= bits;
        let key = class::key6(v6(address));
        self.maps.class6.store(key, *word).unwrap();
    }

    pub fn ban4(&mut self, address: [u8; 4], entry: Entry) {
        self.maps.ban4.insert(address, entry.until_ns).unwrap();
        self.host.ban4.insert(address, entry.into());
        self.class4(address, class::BANNED);
    }

    pub fn ban6(&mut self, address: &str, length: u32, entry: Entry) {
        let prefix = Prefix6::new(v6(address), length);
        if length == 64 {
            let key = subnet(prefix.address);
            self.maps.ban6.insert(key, entry.until_ns).unwrap();
        } else {
            self.maps.host6.insert(&prefix.address, &entry).unwrap();
        }
        self.host.ban6.insert(prefix, entry.into());
        self.class6(address, class::BANNED);
    }

    pub fn fine4(&mut self, address: [u8; 4], length: u32, entry: Entry) {
        let prefix = Prefix4::new(address, length);
        self.maps.fine4().insert_many(&[(prefix, entry)]).unwrap();
        self.host.fine4.insert(prefix, entry.into());
        self.class4(address, class::FINE);
    }

    pub fn fine6(&mut self, address: &str, length: u32, entry: Entry) {
        let prefix = Prefix6::new(v6(address), length);
        self.maps.fine6().insert_many(&[(prefix, entry)]).unwrap();
        self.host.fine6.insert(prefix, entry.into());
    }

    /// The kernel's decision: the verdict it returned, the reason whose counter moved.
    pub fn kernel(&mut self, frame: &[u8]) -> Decision {
        // What touches no interface counts as the loopback interface's, which has no counters of its own.
        let before = self.maps.counters.of(SHARED).unwrap();
        let run = self.kernel.test_run(Subject::Shield, frame, 1).unwrap();
        let after = self.maps.counters.of(SHARED).unwrap();
        let mut moved = Vec::new();
        for ((reason, before), (_, after)) in before.into_iter().zip(after) {
            match (after.packets - before.packets, after.bytes - before.bytes) {
                (0, 0) => {}
                (1, bytes) => {
                    assert_eq!(bytes, frame.len() as u64);
                    moved.push(reason);
                }
                (packets, _) => panic!("{packets} packets counted as {reason:?}"),
            }
        }
        assert_eq!(moved.len(), 1, "one packet has one reason, not {moved:?}");
        Decision {
            verdict: run.verdict,
            reason: moved[0],
        }
    }

    /// The host's decision.
    pub fn host(&self, frame: &[u8]) -> Decision {
        judge(&self.config, frame, &&self.host)
    }

    /// Both decide, both as expected.
    #[track_caller]
    pub fn check(&mut self, name: &str, frame: &[u8], expected: Reason) {
        let host = self.host(frame);
        assert_eq!(host.reason, expected, "{name}, on the host");
        assert_eq!(host.verdict, expected.verdict(), "{name}, on the host");
        // The kernel runs nothing shorter than an Ethernet header.
        if frame.len() >= 14 {
            assert_eq!(self.kernel(frame), host, "{name}, in the kernel");
        }
    }
}

pub fn v6(address: &str) -> [u8; 16] {
    address.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

pub fn block() -> Entry {
    Entry {
        reason: Reason::Block as u32,
        ..Entry::default()
    }
}

pub fn allow() -> Entry {
    Entry {
        reason: Reason::Allow as u32,
        ..Entry::default()
    }
}

/// The entry, ending `ns` from now; ended already if negative.
pub fn ending(entry: Entry, ns: i64) -> Entry {
    Entry {
        until_ns: monotonic_ns().saturating_add_signed(ns),
        ..entry
    }
}
