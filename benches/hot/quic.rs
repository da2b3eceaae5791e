//! QUIC: a request in one packet, and its answer in another, between two ends in memory. Both ends are counted.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use openclaw_core::message::{Fields, HeaderList, request};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    ServerConfig, StreamId, TransportConfig,
};

use super::keys::Open;
use super::qpack::decode::Decoder;
use super::qpack::encode as qpack;
use crate::{h1, heads};

const MAX: usize = 64 * 1024;
const ROUND_TRIP: Duration = Duration::from_millis(1);
/// HEADERS, DATA (RFC 9114 §7.2), and a length of two octets (RFC 9000 §16).
const HEADERS: u8 = 1;
const DATA: u8 = 0;
const TWO: u16 = 0x4000;

struct Side {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    address: SocketAddr,
    sent: VecDeque<Vec<u8>>,
}

impl Side {
    fn new(port: u16, server: Option<ServerConfig>) -> Self {
        let mut config = EndpointConfig::new(Arc::new(Open));
        config.rng_seed(Some([7; 32]));
        Self {
            endpoint: Endpoint::new(Arc::new(config), server.map(Arc::new), false, None),
            connection: None,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            sent: VecDeque::new(),
        }
    }

    fn quic(&mut self) -> &mut Connection {
        &mut self.connection.as_mut().unwrap().1
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let mut buffer = Vec::new();
        let octets = BytesMut::from(datagram);
        let event = self
            .endpoint
            .handle(now, from, None, None, octets, &mut buffer);
        match event {
            Some(DatagramEvent::ConnectionEvent(_, event)) => self.quic().handle_event(event),
            Some(DatagramEvent::NewConnection(incoming)) => {
                let accepted = self.endpoint.accept(incoming, now, &mut buffer, None);
                self.connection = Some(accepted.map_err(|refused| refused.cause).unwrap());
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
    }

    /// Goes on, and gives what is to be sent to the queue.
    fn turn(&mut self, now: Instant) {
        let Some((handle, quic)) = &mut self.connection else {
            return;
        };
        if quic.poll_timeout().is_some_and(|due| due <= now) {
            quic.handle_timeout(now);
        }
        while let Some(event) = quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                quic.handle_event(event);
            }
        }
        let mut buffer = Vec::with_capacity(2048);
        while let Some(transmit) = quic.poll_transmit(now, 1, &mut buffer) {
            buffer.truncate(transmit.size);
            self.sent.push_back(std::mem::take(&mut buffer));
        }
        while quic.poll().is_some() {}
    }
}

struct Pair {
    now: Instant,
    client: Side,
    server: Side,
    decoder: Decoder,
    list: HeaderList,
    answer: Vec<u8>,
}

impl Pair {
    fn connected() -> Self {
        let mut server = ServerConfig::new(Arc::new(Open), Arc::new(Open));
        server.transport_config(Arc::new(TransportConfig::default()));
        let mut pair = Self {
            now: Instant::now(),
            client: Side::new(50_000, None),
            server: Side::new(443, Some(server)),
            decoder: Decoder::default(),
            list: HeaderList::default(),
            answer: answer(),
        };
        let config = ClientConfig::new(Arc::new(Open));
        let client = &mut pair.client;
        let begun = client
            .endpoint
            .connect(pair.now, config, pair.server.address, "a.test");
        client.connection = Some(begun.unwrap());
        for _ in 0..20 {
            pair.turn();
        }
        pair
    }

    /// What each end has sent reaches the other.
    fn turn(&mut self) {
        self.now += ROUND_TRIP / 2;
        self.client.turn(self.now);
        for datagram in std::mem::take(&mut self.client.sent) {
            self.server
                .receive(self.now, self.client.address, &datagram);
        }
        self.serve();
        self.server.turn(self.now);
        for datagram in std::mem::take(&mut self.server.sent) {
            self.client
                .receive(self.now, self.server.address, &datagram);
        }
    }

    /// Answers the requests that are whole.
    fn serve(&mut self) {
        let Some((_, quic)) = &mut self.server.connection else {
            return;
        };
        while let Some(id) = quic.streams().accept(Dir::Bi) {
            let section = read(quic, id);
            self.list.clear();
            let section = section.get(3..).unwrap_or_default();
            let decoded = self.decoder.decode(section, MAX, &mut self.list);
            assert!(decoded.is_ok(), "the request came whole");
            let mut fields = Fields::new();
            let request = request::from_list(&self.list, true, &mut fields);
            black_box(request.unwrap().target);
            let mut stream = quic.send_stream(id);
            assert_eq!(stream.write(&self.answer), Ok(self.answer.len()));
            stream.finish().unwrap();
        }
    }

    fn ask(&mut self, section: &[u8]) {
        let quic = self.client.quic();
        let id = quic.streams().open(Dir::Bi).unwrap();
        let mut stream = quic.send_stream(id);
        assert_eq!(stream.write(section), Ok(section.len()));
        stream.finish().unwrap();
        self.turn();
        let answer = read(self.client.quic(), id);
        assert_eq!(answer.len(), self.answer.len(), "the answer came whole");
    }
}

fn read(quic: &mut Connection, id: StreamId) -> Vec<u8> {
    let mut all = Vec::new();
    let mut stream = quic.recv_stream(id);
    let mut chunks = stream.read(true).unwrap();
    while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
        all.extend_from_slice(&chunk.bytes);
    }
    // What it allows is said in the next packet.
    let _ = chunks.finalize();
    all
}

/// A frame with what is written behind its head.
fn frame(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Vec::new();
    write(&mut payload);
    let length = TWO | u16::try_from(payload.len()).unwrap();
    out.push(kind);
    out.extend(length.to_be_bytes());
    out.append(&mut payload);
}

/// An answer of a few hundred octets.
fn answer() -> Vec<u8> {
    let head = h1::head();
    let mut out = Vec::new();
    frame(&mut out, HEADERS, |out| {
        qpack::begin(out);
        qpack::status(out, head.status);
        for field in head.fields {
            if !field.kind.is_hop_by_hop() {
                qpack::field(out, field.name, field.value);
            }
        }
    });
    frame(&mut out, DATA, |out| out.extend([b'x'; 200]));
    out
}

pub(crate) fn packet() -> Box<dyn FnMut()> {
    let mut section = Vec::new();
    frame(&mut section, HEADERS, |out| {
        qpack::begin(out);
        for (name, value) in heads::LIST {
            qpack::field(out, name.as_bytes(), value.as_bytes());
        }
    });
    let mut pair = Pair::connected();
    Box::new(move || pair.ask(black_box(&section)))
}
