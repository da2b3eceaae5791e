//! What an endpoint says of how urgent its answer is (RFC 9218, section 8).

use super::Stage;
use super::h2_frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, any, frame, get_block, next, settings,
    update,
};
use crate::support::{Origin, RawClient};

/// A client says nothing of urgency in HTTP/2, or that its first request is the more urgent one.
fn who_goes_first(priority: &[u8]) -> u32 {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let (said, length) = match request.start.split(' ').nth(1) {
                Some("/urgent") => ("Priority: u=0\r\n", 5_000),
                Some("/first") => ("", 65_535),
                _ => ("", 5_000),
            };
            let body = "x".repeat(length);
            peer.send(format!(
                "HTTP/1.1 200 OK\r\n{said}Content-Length: {length}\r\n\r\n{body}"
            ))?;
        }
        Ok(())
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send(PREFACE);
    // Streams have room, so that the connection's window is what they wait for.
    client.send(settings(4, 1 << 20));
    ask(&mut client, 1, "/first", &[]);
    let mut left = 65_535;
    while left > 0 {
        left -= next(&mut client, DATA).payload.len();
    }
    for (id, path) in [(3, "/other"), (5, "/urgent")] {
        ask(&mut client, id, path, priority);
        assert_eq!(next(&mut client, HEADERS).stream, id);
    }
    client.send(frame(PING, 0, 0, &[0; 8]));
    next(&mut client, PING);
    client.send(update(0, 5_000));
    let data = any(&mut client);
    assert_eq!((data.kind, data.payload.len()), (DATA, 5_000));
    data.stream
}

fn ask(client: &mut RawClient, id: u32, path: &str, priority: &[u8]) {
    let mut block = get_block();
    let at = block.iter().position(|byte| *byte == 0x84).unwrap();
    // The path as a literal in place of the entry for "/" (RFC 7541, section 6.2.2).
    let length = u8::try_from(path.len()).unwrap();
    block.splice(at..=at, [&[0x04, length], path.as_bytes()].concat());
    if !priority.is_empty() {
        let length = u8::try_from(priority.len()).unwrap();
        block.extend([&[0x00, 8], &b"priority"[..], &[length], priority].concat());
    }
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, id, &block));
}

#[test]
fn an_endpoint_knows_better_than_the_client() {
    assert_eq!(who_goes_first(b""), 5);
    assert_eq!(who_goes_first(b"u=2"), 5);
}
