//! Many responses on their way at once, with little memory and a disk.

use std::sync::Barrier;
use std::thread;

use super::{Stage, status};
use crate::support::{Origin, wait_until};

/// All of them at once are more than a fifth of the memory.
const COUNT: usize = 16;
const HALF: usize = 60_000;

fn body(path: &str) -> String {
    let length = path.len();
    path.repeat(2 * HALF / length + 1)[..2 * HALF].to_owned()
}

#[test]
fn those_that_wait_for_their_origins_take_no_room_from_others() {
    let halves = Barrier::new(COUNT);
    let origin = Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            let path = request.start.split(' ').nth(1).unwrap_or_default();
            let body = body(path);
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{}",
                body.len(),
                &body[..HALF]
            ))?;
            halves.wait();
            peer.send(&body[HALF..])?;
        }
        Ok(())
    });
    let cache = "memory = \"1m\"\ndisk = { path = \"cache\", max = \"100m\" }";
    let stage = Stage::with(cache, "", origin);
    stage.proxy.wait_for("the cache on disk is known");
    let path = |number| format!("/{number:04}");
    thread::scope(|scope| {
        for number in 0..COUNT {
            let stage = &stage;
            scope.spawn(move || {
                let answer = stage.get(&path(number), "");
                assert_eq!(answer.text(), body(&path(number)));
            });
        }
    });
    for number in 0..COUNT {
        wait_until("it is stored", || {
            status(&stage.get(&path(number), "")).starts_with("openclaw; hit")
        });
    }
    assert_eq!(stage.asked(), COUNT);
}
