//! Steps of handshakes, by state, address and turn.

#![allow(clippy::unwrap_used, reason = "tests")]

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::*;
use crate::abi::{Cookies, Limit};
use crate::decide::Record;
use crate::rate::Kind;

#[derive(Clone)]
struct Time(Rc<Cell<u64>>);

impl Word for Time {
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

/// Serves 198.51.100.1 and `::1` on port 443.
#[derive(Default)]
struct Host {
    syns: Cell<u32>,
    slots: RefCell<BTreeMap<u32, Rc<Cell<u64>>>>,
    answers: Rc<Cell<u64>>,
}

impl Listeners for Host {
    type Word = Time;

    fn is_served(&self, address: Address, port: u16) -> bool {
        port == 443 && [SERVER, SERVER6].contains(&address)
    }
    fn count_syn(&self) {
        self.syns.set(self.syns.get() + 1);
    }
    fn kept(&self, slot: u32) -> Option<Time> {
        Some(Time(Rc::clone(
            self.slots.borrow_mut().entry(slot).or_default(),
        )))
    }
    fn answers(&self) -> Option<Time> {
        Some(Time(Rc::clone(&self.answers)))
    }
}

const SERVER: Address = Address::V4([198, 51, 100, 1]);
const SERVER6: Address = Address::V6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const NOW: u64 = 1_000_000_000_000;

const fn config(attack: u32, flags: u32) -> Config {
    Config {
        attack,
        cookies: Cookies {
            flags,
            ..Cookies::NONE
        },
        ..Config::OFF
    }
}

/// Port 443 and a clock; no lists.
struct Now(u64);

impl Record for Uncounted {
    fn until_ns(&self) -> u64 {
        match *self {}
    }
    fn reason(&self) -> u32 {
        match *self {}
    }
    fn rule(&self) -> u32 {
        match *self {}
    }
    fn hit(&self) {
        match *self {}
    }
}

impl Tables for Now {
    type Record = Uncounted;
    type Ban4 = Uncounted;
    type Ban6 = Uncounted;
    type Word = Uncounted;

