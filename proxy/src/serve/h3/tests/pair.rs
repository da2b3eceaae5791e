//! A client and a server, joined by queues of datagrams and a clock that the test moves.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    ReadError, ServerConfig, StreamEvent, StreamId,
};

use super::messages::Answer;
use super::setup::{Setup, configs};
use crate::serve::h2::tests::server::{Log, Site};
use crate::serve::h3::code::Code;
use crate::serve::h3::{Driver, End, Limits, Quic};

pub(super) const MAX_HEADER: usize = 16384;

/// One end of the pair.
struct Side {
    endpoint: Endpoint,
    quic: Option<(ConnectionHandle, Quic)>,
    address: SocketAddr,
}

/// What the client has seen of a stream.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub octets: Vec<u8>,
    pub ended: bool,
    /// The server cut its direction short, and stopped the client's.
    pub reset: Option<u64>,
    pub stopped: Option<u64>,
}

pub(super) struct Pair {
    pub now: Instant,
    server: Side,
    client: Side,
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
    pub driver: Option<Driver<Site>>,
    pub log: Rc<Log>,
    pub seen: BTreeMap<StreamId, Seen>,
    /// How the driver ended, and what the client was told.
    pub end: Option<End>,
    pub closed: Option<ConnectionError>,
    /// The client reads what comes.
    pub reads: bool,
}

impl Pair {
    /// After the handshake, with the server's SETTINGS under way.
    pub(super) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(super) fn with(setup: Setup) -> Self {
        let (server_config, client_config) = configs(setup);
        let endpoint = |server: Option<ServerConfig>| {
            let config = Arc::new(EndpointConfig::default());
            Endpoint::new(config, server.map(Arc::new), true, None)
        };
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let now = Instant::now();
        let site = Site::default();
        let mut pair = Self {
            now,
            server: Side {
                endpoint: endpoint(Some(server_config)),
                quic: None,
                address: address(443),
            },
            client: Side {
                endpoint: endpoint(None),
                quic: None,
                address: address(50_000),
            },
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            driver: None,
            log: Rc::clone(&site.0),
            seen: BTreeMap::new(),
            end: None,
            closed: None,
            reads: true,
        };
        let begun = pair
            .client
            .endpoint
            .connect(now, client_config, address(443), "test");
        let (handle, connection) = begun.unwrap();
        pair.client.quic = Some((handle, Rc::new(RefCell::new(connection))));
        pair.run();
        pair.driver = Some(Driver::new(
            pair.server_quic(),
            site,
            Limits::new(MAX_HEADER),
        ));
        pair
    }

    pub(super) fn server_quic(&self) -> Quic {
        Rc::clone(&self.server.quic.as_ref().unwrap().1)
    }

    pub(super) fn client_quic(&self) -> Quic {
        Rc::clone(&self.client.quic.as_ref().unwrap().1)
    }

