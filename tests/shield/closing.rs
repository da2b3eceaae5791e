//! From a refusal to a ban, where there is no XDP: addresses of the loopback network are peers like any other, but for 127.0.0.1.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lists::json;
use crate::control::{address, sample};
use crate::support::{Folder, Origin, Output, PATIENCE, Proxy, RawClient, Shape, mmdb};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// Two framings in one message.
pub(super) const SMUGGLED: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
const LISTENER: &str = "[listener.web]\nbind = [\"127.0.0.1:0\"]\nprotocols = [\"h1\", \"h2\"]\n";
pub(super) const ANSWER: &str = "[[route]]\nname = \"all\"\nrespond = { body = \"x\" }\n";

pub(super) struct Stage {
    pub(super) proxy: Proxy,
    web: SocketAddr,
}

impl Stage {
    pub(super) fn start(rest: &str) -> Self {
        let proxy = Proxy::start(&format!("{LISTENER}{rest}"));
        let web = address(&proxy, "web");
        Self { proxy, web }
    }

    /// A client with an address of its own.
    pub(super) fn from(&self, last: u8) -> RawClient {
        let client = RawClient::try_connect_from(peer(last), self.web);
        client.unwrap_or_else(|error| panic!("127.0.0.{last} cannot connect: {error}"))
    }

    /// Whether a client is served.
    fn serves(&self, last: u8) -> bool {
        let client = RawClient::try_connect_from(peer(last), self.web);
        client.is_ok_and(|mut client| {
            let response = client
                .try_send(GET)
                .and_then(|()| client.try_response("GET"));
            response.is_ok_and(|response| response.status() != 503)
        })
    }

    fn bans(&self) -> Vec<Value> {
        let list = ["-o", "json", "blocklist", "list", "--list", "autoban"];
        let output = self.proxy.cli(&list);
        let entries = json(&output)["entries"].as_array().cloned();
        entries.unwrap_or_default()
    }

    pub(super) fn wait_for_ban(&self, last: u8) -> Value {
        let address = peer(last).to_string();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ban = self
                .bans()
                .into_iter()
                .find(|ban| ban["address"] == address.as_str());
            if let Some(ban) = ban {
                return ban;
            }
            assert!(
                Instant::now() < deadline,
                "{address} is not banned:\n{}",
                self.proxy.stderr()
            );
        }
    }
}

