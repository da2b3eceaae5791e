//! The real program goes and comes under a flood of banned sources: none of their packets arrives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use openclaw::shield::kernel::{Maps, Pins};
use openclaw_common::verdict::Reason;

use super::attach::{Wire, counted};
use super::net::{CLIENT4, CLIENT6, INTERFACE, Net, OTHER4, SERVER4, SERVER6};
use super::privileges::in_namespace;
use super::rig::PinDir;
use crate::support::{PATIENCE, Proxy};

#[test]
fn nothing_of_a_banned_source_arrives_while_the_program_is_restarted_and_lists_change() {
    under_flood("keep", 3000, restart_and_change);
}

/// Changes something while banned sources send, `least` datagrams or more: each of them is dropped, and none arrives.
pub(super) fn under_flood(on_exit: &str, least: u64, change: impl FnOnce(&mut Proxy)) {
    let (net, pins) = (Net::new(), PinDir::new());
    let config = format!(
        "[shield]\ninterfaces = [\"{INTERFACE}\"]\nmode = \"native\"\npin_dir = \"{}\"\nblock = [\"{CLIENT4}\", \"{CLIENT6}\"]\n\
         on_exit = \"{on_exit}\"\n[listener.web]\nbind = [\"{SERVER4}:0\"]\n[[route]]\nrespond = {{ body = \"hello\" }}\n",
        pins.0.display()
    );
    let namespace = in_namespace(&net);
    let mut proxy = Proxy::start_through(&config, 0, &["nsenter", &namespace], &[]);
    proxy.cli(&["blocklist", "add", OTHER4, "--ttl", "1h"]).ok();
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    let wires = [
        (Wire::new(&net, SERVER4, CLIENT4), Reason::Block),
        (Wire::new(&net, SERVER6, CLIENT6), Reason::Block),
        (Wire::new(&net, SERVER4, OTHER4), Reason::Ban),
    ];
    for (wire, reason) in &wires {
        wire.assert_dropped(&maps, *reason);
    }
    let dropped = || counted(&maps, Reason::Block) + counted(&maps, Reason::Ban);
    let (before, lost) = (dropped(), net.lost());
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (wire, _) in &wires {
                    wire.client.send(b"flood").unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_micros(50));
            }
        });
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            change(&mut proxy);
        }));
        stop.store(true, Ordering::Relaxed);
        changed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent > least, "{sent} datagrams say little");
    // What is sent on a veth may still be in its queue, or have found it full.
    let sent = sent - (net.lost() - lost);
    let start = Instant::now();
    while dropped() - before < sent && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
    for (wire, _) in &wires {
        assert!(
            wire.server.recv(&mut [0; 16]).is_err(),
            "a datagram came through"
        );
    }
    assert_eq!(
        dropped() - before,
        sent,
        "every datagram was seen and dropped"
    );
}

/// Stops and starts, kills and starts, and changes lists all the while.
fn restart_and_change(proxy: &mut Proxy) {
    let feed = |third: u32| {
        (0..3000_u32).fold(String::new(), |text, n| {
            text + &format!("100.{third}.{}.{}\n", n / 250, n % 250)
        })
    };
    for round in 0..2 {
        for (name, third) in [("one.txt", round), ("two.txt", round + 64)] {
            let file = proxy.folder().write(name, feed(third));
            let file = file.to_str().unwrap();
            proxy
                .cli(&["blocklist", "import", file, "--list", "feed", "--replace"])
                .ok();
        }
        proxy.signal("TERM");
        assert!(proxy.wait().success());
        proxy.start_again();
        proxy
            .cli(&["blocklist", "add", "2001:db8::/32", "--list", "six"])
            .ok();
        proxy.kill();
        // Without a proxy the command line changes the pinned maps.
        proxy.cli(&["blocklist", "flush", "--list", "six"]).ok();
        proxy.start_again();
    }
}
