//! HTTP/2 clients that cost more than they ask for: they are shown out with a reason, and others are served meanwhile.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use super::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PREFACE,
    RST_STREAM, SETTINGS, any, frame, get, goaway, next, post, settings, update,
};
use super::{GET, GET_CLOSE, Stage, app, listeners};
use crate::control::sample;
use crate::support::{Origin, RawClient, wait_until};

/// One worker, so that every client meets the attackers.
const ONE: &str = "[server]\nworkers = 1\nstate_dir = \"state\"\n";

fn answering(keys: &str) -> Stage {
    let route = "[[route]]\nname = \"all\"\nrespond = { body = \"x\" }\n";
    Stage::start(&format!(
        "{}{ONE}{keys}{route}",
        listeners("protocols = [\"h1\", \"h2\"]")
    ))
}

fn open(stage: &Stage) -> RawClient {
    greet(stage.client())
}

fn greet(mut client: RawClient) -> RawClient {
    client.send(PREFACE);
    client.send(frame(SETTINGS, 0, 0, &[]));
    client
}

/// Frames for odd stream ids, and what they are about.
type Flood<'a> = (&'a str, Vec<u8>, &'a dyn Fn(u32) -> Vec<u8>);

#[test]
fn floods_end_with_a_reason_and_others_are_served() {
    let stage = answering("");
    let mut neighbour = stage.client();
    let nothing = Vec::new;
    let cancel = 8u32.to_be_bytes();
    let floods: [Flood<'_>; 8] = [
        ("rapid reset", nothing(), &|id| {
            [get(id), frame(RST_STREAM, 0, id, &cancel)].concat()
        }),
        ("made you reset", nothing(), &|id| {
            [get(id), update(id, 0)].concat()
        }),
        ("CONTINUATION", frame(HEADERS, 0, 1, b""), &|_| {
            frame(CONTINUATION, 0, 1, b"")
        }),
        ("PING", nothing(), &|_| frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", nothing(), &|_| frame(SETTINGS, 0, 0, b"")),
        ("empty DATA", post(1), &|_| frame(DATA, 0, 1, b"")),
        ("PRIORITY", nothing(), &|_| frame(2, 0, 1, &[0; 5])),
        ("unfolding header lists", nothing(), &|id| {
            frame(HEADERS, END_HEADERS | END_STREAM, id, &[0x82; 4000])
        }),
    ];
    for (count, (what, start, flood)) in floods.into_iter().enumerate() {
        let mut attacker = open(&stage);
        attacker.send(start);
        let octets: Vec<u8> = (0..2000).flat_map(|at| flood(2 * at + 1)).collect();
        // The proxy may have closed before it has all of it.
        drop(attacker.try_send(octets));
        assert_eq!(goaway(&mut attacker).1, ENHANCE_YOUR_CALM, "{what}");
        assert_eq!(neighbour.exchange(GET).status(), 200, "{what}");
        let name = "openclaw_refusals_total{reason=\"h2.abuse\"}";
        let told = (count + 1).to_string();
        wait_until(what, || {
            sample(&stage.proxy, name).as_deref() == Some(&*told)
        });
    }
    stage.proxy.wait_for_access("\"reason\":\"h2.abuse\"");
}

#[test]
fn an_address_that_comes_back_after_each_farewell_is_banned() {
    let stage = answering("[autoban]\nafter = { protocol = 3 }\n");
    let from = |last: u8| {
        let address: IpAddr = Ipv4Addr::new(127, 0, 0, last).into();
        RawClient::try_connect_from(address, stage.web)
    };
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(2000);
    // Whether or not they go when they are told to.
    let attackers: Vec<_> = (0..3)
        .map(|_| {
            let mut attacker = greet(from(2).unwrap());
            drop(attacker.try_send(&pings));
            attacker
        })
        .collect();
    stage.proxy.wait_for("banned: h2.abuse 3 times, ban 1");
    drop(attackers);
    let served = from(2)
        .is_ok_and(|mut client| client.try_send(GET).is_ok() && client.try_response("GET").is_ok());
    assert!(!served);
    assert_eq!(from(3).unwrap().exchange(GET).status(), 200);
}

/// Resident memory in octets.
fn resident(stage: &Stage) -> u64 {
    let path = format!("/proc/{}/statm", stage.proxy.pid());
    let pages = fs::read_to_string(path).unwrap();
    4096 * pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
}

#[test]
fn responses_that_no_window_lets_through_end_and_hold_little() {
    const STREAMS: u32 = 50;
    let body = vec![b'x'; 10 << 20];
    let origin = Origin::start(move |peer| {
        while peer.request()?.is_some() {
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                body.len()
            ))?;
            peer.send(&body)?;
        }
        Ok(())
    });
    let keys = "protocols = [\"h1\", \"h2\"]\nidle_timeout = \"700ms\"";
    let stage = Stage::start(&format!(
        "{}{ONE}{}",
        listeners(keys),
        app(origin.address(), "")
    ));
    assert_eq!(stage.ask(GET_CLOSE).status(), 200);
    let before = resident(&stage);
    let mut slow = stage.client();
    slow.send(PREFACE);
    // No window for any stream.
    slow.send(settings(4, 0));
    for at in 0..STREAMS {
        slow.send(get(2 * at + 1));
    }
    let (mut answered, mut ended) = (0, 0);
    while ended < STREAMS {
        match any(&mut slow).kind {
            HEADERS => answered += 1,
            RST_STREAM => ended += 1,
            _ => continue,
        }
        let held = resident(&stage).saturating_sub(before);
        assert!(held < 40 << 20, "{held} octets for {STREAMS} streams");
        if answered == STREAMS / 2 {
            assert_eq!(stage.ask(GET_CLOSE).status(), 200);
        }
    }
    assert_eq!(answered, STREAMS);
    let line = stage.proxy.wait_for_access("http.timeout");
    assert!(line.contains("\"protocol\":\"HTTP/2\""), "{line}");
}

#[test]
fn requests_that_never_end_are_ended() {
    let origin = Origin::serving("x");
    let keys = "protocols = [\"h1\", \"h2\"]\nidle_timeout = \"500ms\"";
    let stage = Stage::start(&format!(
        "{}{ONE}{}",
        listeners(keys),
        app(origin.address(), "")
    ));
    let mut client = open(&stage);
    for at in 0..20 {
        client.send(post(2 * at + 1));
    }
    // None was answered before its time, and each is.
    for _ in 0..20 {
        let head = next(&mut client, HEADERS);
        assert_eq!(&head.payload[..5], b"\x08\x03408");
    }
    let line = stage.proxy.wait_for_access("http.timeout");
    assert!(line.contains("\"status\":408"), "{line}");
    assert_eq!(stage.ask(GET_CLOSE).status(), 200);
}