fn peer(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// Waits for the end of a connection on which nothing more comes.
fn assert_cut(client: &mut RawClient) {
    client.patience(PATIENCE);
    match client.try_read_to_end() {
        Ok(rest) => assert_eq!(rest, b""),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[test]
fn a_client_that_is_refused_too_often_is_banned_and_cut_off() {
    let stage = Stage::start(
        "[[route]]\nname = \"all\"\nrespond = { body = \"x\" }\nlimit = { rate = \"2/h\" }\n[autoban]\nafter = { limit = 3 }\nttl = \"10m\"\n",
    );
    let mut idle = stage.from(2);
    assert_eq!(idle.exchange(GET).status(), 200);
    let mut neighbour = stage.from(3);
    assert_eq!(neighbour.exchange(GET).status(), 200);
    let mut client = stage.from(2);
    assert_eq!(client.exchange(GET).status(), 200);
    for _ in 0..2 {
        assert_eq!(client.exchange(GET).status(), 429);
    }
    assert!(stage.bans().is_empty(), "two are not too many");
    client.send(GET);
    let ban = stage.wait_for_ban(2);
    assert_eq!(ban["reason"], "autoban: limit.rate 3 times, ban 1");
    assert!((590..=600).contains(&ban["expires_in"].as_u64().unwrap()));
    assert_cut(&mut idle);
    assert!(!stage.serves(2));
    assert_eq!(neighbour.exchange(GET).status(), 200);
    stage.proxy.wait_for("banned: limit.rate 3 times, ban 1");
    let sample = |name: &str| sample(&stage.proxy, name);
    assert_eq!(
        sample("openclaw_ban_latency_seconds_count").as_deref(),
        Some("1")
    );
    let listed = sample("openclaw_blocklist_entries{list=\"autoban\",family=\"ipv4\"}");
    assert_eq!(listed.as_deref(), Some("1"));
    assert_eq!(sample("openclaw_autoban_lost_total").as_deref(), Some("0"));
    stage.proxy.cli(&["blocklist", "del", "127.0.0.2"]).ok();
    assert!(stage.serves(2));
}

#[test]
fn what_no_honest_client_sends_bans_at_once_and_a_mistake_does_not() {
    let stage = Stage::start(&format!("{ANSWER}[autoban]\nafter = {{ protocol = 1 }}\n"));
    let mut clumsy = stage.from(2);
    assert_eq!(clumsy.exchange("GET / HTTP/1.1\r\n\r\n").status(), 400);
    stage.from(3).send(SMUGGLED);
    assert_eq!(
        stage.wait_for_ban(3)["reason"],
        "autoban: http.smuggling once, ban 1"
    );
    assert!(stage.serves(2) && !stage.serves(3));
    // A refusal that counts for nothing here.
    let proxy = Stage::start(ANSWER);
    proxy.from(4).send(SMUGGLED);
    proxy.proxy.wait_for_access("http.smuggling");
    assert!(proxy.serves(4));
}

#[test]
fn a_peer_that_is_not_the_client_itself_is_never_banned() {
    let stage = Stage::start(&format!(
        "trusted_proxies = [\"127.0.0.5\"]\n{ANSWER}[shield]\nallow = [\"127.0.0.6\"]\n[autoban]\nafter = {{ protocol = 1 }}\n"
    ));
    stage.from(5).send(SMUGGLED);
    stage.proxy.wait_for_access("\"client\":\"127.0.0.5\"");
    for last in [6, 1] {
        stage.from(last).send(SMUGGLED);
        stage.proxy.wait_for(&format!("peer=127.0.0.{last}"));
    }
    stage.from(7).send(SMUGGLED);
    stage.wait_for_ban(7);
    assert_eq!(
        stage.bans().len(),
        1,
        "refusals are judged in the order in which they come"
    );
    let said = stage.proxy.stderr();
    assert!(
        said.contains("not banned for http.smuggling once: 127.0.0.6 cannot be blocked"),
        "{said}"
    );
}

#[test]
fn repeaters_are_banned_for_longer_over_restarts() {
    let folder = Folder::new();
    let config = format!(
        "{ANSWER}[server]\nworkers = 2\nstate_dir = \"{}\"\n[autoban]\nafter = {{ protocol = 1 }}\nttl = \"1s\"\ngrow = 60.0\nmax_ttl = \"30m\"\n",
        folder.path().display()
    );
    let mut stage = Stage::start(&config);
    let ban = |stage: &Stage, number: u32, least: u64, most: u64| {
        stage.from(2).send(SMUGGLED);
        let ban = stage.wait_for_ban(2);
        let expected = format!("autoban: http.smuggling once, ban {number}");
        assert_eq!(ban["reason"], expected.as_str());
        let left = ban["expires_in"].as_u64().unwrap();
        assert!((least..=most).contains(&left), "{left}");
    };
    stage.from(2).send(SMUGGLED);
    stage.proxy.wait_for("banned: http.smuggling once, ban 1");
    let deadline = Instant::now() + PATIENCE;
    while !stage.serves(2) {
        assert!(Instant::now() < deadline, "the ban does not end");
        thread::sleep(Duration::from_millis(20));
    }
    ban(&stage, 2, 50, 60);
    stage.proxy.signal("TERM");
    assert!(stage.proxy.wait().success());
    let stage = Stage::start(&config);
    assert!(!stage.serves(2), "a ban outlives the process");
    assert_eq!(stage.bans().len(), 1);
    stage
        .proxy
        .cli(&["blocklist", "flush", "--list", "autoban"])
        .ok();
    ban(&stage, 3, 1790, 1800);
}

#[test]
fn a_blocked_peer_loses_its_open_connections_and_tunnels_and_nobody_else() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        )?;
        while let Ok(bytes) = peer.read_exact(4) {
            peer.send(bytes)?;
        }
        Ok(())
    });
    let stage = Stage::start(&format!(
        "[upstream.app]\nendpoints = [\"{}\"]\n[[route]]\nname = \"app\"\nmatch = {{ path = \"/up\" }}\nto = \"app\"\n{ANSWER}",
        origin.address()
    ));
    let upgrade = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let tunnel = |last| {
        let mut client = stage.from(last);
        client.send(upgrade);
        client.read_until("\r\n\r\n");
        client.send("ping");
        assert_eq!(client.read_exact(4), b"ping");
        client
    };
    let (mut tunnel2, mut tunnel3) = (tunnel(2), tunnel(3));
    let mut half = stage.from(2);
    half.send("POST / HTT");
    let mut idle = stage.from(2);
    assert_eq!(idle.exchange(GET).status(), 200);
    let mut neighbour = stage.from(3);
    assert_eq!(neighbour.exchange(GET).status(), 200);
    let start = Instant::now();
    stage.proxy.cli(&["blocklist", "add", "127.0.0.2"]).ok();
    for client in [&mut tunnel2, &mut idle, &mut half] {
        assert_cut(client);
    }
    eprintln!(
        "open connections were closed {:?} after the command began",
        start.elapsed()
    );
    let line = stage.proxy.wait_for_access("\"path\":\"/up\"");
    assert!(line.contains("\"reason\":\"shield.block\""), "{line}");
    assert_eq!(neighbour.exchange(GET).status(), 200);
    tunnel3.send("pong");
    assert_eq!(tunnel3.read_exact(4), b"pong");
    // Nobody who is only on paper: monitor counts and closes nothing.
    drop(stage);
    let stage = Stage::start(&format!("{ANSWER}[shield]\naction = \"monitor\"\n"));
    let mut client = stage.from(2);
    assert_eq!(client.exchange(GET).status(), 200);
    stage.proxy.cli(&["blocklist", "add", "127.0.0.2"]).ok();
    assert_eq!(client.exchange(GET).status(), 200);
}

