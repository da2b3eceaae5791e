//! The one decision: which verdict a packet gets and why. The order is the same everywhere: kill switch, a source
//! that is the destination, what the host cannot live without, allow, ban, block, country, impossible headers, fragments, handshakes,
//! rates. Lists are read through [`Tables`], whose contract stands
//! in [`crate::maps`].
//!
//! A rule in monitor mode decides nothing: what it would drop is asked the remaining checks, and is counted under the first such
//! rule if none of them drops it.

use crate::abi::{Config, checks, class, flags};
use crate::bucket::Word;
use crate::geo::is_foreign;
pub use crate::judgement::Decision;
use crate::judgement::{Judgement, Sighting};
use crate::packet::{Address, Flow, Header, Packet, Parsed, parse};
use crate::ports::Set;
use crate::rate::Kind;
use crate::syn::{Listeners, NoListeners, Step, Task};
use crate::verdict::Reason;
use crate::{rate, sanity, syn, udp};

/// One entry of a `BAN` or `FINE` map, found in place.
pub trait Record {
    /// See [`crate::abi::Entry::until_ns`].
    fn until_ns(&self) -> u64;
    /// See [`crate::abi::Entry::reason`].
    fn reason(&self) -> u32;
    /// See [`crate::abi::Entry::rule`].
    fn rule(&self) -> u32;
    /// Counts a packet that this entry decided.
    fn hit(&self);
}

/// The maps, as a decision sees them.
pub trait Tables {
    /// An entry in place.
    type Record: Record;
    /// A ban of an IPv4 address, in place.
    type Ban4: Record;
    /// A ban of an IPv6 /64, in place.
    type Ban6: Record;
    /// What a source has sent, in place.
    type Word: Word;

    /// Class word of the /24.
    fn class4(&self, source: [u8; 4]) -> u16;
    /// Class word of the /32, if it has one of its own.
    fn class6(&self, source: [u8; 16]) -> Option<u16>;
    /// The ban of exactly this address.
    fn ban4(&self, source: [u8; 4]) -> Option<Self::Ban4>;
    /// The ban of the /64 around this address.
    fn ban6(&self, source: [u8; 16]) -> Option<Self::Ban6>;
    /// The ban of exactly this IPv6 address.
    fn host6(&self, source: [u8; 16]) -> Option<Self::Record>;
    /// The longest prefix around this address.
    fn fine4(&self, source: [u8; 4]) -> Option<Self::Record>;
    /// The longest prefix around this address.
    fn fine6(&self, source: [u8; 16]) -> Option<Self::Record>;
    /// A word of a set of ports.
    fn ports(&self, set: Set, word: u32) -> u64;
    /// What a source (of IPv6 the /64) has sent; nothing if it is new, and then its word is made with `first_ns`.
    fn bucket(&self, source: Address, kind: Kind, first_ns: u64) -> Option<Self::Word>;
    /// The monotonic clock; asked only for a source whose rate is limited.
    fn now_ns(&self) -> u64;
    /// The same, perhaps a tick of the kernel (at most 10 ms) behind; asked for an entry that ends and for the cap on all answers.
    fn tick_ns(&self) -> u64;
    /// Takes note of a packet that is dropped, or would be, before its reason is counted.
    fn note(&self, config: &Config, flow: &Flow, reason: Reason, country: u8);
}

/// The way of one packet through the checks.
struct Course<'a> {
    config: &'a Config,
    /// Country of the source, once known.
    country: u8,
    /// The first rule that would have dropped it.
    would: Option<Reason>,
    /// What is left to do if nothing drops it.
    task: Task,
}

impl<'a> Course<'a> {
    #[inline(always)]
    fn new(config: &'a Config) -> Self {
        Self {
            config,
            country: 0,
            would: None,
            task: Task::Nothing,
        }
    }

    /// Whether the packet ends here, for this reason.
    #[inline(always)]
    fn ends(&mut self, reason: Reason) -> bool {
        if (self.config.monitored >> reason as u32) & 1 == 0 {
            return true;
        }
        if self.would.is_none() {
            self.would = Some(reason.monitored());
        }
        false
    }

    /// The same for a check that may have found nothing.
    #[inline(always)]
    fn end(&mut self, reason: Option<Reason>) -> Option<Reason> {
        reason.filter(|reason| self.ends(*reason))
    }
}

