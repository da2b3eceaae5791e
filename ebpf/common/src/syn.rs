//! Handshakes with protected ports. In peace a SYN is answered with a cookie only if the queue of its listener has overflowed, which
//! the kernel knows; under attack every SYN is, and an ACK must belong to a connection or bring a cookie back. What a SYN-ACK holds is
//! in [`crate::cookie`].
//!
//! The listener looks at cookies only if it saw an overflow lately. A cookie made by the listener's socket says so itself; where the
//! cheaper, socketless one is used, a SYN of each address and port goes to the listener every now and then, which then answers with
//! a cookie of its own, as `tcp_syncookies = 2` tells it to.
//!
//! Fragments are left to the kernel: it answers what it has put together.

use crate::abi::{Config, cookies};
use crate::bucket::{self, Word};
use crate::decide::Tables;
use crate::packet::{Address, Flow, Header, Transport};
use crate::ports::{self, Set};
use crate::verdict::Reason;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// SYN, FIN, RST and ACK.
const STEP: u8 = 0x17;
/// SYN, RST and ACK: a FIN may be the first to bring a cookie back.
const BACK: u8 = 0x16;

/// Slots of `KEEP` for each family.
const SLOTS: u32 = 1 << 16;

/// What an ACK turned out to be.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Part of a connection, open or in its handshake.
    Connected,
    /// For a listener, with a cookie of ours.
    Cookie,
    /// For a listener, without one.
    Bogus,
    /// For nobody.
    Nobody,
}

/// What is known of listeners, and what they have been sent.
pub trait Listeners {
    /// A time that several CPUs change.
    type Word: Word;

    /// Whether a listener of ours is bound to this address and port: what only passes through this host is not ours to answer.
    fn is_served(&self, address: Address, port: u16) -> bool;
    /// Counts a SYN for the one who decides what is an attack.
    fn count_syn(&self);
    /// When a SYN of this slot last went to its listener.
    fn kept(&self, slot: u32) -> Option<Self::Word>;
    /// The bucket of all answers.
    fn answers(&self) -> Option<Self::Word>;
}

/// For one who has none, or does not ask.
#[derive(Clone, Copy, Debug)]
pub struct NoListeners;

/// No word.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

impl Word for Never {
    fn load(&self) -> u64 {
        match *self {}
    }
    fn replace(&self, _: u64, _: u64) -> bool {
        match *self {}
    }
    fn add(&self, _: u64) {
        match *self {}
    }
}

impl Listeners for NoListeners {
    type Word = Never;

    fn is_served(&self, _: Address, _: u16) -> bool {
        false
    }
    fn count_syn(&self) {}
    fn kept(&self, _: u32) -> Option<Never> {
        None
    }
    fn answers(&self) -> Option<Never> {
        None
    }
}

/// What becomes of a packet, as far as handshakes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is against it.
    On,
    /// It ends here, or passes at once.
    Decided(Reason),
    /// The network stack has to say more.
    Ask(Task),
}

/// What the network stack is asked once everything else is decided, with the buffers of the decision off the stack. One flat word: the
/// verifier does not let a part of it be undefined.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Nothing.
    Nothing,
    /// To answer a SYN with a cookie of the listening socket.
    Answer,
    /// To answer a SYN with a cookie made without a socket.
    AnswerRaw,
    /// What an ACK is, by the listening socket.
    Verify,
    /// What an ACK is, its cookie checked without the socket.
    VerifyRaw,
}

impl Task {
    /// By its number; what has none is nothing.
    #[inline(always)]
    pub const fn of(number: u32) -> Self {
        match number {
            1 => Self::Answer,
            2 => Self::AnswerRaw,
            3 => Self::Verify,
            4 => Self::VerifyRaw,
            _ => Self::Nothing,
        }
    }
}

/// How answering a SYN went.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The frame is the answer.
    Sent,
    /// The frame is as it was.
    NotNeeded,
    /// The frame may be changed. Only a SYN that the listener would refuse, too, gets here.
    Failed,
}

impl Answered {
    /// By its number; what has none is a failure.
    #[inline(always)]
    pub const fn of(number: u32) -> Self {
        match number {
            0 => Self::Sent,
            1 => Self::NotNeeded,
            _ => Self::Failed,
        }
    }
}

impl Ack {
    /// By its number; what has none is for nobody.
    #[inline(always)]
    pub const fn of(number: u32) -> Self {
        match number {
            0 => Self::Connected,
            1 => Self::Cookie,
            2 => Self::Bogus,
            _ => Self::Nobody,
        }
    }
}

/// The reason after an answer; `otherwise` is the one so far.
#[inline(always)]
pub fn after_answer(config: &Config, otherwise: Reason, answered: Answered) -> Reason {
    match answered {
        Answered::Sent => Reason::SynCookie,
        Answered::NotNeeded => otherwise,
        Answered::Failed => settle(config, otherwise, Reason::CookieError),
    }
}