#[test]
fn connections_are_limited_in_all_and_per_address_and_places_come_back() {
    let stage = Stage::start(&format!(
        "max_connections = 3\nmax_connections_per_ip = 2\n{ANSWER}"
    ));
    let enter = |last| {
        let mut client = stage.from(last);
        assert_eq!(client.exchange(GET).status(), 200);
        client
    };
    let (first, _second) = (enter(2), enter(2));
    assert!(!stage.serves(2), "two of one address");
    let _third = enter(3);
    assert!(!stage.serves(4), "three in all");
    let refused = sample(
        &stage.proxy,
        "openclaw_refusals_total{reason=\"limit.connections\"}",
    );
    assert_eq!(refused.as_deref(), Some("2"));
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while !stage.serves(4) {
        assert!(Instant::now() < deadline, "the place does not come back");
    }
}

#[test]
fn whoever_a_file_or_a_database_of_countries_turns_away_loses_open_connections() {
    let folder = Folder::new();
    let list = folder.write("feed.netset", "203.0.113.7\n");
    let world = folder.write(
        "country.mmdb",
        mmdb(Shape::Plain, 1, &[("9.0.0.0/8", "FR")]),
    );
    let stage = Stage::start(&format!(
        "{ANSWER}[shield]\nlists = [{{ name = \"feed\", file = \"{}\" }}]\ngeo = {{ database = \"{}\", deny = [\"FR\"] }}\n",
        list.display(),
        world.display()
    ));
    let mut clients = [2, 3, 4].map(|last| stage.from(last));
    for client in &mut clients {
        assert_eq!(client.exchange(GET).status(), 200);
    }
    let [listed, foreign, other] = &mut clients;
    folder.write("feed.netset", "203.0.113.7\n127.0.0.2\n");
    assert_cut(listed);
    let countries = [("9.0.0.0/8", "FR"), ("127.0.0.3/32", "FR")];
    // In place of the old one at once: half a database would be told as a mistake.
    let new = folder.write("new.mmdb", mmdb(Shape::Plain, 2, &countries));
    std::fs::rename(new, world).unwrap();
    assert_cut(foreign);
    assert_eq!(other.exchange(GET).status(), 200);
}

