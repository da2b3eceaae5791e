//! A site of the kind that caches are made for, and its visitors: what is asked for follows Zipf's law, as it does on the web.
//!
//! Seven requests in ten are for files that never change, two for pages that are made with some work and hold for five minutes, one for
//! what is a single visitor's. Who asks for what is drawn from a seed, so that two runs ask for the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::files;

/// Different things of each kind.
const THINGS: u32 = 2000;
/// A head longer than this ends its connection.
const MOST_HEAD: usize = 16 * 1024;
/// No answer may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a path begins with says what lies behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Static,
    Page,
    Account,
}

const KINDS: [Kind; 3] = [Kind::Static, Kind::Page, Kind::Account];

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Page => "page",
            Self::Account => "account",
        }
    }

    /// Of ten requests.
    fn share(self) -> f64 {
        match self {
            Self::Static => 7.0,
            Self::Page => 2.0,
            Self::Account => 1.0,
        }
    }

    fn cache_control(self) -> &'static str {
        match self {
            Self::Static => "public, max-age=86400",
            Self::Page => "public, max-age=300",
            Self::Account => "private, no-store",
        }
    }

    /// What the site has to do before it can answer.
    fn work(self) -> Duration {
        match self {
            Self::Static => Duration::ZERO,
            Self::Page => Duration::from_millis(5),
            Self::Account => Duration::from_millis(10),
        }
    }

    fn length(self, number: u32) -> usize {
        match self {
            // From 2 to 100 KiB, the same for the same file each time.
            Self::Static => 2048 + (number.wrapping_mul(2_654_435_761) % (98 * 1024)) as usize,
            Self::Page => 20 * 1024,
            Self::Account => 4 * 1024,
        }
    }

    fn of(path: &str) -> Option<(Self, u32)> {
        let (word, number) = path.strip_prefix('/')?.split_once('/')?;
        let kind = KINDS.into_iter().find(|kind| kind.word() == word)?;
        Some((kind, number.parse().ok()?))
    }
}

#[derive(Default)]
struct Served {
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// Serves on two ports, which it prints, until standard input ends; then says what it has served.
pub(crate) async fn serve() -> Result<()> {
    let served = Arc::new(Served::default());
    let mut ports = String::from("ports");
    for _ in 0..2 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let _ = write!(ports, " {}", listener.local_addr()?.port());
        tokio::spawn(accept(listener, Arc::clone(&served)));
    }
    println!("{ports}");
    let (sender, end) = oneshot::channel();
    thread::spawn(move || {
        // However it ended, and even if nobody waits any more.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        let _ = sender.send(());
    });
    end.await?;
    let requests = served.requests.load(Ordering::Relaxed);
    println!("served {requests} {}", served.bytes.load(Ordering::Relaxed));
    Ok(())
}

async fn accept(listener: TcpListener, served: Arc<Served>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, Arc::clone(&served)));
    }
}

async fn connection(mut stream: TcpStream, served: Arc<Served>) -> io::Result<()> {
    let mut received = Vec::new();
    loop {
        let Some(end) = memmem::find(&received, b"\r\n\r\n") else {
            if stream.read_buf(&mut received).await? == 0 || received.len() > MOST_HEAD {
                return Ok(());
            }
            continue;
        };
        let head: Vec<u8> = received.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head);
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (kind, number) = Kind::of(path).ok_or(io::ErrorKind::NotFound)?;
        if kind.work() > Duration::ZERO {
            tokio::time::sleep(kind.work()).await;
        }
        let body = files::body(kind.length(number));
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: {}\r\nContent-Length: {}\r\n\r\n",
            kind.cache_control(),
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        stream.write_all(&answer).await?;
        served.requests.fetch_add(1, Ordering::Relaxed);
        let length = answer.len() as u64;
        served.bytes.fetch_add(length, Ordering::Relaxed);
    }
}

/// One visitor's answers.
#[derive(Default)]
struct Visit {
    /// Microseconds until the last byte, by kind of path.
    times: BTreeMap<Kind, Vec<u64>>,
    hits: u64,
}

/// Makes so many requests over so many connections, and prints what they found.
pub(crate) async fn visit(port: u16, requests: u32, connections: u32, seed: u64) -> Result<()> {
    ensure!(connections > 0, "nobody visits");
    let ranks = Arc::new(ranks());
    let mut visitors = Vec::new();
    for visitor in 0..connections {
        let random = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(visitor)));
        let ranks = Arc::clone(&ranks);
        visitors.push(tokio::spawn(visitor_of(
            port,
            requests / connections,
            random,
            ranks,
        )));
    }
    let mut all = Visit::default();
    for visitor in visitors {
        let one = visitor.await??;
        all.hits += one.hits;
        for (kind, times) in one.times {
            all.times.entry(kind).or_default().extend(times);
        }
    }
    let mut whole: Vec<u64> = all.times.values().flatten().copied().collect();
    let mut line = format!("visit {} {}", whole.len(), all.hits);
    for times in std::iter::once(&mut whole).chain(all.times.values_mut()) {
        times.sort_unstable();
        for of_hundred in [50, 90, 99] {
            let _ = write!(line, " {}", percentile(times, of_hundred));
        }
    }
    println!("{line}");
    Ok(())
}

/// For each rank, how likely it or a lower one is.
fn ranks() -> Vec<f64> {
    let mut sum = 0.0;
    let sums = (1..=THINGS).map(|rank| {
        sum += 1.0 / f64::from(rank);
        sum
    });
    let mut sums: Vec<f64> = sums.collect();
    let last = sums.last().copied().unwrap_or(1.0);
    for sum in &mut sums {
        *sum /= last;
    }
    sums
}

fn draw(random: &mut fastrand::Rng, ranks: &[f64]) -> String {
    let mut share = random.f64() * 10.0;
    let kind = KINDS.into_iter().find(|kind| {
        share -= kind.share();
        share < 0.0
    });
    let at = random.f64();
    let number = ranks.partition_point(|sum| *sum < at);
    format!("/{}/{number}", kind.unwrap_or(Kind::Account).word())
}

async fn visitor_of(
    port: u16,
    requests: u32,
    mut random: fastrand::Rng,
    ranks: Arc<Vec<f64>>,
) -> Result<Visit> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let mut visit = Visit::default();
    for _ in 0..requests {
        let path = draw(&mut random, &ranks);
        let start = Instant::now();
        let head = tokio::time::timeout(PATIENCE, fetch(&mut stream, &path)).await??;
        let took = start.elapsed().as_micros() as u64;
        let (kind, _) = Kind::of(&path).context("a path of no kind was drawn")?;
        visit.times.entry(kind).or_default().push(took);
        visit.hits += u64::from(head.contains("openclaw; hit"));
    }
    Ok(visit)
}

/// The head of an answer, whose body has come whole.
async fn fetch(stream: &mut TcpStream, path: &str) -> Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut received = Vec::with_capacity(128 * 1024);
    let end = loop {
        ensure!(stream.read_buf(&mut received).await? > 0, "{path}: closed");
        if let Some(end) = memmem::find(&received, b"\r\n\r\n") {
            break end;
        }
    };
    let head = received.get(..end).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_lowercase();
    ensure!(head.starts_with("http/1.1 200"), "{path}: {head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("an answer without length")?.trim().parse()?;
    while received.len() < end + 4 + length {
        ensure!(stream.read_buf(&mut received).await? > 0, "{path}: cut");
    }
    Ok(head)
}

fn percentile(sorted: &[u64], of_hundred: usize) -> u64 {
    let at = sorted.len() * of_hundred / 100;
    sorted.get(at).or(sorted.last()).copied().unwrap_or(0)
}
