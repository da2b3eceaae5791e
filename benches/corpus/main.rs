//! What each content coding makes of pages, styles, scripts and data, at the levels that routes have by default: `cargo xtask bench
//! corpus`. The files are those of a folder that everyone has who builds this, the documentation of Rust; the data is made here.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot go on ends, and says why"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use openclaw::coding::{Coders, Until};
use openclaw_core::coding::{Coding, Rule};
use openclaw_core::config::{self, NoFiles, Source};
use rustix::time::{ClockId, clock_gettime};

/// As much of each kind.
const FILES: usize = 100;
const SIZES: std::ops::Range<u64> = 4 * 1024..256 * 1024;
/// Each file is coded so often.
const TIMES: u32 = 5;
/// What an application says at once.
const ANSWER: usize = 32 * 1024;

fn main() {
    let folder = env::args()
        .nth(1)
        .unwrap_or_else(|| panic!("name a folder"));
    let rule = rule();
    println!("kind   files   bytes  coding level  saved  us for 32 KiB");
    for kind in ["html", "css", "js", "json"] {
        let mut paths = Vec::new();
        find(Path::new(&folder), kind, &mut paths);
        paths.sort();
        let step = (paths.len() / FILES).max(1);
        let chosen = paths.iter().step_by(step).take(FILES);
        let mut files: Vec<Vec<u8>> = chosen.map(|path| fs::read(path).unwrap()).collect();
        if kind == "json" {
            files = vec![json()];
        }
        report(kind, &files, &rule);
    }
}

/// The rule of a route that says nothing but `compress`.
fn rule() -> Rule {
    let text = "[listener.web]\nbind = \"127.0.0.1:80\"\n[upstream.app]\nendpoints = \"127.0.0.1:81\"\n[[route]]\nto = \"app\"\ncompress = {}\n";
    let loaded = config::load(&Source {
        name: "corpus",
        text,
        files: &NoFiles,
        variable: &|_| None,
    });
    let mut routes = loaded.unwrap().config.routes;
    routes.remove(0).compress.unwrap()
}

fn find(folder: &Path, kind: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            find(&path, kind, found);
        } else if path.extension().is_some_and(|own| own == kind) && SIZES.contains(&meta.len()) {
            found.push(path);
        }
    }
}

fn report(kind: &str, files: &[Vec<u8>], rule: &Rule) {
    let before: usize = files.iter().map(Vec::len).sum();
    let mut made = Vec::new();
    for coding in Coding::ALL {
        let (after, each) = measured((coding, rule.level(coding)), files);
        let saved = 100.0 - 100.0 * after as f64 / before as f64;
        println!(
            "{kind:<5} {:>6} {before:>7}  {:<6} {:>5} {saved:>5.1}% {each:>10.0}",
            files.len(),
            coding.name(),
            rule.level(coding)
        );
        made.push((coding, after));
    }
    let of = |wanted| made.iter().find(|(coding, _)| *coding == wanted).unwrap().1 as f64;
    ladder(kind, files);
    let less = 100.0 - 100.0 * of(Coding::Br) / of(Coding::Gzip);
    println!("{kind:<5} br is {less:.1} % smaller than gzip\n");
}

/// Gzip at its lower levels: proxies differ in what a level means, and are compared at the same size.
fn ladder(kind: &str, files: &[Vec<u8>]) {
    for level in [1, 2, 3, 4, 6] {
        let (after, each) = measured((Coding::Gzip, level), files);
        let before: usize = files.iter().map(Vec::len).sum();
        let answer = after as f64 * ANSWER as f64 / before as f64;
        println!("{kind:<5} gzip {level}: 32 KiB become {answer:>6.0} bytes in {each:>4.0} us");
    }
}

/// How many bytes become of the files, and microseconds of CPU for 32 KiB of them.
fn measured(kind: (Coding, u8), files: &[Vec<u8>]) -> (usize, f64) {
    let before: usize = files.iter().map(Vec::len).sum();
    let coders = Coders::default();
    let start = clock_gettime(ClockId::ThreadCPUTime);
    let mut after = 0;
    for _ in 0..TIMES {
        after = files.iter().map(|file| coded(&coders, kind, file)).sum();
    }
    let spent = clock_gettime(ClockId::ThreadCPUTime) - start;
    let spent = Duration::try_from(spent).unwrap() / TIMES;
    (
        after,
        spent.as_secs_f64() * 1e6 * ANSWER as f64 / before as f64,
    )
}

/// How much becomes of a file, given in pieces as a connection gives it.
fn coded(coders: &Coders, kind: (Coding, u8), file: &[u8]) -> usize {
    let mut coder = coders.coder(kind, Some(file.len() as u64), 1).unwrap();
    let mut out = Vec::with_capacity(ANSWER);
    let mut total = 0;
    for mut piece in file.chunks(64 * 1024) {
        while !piece.is_empty() {
            out.clear();
            let step = coder.step(piece, Until::Later, &mut out).unwrap();
            piece = piece.get(step.taken..).unwrap();
            total += out.len();
        }
    }
    loop {
        out.clear();
        let step = coder.step(&[], Until::Finished, &mut out).unwrap();
        total += out.len();
        if step.is_done {
            return total;
        }
    }
}

/// A list of people, as an API would give it.
fn json() -> Vec<u8> {
    const WORDS: [&str; 10] = [
        "server", "client", "the", "request", "of", "a", "value", "path", "time", "proxy",
    ];
    let mut random = fastrand::Rng::with_seed(5);
    let mut text = String::from("[");
    while text.len() < ANSWER {
        let (id, number, score) = (random.u32(..), random.u16(..), random.u16(..1000));
        write!(
            text,
            "{{\"id\":{id},\"name\":\"user {number}\",\"email\":\"u{number}@example.com\",\"active\":{},\"score\":{}.{score:03},\"about\":\"",
            random.bool(),
            random.u8(..100)
        )
        .unwrap();
        for _ in 0..12 {
            text.push_str(random.choice(WORDS).unwrap());
            text.push(' ');
        }
        text.push_str("\"},");
    }
    text.into_bytes()
}