/// Decides about a frame where no listener can be asked.
#[inline(always)]
pub fn judge<P: Packet + ?Sized, T: Tables>(config: &Config, packet: &P, tables: &T) -> Decision {
    match read(config, packet) {
        Ok(flow) => {
            let sighting = sight(config, &flow, tables);
            let judgement = weigh(config, &flow, packet, tables, &NoListeners, &sighting);
            if judgement.is_notable(judgement.reason) {
                tables.note(config, &flow, judgement.reason, judgement.country);
            }
            judgement.reason.into()
        }
        Err(reason) => reason.into(),
    }
}

/// The flow of a frame, or why there is nothing to decide about it.
///
/// # Errors
/// A reason to pass.
#[inline(always)]
pub fn read<P: Packet + ?Sized>(config: &Config, packet: &P) -> Result<Flow, Reason> {
    // Before parsing: the kill switch must also save the host from a fault in the parser.
    if config.flags & flags::ENABLED == 0 {
        return Err(Reason::Off);
    }
    match parse(packet) {
        Parsed::Flow(flow) => Ok(flow),
        Parsed::NotIp => Err(Reason::NonIp),
        Parsed::Malformed => Err(Reason::Malformed),
    }
}

/// Decides about the source of a flow, whatever it sends.
#[inline(always)]
pub fn sight<T: Tables>(config: &Config, flow: &Flow, tables: &T) -> Sighting {
    let mut course = Course::new(config);
    // Before the lists, on which addresses of this host are allowed.
    let ended = course
        .end(sanity::land(config, flow))
        .or_else(|| by_source(&mut course, flow, tables));
    Sighting {
        ended,
        would: course.would,
        country: course.country,
    }
}

/// Whether more than lists and headers may decide about this packet: its handshake, or a rate. Few are when nothing attacks.
#[inline(always)]
pub fn is_involved(config: &Config, flow: &Flow) -> bool {
    match flow.transport.header {
        Header::Tcp => syn::concerns(config, flow) || rate::concerns(config, flow),
        Header::Udp => config.checks & checks::PORTS_UDP != 0,
        Header::Icmp6 | Header::Opaque | Header::Broken => false,
    }
}

/// What [`weigh`] decides about a flow that is not involved.
#[inline(always)]
pub fn weigh_plain<T: Tables>(config: &Config, flow: &Flow, tables: &T) -> Judgement {
    let mut course = Course::new(config);
    let ended = course
        .end(sanity::land(config, flow))
        .or_else(|| by_source(&mut course, flow, tables))
        .or_else(|| by_headers(&mut course, flow));
    Judgement {
        reason: conclude(&course, flow, ended),
        task: Task::Nothing,
        country: course.country,
        is_monitored: course.would.is_some(),
    }
}

/// Decides about a flow and its packet, but for what only the network stack can say.
#[inline(always)]
pub fn weigh<P: Packet + ?Sized, T: Tables, L: Listeners>(
    config: &Config,
    flow: &Flow,
    packet: &P,
    tables: &T,
    listeners: &L,
    sighting: &Sighting,
) -> Judgement {
    let mut course = Course {
        country: sighting.country,
        would: sighting.would,
        ..Course::new(config)
    };
    let ended = sighting
        .ended
        .or_else(|| by_packet(&mut course, flow, packet, tables, listeners));
    let reason = conclude(&course, flow, ended);
    let task = if ended.is_none() {
        course.task
    } else {
        Task::Nothing
    };
    Judgement {
        reason,
        task,
        country: course.country,
        is_monitored: course.would.is_some(),
    }
}

/// Decides about a source alone: about a connection at `accept()`.
#[inline(always)]
pub fn decide<T: Tables>(config: &Config, flow: &Flow, tables: &T) -> Decision {
    if config.flags & flags::ENABLED == 0 {
        return Reason::Off.into();
    }
    let mut course = Course::new(config);
    let reason = by_source(&mut course, flow, tables);
    conclude(&course, flow, reason).into()
}

#[inline(always)]
fn conclude(course: &Course<'_>, flow: &Flow, reason: Option<Reason>) -> Reason {
    match reason.or(course.would) {
        Some(reason) => reason,
        None if matches!(flow.transport.header, Header::Broken) => Reason::Malformed,
        None => Reason::Pass,
    }
}