    /// Moves datagrams and lets the driver go on until nothing moves any more.
    pub(super) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the pair does not come to rest");
    }

    /// One turn on both sides, and the way of what they send. False: nothing moved.
    pub(super) fn step(&mut self) -> bool {
        self.drive_server();
        self.drive_client();
        let moved = self.exchange_packets();
        self.now += Duration::from_micros(50);
        moved
    }

    /// Lets so much time pass.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        self.run();
        while self.now < until {
            self.now = (self.now + Duration::from_millis(10)).min(until);
            for side in [&self.server, &self.client] {
                if let Some((_, quic)) = &side.quic {
                    let mut quic = quic.borrow_mut();
                    if quic.poll_timeout().is_some_and(|due| due <= self.now) {
                        quic.handle_timeout(self.now);
                    }
                }
            }
            self.run();
        }
    }

    fn exchange_packets(&mut self) -> bool {
        let now = self.now;
        send(&mut self.server, now, &mut self.to_client);
        send(&mut self.client, now, &mut self.to_server);
        let moved = !self.to_client.is_empty() || !self.to_server.is_empty();
        let (client, server) = (self.client.address, self.server.address);
        for datagram in std::mem::take(&mut self.to_server) {
            receive(
                &mut self.server,
                now,
                client,
                &datagram,
                &mut self.to_client,
            );
        }
        for datagram in std::mem::take(&mut self.to_client) {
            receive(
                &mut self.client,
                now,
                server,
                &datagram,
                &mut self.to_server,
            );
        }
        moved
    }

    fn drive_server(&mut self) {
        let Some((_, quic)) = self.server.quic.clone() else {
            return;
        };
        loop {
            let event = quic.borrow_mut().poll();
            match event {
                Some(Event::Stream(event)) => {
                    if let Some(driver) = &mut self.driver {
                        driver.event(&event);
                    }
                }
                Some(Event::ConnectionLost { .. }) => self.driver = None,
                Some(_) => {}
                None => break,
            }
        }
        let Some(driver) = &mut self.driver else {
            return;
        };
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(end) = driver.poll(&mut cx) {
            self.end = Some(end);
            let code = match end {
                End::Violation(violation) => violation.code,
                End::Closed | End::Expired(_) => Code::NoError,
            };
            self.driver = None;
            quic.borrow_mut().close(self.now, code.into(), Bytes::new());
        }
    }

    fn drive_client(&mut self) {
        let Some((_, quic)) = self.client.quic.clone() else {
            return;
        };
        let mut quic = quic.borrow_mut();
        while let Some(event) = quic.poll() {
            match event {
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = quic.streams().accept(dir) {
                        self.seen.entry(id).or_default();
                    }
                }
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.seen.entry(id).or_default().stopped = Some(error_code.into());
                    let _ = quic.send_stream(id).reset(error_code);
                }
                Event::ConnectionLost { reason } => self.closed = Some(reason),
                _ => {}
            }
        }
        if !self.reads {
            return;
        }
        for (id, seen) in &mut self.seen {
            if id.dir() == Dir::Uni && id.initiator() == quinn_proto::Side::Client {
                continue;
            }
            let mut stream = quic.recv_stream(*id);
            let Ok(mut chunks) = stream.read(true) else {
                continue;
            };
            loop {
                match chunks.next(usize::MAX) {
                    Ok(Some(chunk)) => seen.octets.extend_from_slice(&chunk.bytes),
                    Ok(None) => break seen.ended = true,
                    Err(ReadError::Reset(code)) => break seen.reset = Some(code.into()),
                    Err(ReadError::Blocked) => break,
                }
            }
        }
    }

    /// Opens a stream of the client's and sends octets on it, nothing of which has arrived yet.
    pub(super) fn open(&mut self, dir: Dir, octets: &[u8], ends: bool) -> StreamId {
        let id = self.client_quic().borrow_mut().streams().open(dir).unwrap();
        self.seen.entry(id).or_default();
        self.send(id, octets, ends);
        id
    }

    /// Sends more.
    pub(super) fn send(&mut self, id: StreamId, octets: &[u8], ends: bool) {
        let quic = self.client_quic();
        let mut quic = quic.borrow_mut();
        let mut stream = quic.send_stream(id);
        assert_eq!(stream.write(octets), Ok(octets.len()));
        if ends {
            stream.finish().unwrap();
        }
    }

    /// Breaks a stream off.
    pub(super) fn reset(&mut self, id: StreamId) {
        let code = Code::RequestCancelled.into();
        let _ = self.client_quic().borrow_mut().send_stream(id).reset(code);
    }

    pub(super) fn stop(&mut self, id: StreamId) {
        let code = Code::RequestCancelled.into();
        let _ = self.client_quic().borrow_mut().recv_stream(id).stop(code);
    }

    /// A request stream, sent and answered as far as that goes.
    pub(super) fn ask(&mut self, octets: &[u8]) -> StreamId {
        let id = self.open(Dir::Bi, octets, true);
        self.run();
        id
    }

    /// The client's control stream with SETTINGS that say nothing.
    pub(super) fn settings(&mut self) -> StreamId {
        self.open(Dir::Uni, &[0, 4, 0], false)
    }

    /// What a stream was answered with: fields of each section, and payload.
    pub(super) fn answer(&self, id: StreamId) -> Answer {
        Answer::of(&self.seen[&id].octets)
    }

    /// The code that the server closed the connection with.
    pub(super) fn close_code(&self) -> Option<u64> {
        match &self.closed {
            Some(ConnectionError::ApplicationClosed(close)) => Some(close.error_code.into()),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }
}

fn send(side: &mut Side, now: Instant, out: &mut VecDeque<Vec<u8>>) {
    let Some((handle, quic)) = &side.quic else {
        return;
    };
    let mut quic = quic.borrow_mut();
    while let Some(event) = quic.poll_endpoint_events() {
        if let Some(event) = side.endpoint.handle_event(*handle, event) {
            quic.handle_event(event);
        }
    }
    let mut buffer = Vec::new();
    while let Some(transmit) = quic.poll_transmit(now, 1, &mut buffer) {
        out.push_back(buffer[..transmit.size].to_vec());
        buffer.clear();
    }
}

fn receive(
    side: &mut Side,
    now: Instant,
    from: SocketAddr,
    datagram: &[u8],
    answers: &mut VecDeque<Vec<u8>>,
) {
    let mut buffer = Vec::new();
    let octets = BytesMut::from(datagram);
    match side
        .endpoint
        .handle(now, from, None, None, octets, &mut buffer)
    {
        Some(DatagramEvent::ConnectionEvent(_, event)) => {
            let (_, quic) = side.quic.as_ref().unwrap();
            quic.borrow_mut().handle_event(event);
        }
        Some(DatagramEvent::NewConnection(incoming)) => {
            let accepted = side.endpoint.accept(incoming, now, &mut buffer, None);
            let (handle, connection) = accepted.ok().unwrap();
            side.quic = Some((handle, Rc::new(RefCell::new(connection))));
        }
        Some(DatagramEvent::Response(transmit)) => {
            answers.push_back(buffer[..transmit.size].to_vec());
        }
        None => {}
    }
}
