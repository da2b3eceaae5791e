//! A flood of SYNs from forged sources, and clients who connect meanwhile. Both come over one cable, between namespaces of the test.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use openclaw::shield::kernel::{Kernel, Maps, Mode, Pins, Subject, inspect, interface_index};
use openclaw_common::{abi::Config, verdict::Reason};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::{
    flood::counted,
    frames::ethernet,
    net::{CLIENT4, INTERFACE, Net, SERVER4, inside},
    rig::{PinDir, load},
};
use crate::support::{Folder, PATIENCE, Proxy, ip, wait_until};

/// What the kernel program takes for forged.
const FORGED: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Frames at a time. The kernel prepares for 30 ms before each time.
const WAVE: u32 = 1 << 18;
const BODY: usize = 16 << 10;

/// A proxy's namespace and the one that the flood and the clients come from.
struct Field {
    net: Net,
    pins: PinDir,
    state: Folder,
    port: u16,
    /// The program at the clients' end, which makes the flood.
    away: Kernel,
    _away_pins: PinDir,
}

impl Field {
    fn new() -> Self {
        let (net, pins) = (Net::new(), PinDir::new());
        let mut away = load(&pins);
        inside(&net.client, || away.lend(Subject::Lee, INTERFACE)).unwrap();
        for (namespace, number) in [(&net.server, "1"), (&net.client, "2")] {
            let address = format!("02:00:00:00:00:0{number}");
            ip(&[
                "-n", namespace, "link", "set", INTERFACE, "address", &address,
            ]);
        }
        let forged = format!("{FORGED}/16");
        ip(&["-n", &net.server, "route", "add", &forged, "via", CLIENT4]);
        let port = inside(&net.server, || {
            let probe = TcpListener::bind((SERVER4, 0)).unwrap();
            probe.local_addr().unwrap().port()
        });
        Self {
            net,
            pins: PinDir::new(),
            state: Folder::new(),
            port,
            away,
            _away_pins: pins,
        }
    }

    fn start(&self, shield: &str) -> Proxy {
        let config = format!(
            "[server]\nworkers = 1\nstate_dir = \"{}\"\n\
             [shield]\npin_dir = \"{}\"\n{shield}\n\
             [listener.web]\nbind = \"0.0.0.0:{}\"\n\
             [[route]]\nrespond = {{ body = \"{}\" }}\n",
            self.state.path().display(),
            self.pins.0.display(),
            self.port,
            "x".repeat(BODY),
        );
        Proxy::start_in(&self.net.server, &config)
    }

    /// Runs `work` on a thread of the clients' namespace while the flood goes on, which `most` frames end.
    fn flood<T: Send>(&mut self, most: u64, work: impl FnOnce() -> T + Send) -> (T, u64) {
        let (over, syn) = (AtomicBool::new(false), self.syn());
        let (net, away) = (&self.net, &mut self.away);
        thread::scope(|scope| {
            let flood = scope.spawn(|| {
                inside(&net.client, || {
                    run_on(1);
                    let index = interface_index(INTERFACE).unwrap();
                    let mut offered = 0;
                    while !over.load(Ordering::Relaxed) && offered < most {
                        away.receive(Subject::Storm, index, &syn, WAVE).unwrap();
                        offered += u64::from(WAVE);
                    }
                    offered
                })
            });
            let done = inside(&net.client, work);
            over.store(true, Ordering::Relaxed);
            (done, flood.join().unwrap())
        })
    }

    /// The first SYN of the flood, as the program wants it. What that changes is zero in it.
    fn syn(&self) -> Vec<u8> {
        let server: Ipv4Addr = SERVER4.parse().unwrap();
        let mut head = vec![0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0];
        head.extend(FORGED.octets());
        head.extend(server.octets());
        let mut tcp = [[0, 0], self.port.to_be_bytes()].concat();
        tcp.extend([0; 8]);
        tcp.extend([0xa0, 0x02, 0xfa, 0xf0, 0, 0, 0, 0]);
        tcp.extend(super::syn::LINUX);
        let pseudo = [&head[12..20], &[0, 6, 0, 40]].concat();
        set_checksum(&mut tcp, 16, &pseudo);
        set_checksum(&mut head, 10, &[]);
        let mut frame = ethernet(&[], [8, 0]);
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        let syn = [frame, head, tcp].concat();
        [&FORGED.octets()[..], &[0; 4], &syn, &syn].concat()
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(SERVER4.parse().unwrap(), self.port)
    }
}

/// SYN-ACKs to forged sources that have come out of the cable, asked in the clients' namespace.
fn forged_answers() -> u64 {
    let counted = inspect::statistics(INTERFACE).unwrap();
    let drops = counted
        .iter()
        .filter(|(name, _)| name.ends_with("_xdp_drops"));
    drops.map(|(_, count)| count).sum()
}

