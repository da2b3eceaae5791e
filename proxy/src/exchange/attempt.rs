//! One try with one endpoint: a connection, or a stream of one, and the exchange over it.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use openclaw_core::config::UpstreamProtocol;

use super::Edits;
use super::context::Local;
use super::error::Error;
use super::forward::{Forward, Passage};
use super::prepare::Outbound;
use super::stream_tunnel::Tunnel;
use super::streamed::Streamed;
use super::watch::{Asked, Limits, Watch};
use super::wire::Wire;
use crate::time::Deadline;
use crate::upstream::{ConnectError, Connection, Endpoint, Lease, Room, Upstream};

/// What a try needs.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub local: &'a Local,
    pub upstream: &'a Upstream,
    pub endpoint: &'a Rc<Endpoint>,
    /// When it was chosen.
    pub since: Instant,
    pub outbound: &'a Outbound,
    /// Of the request, as this endpoint gets it.
    pub head: &'a [u8],
    pub edits: Edits<'a>,
    pub deadline: &'a Deadline,
    pub limits: Limits,
    /// A kept connection will do.
    pub may_reuse: bool,
}

/// Why a try failed, and whether it was on a connection that had served before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub error: Error,
    pub reused: bool,
}

impl<'a> Attempt<'a> {
    pub(super) async fn run<W: Wire>(
        self,
        wire: &mut W,
        passage: &mut Passage,
    ) -> Result<(), Failure> {
        match self.upstream.config.protocol {
            UpstreamProtocol::H1 => self.run_h1(wire, passage).await,
            // Boxed, so that exchanges with other endpoints need not have room for it.
            UpstreamProtocol::H2 => Box::pin(self.run_h2(wire, passage)).await,
        }
    }

    fn asked(&self) -> Asked<'a> {
        Asked {
            upstream: self.upstream,
            endpoint: self.endpoint,
            since: self.since,
        }
    }

    async fn run_h1<W: Wire>(self, wire: &mut W, passage: &mut Passage) -> Result<(), Failure> {
        let idle = self.may_reuse.then(|| self.endpoint.idle_connection());
        let connection = match idle.flatten() {
            Some(connection) => connection,
            None => self.connect().await.map_err(Failure::of_new)?,
        };
        let reused = connection.reused;
        let forward = Forward::new(
            wire,
            self.local,
            connection,
            (self.outbound, self.head),
            self.edits,
            Watch::new(self.asked(), self.deadline, self.limits),
            passage,
        );
        let result = forward.run(self.upstream).await;
        result.map_err(|error| Failure { error, reused })
    }

    async fn run_h2<W: Wire>(self, wire: &mut W, passage: &mut Passage) -> Result<(), Failure> {
        let lease = self.lease().await.map_err(Failure::of_new)?;
        let tunnel = self.tunnel(&lease).await.map_err(Failure::of_new)?;
        // A connection that is not trusted any more is as good as a new one: the try counts.
        let reused = lease.reused && self.may_reuse;
        let watch = Watch::new(self.asked(), self.deadline, self.limits);
        let result = match Streamed::new(
            wire,
            self.local,
            lease,
            (self.outbound, self.head, self.edits, tunnel),
            watch,
            passage,
        ) {
            Ok(streamed) => streamed.run().await,
            Err(error) => Err(error),
        };
        result.map_err(|error| Failure { error, reused })
    }

    /// A stream of a connection that has room for one, or of a new connection.
    async fn lease(&self) -> Result<Lease, Error> {
        let room = self
            .deadline
            .within(self.upstream.config.connect_timeout, |cx| {
                self.endpoint.poll_room(cx)
            })
            .await;
        match room {
            Some(Room::Stream(lease)) => Ok(lease),
            Some(Room::Connect(turn)) => {
                let connection = self.connect().await?;
                turn.open(connection).await.map_err(|_error| Error::Closed)
            }
            None => Err(Error::Connect(io::ErrorKind::TimedOut)),
        }
    }

    /// Whether the stream is to become a tunnel: the client asks for one, and the endpoint knows how. A client of HTTP/1
    /// whose wish cannot be granted is answered as if it had none (RFC 9110 §7.8).
    async fn tunnel(&self, lease: &Lease) -> Result<Option<Tunnel>, Error> {
        if !self.outbound.asked.upgrade {
            return Ok(None);
        }
        let within = self.upstream.config.connect_timeout;
        let known = self.deadline.within(within, |cx| lease.poll_tunnels(cx));
        match known.await {
            None => Err(Error::Connect(io::ErrorKind::TimedOut)),
            Some(false) if self.outbound.asked.websocket.is_some() => Err(Error::Protocol),
            Some(false) => Ok(None),
            Some(true) => Ok(Tunnel::new(self.outbound)),
        }
    }

    /// A new connection within `connect_timeout`.
    async fn connect(&self) -> Result<Connection, Error> {
        let endpoint = self.endpoint;
        let mut connecting = Box::pin(endpoint.connect(self.outbound.ends));
        let result = self
            .deadline
            .within(self.upstream.config.connect_timeout, |cx| {
                connecting.as_mut().poll(cx)
            })
            .await
            .unwrap_or_else(|| Err(ConnectError::timed_out()));
        let was_asked = result
            .as_ref()
            .err()
            .is_none_or(ConnectError::is_of_endpoint);
        if was_asked {
            endpoint.was_tried(&self.local.recorder, result.is_ok());
        }
        result.map_err(|error| {
            let error = match error {
                ConnectError::Connect(error) => Error::Connect(error.kind()),
                ConnectError::Exhausted(_) => Error::Exhausted,
                ConnectError::Tls { fault, .. } => Error::Tls(fault),
            };
            if was_asked {
                endpoint.failed(Instant::now(), error.fault().detail);
            }
            error
        })
    }
}

impl Failure {
    fn of_new(error: Error) -> Self {
        Self {
            error,
            reused: false,
        }
    }
}
