//! Listening sockets: one per worker and address, spread by the kernel (`SO_REUSEPORT`), so that workers share no queue. Where HTTP/3 is
//! spoken there is a UDP socket beside each. The control plane keeps a copy of each: for the process that takes over, and for QUIC,
//! whose sockets outlive their listener by the connections that still end.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::config::{Config, Listener};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::bind::{bind_tcp, bind_udp};
use super::error::Trouble;
use crate::listener::quic;
use crate::worker::{Bind, BoundSocket};

/// How often another port is chosen where UDP has none of the number that TCP got.
const PORT_TRIES: usize = 16;
/// What the end of a QUIC listener may take beyond the grace.
const MARGIN: Duration = Duration::from_secs(1);

/// What a group of sockets listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Tcp,
    Quic,
    /// Datagrams that are forwarded.
    Udp,
}

/// The sockets of one address: one a worker, but for those that come from a service manager.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) kind: Kind,
    /// Its own for as long as there are processes that have the sockets.
    pub(super) number: u16,
    pub(super) listener: Arc<str>,
    /// As the listener's configuration has it; the port may be 0.
    pub(super) configured: SocketAddr,
    pub(super) real: SocketAddr,
    /// Copies of what the workers have.
    pub(super) sockets: Arc<[OwnedFd]>,
    /// To the workers' QUIC drivers.
    pub(super) inboxes: Vec<mpsc::Sender<quic::Stray>>,
}

/// Sockets that no listener has.
#[derive(Clone, Debug)]
struct Spare {
    group: Group,
    /// How long they are kept; `None`: for the first configuration, which has inherited them.
    until: Option<Instant>,
}

/// The addresses that are bound now.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound {
    groups: Vec<Group>,
    spares: Vec<Spare>,
    /// The number of the next group.
    next: u16,
}

/// New sockets for every worker, and what will be bound once they are taken.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) bound: Bound,
    /// One list per worker.
    pub(super) sockets: Vec<Vec<BoundSocket>>,
}

/// A group with the sockets that workers lack; none where they have them.
struct Place {
    group: Group,
    binds: Vec<Bind>,
}

/// What every place is made with.
struct Terms<'a> {
    workers: usize,
    quic: &'a quic::Settings,
}

impl Bound {
    /// What a process before this one has left, or the service manager gives. Groups go on with their numbers, and `next` is for the first that is new.
    pub(super) fn inherited(groups: Vec<Group>, next: u16) -> Self {
        let spares = groups.into_iter().map(|group| Spare { group, until: None });
        Self {
            groups: Vec::new(),
            spares: spares.collect(),
            next,
        }
    }

    /// All groups that serve.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Those that no listener has.
    pub(super) fn spares(&self) -> impl Iterator<Item = &Group> {
        self.spares.iter().map(|spare| &spare.group)
    }

    /// The number of the next group.
    pub(super) fn next(&self) -> u16 {
        self.next
    }

    /// Binds what the configuration names and `self` lacks, and writes the real ports into the configuration.
    pub(super) fn extend(
        &self,
        config: &mut Config,
        workers: usize,
        quic: &quic::Settings,
    ) -> Result<Binding, Vec<Trouble>> {
        let terms = Terms { workers, quic };
        let mut bound = Self {
            next: self.next,
            ..Self::default()
        };
        let mut sockets: Vec<Vec<BoundSocket>> = (0..workers).map(|_| Vec::new()).collect();
        let mut troubles = Vec::new();
        for setup in &mut config.listeners {
            for index in 0..setup.bind.len() {
                let Some(address) = setup.bind.get(index).copied() else {
                    continue;
                };
                match self.place(setup, address, &terms, &mut bound) {
                    Ok(places) => {
                        for Place { group, binds } in places {
                            if let Some(bind) = setup.bind.get_mut(index) {
                                *bind = group.real;
                            }
                            bound.groups.push(group);
                            for (index, socket) in binds.into_iter().enumerate() {
                                let listener = Arc::clone(&setup.name);
                                // As many as there are workers, but for some that were given from outside.
                                if let Some(worker) = sockets.get_mut(index % workers) {
                                    worker.push(BoundSocket { listener, socket });
                                }
                            }
                        }
                    }
                    Err((over, source)) => troubles.push(Trouble::Bind {
                        listener: Arc::clone(&setup.name),
                        bind: index,
                        address,
                        over,
                        source,
                    }),
                }
            }
        }
        if !troubles.is_empty() {
            return Err(troubles);
        }
        bound.spares = self.left_by(
            &bound,
            Instant::now() + config.server.shutdown_grace + MARGIN,
        );
        Ok(Binding { bound, sockets })
    }

