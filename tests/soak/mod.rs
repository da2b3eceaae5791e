//! Everything at once for a while, and then the books: nothing may be lost, invented or left over.
//!
//! Clients of every wire come and go, politely and not; origins die and come back; the configuration is loaded again and again. A new
//! wire is a function in [`VISITS`].

mod accounts;
mod h1;
mod h2;
mod h3;
mod ledger;
mod origin;

use std::collections::HashMap;
use std::env;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use self::ledger::{Act, Ledger};
use self::origin::Origin;
use crate::control::address;
use crate::support::{Proxy, wait_until};

type Rng = fastrand::Rng;

/// How long clients come, in all; `OPENCLAW_SOAK_MINUTES` makes it longer.
const SHORT: Duration = Duration::from_secs(16);
/// The same load twice: in the second half nothing may grow. Buffers that are kept for the next connection are bounded, and not all of
/// them have been lent in the first half of a short run.
const GROWTH_KIB: u64 = 24 * 1024;
/// Both ends of as many pipes as two workers keep.
const KEPT_PIPES: usize = 2 * 2 * 16;

/// What clients find.
struct Scene {
    web: SocketAddr,
    webs: SocketAddr,
    ledger: Ledger,
}

/// One connection of a client.
type Visit = fn(&Scene, &mut Rng);

/// With how many such clients there are at a time.
const VISITS: [(Visit, usize); 6] = [
    (h1::visit, 4),
    (h1::visit_with_tls, 2),
    (h1::visit_tunnel, 2),
    (h2::visit, 1),
    (h2::visit_with_tls, 2),
    (h3::visit, 3),
];

/// Says with what seed to do the same again.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the seed was OPENCLAW_SOAK_SEED={}", self.0);
        }
    }
}

fn any_act(rng: &mut Rng) -> Act {
    match rng.u8(0..100) {
        0..40 => Act::Length,
        40..60 => Act::Chunked,
        60..70 => Act::UntilClose,
        70..80 => Act::Hint,
        80..90 => Act::Slow,
        90..94 => Act::Cut,
        94..97 => Act::Reset,
        _ => Act::Nothing,
    }
}

/// Mostly small; some larger than any buffer on the way.
fn any_size(rng: &mut Rng) -> usize {
    match rng.u8(0..10) {
        0 => 0,
        1..7 => rng.usize(1..3000),
        7..9 => rng.usize(3000..100_000),
        _ => rng.usize(100_000..400_000),
    }
}

/// Over QUIC a client may be gone without a word: what it says in the end is lost like anything else, and nobody sends it again.
const LISTENERS: &str = "
[listener.web]
bind = [\"127.0.0.1:0\"]
protocols = [\"h1\", \"h2\"]

[listener.webs]
bind = [\"127.0.0.1:0\"]
protocols = [\"h1\", \"h2\", \"h3\"]
tls = { self_signed = [\"a.test\"] }
idle_timeout = \"5s\"

[log]
level = \"info\"
access = { to = \"access.log\", format = \"json\" }
";

/// Without endpoints, so that no connection to any is kept.
fn quiet() -> String {
    format!("{LISTENERS}\n[[route]]\nname = \"all\"\nrespond = {{ body = \"quiet\" }}\n")
}

fn busy(origins: &[Origin], keepalive: u32) -> String {
    let endpoints: Vec<String> = origins
        .iter()
        .map(|origin| format!("\"{}\"", origin.address()))
        .collect();
    format!(
        "{LISTENERS}\n[upstream.app]\nendpoints = [{}]\nkeepalive = {keepalive}\n\n[[route]]\nname = \"all\"\nto = \"app\"\n",
        endpoints.join(", ")
    )
}

/// Clients come until the time is up; meanwhile origins die, and the configuration changes.
fn storm(scene: &Scene, proxy: &Proxy, origins: &[Origin], rng: &mut Rng, time: Duration) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (visit, count) in VISITS {
            for _ in 0..count {
                let (mut rng, is_over) = (rng.fork(), &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        visit(scene, &mut rng);
                        thread::sleep(Duration::from_millis(rng.u64(0..10)));
                    }
                });
            }
        }
        let steps = time.as_millis() / 500;
        for step in 0..steps {
            let origin = &origins[rng.usize(0..origins.len())];
            match step % 4 {
                1 => {
                    proxy.rewrite(&busy(origins, rng.u32(1..64)));
                    assert_eq!(proxy.cli(&["reload"]).code, 0);
                }
                3 => {
                    origin.die();
                    thread::sleep(Duration::from_millis(rng.u64(0..200)));
                    origin.rise();
                }
                _ => {}
            }
            thread::sleep(Duration::from_millis(400));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    wait_until("every connection is gone", || {
        accounts::total(proxy, "openclaw_connections") == 0
    });
}

#[test]
fn after_a_storm_everything_is_accounted_for_and_nothing_is_left() {
    let minutes = env::var("OPENCLAW_SOAK_MINUTES").map(|text| text.parse::<u64>().unwrap());
    let time = minutes.map_or(SHORT, Duration::from_mins);
    let seed = env::var("OPENCLAW_SOAK_SEED").map_or(4711, |text| text.parse().unwrap());
    let _seed = Seed(seed);
    let mut rng = Rng::with_seed(seed);
    let origins = [Origin::start(), Origin::start(), Origin::start()];
    let mut proxy = Proxy::start(&quiet());
    let scene = Scene {
        web: address(&proxy, "web"),
        webs: address(&proxy, "webs"),
        ledger: Ledger::default(),
    };
    let before = accounts::descriptors(&proxy);
    let pipes = accounts::pipes(&proxy);
    proxy.rewrite(&busy(&origins, 64));
    assert_eq!(proxy.cli(&["reload"]).code, 0);
    storm(&scene, &proxy, &origins, &mut rng, time / 2);
    let half_time = accounts::resident(&proxy);
    storm(&scene, &proxy, &origins, &mut rng, time / 2);
    let resident = accounts::resident(&proxy);
    assert!(
        resident < half_time + GROWTH_KIB,
        "{half_time} KiB resident at half time, {resident} KiB in the end"
    );
    proxy.rewrite(&quiet());
    assert_eq!(proxy.cli(&["reload"]).code, 0);
    wait_until("every file descriptor is given back", || {
        accounts::descriptors(&proxy) <= before
    });
    let kept = accounts::pipes(&proxy) - pipes;
    assert!(kept <= KEPT_PIPES, "{kept} ends of pipes are kept");
    let mut seen: HashMap<u64, u32> = HashMap::new();
    for (number, times) in origins.iter().flat_map(Origin::seen) {
        *seen.entry(number).or_default() += times;
    }
    accounts::check(&proxy, &scene.ledger, &seen);
    let fates = scene.ledger.fates();
    for (number, times) in seen {
        let (asked, _) = fates[&number];
        // A POST that may have been carried out is not tried again.
        assert!(
            asked.act != Act::Echo || times == 1,
            "{asked:?} came {times} times"
        );
    }
    assert!(proxy.is_running());
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    let said = proxy.stderr();
    assert!(
        !said.contains("panicked") && !said.contains("ERROR"),
        "{said}"
    );
}
