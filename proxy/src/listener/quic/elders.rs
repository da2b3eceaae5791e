//! The processes before this one, which still serve connections of theirs while they drain. The sockets are the same and this process
//! reads them: what belongs to an elder is handed to it, one datagram a message, for as long as it lives.
//!
//! Until a process has left, it and the next read the same sockets. What comes to it for a connection of that one goes the same way, in the
//! other direction.
//!
//! The way is a unix socket, not a choice of the kernel's among sockets of both: sockets that come and go change the numbers that the
//! kernel goes by, and these never do.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quinn_proto::EcnCodepoint;
use tokio::sync::mpsc;

use super::ids::Owner;
use super::mates::{Facts, Stray};
use crate::net::passing::{Channel, LARGEST};

/// What may wait for an elder: at least a bulk upload's flight.
const ROOM: usize = 8 << 20;
/// Of the facts before each datagram.
const HEAD: usize = 44;
/// An address is of IPv6; there is a local address; it is of IPv6.
const FROM_V6: u8 = 1;
const HAS_TO: u8 = 2;
const TO_V6: u8 = 4;

/// The ways to them, the youngest first.
pub type Elders = Arc<[Elder]>;

/// The way to one.
#[derive(Debug)]
pub struct Elder {
    pub generation: u16,
    pub channel: Channel,
}

impl Elder {
    /// False: it is not there any more, or has more to do than it can.
    pub(super) fn pass(&self, group: u16, worker: u16, facts: Facts, datagram: &[u8]) -> bool {
        let head = encode(group, worker, facts);
        self.channel.try_send(&head, datagram).is_ok()
    }
}

/// The process after this one, from when it may serve connections.
#[derive(Clone, Debug, Default)]
pub struct Younger(Arc<Next>);

#[derive(Debug, Default)]
struct Next {
    /// For who need not know who it is.
    is_there: AtomicBool,
    way: Mutex<Option<Elder>>,
}

impl Younger {
    /// It begins. `way`: what it reads from.
    pub fn begin(&self, generation: u16, way: Channel) {
        self.set(Some(Elder {
            generation,
            channel: way,
        }));
    }

    /// It does not serve, after all.
    pub fn end(&self) {
        self.set(None);
    }

    fn set(&self, way: Option<Elder>) {
        self.0.is_there.store(way.is_some(), Ordering::Relaxed);
        *self.0.way.lock().unwrap_or_else(PoisonError::into_inner) = way;
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.is_there.load(Ordering::Relaxed)
    }

    /// False: the owner is another one.
    pub(super) fn pass(&self, owner: Owner, group: u16, facts: Facts, datagram: &[u8]) -> bool {
        let way = self.0.way.lock().unwrap_or_else(PoisonError::into_inner);
        let way = way.as_ref().filter(|it| it.generation == owner.generation);
        way.is_some_and(|way| way.pass(group, owner.worker, facts, datagram))
    }
}

/// Both ends of the way to this process, which a younger one is about to take.
///
/// # Errors
/// There are no more descriptors.
pub fn way() -> io::Result<(Channel, Channel)> {
    let (mine, heirs) = Channel::pair()?;
    mine.widen(ROOM);
    heirs.widen(ROOM);
    Ok((mine, heirs))
}

/// The inboxes of the workers, by the number of their port's group.
pub type Inboxes = HashMap<u16, Vec<mpsc::Sender<Stray>>>;

/// Gives the workers what another process hands over, until that ends. For a thread of its own.
pub fn receive(channel: &Channel, inboxes: &Inboxes) {
    let mut buffer = vec![0; LARGEST];
    loop {
        match channel.receive(&mut buffer) {
            Ok(Some((message, _))) => {
                if let Some((group, worker, stray)) = decode(message)
                    && let Some(inbox) = inboxes.get(&group)
                    // The number comes from an id, and an Initial's may be anything.
                    && let Some(inbox) = inbox.get(usize::from(worker))
                {
                    // Waits for a worker that is behind: a goodbye is said once. Lost if it has ended.
                    let _ = inbox.blocking_send(stray);
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "datagrams of old connections are not handed over any more");
                return;
            }
        }
    }
}

fn encode(group: u16, worker: u16, facts: Facts) -> [u8; HEAD] {
    let Facts { from, to, ecn } = facts;
    let wide = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let scope = match from {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(from) => from.scope_id(),
    };
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let flags = flag(from.is_ipv6(), FROM_V6)
        | flag(to.is_some(), HAS_TO)
        | flag(to.is_some_and(|to| to.is_ipv6()), TO_V6);
    let to = to.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let ecn = ecn.map_or(0, |ecn| ecn as u8);
    let mut head = [0; HEAD];
    let bytes = [flags, ecn]
        .into_iter()
        .chain(group.to_be_bytes())
        .chain(worker.to_be_bytes())
        .chain(from.port().to_be_bytes())
        .chain(scope.to_be_bytes())
        .chain(wide(from.ip()))
        .chain(wide(to));
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    head
}

fn decode(message: &[u8]) -> Option<(u16, u16, Stray)> {
    let (&[flags, ecn], rest) = message.split_first_chunk::<2>()?;
    let (group, rest) = rest.split_first_chunk::<2>()?;
    let (worker, rest) = rest.split_first_chunk::<2>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (scope, rest) = rest.split_first_chunk::<4>()?;
    let (from, rest) = rest.split_first_chunk::<16>()?;
    let (to, bytes) = rest.split_first_chunk::<16>()?;
    let ip = |octets: [u8; 16], is_v6: bool| {
        let ip = Ipv6Addr::from(octets);
        if is_v6 {
            IpAddr::V6(ip)
        } else {
            ip.to_canonical()
        }
    };
    let port = u16::from_be_bytes(*port);
    let from = match ip(*from, flags & FROM_V6 != 0) {
        IpAddr::V4(from) => SocketAddr::from((from, port)),
        IpAddr::V6(from) => SocketAddrV6::new(from, port, 0, u32::from_be_bytes(*scope)).into(),
    };
    let to = (flags & HAS_TO != 0).then(|| ip(*to, flags & TO_V6 != 0));
    let ecn = EcnCodepoint::from_bits(ecn);
    let stray = Stray {
        facts: Facts { from, to, ecn },
        bytes: bytes.into(),
    };
    Some((
        u16::from_be_bytes(*group),
        u16::from_be_bytes(*worker),
        stray,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_datagram_arrives_with_its_facts() {
        for (from, to, ecn) in [
            ("192.0.2.1:4433", Some("198.51.100.7"), None),
            ("[2001:db8::1]:1", Some("::1"), Some(EcnCodepoint::Ce)),
            ("[fe80::1%7]:65535", None, Some(EcnCodepoint::Ect0)),
            ("[::ffff:192.0.2.1]:9", None, Some(EcnCodepoint::Ect1)),
        ] {
            let facts = Facts {
                from: from.parse().unwrap(),
                to: to.map(|to| to.parse().unwrap()),
                ecn,
            };
            let message = [&encode(3, 517, facts)[..], b"datagram"].concat();
            let (group, worker, stray) = decode(&message).unwrap();
            assert_eq!((group, worker, &*stray.bytes), (3, 517, &b"datagram"[..]));
            assert_eq!(format!("{:?}", stray.facts), format!("{facts:?}"));
        }
        assert!(decode(&[0; HEAD - 1]).is_none());
    }
}