#[test]
fn the_end_of_an_allow_entry_closes_what_it_let_in_and_gives_a_feed_its_lines_back() {
    let folder = Folder::new();
    let list = folder.write("feed.netset", "203.0.113.7\n127.0.0.2\n");
    let stage = Stage::start(&format!(
        "{ANSWER}[shield]\nlists = [{{ name = \"feed\", file = \"{}\" }}]\n",
        list.display()
    ));
    let cli = |arguments: &[&str]| stage.proxy.cli(arguments).ok();
    let reload = |stage: &Stage| {
        // The file is read where the address is allowed.
        folder.write("feed.netset", "127.0.0.2\n203.0.113.7\n# again\n");
        stage.proxy.wait_for("1 lines left out");
    };
    assert!(!stage.serves(2));
    cli(&["allowlist", "add", "127.0.0.2"]);
    reload(&stage);
    let mut client = stage.from(2);
    assert_eq!(client.exchange(GET).status(), 200);
    cli(&["allowlist", "del", "127.0.0.2"]);
    assert_cut(&mut client);
    assert!(!stage.serves(2));
    let feed = cli(&["-o", "json", "blocklist", "list", "--list", "feed"]);
    assert_eq!(json(&feed)["total"], 2);
    // So it is when it ends by itself.
    cli(&["allowlist", "add", "127.0.0.0/24", "--ttl", "3s"]);
    let mut client = stage.from(2);
    assert_eq!(client.exchange(GET).status(), 200);
    assert_cut(&mut client);
}

#[test]
fn the_address_of_ones_own_login_is_blocked_only_by_force() {
    let stage = Stage::start(ANSWER);
    let over_ssh = |verb: &[&str], more: &[&str]| {
        Output::of(
            Command::new(env!("CARGO_BIN_EXE_openclaw"))
                .arg("--socket")
                .arg(stage.proxy.socket())
                .args(verb)
                .args(more)
                .env("SSH_CONNECTION", "127.0.0.3 50000 127.0.0.1 22"),
            "the proxy",
        )
    };
    let folder = Folder::new();
    let file = folder.write("feed.csv", "address,ttl\n203.0.113.7\n127.0.0.2/31,1h\n");
    let file = file.to_str().unwrap();
    let import = ["blocklist", "import", file];
    for verb in [&["blocklist", "add", "127.0.0.2/31"][..], &import[..]] {
        let refused = over_ssh(verb, &[]);
        assert_eq!(refused.code, 1);
        let words = "you are logged in from 127.0.0.3, which would be cut off";
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert!(stage.serves(3));
        let entries = stage.proxy.cli(&["blocklist", "list"]).ok().text();
        assert_eq!(entries, "no block entries\n");
        assert_eq!(over_ssh(verb, &["--force"]).code, 0);
        assert!(!stage.serves(3));
        stage.proxy.cli(&["blocklist", "flush"]).ok();
    }
    let refused = over_ssh(&import, &[]).stderr;
    assert!(refused.contains("line 3 blocks 127.0.0.2/31"), "{refused}");
    // Allowing oneself cuts nothing off.
    assert_eq!(over_ssh(&["allowlist", "import", file], &[]).code, 0);
}