    /// QUIC sockets that the next configuration does not have, whose connections may have them until then.
    fn left_by(&self, next: &Self, until: Instant) -> Vec<Spare> {
        let now = Instant::now();
        let left = self.groups.iter().map(|group| Spare {
            group: group.clone(),
            until: Some(until),
        });
        let older = self.spares.iter().filter(|spare| spare.lasts(now)).cloned();
        let spares = left.chain(older);
        let is_free = |spare: &Spare| next.groups.iter().all(|it| it.number != spare.group.number);
        spares
            .filter(|spare| spare.group.kind == Kind::Quic && is_free(spare))
            .collect()
    }

    /// Closes what nobody can need any more.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        self.spares.retain(|spare| spare.lasts(now));
    }

    /// Binds one address of a listener, as far as it is not bound.
    fn place(
        &self,
        listener: &Listener,
        address: SocketAddr,
        terms: &Terms<'_>,
        new: &mut Self,
    ) -> Result<Vec<Place>, (&'static str, io::Error)> {
        if listener.mode.is_udp() {
            let place = self.own(Kind::Udp, listener, address, terms, new);
            return place
                .map(|place| vec![place])
                .map_err(|error| (" over UDP", error));
        }
        let mut tries = PORT_TRIES;
        loop {
            let tcp = self
                .own(Kind::Tcp, listener, address, terms, new)
                .map_err(|error| ("", error))?;
            if !listener.protocols.h3 {
                return Ok(vec![tcp]);
            }
            let is_chosen = !tcp.binds.is_empty() && address.port() == 0;
            match self.quic(listener, address, tcp.group.real, terms, new) {
                Ok(udp) => return Ok(vec![tcp, udp]),
                Err(error) if is_chosen && tries > 0 && is_in_use(&error) => tries -= 1,
                Err(error) => return Err((" over UDP", error)),
            }
        }
    }

    /// Sockets that belong to their listener.
    fn own(
        &self,
        kind: Kind,
        listener: &Listener,
        address: SocketAddr,
        terms: &Terms<'_>,
        new: &mut Self,
    ) -> io::Result<Place> {
        let is_it = |group: &&Group| {
            group.kind == kind && group.listener == listener.name && group.configured == address
        };
        if let Some(group) = self.groups.iter().find(is_it) {
            let (group, binds) = (group.clone(), Vec::new());
            return Ok(Place { group, binds });
        }
        let spares = self.spares.iter().map(|spare| &spare.group);
        let mut inherited = spares.filter(|group| {
            is_it(group) || (group.kind == kind && address.port() != 0 && group.real == address)
        });
        let group = if let Some(group) = inherited.next() {
            Group {
                listener: Arc::clone(&listener.name),
                configured: address,
                ..group.clone()
            }
        } else {
            // An address that moves from one listener to another is ours already, and so is one that becomes wider or narrower.
            let ours = self.ours(new, kind, address);
            let bound = match kind {
                Kind::Tcp => bind_tcp(address, terms.workers, ours.is_some()),
                Kind::Quic | Kind::Udp => bind_udp(address, terms.workers, ours.is_some(), None),
            };
            let (real, sockets) = bound.map_err(|error| held(error, ours))?;
            Group::new(kind, listener, address, real, sockets, &mut new.next)
        };
        let count = match kind {
            // What was given from outside may be fewer: workers may accept from the same.
            Kind::Tcp => group.sockets.len().max(terms.workers),
            Kind::Quic | Kind::Udp => group.sockets.len(),
        };
        let sockets = group.sockets.iter().cycle().take(count);
        let binds = sockets.map(OwnedFd::try_clone).map(|copy| {
            copy.map(|copy| match kind {
                Kind::Tcp => Bind::Tcp(TcpListener::from(copy)),
                Kind::Quic | Kind::Udp => Bind::Udp(UdpSocket::from(copy)),
            })
        });
        let binds = binds.collect::<io::Result<_>>()?;
        Ok(Place { group, binds })
    }

    /// Our own address that is the same or takes in the same: of this configuration, of the next one as far as it is bound, or of the
    /// process before. So a start takes what a reload takes.
    fn ours(&self, new: &Self, kind: Kind, address: SocketAddr) -> Option<SocketAddr> {
        let groups = self.groups.iter().chain(&new.groups).chain(self.spares());
        let mut held = groups.filter(|group| group.kind == kind).map(|it| it.real);
        held.find(|held| overlap(*held, address))
    }

    /// Sockets that belong to their address, whichever listener has it: clients of one that goes stay with the one that takes it.
    fn quic(
        &self,
        listener: &Listener,
        configured: SocketAddr,
        real: SocketAddr,
        terms: &Terms<'_>,
        new: &mut Self,
    ) -> io::Result<Place> {
        let is_it = |group: &&Group| group.kind == Kind::Quic && group.real == real;
        if let Some(group) = self.groups.iter().find(is_it) {
            let (group, binds) = (group.clone(), Vec::new());
            return Ok(Place { group, binds });
        }
        // Connections of before may still have them.
        let mut spares = self.spares.iter().map(|spare| &spare.group);
        let mut group = if let Some(group) = spares.find(is_it) {
            group.clone()
        } else {
            let bound = bind_udp(real, terms.workers, false, Some(terms.quic.ids));
            let (_, sockets) =
                bound.map_err(|error| held(error, self.ours(new, Kind::Quic, real)))?;
            Group::new(
                Kind::Quic,
                listener,
                configured,
                real,
                sockets,
                &mut new.next,
            )
        };
        let copies = group.sockets.iter().map(OwnedFd::try_clone);
        let copies = copies.map(|copy| copy.map(UdpSocket::from));
        let copies = copies.collect::<io::Result<_>>()?;
        let (seats, inboxes) = quic::seats(terms.quic, group.number, copies);
        group.inboxes = inboxes;
        let binds = seats.into_iter().map(Bind::quic).collect();
        Ok(Place { group, binds })
    }
}

