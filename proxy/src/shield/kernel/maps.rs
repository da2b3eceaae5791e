//! The maps of a loaded program, opened by their pins: by the process that loaded it, and by any other, with no proxy running.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::AtomicBool,
};

use openclaw_common::{
    abi::{
        Arrivals, Config, Counter, Entry, Prefix4, Prefix6, Served, class::WORDS_PER_CHUNK, flags,
    },
    maps,
    ports::{self, Set},
    slot, syn,
};

use super::{
    Ban4, Ban6, Class4, Class6, Counters, EventReader, KernelError, Mapped, Pins, Row, Table,
    fine::Fine,
    mapped::Named,
    memory::Shared,
    pins::unopened,
    switch::switched,
    sys::{self, MapLayout},
};

const ARRAY: u32 = 2;
const HASH: u32 = 1;
const PERCPU_ARRAY: u32 = 6;
const LRU_HASH: u32 = 9;
const LPM_TRIE: u32 = 11;
const RINGBUF: u32 = 27;

/// What a new configuration leaves as it is: the kill switch, and which tries are in use.
const KEPT: u32 = flags::ENABLED | flags::SPARE;

/// Every map of the shield. What the entries mean, and in which order they are to be written, is said in
/// [`openclaw_common::maps`].
#[derive(Debug)]
pub struct Maps {
    config: OwnedFd,
    countries: OwnedFd,
    events: OwnedFd,
    ports: OwnedFd,
    ports_udp: OwnedFd,
    /// What was counted, by interface.
    pub counters: Counters,
    /// Class words of IPv4 /24s.
    pub class4: Class4,
    /// Class words of IPv6 /32s.
    pub class6: Class6,
    /// Bans of IPv4 addresses.
    pub ban4: Ban4,
    /// Bans of IPv6 /64s.
    pub ban6: Ban6,
    /// Bans of IPv6 addresses.
    pub host6: Table<[u8; 16], Entry>,
    fine: Fine,
    /// What IPv4 sources have sent of what is limited.
    pub rate4: Table<[u8; 4], Arrivals>,
    /// What IPv6 /64s have sent of what is limited.
    pub rate6: Table<[u8; 8], Arrivals>,
    /// Where listeners are bound.
    pub served: Table<Served, u32>,
    syns: OwnedFd,
    keep: OwnedFd,
}