/// Writes a checksum (RFC 1071) where zeros are, over what comes before it, too.
fn set_checksum(bytes: &mut [u8], at: usize, before: &[u8]) {
    let sum = super::syn::sum(&[before, bytes].concat());
    bytes[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// Keeps this thread, and what it starts, on one CPU where there are several.
fn run_on(cpu: usize) {
    if thread::available_parallelism().unwrap().get() > 1 {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).unwrap();
    }
}

/// One connection and one request; how long both took.
fn ask(server: SocketAddr, limit: Duration) -> std::io::Result<Duration> {
    let start = Instant::now();
    let mut stream = TcpStream::connect_timeout(&server, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert!(answer.len() > BODY && answer.starts_with(b"HTTP/1.1 200 "));
    Ok(start.elapsed())
}

#[test]
fn clients_are_served_while_a_flood_from_forged_sources_is_answered_with_cookies() {
    const TRIES: u64 = 20;
    let mut field = Field::new();
    let proxy = field.start(&format!(
        "interfaces = [\"{INTERFACE}\"]\nsyn = {{ mode = \"always\", variant = \"raw\" }}"
    ));
    proxy.wait_for("every SYN is answered with a cookie");
    let maps = Maps::open(&Pins::new(&field.pins.0)).unwrap();
    let server = field.address();
    let before = inside(&field.net.client, forged_answers);
    let ((), offered) = field.flood(1 << 24, || {
        wait_until("answers to the flood", || forged_answers() > before);
        for _ in 0..TRIES {
            ask(server, PATIENCE).unwrap();
        }
    });
    let (answered, replies) = (
        counted(&maps, Reason::SynCookie),
        inside(&field.net.client, forged_answers) - before,
    );
    // What the flood got is not what the clients got, and the listener was told of neither but once in a while.
    assert!(replies > TRIES, "{replies} of {answered} answers arrived");
    assert!(answered >= replies, "{answered} answers, {replies} arrived");
    assert!(answered <= offered + TRIES * 8, "{answered} to {offered}");
    assert!(counted(&maps, Reason::CookieAck) >= TRIES - 1);
}

/// A defence: its name, `tcp_syncookies`, and what the shield has for a configuration.
type Defence = (&'static str, &'static str, Option<&'static str>);

const DEFENCES: [Defence; 4] = [
    ("none", "0", None),
    ("kernel cookies", "1", None),
    ("XDP cookies, by socket", "1", Some("socket")),
    ("XDP cookies, raw", "1", Some("raw")),
];

/// How long each defence is flooded, and how long a client waits before it gives up.
const FLOODED: Duration = Duration::from_secs(8);
const GIVES_UP: Duration = Duration::from_secs(1);
const CLIENTS: usize = 4;

/// What came of a flood.
struct Outcome {
    /// How long the tries took that were answered.
    answered: Vec<Duration>,
    tries: usize,
    offered: u64,
    replies: u64,
    took: Duration,
}

impl Outcome {
    fn of((name, syncookies, variant): Defence) -> Self {
        let mut field = Field::new();
        inside(&field.net.server, || {
            std::fs::write("/proc/sys/net/ipv4/tcp_syncookies", syncookies).unwrap();
        });
        let variant = variant.map(|variant| {
            format!(
                "interfaces = [\"{INTERFACE}\"]\nsyn = {{ mode = \"always\", variant = \"{variant}\", \
                 max_answers = \"10M/s\" }}"
            )
        });
        let is_shielded = variant.is_some();
        let proxy = field.start(&variant.unwrap_or_default());
        // Without a program of its own that end of the cable would drop what the flood sends; this one lets everything pass.
        let pins = PinDir::new();
        let mut idle = load(&pins);
        if is_shielded {
            proxy.wait_for("every SYN is answered with a cookie");
        } else {
            idle.maps().begin(&Config::OFF).unwrap();
            inside(&field.net.server, || idle.attach(INTERFACE, Mode::Native)).unwrap();
        }
        let server = field.address();
        let ((tries, replies, took), offered) = field.flood(u64::MAX, || {
            // The buffers are full, and the listener's queue, before anybody counts.
            thread::sleep(Duration::from_secs(1));
            let (before, start) = (forged_answers(), Instant::now());
            let tries = clients(server, start + FLOODED);
            (tries, forged_answers() - before, start.elapsed())
        });
        assert!(offered > 0, "{name}");
        Self {
            tries: tries.len(),
            answered: {
                let mut answered: Vec<Duration> = tries.into_iter().flatten().collect();
                answered.sort_unstable();
                answered
            },
            offered,
            replies,
            took,
        }
    }

    fn share(&self, of: usize) -> Option<Duration> {
        let last = self.answered.len().checked_sub(1)?;
        self.answered.get(last * of / 100).copied()
    }
}

/// Tries one after another, on several threads, until it is late.
fn clients(server: SocketAddr, end: Instant) -> Vec<Option<Duration>> {
    let tries = || {
        let mut tries = Vec::new();
        while Instant::now() < end {
            tries.push(ask(server, GIVES_UP).ok());
            thread::sleep(Duration::from_millis(5));
        }
        tries
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(tries)).collect();
        let done = threads.into_iter();
        done.flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
#[ignore = "a measurement of a minute: `cargo xtask bench flood`"]
fn figures() {
    run_on(0);
    eprintln!(
        "{:<24} {:>12} {:>8} {:>9} {:>9} {:>9} {:>14}",
        "defence", "SYNs/s", "tries", "answered", "p50 ms", "p99 ms", "SYN-ACKs/s"
    );
    for defence in DEFENCES {
        let outcome = Outcome::of(defence);
        let ms = |share| {
            outcome.share(share).map_or_else(
                || "-".to_owned(),
                |time| format!("{:.1}", time.as_secs_f64() * 1e3),
            )
        };
        let seconds = outcome.took.as_secs_f64();
        let flooded = (outcome.took + Duration::from_secs(1)).as_secs_f64();
        eprintln!(
            "{:<24} {:>12.0} {:>8} {:>8.1}% {:>9} {:>9} {:>14.0}",
            defence.0,
            outcome.offered as f64 / flooded,
            outcome.tries,
            outcome.answered.len() as f64 * 100.0 / outcome.tries as f64,
            ms(50),
            ms(99),
            outcome.replies as f64 / seconds,
        );
    }
}
