//! What an exchange finds in its worker, and what it knows of its connection.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use openclaw_core::autoban;
use openclaw_core::certificates::ByName;
use openclaw_core::config;
use openclaw_core::message::{Field, Kind, Request, Said, client};
use openclaw_core::proxy_protocol::Ends;
use openclaw_core::reason::Reason;
use tokio::sync::mpsc;

use super::connections::{Connections, Cut};
use super::mirror::Copied;
use super::serving::Serving;
use crate::coding::Coders;
use crate::net::Buffers;
use crate::net::pipes::Pipes;
use crate::shield::PeerFilter;
use crate::shield::autoban::Informer;
use crate::snapshot::Snapshot;
use crate::telemetry::Recorder;
use crate::time::Wheel;

/// How long a client may remember where HTTP/3 is.
const ALT_SVC_SECONDS: u32 = 86_400;

/// One worker's own things; nothing here is shared with another thread.
#[derive(Debug)]
pub struct Local {
    pub buffers: Buffers,
    pub pipes: Pipes,
    pub coders: Coders,
    pub wheel: Rc<Wheel>,
    pub recorder: Recorder,
    pub peers: PeerFilter,
    pub random: RefCell<fastrand::Rng>,
    /// Open client connections of this worker.
    pub connections: Connections,
    informer: Informer,
    copies: mpsc::UnboundedSender<Copied>,
    /// Which of how many workers this is.
    place: (usize, usize),
    serving: RefCell<Rc<Serving>>,
    draining: Cell<bool>,
    /// Another process serves meanwhile.
    is_left: Cell<bool>,
    ending: Cell<bool>,
    date: Cell<Date>,
}

/// Who connected, and when.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    pub peer: SocketAddr,
    pub at: Instant,
    /// Whose connection the peer says that it is (PROXY protocol).
    pub announced: Option<Ends>,
}

impl Accepted {
    /// The announced client, or else the peer.
    pub fn client(&self) -> SocketAddr {
        self.announced.map_or(self.peer, |ends| ends.source)
    }

    /// Client and destination: as they are announced, or those of the socket, which is bound to `local`.
    pub fn ends(&self, local: Option<SocketAddr>) -> Option<Ends> {
        let own = local.map(|destination| Ends {
            source: self.peer,
            destination,
        });
        self.announced.or(own)
    }
}

/// The fixed facts of a client's connection.
#[derive(Debug)]
pub struct Downstream {
    pub listener: Rc<config::Listener>,
    pub listener_slot: u32,
    /// Who connected, or who is announced as that.
    pub peer: SocketAddr,
    is_announced: bool,
    pub accepted: Instant,
    /// The peer's address as text, made once.
    pub peer_text: String,
    /// Where the client connected to.
    pub local: SocketAddr,
    pub trusted: bool,
    /// The content delivery network that the peer is an edge of.
    cdn: Option<Arc<config::Cdn>>,
    pub tls: Option<TlsFacts>,
    pub cut: Cut,
    /// Where the client finds HTTP/3 (RFC 7838), if that is elsewhere.
    pub alt_svc: Option<String>,
    /// Whether requests come as early data, which somebody may have recorded and sent again (RFC 8470).
    pub early: Cell<bool>,
}

/// What the handshake settled.
#[derive(Clone, Debug)]
pub struct TlsFacts {
    pub version: &'static str,
    pub server_name: Option<String>,
    /// The certificates of the listener at that time.
    pub names: Arc<ByName>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Date {
    made: Option<Instant>,
    text: [u8; 29],
}

impl Local {
    pub fn new(
        snapshot: Arc<Snapshot>,
        recorder: Recorder,
        peers: PeerFilter,
        informer: Informer,
        copies: mpsc::UnboundedSender<Copied>,
        place: (usize, usize),
    ) -> Self {
        let serving = Rc::new(Serving::new(snapshot, &recorder, None, place));
        Self {
            buffers: Buffers::default(),
            pipes: Pipes::default(),
            coders: Coders::default(),
            wheel: Wheel::new(),
            recorder,
            peers,
            random: RefCell::new(fastrand::Rng::new()),
            connections: Connections::default(),
            informer,
            copies,
            place,
            serving: RefCell::new(serving),
            draining: Cell::new(false),
            is_left: Cell::new(false),
            ending: Cell::new(false),
            date: Cell::default(),
        }
    }

    /// What to serve from now; an exchange holds on to it until it ends.
    pub fn serving(&self) -> Rc<Serving> {
        self.serving.borrow().clone()
    }

    /// Serves another snapshot from the next exchange on.
    pub fn adopt(&self, snapshot: Arc<Snapshot>) {
        let before = self.serving();
        // A long exchange may hold on to what was before for hours, and the sweep sees only what is served now.
        before.upstreams.iter().for_each(|one| one.retire());
        let serving = Rc::new(Serving::new(
            snapshot,
            &self.recorder,
            Some(&before),
            self.place,
        ));
        before.upstreams.iter().for_each(|one| one.close_retired());
        *self.serving.borrow_mut() = serving;
    }

    /// Tells of a refusal that may lead to a ban, if the peer of the connection is the client itself. Who sends early data over QUIC has
    /// not shown yet that its address is its own: anybody could have another banned.
    pub fn accuse(&self, downstream: &Downstream, reason: Reason) {
        let is_client = !downstream.trusted && !downstream.is_announced && !downstream.early.get();
        let Some(kind) = autoban::Kind::of(reason).filter(|_| is_client) else {
            return;
        };
        let after = self.serving.borrow().snapshot.config.autoban.after;
        if after.of(kind).is_some() {
            self.informer.tell(downstream.peer.ip(), kind, reason);
        }
    }