impl Group {
    fn new(
        kind: Kind,
        listener: &Listener,
        configured: SocketAddr,
        real: SocketAddr,
        sockets: Vec<OwnedFd>,
        next: &mut u16,
    ) -> Self {
        let number = *next;
        *next = next.wrapping_add(1);
        Self {
            kind,
            number,
            listener: Arc::clone(&listener.name),
            configured,
            real,
            sockets: sockets.into(),
            inboxes: Vec::new(),
        }
    }
}

impl Spare {
    fn lasts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }
}

/// Whether one address is the other, or all addresses with its port.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_same_port = one.port() == other.port() && one.port() != 0;
    let (one, other) = (one.ip(), other.ip());
    let is_same_family = one.is_ipv4() == other.is_ipv4();
    let is_all = one.is_unspecified() || other.is_unspecified();
    is_same_port && (one == other || (is_same_family && is_all))
}

/// An address in use, where we use it ourselves: connections of QUIC have no sockets of their own that a new one would leave them, and
/// a service manager's sockets admit no others.
fn held(error: io::Error, ours: Option<SocketAddr>) -> io::Error {
    match ours {
        Some(ours) if is_in_use(&error) => io::Error::new(
            io::ErrorKind::AddrInUse,
            format!(
                "{error}: this proxy has {ours} itself, and one of the two serves HTTP/3; where one takes the place of the other, stop and start"
            ),
        ),
        _ => error,
    }
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}