    fn class4(&self, _: [u8; 4]) -> u16 {
        0
    }
    fn class6(&self, _: [u8; 16]) -> Option<u16> {
        None
    }
    fn ban4(&self, _: [u8; 4]) -> Option<Uncounted> {
        None
    }
    fn ban6(&self, _: [u8; 16]) -> Option<Uncounted> {
        None
    }
    fn host6(&self, _: [u8; 16]) -> Option<Uncounted> {
        None
    }
    fn fine4(&self, _: [u8; 4]) -> Option<Uncounted> {
        None
    }
    fn fine6(&self, _: [u8; 16]) -> Option<Uncounted> {
        None
    }
    fn ports(&self, set: Set, word: u32) -> u64 {
        if set == Set::Tcp && word == ports::word(443) {
            ports::bit(443)
        } else {
            0
        }
    }
    fn bucket(&self, _: Address, _: Kind, _: u64) -> Option<Uncounted> {
        None
    }
    fn now_ns(&self) -> u64 {
        self.0
    }
    fn tick_ns(&self) -> u64 {
        self.0
    }
    fn note(&self, _: &Config, _: &Flow, _: Reason, _: u8) {}
}

fn flow(destination: Address, port: u16, flags: u8) -> Flow {
    let peer = "192.0.2.7:40000".parse().unwrap();
    let mut flow = Flow::accepted(peer, "198.51.100.1:443".parse().unwrap());
    flow.destination = destination;
    flow.transport = Transport::tcp(40_000, port, flags);
    flow
}

#[test]
fn slots_differ_by_family_and_by_neighbour() {
    let slots = [
        slot(SERVER, 443),
        slot(SERVER, 444),
        slot(Address::V4([198, 51, 100, 2]), 443),
        slot(SERVER6, 443),
    ];
    for (index, slot) in slots.iter().enumerate() {
        assert!(*slot < 2 * SLOTS);
        assert_eq!(slots.iter().position(|other| other == slot), Some(index));
    }
    assert!(slot(SERVER6, 443) >= SLOTS);
}

#[test]
fn one_syn_in_ten_seconds_keeps_a_listener_awake() {
    let host = Host::default();
    let raw = config(1, cookies::RAW);
    let at = |config, now_ns| step(config, &flow(SERVER, 443, SYN), &Now(now_ns), &host);
    assert_eq!(at(&raw, NOW), Step::Decided(Reason::SynKeep));
    assert_eq!(at(&raw, NOW + 1), Step::Ask(Task::AnswerRaw));
    let later = NOW + raw.cookies.keep_ns;
    assert_eq!(at(&raw, later - 1), Step::Ask(Task::AnswerRaw));
    assert_eq!(at(&raw, later), Step::Decided(Reason::SynKeep));
    assert_eq!(at(&raw, later), Step::Ask(Task::AnswerRaw));
    let by_socket = config(1, 0);
    assert_eq!(at(&by_socket, 3 * later), Step::Ask(Task::Answer));
}

#[test]
fn answers_have_a_cap() {
    let host = Host::default();
    let mut capped = config(1, 0);
    capped.cookies.answers = Limit {
        cost_ns: 1_000,
        burst_ns: 9_000,
    };
    let at = |now_ns| step(&capped, &flow(SERVER6, 443, SYN), &Now(now_ns), &host);
    let sent = (0..100).filter(|_| at(NOW) == Step::Ask(Task::Answer));
    assert_eq!(sent.count(), 10);
    assert_eq!(at(NOW), Step::Decided(Reason::SynCapped));
    assert_eq!(at(NOW + 1_000), Step::Ask(Task::Answer));
}

#[test]
fn only_what_is_served_is_asked_about() {
    let host = Host::default();
    let socket = config(1, 0);
    for (destination, port, flags, expected) in [
        (SERVER, 443, ACK, Step::Ask(Task::Verify)),
        (SERVER, 443, ACK | 0x08, Step::Ask(Task::Verify)),
        (SERVER, 443, ACK | 0x01, Step::Ask(Task::Verify)),
        (SERVER, 443, ACK | 0x04, Step::On),
        (SERVER, 443, 0x04, Step::On),
        (SERVER, 443, SYN | ACK, Step::On),
        (SERVER, 443, SYN | 0x01, Step::On),
        (SERVER, 444, SYN, Step::On),
        (Address::V4([198, 51, 100, 2]), 443, SYN, Step::On),
    ] {
        let flow = flow(destination, port, flags);
        let asked = step(&socket, &flow, &Now(NOW), &host);
        assert_eq!(asked, expected, "{flow:?}");
        let fragment = Flow {
            fragment: true,
            ..flow
        };
        assert_eq!(step(&socket, &fragment, &Now(NOW), &host), Step::On);
    }
}

#[test]
fn in_peace_syns_are_counted_and_a_full_listener_relieved() {
    let host = Host::default();
    for (flags, expected) in [
        (0, Step::On),
        (cookies::RAW, Step::On),
        (cookies::ARMED, Step::Ask(Task::Answer)),
        (cookies::ARMED | cookies::RAW, Step::Ask(Task::Answer)),
    ] {
        let peace = config(0, flags);
        let syn = flow(SERVER, 443, SYN);
        assert_eq!(step(&peace, &syn, &Now(NOW), &host), Step::On);
        assert_eq!(relief(&peace, &syn, &Now(NOW), &host), expected);
        let ack = flow(SERVER, 443, ACK);
        assert_eq!(step(&peace, &ack, &Now(NOW), &host), Step::On);
        assert_eq!(relief(&peace, &ack, &Now(NOW), &host), Step::On);
    }
    assert_eq!(host.syns.get(), 2, "counted where anything is armed");
    let attack = config(1, cookies::ARMED);
    let syn = flow(SERVER, 443, SYN);
    assert_eq!(relief(&attack, &syn, &Now(NOW), &host), Step::On);
}

#[test]
fn what_comes_of_a_task_follows_state_and_monitor() {
    let attack = config(1, 0);
    let monitored = Config {
        monitored: u64::MAX,
        ..attack
    };
    let pass = Reason::Pass;
    for (answered, expected, watched) in [
        (Answered::Sent, Reason::SynCookie, Reason::SynCookie),
        (Answered::NotNeeded, pass, pass),
        (
            Answered::Failed,
            Reason::CookieError,
            Reason::WouldCookieError,
        ),
    ] {
        assert_eq!(after_answer(&attack, pass, answered), expected);
        assert_eq!(after_answer(&monitored, pass, answered), watched);
        assert_eq!(Answered::of(answered as u32), answered);
    }
    for (ack, expected, watched) in [
        (Ack::Connected, pass, pass),
        (Ack::Cookie, Reason::CookieAck, Reason::CookieAck),
        (Ack::Bogus, Reason::BadAck, Reason::WouldBadAck),
        (Ack::Nobody, Reason::NoListener, Reason::WouldNoListener),
    ] {
        assert_eq!(after_ack(&attack, pass, ack), expected);
        assert_eq!(after_ack(&monitored, pass, ack), watched);
        let first = Reason::WouldBlock;
        let kept = if watched.verdict() == expected.verdict() {
            watched
        } else {
            first
        };
        let kept = if watched == pass { first } else { kept };
        assert_eq!(after_ack(&monitored, first, ack), kept);
        assert_eq!(Ack::of(ack as u32), ack);
    }
    for task in [
        Task::Nothing,
        Task::Answer,
        Task::AnswerRaw,
        Task::Verify,
        Task::VerifyRaw,
    ] {
        assert_eq!(Task::of(task as u32), task);
    }
}