    /// Has a request sent once more, behind everything else.
    pub(super) fn mirror(&self, copy: Copied) {
        // Nobody takes it when the worker is at its end.
        let _ = self.copies.send(copy);
    }

    /// Whether connections should end after their current exchange.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether a connection that waits for its next request is closed. Where another process serves it need not be: a request that
    /// is on its way would be lost, so it is served, and the connection ends with the answer.
    pub fn closes_idle(&self) -> bool {
        self.draining.get() && !self.is_left.get()
    }

    pub fn start_draining(&self, is_left: bool) {
        self.draining.set(true);
        self.is_left.set(is_left);
        self.wheel.wake_all();
    }

    /// The worker's time is up: what still runs is cut off.
    pub fn start_ending(&self) {
        self.ending.set(true);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// The value of a Date field; formatted once a second.
    pub fn date(&self, now: Instant) -> [u8; 29] {
        let mut date = self.date.get();
        if date
            .made
            .is_none_or(|made| now.duration_since(made).as_secs() >= 1)
        {
            let text = httpdate::fmt_http_date(std::time::SystemTime::now());
            for (to, from) in date.text.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            date.made = Some(now);
            self.date.set(date);
        }
        date.text
    }

    /// Closes upstream connections that have been idle for long.
    pub fn sweep(&self) {
        let now = Instant::now();
        for upstream in &self.serving().upstreams {
            upstream.sweep(now);
        }
    }

    pub fn random_u128(&self) -> u128 {
        self.random.borrow_mut().u128(..)
    }
}

impl Downstream {
    pub fn new(
        listener: Rc<config::Listener>,
        listener_slot: u32,
        accepted: Accepted,
        local: SocketAddr,
        tls: Option<TlsFacts>,
        cut: Cut,
    ) -> Self {
        let peer = accepted.client();
        let address = peer.ip().to_canonical();
        let trusted = listener
            .trusted_proxies
            .iter()
            .any(|prefix| prefix.contains(address));
        let cdn = listener.cdns.iter().find(|cdn| cdn.has(address)).cloned();
        let has_alternative = listener.protocols.h3 && tls.is_some();
        let alt_svc =
            has_alternative.then(|| format!("h3=\":{}\"; ma={ALT_SVC_SECONDS}", local.port()));
        Self {
            listener,
            listener_slot,
            peer,
            is_announced: accepted.announced.is_some(),
            accepted: accepted.at,
            peer_text: address.to_string(),
            local: accepted.announced.map_or(local, |ends| ends.destination),
            trusted,
            cdn,
            tls,
            cut,
            alt_svc,
            early: Cell::new(false),
        }
    }

    /// The same connection with its client at another address.
    #[must_use]
    pub fn moved_to(&self, peer: SocketAddr) -> Self {
        let accepted = Accepted {
            peer,
            at: self.accepted,
            // Only HTTP/3 moves, and no QUIC connection is announced.
            announced: None,
        };
        let mut moved = Self::new(
            self.listener.clone(),
            self.listener_slot,
            accepted,
            self.local,
            self.tls.clone(),
            self.cut.clone(),
        );
        moved.alt_svc.clone_from(&self.alt_svc);
        moved.early.set(self.early.get());
        moved
    }

    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// What endpoints are told of the connection. The port is known where nobody stands between.
    pub fn ends(&self, client: IpAddr) -> Ends {
        let is_peer = client == self.peer.ip().to_canonical();
        Ends {
            source: SocketAddr::new(client, if is_peer { self.peer.port() } else { 0 }),
            destination: self.local,
        }
    }

    /// How the client came, also where a trusted proxy ends its TLS.
    pub fn scheme_of(&self, request: &Request<'_>) -> &'static str {
        if !self.trusted {
            return self.scheme();
        }
        let said = request.known(Kind::XForwardedProto);
        let said = said.or_else(|| {
            let has_said = request.known(Kind::Forwarded).is_some();
            let is_edge = self.is_named_by_cdn(request.fields);
            let client = (has_said && !is_edge).then(|| self.client(request.fields));
            Said::of(request.fields, client?)?.proto
        });
        match said {
            Some(said) if said.eq_ignore_ascii_case(b"https") => "https",
            Some(said) if said.eq_ignore_ascii_case(b"http") => "http",
            Some(_) | None => self.scheme(),
        }
    }

    /// Whether the host is another certificate's than the one this connection was opened with.
    pub fn is_misdirected(&self, host: &[u8]) -> bool {
        self.tls.as_ref().is_some_and(|tls| {
            tls.server_name
                .as_deref()
                .is_some_and(|name| tls.names.is_misdirected(name, host))
        })
    }

    /// Whether an edge of a content delivery network says in its own field whose request it is.
    pub fn is_named_by_cdn(&self, fields: &[Field<'_>]) -> bool {
        self.cdn
            .as_ref()
            .is_some_and(|cdn| cdn.client(fields).is_some())
    }

    /// Why the shield turns away a client whose connection this is not; nothing is asked where it is, as that was at accept.
    pub(super) fn bars(&self, client: IpAddr, local: &Local) -> Option<Reason> {
        let is_named = client != self.peer.ip().to_canonical();
        is_named.then(|| local.peers.check(client)).flatten()
    }

    /// Whose request it is: the peer, or whom a trusted proxy names.
    pub fn client(&self, fields: &[Field<'_>]) -> IpAddr {
        let peer = self.peer.ip().to_canonical();
        if !self.trusted {
            return peer;
        }
        let named = self.cdn.as_ref().and_then(|cdn| cdn.client(fields));
        if let Some(client) = named {
            return client;
        }
        let proxies = &self.listener.trusted_proxies;
        client(fields, peer, |address| {
            proxies.iter().any(|prefix| prefix.contains(address))
        })
    }
}