/// What is known of the source, whatever it sends.
#[inline(always)]
fn by_source<T: Tables>(course: &mut Course<'_>, flow: &Flow, tables: &T) -> Option<Reason> {
    if flow.is_essential() || flow.source.is_local_host() {
        return Some(Reason::Pass);
    }
    match flow.source {
        Address::V4(source) => {
            let word = tables.class4(source);
            by_lists(
                course,
                tables,
                flow.source,
                word,
                || tables.fine4(source),
                || holds(tables, tables.ban4(source)),
            )
        }
        Address::V6(source) => {
            let word = tables.class6(source).unwrap_or(0) | course.config.default6;
            by_lists(
                course,
                tables,
                flow.source,
                word,
                || tables.fine6(source),
                || holds(tables, tables.ban6(source)) || holds(tables, tables.host6(source)),
            )
        }
    }
}

/// What no list decides: the packet itself, and how many of its kind come from its source. What the host sends to itself is not asked.
#[inline(always)]
fn by_packet<P: Packet + ?Sized, T: Tables, L: Listeners>(
    course: &mut Course<'_>,
    flow: &Flow,
    packet: &P,
    tables: &T,
    listeners: &L,
) -> Option<Reason> {
    if flow.source.is_loopback() {
        return None;
    }
    let config = course.config;
    if let Some(reason) = by_headers(course, flow) {
        return Some(reason);
    }
    if let Some(reason) = take(course, syn::step(config, flow, tables, listeners)) {
        return Some(reason);
    }
    if let Some(reason) = course.end(rate::syn(config, flow, tables)) {
        return Some(reason);
    }
    if let Some(reason) = take(course, syn::relief(config, flow, tables, listeners)) {
        return Some(reason);
    }
    let datagram = udp::read(config, flow, packet, tables)?;
    if let Some(reason) = course.end(udp::invalid(config, datagram)) {
        return Some(reason);
    }
    course.end(udp::rate(config, flow, tables))
}

/// What no list and no rate decides.
#[inline(always)]
fn by_headers(course: &mut Course<'_>, flow: &Flow) -> Option<Reason> {
    if flow.source.is_loopback() {
        return None;
    }
    let config = course.config;
    if let Some(reason) = course.end(sanity::invalid(config, flow)) {
        return Some(reason);
    }
    course.end(sanity::fragment(config, flow))
}

/// Takes the step of a handshake. What is monitored is not answered either.
#[inline(always)]
fn take(course: &mut Course<'_>, step: Step) -> Option<Reason> {
    match step {
        Step::On => None,
        Step::Decided(reason) => course.end(Some(reason)),
        Step::Ask(task) => {
            if matches!(task, Task::Verify | Task::VerifyRaw) || course.ends(Reason::SynCookie) {
                course.task = task;
            }
            None
        }
    }
}

/// What the lists say of a source with this class word, and its country.
#[inline(always)]
fn by_lists<T: Tables>(
    course: &mut Course<'_>,
    tables: &T,
    source: Address,
    word: u16,
    fine: impl FnOnce() -> Option<T::Record>,
    is_banned: impl FnOnce() -> bool,
) -> Option<Reason> {
    course.country = (word & class::COUNTRY) as u8;
    if word & class::LISTED != 0 {
        if word & class::ALLOWED != 0 {
            return Some(Reason::Allow);
        }
        let fine = if word & class::FINE == 0 {
            None
        } else {
            live(tables, fine())
        };
        if let Some(record) = &fine
            && record.reason() == Reason::Allow as u32
        {
            record.hit();
            return Some(Reason::Allow);
        }
        let mut is_blocked = word & class::BLOCKED != 0;
        if word & class::BANNED != 0 && is_banned() && course.ends(Reason::Ban) {
            return Some(Reason::Ban);
        }
        if let Some(record) = fine {
            if record.reason() == Reason::Geo as u32 {
                // A part of the range, in another country than the rest; where a list says more, there is no such entry.
                course.country = record.rule() as u8;
            } else {
                record.hit();
                is_blocked = true;
            }
        }
        if is_blocked && course.ends(Reason::Block) {
            return Some(Reason::Block);
        }
    }
    if is_foreign(course.config, course.country, source) && course.ends(Reason::Geo) {
        return Some(Reason::Geo);
    }
    None
}

/// Whether there is such a record and it has not ended; then it counts the packet.
#[inline(always)]
fn holds<T: Tables, R: Record>(tables: &T, record: Option<R>) -> bool {
    match live(tables, record) {
        Some(record) => {
            record.hit();
            true
        }
        None => false,
    }
}

/// The record, unless it has ended.
#[inline(always)]
fn live<T: Tables, R: Record>(tables: &T, record: Option<R>) -> Option<R> {
    let record = record?;
    let until_ns = record.until_ns();
    if until_ns != 0 && until_ns <= tables.tick_ns() {
        None
    } else {
        Some(record)
    }
}
