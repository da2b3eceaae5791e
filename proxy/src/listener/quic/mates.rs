//! The workers that share a port, and the way of a datagram from the one that it came to by mistake to the one that knows its connection.
//!
//! The kernel gives datagrams of several connections to one socket where it has put them together, and goes by the hash while sockets come
//! and go. Few are concerned: a queue that is full drops them, as any queue on their way may.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::task::{Context, Poll};

use quinn_proto::{EcnCodepoint, EndpointConfig};
use rustls::crypto::aws_lc_rs;
use tokio::sync::mpsc;

use super::elders::{Elders, Younger};
use super::ids::{IdKey, Ids, Owner};
use super::settings::Settings;

/// Datagrams that may wait for a worker.
const QUEUE: usize = 256;

/// One datagram with its facts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) from: SocketAddr,
    pub(super) to: Option<IpAddr>,
    pub(super) ecn: Option<EcnCodepoint>,
}

#[derive(Debug)]
pub struct Stray {
    pub(super) facts: Facts,
    pub(super) bytes: Box<[u8]>,
}

/// What one worker drives a port with.
#[derive(Debug)]
pub struct Seat {
    pub(super) socket: UdpSocket,
    pub(super) endpoint: EndpointConfig,
    pub(super) mates: Mates,
}

#[derive(Debug)]
pub(in crate::listener) struct Mates {
    key: IdKey,
    own: Owner,
    /// The number of the sockets, which is the same in every process.
    group: u16,
    others: Vec<mpsc::Sender<Stray>>,
    strays: mpsc::Receiver<Stray>,
    elders: Elders,
    younger: Younger,
}

/// Seats for the workers in their order, which is the one that the sockets were bound in, and what leads to each of them.
pub fn seats(
    settings: &Settings,
    group: u16,
    sockets: Vec<UdpSocket>,
) -> (Vec<Seat>, Vec<mpsc::Sender<Stray>>) {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        sockets.iter().map(|_| mpsc::channel(QUEUE)).unzip();
    let workers = sockets.len() as u16;
    let seats = sockets.into_iter().zip(receivers).zip(0..);
    let seats = seats
        .map(|((socket, strays), worker)| {
            let generation = settings.generation;
            let own = Owner { generation, worker };
            let mut endpoint = settings.endpoint.clone();
            let key = settings.ids;
            endpoint.cid_generator(move || {
                Box::new(Ids {
                    key,
                    owner: own,
                    workers,
                    random: aws_lc_rs::default_provider().secure_random,
                })
            });
            let others = senders.clone();
            let mates = Mates {
                key,
                own,
                group,
                others,
                strays,
                elders: settings.elders.clone(),
                younger: settings.younger.clone(),
            };
            Seat {
                socket,
                endpoint,
                mates,
            }
        })
        .collect();
    (seats, senders)
}

impl Seat {
    /// Where it listens.
    ///
    /// # Errors
    /// The socket is none.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// For who has a socket.
    pub(in crate::listener) fn into_mates(self) -> Mates {
        self.mates
    }
}

impl Mates {
    /// Hands a datagram on if another worker's connection is meant; tells whether that is so.
    pub(super) fn pass_on(&self, facts: Facts, datagram: &[u8]) -> bool {
        let meant = self.key.of_datagram(datagram);
        let is_own = |owner: &Owner| owner.generation == self.own.generation;
        if !meant.as_ref().is_some_and(is_own) && !self.is_alone() {
            let meant = meant.or_else(|| self.key.of_beginning(datagram));
            if let Some(owner) = meant.filter(|owner| !is_own(owner)) {
                return self.pass_to_kin(owner, facts, datagram);
            }
        }
        let Some(Owner { worker, .. }) = meant.filter(|owner| *owner != self.own) else {
            return false;
        };
        // A number that nobody has is a client's mistake, or a trick: it is for this worker to answer.
        let Some(other) = self.others.get(usize::from(worker)) else {
            return false;
        };
        let bytes = datagram.into();
        // Lost if the other is behind, or has ended: QUIC sends again.
        let _ = other.try_send(Stray { facts, bytes });
        true
    }

    /// No other process has connections of these sockets.
    fn is_alone(&self) -> bool {
        self.elders.is_empty() && !self.younger.is_there()
    }

    /// The same for one of a process before this one, or after it; false if there is none of that generation.
    fn pass_to_kin(&self, owner: Owner, facts: Facts, datagram: &[u8]) -> bool {
        let mut elders = self.elders.iter();
        if let Some(elder) = elders.find(|elder| elder.generation == owner.generation) {
            return elder.pass(self.group, owner.worker, facts, datagram);
        }
        self.younger.is_there() && self.younger.pass(owner, self.group, facts, datagram)
    }

    /// A datagram that came to another worker, or to another process.
    pub(super) fn poll_stray(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Facts, Box<[u8]>)>> {
        let stray = self.strays.poll_recv(cx);
        stray.map(|stray| stray.map(|stray| (stray.facts, stray.bytes)))
    }
}
