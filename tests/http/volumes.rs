//! Long transfers over HTTP/2 and HTTP/3, in both directions: however long they are, the proxy holds as little.
//!
//! What HTTP/1 moves is in `streaming`. The clients, not the proxy, are what takes the time here.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use bytes::{Buf as _, Bytes};
use h2::client::Builder;
use hyper::Method;
use tokio::net::TcpStream;

use super::bodies::resident;
use super::h2_client::{over, request};
use super::streaming::{Bulk, FLAT, volume};
use crate::control::address;
use crate::h3::client::Client;
use crate::support::Proxy;

/// What goes through in each direction unless `OPENCLAW_TEST_STREAM_MIB` says otherwise.
const HTTP2_MIB: u64 = 256;
const HTTP3_MIB: u64 = 64;
const PIECE: &[u8] = &[b'x'; 64 * 1024];
/// How often memory is looked at.
const LOOK: u64 = 4 * 1024 * 1024;

struct Stage {
    proxy: Proxy,
    bulk: Bulk,
    web: SocketAddr,
    webs: SocketAddr,
}

impl Stage {
    fn new(length: u64) -> Self {
        let bulk = Bulk::start(length);
        let proxy = Proxy::start(&format!(
            "[listener.web]\nbind = [\"127.0.0.1:0\"]\nprotocols = [\"h2\"]\n\
             [listener.webs]\nbind = [\"127.0.0.1:0\"]\nprotocols = [\"h1\", \"h2\", \"h3\"]\n\
             tls = {{ self_signed = [\"a.test\"] }}\n{}",
            super::app(bulk.address, "")
        ));
        Self {
            web: address(&proxy, "web"),
            webs: address(&proxy, "webs"),
            proxy,
            bulk,
        }
    }
}

/// The most that the proxy has held beyond what it held at first.
struct Memory {
    pid: u32,
    before: usize,
    most: usize,
    next: u64,
}

impl Memory {
    fn of(stage: &Stage) -> Self {
        let pid = stage.proxy.pid();
        Self {
            pid,
            before: resident(pid),
            most: 0,
            next: 0,
        }
    }

    fn look(&mut self, moved: u64) {
        if moved >= self.next {
            self.next = moved + LOOK;
            let grown = resident(self.pid).saturating_sub(self.before);
            self.most = self.most.max(grown);
        }
    }

    fn assert_flat(&self, length: u64) {
        let most = self.most;
        // What the windows of either side let come, which grow to 5 MiB a connection, and what is kept until it is acknowledged, on top
        // of the buffers.
        assert!(most < 3 * FLAT, "{most} bytes more for {length}");
    }
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // As long as it moves: whoever stops is cut off by the proxy.
    runtime.block_on(work);
}

#[test]
fn http2_moves_any_volume_both_ways_in_flat_memory() {
    let length = volume(HTTP2_MIB);
    let stage = Stage::new(length);
    run(async {
        let mut builder = Builder::new();
        builder
            .initial_window_size(1 << 20)
            .initial_connection_window_size(4 << 20);
        let tcp = TcpStream::connect(stage.web).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut sender = over(tcp, &builder).await;
        let mut memory = Memory::of(&stage);
        let (response, _) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut moved = 0;
        while let Some(data) = body.data().await {
            let count = data.unwrap().len();
            body.flow_control().release_capacity(count).unwrap();
            moved += count as u64;
            memory.look(moved);
        }
        assert_eq!(moved, length);
        let mut put = request(Method::PUT, "/");
        put.headers_mut().insert("content-length", length.into());
        let (response, mut stream) = sender.send_request(put, false).unwrap();
        let mut left = length;
        while left > 0 {
            let wanted = PIECE.len().min(usize::try_from(left).unwrap());
            stream.reserve_capacity(wanted);
            let room = poll_fn(|cx| stream.poll_capacity(cx)).await;
            let count = room.unwrap().unwrap().min(wanted);
            left -= count as u64;
            let piece = Bytes::from_static(&PIECE[..count]);
            stream.send_data(piece, left == 0).unwrap();
            memory.look(2 * length - left);
        }
        assert_eq!(response.await.unwrap().status(), 200);
        assert_eq!(stage.bulk.taken.load(Ordering::Relaxed), length);
        memory.assert_flat(length);
    });
}

#[test]
fn http3_moves_any_volume_both_ways_in_flat_memory() {
    let length = volume(HTTP3_MIB);
    let stage = Stage::new(length);
    run(async {
        let mut client = Client::connect(stage.webs).await;
        let mut memory = Memory::of(&stage);
        let mut stream = client.start(Method::GET, "/").await;
        stream.finish().await.unwrap();
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
        let mut moved = 0;
        while let Some(mut data) = stream.recv_data().await.unwrap() {
            let count = data.remaining();
            data.advance(count);
            moved += count as u64;
            memory.look(moved);
        }
        assert_eq!(moved, length);
        let mut put = crate::h3::client::request(Method::PUT, "/");
        put.headers_mut().insert("content-length", length.into());
        let mut stream = client.sender.send_request(put).await.unwrap();
        let mut left = length;
        while left > 0 {
            let count = PIECE.len().min(usize::try_from(left).unwrap());
            left -= count as u64;
            let piece = Bytes::from_static(&PIECE[..count]);
            stream.send_data(piece).await.unwrap();
            memory.look(2 * length - left);
        }
        stream.finish().await.unwrap();
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
        assert_eq!(stage.bulk.taken.load(Ordering::Relaxed), length);
        memory.assert_flat(length);
    });
}