/// The reason after a look at an ACK; `otherwise` is the one so far.
#[inline(always)]
pub fn after_ack(config: &Config, otherwise: Reason, ack: Ack) -> Reason {
    match ack {
        Ack::Connected => otherwise,
        Ack::Cookie => Reason::CookieAck,
        Ack::Bogus => settle(config, otherwise, Reason::BadAck),
        Ack::Nobody => settle(config, otherwise, Reason::NoListener),
    }
}

#[inline(always)]
fn settle(config: &Config, otherwise: Reason, reason: Reason) -> Reason {
    if config.monitored >> reason as u32 & 1 == 0 {
        reason
    } else if matches!(otherwise, Reason::Pass) {
        reason.monitored()
    } else {
        otherwise
    }
}

/// Whether listeners may have something to say about this packet.
#[inline(always)]
pub fn concerns(config: &Config, flow: &Flow) -> bool {
    let Transport { header, flags, .. } = flow.transport;
    matches!(header, Header::Tcp)
        && is_armed(config)
        && (flags & STEP == SYN || (config.attack != 0 && flags & BACK == ACK))
}

#[inline(always)]
fn is_armed(config: &Config) -> bool {
    config.attack != 0 || config.cookies.flags & cookies::ARMED != 0
}

/// Asks about a packet before the rate of its source: it is what stands against forged sources.
#[inline(always)]
pub fn step<T: Tables, L: Listeners>(
    config: &Config,
    flow: &Flow,
    tables: &T,
    listeners: &L,
) -> Step {
    let Transport {
        header: Header::Tcp,
        destination: port,
        flags,
        ..
    } = flow.transport
    else {
        return Step::On;
    };
    let is_syn = flags & STEP == SYN;
    let is_asked = is_syn || (config.attack != 0 && flags & BACK == ACK);
    if !is_asked || flow.fragment || !is_protected(config, flow, port, tables, listeners) {
        return Step::On;
    }
    if is_syn {
        listeners.count_syn();
        return if config.attack == 0 {
            Step::On
        } else {
            under_attack(config, flow, port, tables, listeners)
        };
    }
    Step::Ask(if is_raw(config) {
        Task::VerifyRaw
    } else {
        Task::Verify
    })
}

/// Asks about a packet that nothing else is against: whether the listener has no room for it.
#[inline(always)]
pub fn relief<T: Tables, L: Listeners>(
    config: &Config,
    flow: &Flow,
    tables: &T,
    listeners: &L,
) -> Step {
    let Transport {
        header: Header::Tcp,
        destination: port,
        flags,
        ..
    } = flow.transport
    else {
        return Step::On;
    };
    if config.cookies.flags & cookies::ARMED == 0
        || config.attack != 0
        || flags & STEP != SYN
        || flow.fragment
        || !is_protected(config, flow, port, tables, listeners)
    {
        return Step::On;
    }
    Step::Ask(Task::Answer)
}

#[inline(always)]
fn under_attack<T: Tables, L: Listeners>(
    config: &Config,
    flow: &Flow,
    port: u16,
    tables: &T,
    listeners: &L,
) -> Step {
    let is_raw = is_raw(config);
    // A tick may pass between two readings: the cap lets through at one moment what belongs to 10 ms, which no tick is longer than.
    let now_ns = tables.tick_ns();
    if is_raw && let Some(last) = listeners.kept(slot(flow.destination, port)) {
        let last_ns = last.load();
        // Only one CPU wins the turn.
        if now_ns.saturating_sub(last_ns) >= config.cookies.keep_ns && last.replace(last_ns, now_ns)
        {
            return Step::Decided(Reason::SynKeep);
        }
    }
    if config.cookies.answers.cost_ns != 0
        && let Some(answers) = listeners.answers()
        && !bucket::admit(&answers, now_ns, &config.cookies.answers)
    {
        return Step::Decided(Reason::SynCapped);
    }
    Step::Ask(if is_raw {
        Task::AnswerRaw
    } else {
        Task::Answer
    })
}

/// The bit of the port rules out nearly everything; the exact table is asked for the rest.
#[inline(always)]
fn is_protected<T: Tables, L: Listeners>(
    config: &Config,
    flow: &Flow,
    port: u16,
    tables: &T,
    listeners: &L,
) -> bool {
    is_armed(config)
        && tables.ports(Set::Tcp, ports::word(port)) & ports::bit(port) != 0
        && listeners.is_served(flow.destination, port)
}

#[inline(always)]
fn is_raw(config: &Config) -> bool {
    config.cookies.flags & cookies::RAW != 0
}

/// Which element of `KEEP` says when a SYN last went to this listener.
///
/// Listeners on one port of several addresses should have slots of their own; two that share one take turns.
#[inline(always)]
pub fn slot(address: Address, port: u16) -> u32 {
    let (family, bits) = match address {
        Address::V4(address) => (0, u32::from_be_bytes(address)),
        Address::V6([.., a, b, c, d]) => (SLOTS, u32::from_be_bytes([a, b, c, d])),
    };
    // A multiplicative hash (Knuth): neighbours end up far from each other.
    let spread = bits.wrapping_mul(0x9e37_79b1) >> 16;
    family | (spread + u32::from(port)) & (SLOTS - 1)
}

#[cfg(test)]
mod tests;