impl Maps {
    /// Opens the pinned maps of a program that this or another process has loaded.
    ///
    /// # Errors
    ///
    /// [`KernelError::NotLoaded`] if nothing is pinned there, [`KernelError::Layout`] for maps of another build.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        let chunk = (WORDS_PER_CHUNK * size_of::<u16>()) as u32;
        let bans4 = Named {
            name: maps::BAN4,
            buckets: maps::BAN4_BUCKETS,
            entries: maps::BAN4_ENTRIES,
        };
        let bans6 = Named {
            name: maps::BAN6,
            buckets: maps::BAN6_BUCKETS,
            entries: maps::BAN6_ENTRIES,
        };
        let words6 = Named {
            name: maps::CLS6,
            buckets: maps::CLS6_BUCKETS,
            entries: maps::CLS6_ENTRIES,
        };
        let class4 = open::<u32>(pins, maps::CLS4, ARRAY, chunk, maps::CLS4_CHUNKS)?;
        let counter = size::<Counter>();
        let stats = open::<u32>(
            pins,
            maps::STATS,
            PERCPU_ARRAY,
            counter,
            maps::STATS_ENTRIES,
        )?;
        let slots = open::<u32>(pins, maps::SLOTS, ARRAY, size::<slot::Table>(), 1)?;
        let trie4 = |name| table(pins, name, LPM_TRIE, maps::FINE4_ENTRIES);
        let trie6 = |name| table(pins, name, LPM_TRIE, maps::FINE6_ENTRIES);
        let opened = Self {
            config: open::<u32>(pins, maps::CONFIG, ARRAY, size::<Config>(), 1)?,
            counters: Counters::new(stats, slots)?,
            countries: open::<u32>(
                pins,
                maps::CCSTAT,
                PERCPU_ARRAY,
                size::<u64>(),
                maps::CCSTAT_ENTRIES,
            )?,
            // A ring has neither keys nor values.
            events: open::<()>(pins, maps::EVENTS, RINGBUF, 0, maps::EVENTS_BYTES)?,
            ports: open::<u32>(pins, maps::PORTS, ARRAY, size::<u64>(), maps::PORTS_ENTRIES)?,
            ports_udp: open::<u32>(
                pins,
                maps::PORTS_UDP,
                ARRAY,
                size::<u64>(),
                maps::PORTS_UDP_ENTRIES,
            )?,
            class4: Class4::new(class4)?,
            class6: mapped(pins, words6)?,
            ban4: mapped(pins, bans4)?,
            ban6: mapped(pins, bans6)?,
            host6: table(pins, maps::HOST6, HASH, maps::BAN6_ENTRIES)?,
            fine: Fine {
                v4: [trie4(maps::FINE4)?, trie4(maps::FINE4_SPARE)?],
                v6: [trie6(maps::FINE6)?, trie6(maps::FINE6_SPARE)?],
                is_spare: AtomicBool::new(false),
            },
            rate4: table(pins, maps::RATE4, LRU_HASH, maps::RATE4_ENTRIES)?,
            rate6: table(pins, maps::RATE6, LRU_HASH, maps::RATE6_ENTRIES)?,
            served: table(pins, maps::SERVED, HASH, maps::SERVED_ENTRIES)?,
            syns: open::<u32>(pins, maps::SYNS, PERCPU_ARRAY, size::<u64>(), 1)?,
            keep: open::<u32>(pins, maps::KEEP, ARRAY, size::<u64>(), maps::KEEP_ENTRIES)?,
        };
        // Which tries are in use.
        opened.config()?;
        Ok(opened)
    }

    /// IPv4 prefixes that class words cannot hold.
    pub fn fine4(&self) -> &Table<Prefix4, Entry> {
        self.fine.used4()
    }

    /// IPv6 prefixes that class words cannot hold.
    pub fn fine6(&self) -> &Table<Prefix6, Entry> {
        self.fine.used6()
    }

    /// Writes the prefixes that [`Self::swap_fine`] will put to use. What cannot all be written is taken out again.
    pub fn fill_spare(
        &self,
        v4: &[(Prefix4, Entry)],
        v6: &[(Prefix6, Entry)],
    ) -> Result<(), KernelError> {
        let filled = self.fine.fill(v4, v6);
        if filled.is_err() {
            self.fine.clear()?;
        }
        filled
    }

    /// Puts the prefixes of [`Self::fill_spare`] to use in place of all others.
    pub fn swap_fine(&self) -> Result<(), KernelError> {
        self.rewrite(|found| Config {
            flags: found.flags ^ flags::SPARE,
            ..found
        })
    }

    /// Takes out the prefixes that are in use no more.
    pub fn clear_spare(&self) -> Result<(), KernelError> {
        self.fine.clear()
    }

    /// What the kernel program goes by.
    pub fn config(&self) -> Result<Config, KernelError> {
        let mut config = [Config::OFF];
        sys::lookup(self.config.as_fd(), &0_u32, &mut config).map_err(|source| {
            KernelError::Map {
                map: maps::CONFIG,
                operation: "read",
                source,
            }
        })?;
        let [config] = config;
        self.fine.follow(&config);
        Ok(config)
    }

    /// Sets what the kernel program goes by, but for the kill switch, which stays as it is found: whoever threw it may have done so on the
    /// pins. The next packet sees it; one in flight may see a part of it.
    pub fn set_config(&self, config: &Config) -> Result<(), KernelError> {
        self.rewrite(|found| Config {
            flags: config.flags & !KEPT | found.flags & KEPT,
            ..*config
        })
    }

    /// Sets everything, the kill switch too: for maps that nobody else has configured yet.
    pub fn begin(&self, config: &Config) -> Result<(), KernelError> {
        self.rewrite(|_| *config)
    }

    /// Throws the kill switch; all else stays as it is.
    pub fn switch(&self, is_on: bool) -> Result<(), KernelError> {
        self.rewrite(|found| Config {
            flags: switched(found.flags, is_on),
            ..found
        })
    }

    /// The one place that writes the configuration: always from what is found at that moment.
    fn rewrite(&self, change: impl FnOnce(Config) -> Config) -> Result<(), KernelError> {
        let config = change(self.config()?);
        sys::update(self.config.as_fd(), &0_u32, &config).map_err(|source| KernelError::Map {
            map: maps::CONFIG,
            operation: "write",
            source,
        })?;
        self.fine.follow(&config);
        Ok(())
    }

    /// A reader of what the kernel program tells of.
    pub fn events(&self) -> Result<EventReader, KernelError> {
        let map = self.events.try_clone().map_err(|source| KernelError::Map {
            map: maps::EVENTS,
            operation: "open",
            source,
        })?;
        EventReader::new(map)
    }

    /// Makes a set hold exactly these ports.
    pub fn set_ports(
        &self,
        set: Set,
        ports: impl IntoIterator<Item = u16>,
    ) -> Result<(), KernelError> {
        let (map, name, first) = match set {
            Set::Tcp => (&self.ports, maps::PORTS, 0),
            Set::Udp => (&self.ports_udp, maps::PORTS_UDP, 0),
            Set::Quic => (&self.ports_udp, maps::PORTS_UDP, maps::PORTS_ENTRIES),
        };
        for (index, word) in (first..).zip(ports::words(ports)) {
            sys::update(map.as_fd(), &index, &word).map_err(|source| KernelError::Map {
                map: name,
                operation: "write",
                source,
            })?;
        }
        Ok(())
    }

    /// Packets dropped since the maps were made, over all CPUs, by the number of their country; none of those that have none.
    pub fn countries(&self) -> Result<Vec<(u8, u64)>, KernelError> {
        let failed = |source| KernelError::Map {
            map: maps::CCSTAT,
            operation: "read",
            source,
        };
        let cpus = aya::util::nr_cpus().map_err(|(_, source)| failed(source))?;
        let mut drops = vec![0_u64; cpus];
        let mut countries = Vec::new();
        for country in 1..=u8::MAX {
            sys::lookup(self.countries.as_fd(), &u32::from(country), &mut drops).map_err(failed)?;
            let sum: u64 = drops.iter().sum();
            if sum > 0 {
                countries.push((country, sum));
            }
        }
        Ok(countries)
    }

    /// Lets the next SYN through to this listener, even under attack: only one that has seen a SYN too many expects cookies.
    pub fn wake(&self, listener: &Served) -> Result<(), KernelError> {
        let slot = syn::slot(listener.address(), listener.port);
        sys::update(self.keep.as_fd(), &slot, &0_u64).map_err(|source| KernelError::Map {
            map: maps::KEEP,
            operation: "write",
            source,
        })
    }

    /// SYNs to protected ports since the maps were made, over all CPUs.
    pub fn syns(&self) -> Result<u64, KernelError> {
        let failed = |source| KernelError::Map {
            map: maps::SYNS,
            operation: "read",
            source,
        };
        let cpus = aya::util::nr_cpus().map_err(|(_, source)| failed(source))?;
        let mut syns = vec![0_u64; cpus];
        sys::lookup(self.syns.as_fd(), &0_u32, &mut syns).map_err(failed)?;
        Ok(syns.into_iter().fold(0, u64::wrapping_add))
    }
}

