//! What lists and bans take, measured: `cargo xtask bench shield`.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use openclaw::shield::kernel::{Maps, Pins};
use openclaw_common::abi::class;

use super::autoban::{Stage, verdict_to_drop};
use super::lists::json;
use super::net::{INTERFACE, Net};
use super::rig::{PinDir, load};
use crate::control::sample;
use crate::support::{Folder, Proxy};

/// Prefixes of the list that is imported.
const PREFIXES: u32 = 1_000_000;
/// Bans in a row.
const BANS: u64 = 50_000;
/// Clients that are banned one after another.
const CLIENTS: u32 = 40;

#[test]
#[ignore = "a measurement of a minute: `cargo xtask bench shield`"]
fn figures() {
    bans_in_tables();
    bans_of_clients();
    imports();
}

fn share(sorted: &[Duration], of: usize) -> Duration {
    sorted[(sorted.len() - 1) * of / 100]
}

fn told(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let count = took.len();
    let (middle, last, most) = (share(&took, 50), share(&took, 99), share(&took, 100));
    eprintln!("{what:<58} p50 {middle:>10.1?}  p99 {last:>10.1?}  most {most:>10.1?}  of {count}");
}

/// The tables alone: an address of its own each time, and the class word that leads to it.
fn bans_in_tables() {
    let pins = PinDir::new();
    let maps = load(&pins).maps();
    let timed = |work: &dyn Fn(u64)| {
        let one = |number| {
            let start = Instant::now();
            work(number);
            start.elapsed()
        };
        (0..BANS).map(one).collect::<Vec<_>>()
    };
    let v4 = timed(&|number| {
        let address = (number as u32).wrapping_mul(0x9e37_79b1).to_be_bytes();
        maps.ban4.insert(address, u64::MAX - 1).unwrap();
        let index = class::index4(address);
        let word = maps.class4.load(index);
        maps.class4.store(index, word | class::BANNED);
    });
    told("ban of an IPv4 address, tables of the kernel", v4);
    let v6 = timed(&|number| {
        let subnet = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let [a, b, c, d, ..] = subnet.to_be_bytes();
        maps.ban6
            .insert(subnet.to_be_bytes(), u64::MAX - 1)
            .unwrap();
        maps.class6.store([a, b, c, d], class::BANNED).unwrap();
    });
    told("ban of an IPv6 /64, tables of the kernel", v6);
}

/// The whole way: from a refusal of a request, over the lists, to the first packet that is dropped.
fn bans_of_clients() {
    let net = crate::support::Net::new();
    let first = net.inside4.to_bits() + 1;
    let clients: Vec<Ipv4Addr> = (first..first + CLIENTS).map(Ipv4Addr::from_bits).collect();
    for client in &clients {
        net.add_address((*client).into());
    }
    let stage = Stage::new(net);
    let silence = Duration::from_millis(100);
    let took = clients
        .iter()
        .map(|client| verdict_to_drop(&stage, *client, silence));
    told(
        "request that bans sent, to last packet that passed",
        took.collect(),
    );
    let figure = |name: &str| -> f64 {
        let name = format!("openclaw_ban_latency_seconds_{name}");
        sample(&stage.proxy, &name).unwrap().parse().unwrap()
    };
    let mean = Duration::from_secs_f64(figure("sum") / figure("count"));
    eprintln!(
        "{:<58} mean {mean:>9.1?}",
        "verdict of HTTP to ban in the kernel"
    );
}

/// As many prefixes as `PREFIXES`, of every length from a /20 to a single address, with some inside others and some twice.
fn list() -> String {
    let mut text = String::new();
    for number in 0..PREFIXES {
        let address = Ipv4Addr::from_bits(0x0b00_0000 + (number.wrapping_mul(0x9e37_79b1) >> 3));
        let length = match number % 16 {
            0 => 24,
            1 => 28,
            2 => 22,
            _ => 32,
        };
        writeln!(text, "{address}/{length}").unwrap();
        if number % 50 == 0 {
            writeln!(text, "{address}/{length}").unwrap();
        }
    }
    text
}

fn imports() {
    let (net, pins, folder) = (Net::new(), PinDir::new(), Folder::new());
    let config = format!(
        "[server]\nstate_dir = \"{}\"\n[shield]\ninterfaces = [\"{INTERFACE}\"]\npin_dir = \"{}\"\n\
         [listener.web]\nbind = \"127.0.0.1:0\"\n[[route]]\nrespond = {{ body = \"a\" }}\n",
        folder.path().join("state").display(),
        pins.0.display(),
    );
    let proxy = Proxy::start_in(&net.server, &config);
    let before = memory(&proxy);
    let file = folder.write("list", list());
    import(&proxy, &file, "into an empty list");
    let after = memory(&proxy);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    for (what, index) in [
        ("memory of the kernel's maps", 0),
        ("memory of the process", 1),
    ] {
        eprintln!(
            "{what:<58} {:.0} MiB, {:.0} MiB before",
            mib(after[index]),
            mib(before[index])
        );
    }
    import(&proxy, &file, "again, unchanged, --replace");
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    assert!(maps.fine4().keys().unwrap().len() > PREFIXES as usize / 2);
}

fn import(proxy: &Proxy, file: &Path, how: &str) {
    let start = Instant::now();
    let arguments = ["blocklist", "import", file.to_str().unwrap(), "--replace"];
    let said = proxy.cli(&arguments).ok().text();
    let what = format!("import of {PREFIXES} prefixes, {how}");
    eprintln!("{what:<58} {:.2?}: {}", start.elapsed(), said.trim());
}

/// Of the kernel's maps, and of the process.
fn memory(proxy: &Proxy) -> [u64; 2] {
    let stats = json(&proxy.cli(&["-o", "json", "blocklist", "stats"]).ok());
    ["kernel", "process"].map(|name| stats["memory"][name].as_u64().unwrap())
}
