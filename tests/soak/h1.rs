//! Clients of HTTP/1: polite ones, and those that leave in the middle, send half of it, or take their time.

use std::io;
use std::thread;
use std::time::Duration;

use super::ledger::{Act, Asked, Fate};
use super::{Rng, Scene};
use crate::support::RawClient;

pub(super) fn visit(scene: &Scene, rng: &mut Rng) {
    if let Ok(client) = RawClient::try_connect(scene.web) {
        converse(scene, rng, client);
    }
}

pub(super) fn visit_with_tls(scene: &Scene, rng: &mut Rng) {
    if let Ok(client) = RawClient::try_connect_tls(scene.webs, "a.test", &["http/1.1"]) {
        converse(scene, rng, client);
    }
}

/// A WebSocket, or what looks like one to a proxy.
pub(super) fn visit_tunnel(scene: &Scene, rng: &mut Rng) {
    let Ok(mut client) = RawClient::try_connect(scene.web) else {
        return;
    };
    let asked = scene.ledger.ask(Act::Tunnel, 0);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
        asked.path()
    );
    if client.try_send(request).is_err() {
        return;
    }
    let status = match client.try_response("GET") {
        Ok(response) => response.status(),
        Err(_) => return scene.ledger.settle(asked, Fate::Broken),
    };
    scene.ledger.settle(asked, Fate::Answered(status));
    if status != 101 {
        return;
    }
    for _ in 0..rng.u32(0..20) {
        let message = vec![rng.u8(..); rng.usize(1..2000)];
        let echoed = client
            .try_send(&message)
            .and_then(|()| client.try_read_exact(message.len()));
        match echoed {
            Ok(echo) => assert!(echo == message, "a tunnel changed what went through it"),
            // Its origin died.
            Err(_) => return,
        }
        thread::sleep(Duration::from_millis(rng.u64(0..5)));
    }
    match rng.u8(0..3) {
        0 => client.reset(),
        1 => client.finish(),
        _ => {}
    }
}

/// What goes on after a request.
enum Next {
    More,
    End,
}

fn converse(scene: &Scene, rng: &mut Rng, mut client: RawClient) {
    for _ in 0..rng.u32(1..10) {
        let next = match rng.u8(0..100) {
            0..50 => get(scene, rng, &mut client),
            50..65 => post(scene, rng, &mut client),
            65..75 => head(scene, rng, &mut client),
            75..85 => pipeline(scene, rng, &mut client),
            85..90 => take_time(scene, rng, &mut client),
            _ => return leave(scene, rng, client),
        };
        if matches!(next, Next::End) {
            return;
        }
    }
    if rng.bool() {
        client.reset();
    }
}

fn line(method: &str, asked: Asked) -> String {
    format!("{method} {} HTTP/1.1\r\nHost: a.test\r\n", asked.path())
}

/// Any act that a GET can ask for, in the sizes that differ on the way.
fn any(scene: &Scene, rng: &mut Rng) -> Asked {
    let act = super::any_act(rng);
    scene.ledger.ask(act, super::any_size(rng))
}

/// Reads the response and settles the request's fate.
fn settle(
    scene: &Scene,
    client: &mut RawClient,
    method: &str,
    asked: Asked,
    expected: &[u8],
) -> Next {
    let response = loop {
        match client.try_response(method) {
            Ok(interim) if interim.status() == 103 => {}
            Ok(response) => break response,
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{asked:?}");
                scene.ledger.settle(asked, Fate::Broken);
                return Next::End;
            }
        }
    };
    let status = response.status();
    scene
        .ledger
        .answered(asked, status, &response.body, expected);
    match response.header("connection") {
        Some(options) if options.contains("close") => Next::End,
        _ => Next::More,
    }
}

fn get(scene: &Scene, rng: &mut Rng, client: &mut RawClient) -> Next {
    let asked = any(scene, rng);
    let request = line("GET", asked) + "Accept: */*\r\n\r\n";
    let (first, rest) = request.split_at(rng.usize(0..request.len()));
    let sent = client.try_send(first).and_then(|()| {
        if rng.u8(0..10) == 0 {
            thread::sleep(Duration::from_millis(10));
        }
        client.try_send(rest)
    });
    if sent.is_err() {
        return Next::End;
    }
    settle(scene, client, "GET", asked, &asked.body())
}

fn head(scene: &Scene, rng: &mut Rng, client: &mut RawClient) -> Next {
    let asked = scene.ledger.ask(Act::Length, super::any_size(rng));
    if client.try_send(line("HEAD", asked) + "\r\n").is_err() {
        return Next::End;
    }
    settle(scene, client, "HEAD", asked, b"")
}

fn post(scene: &Scene, rng: &mut Rng, client: &mut RawClient) -> Next {
    let asked = scene.ledger.ask(Act::Echo, super::any_size(rng));
    let body = asked.body();
    let mut bytes = line("POST", asked).into_bytes();
    if rng.bool() {
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(&body);
    } else {
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for piece in body.chunks(rng.usize(100..20_000)) {
            bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
            bytes.extend(piece);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
    }
    // The answer may come, and the connection end, before all of it is sent: whatever can be read counts.
    let _ = client.try_send(&bytes);
    settle(scene, client, "POST", asked, &body)
}

/// Several requests in one write; those behind a broken one may never have been read.
fn pipeline(scene: &Scene, rng: &mut Rng, client: &mut RawClient) -> Next {
    let count = rng.usize(2..6);
    let asked: Vec<Asked> = (0..count)
        .map(|_| scene.ledger.ask(Act::Length, rng.usize(0..3000)))
        .collect();
    let requests: Vec<String> = asked.iter().map(|one| line("GET", *one) + "\r\n").collect();
    if client.try_send(requests.concat()).is_err() {
        return Next::End;
    }
    for one in asked {
        if matches!(settle(scene, client, "GET", one, &one.body()), Next::End) {
            return Next::End;
        }
    }
    Next::More
}

/// Reads so slowly that the proxy has to wait.
fn take_time(scene: &Scene, rng: &mut Rng, client: &mut RawClient) -> Next {
    let asked = scene
        .ledger
        .ask(Act::Chunked, rng.usize(500_000..1_500_000));
    if client.try_send(line("GET", asked) + "\r\n").is_err() {
        return Next::End;
    }
    thread::sleep(Duration::from_millis(rng.u64(20..150)));
    settle(scene, client, "GET", asked, &asked.body())
}

/// Goes away in the middle of something.
fn leave(scene: &Scene, rng: &mut Rng, mut client: RawClient) {
    let sent = match rng.u8(0..4) {
        // Half a head: nobody has asked anything yet.
        0 => client.try_send("GET /soak/half HTTP/1.1\r\nHost: a"),
        // Half a body.
        1 => {
            let asked = scene.ledger.ask(Act::Echo, 10_000);
            let half = vec![b'x'; rng.usize(0..5000)];
            let request = line("POST", asked) + "Content-Length: 10000\r\n\r\n";
            client.try_send([request.as_bytes(), &half].concat())
        }
        // Half an answer.
        2 => {
            let asked = scene.ledger.ask(Act::Length, 400_000);
            client
                .try_send(line("GET", asked) + "\r\n")
                .and_then(|()| client.try_read_exact(rng.usize(1..100_000)).map(drop))
        }
        // No answer at all.
        _ => {
            let asked = any(scene, rng);
            client.try_send(line("GET", asked) + "\r\n")
        }
    };
    // Whoever leaves does not care.
    drop(sent);
    if rng.bool() {
        client.reset();
    }
}