/// Shared between the control runtime and whoever bans.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Maps>();
};

fn size<T>() -> u32 {
    size_of::<T>() as u32
}

fn table<K: sys::Plain, V: sys::Plain>(
    pins: &Pins,
    name: &'static str,
    kind: u32,
    entries: u32,
) -> Result<Table<K, V>, KernelError> {
    Ok(Table::new(
        open::<K>(pins, name, kind, size::<V>(), entries)?,
        name,
        entries,
    ))
}

fn mapped<R: Row + Shared>(pins: &Pins, map: Named) -> Result<Mapped<R>, KernelError> {
    // One bucket more, for the keys.
    let fd = open::<u32>(pins, map.name, ARRAY, size::<R>(), map.buckets + 1)?;
    Mapped::new(fd, map)
}

/// Opens a pin and makes sure that it is the map that this build means; a pin is reused by its name alone.
fn open<K>(
    pins: &Pins,
    name: &'static str,
    kind: u32,
    value: u32,
    entries: u32,
) -> Result<OwnedFd, KernelError> {
    let path = pins.map(name);
    let map = sys::open_pin(&path).map_err(|source| unopened(&path, source))?;
    let found = sys::map_layout(map.as_fd()).map_err(|source| KernelError::Map {
        map: name,
        operation: "ask for the layout of",
        source,
    })?;
    let expected = MapLayout {
        kind,
        key: size::<K>(),
        value,
        entries,
    };
    if found == expected {
        Ok(map)
    } else {
        Err(KernelError::Layout {
            path,
            found: describe(found),
            expected: describe(expected),
        })
    }
}

fn describe(layout: MapLayout) -> String {
    let MapLayout {
        kind,
        key,
        value,
        entries,
    } = layout;
    format!("type {kind}, keys of {key} and values of {value} bytes, {entries} entries")
}
