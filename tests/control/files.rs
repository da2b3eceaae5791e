//! A process that has as many files open as it may.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::control::{address, answering, fetch, forwarding, sample, status};
use crate::support::{Origin, Output, Proxy, RawClient, curl, wait_until};

/// Enough for the proxy itself; a third of them is kept back.
const FILES: u32 = 120;

/// With clients that may be silent for as long as the test takes.
fn patient(body: &str) -> String {
    answering(body).replacen(
        "\n\n",
        "\nheader_timeout = \"5m\"\nidle_timeout = \"5m\"\n\n",
        1,
    )
}

/// Each from an address of its own.
fn clients(web: SocketAddr) -> Vec<RawClient> {
    let connect = |number: u32| {
        let from = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + number);
        RawClient::try_connect_from(from.into(), web).unwrap()
    };
    (0..FILES).map(connect).collect()
}

#[test]
fn without_descriptors_a_client_is_turned_away_and_the_operator_is_answered() {
    let mut proxy = Proxy::start_with_files(&patient("hello"), FILES);
    let web = address(&proxy, "web");
    let mut held = clients(web);
    // Each worker has its own queue: what came last is not always what is turned away.
    let refused = "openclaw_refusals_total{reason=\"limit.connections\"}";
    wait_until("a client is turned away", || {
        sample(&proxy, refused).is_some_and(|count| count != "0")
    });
    proxy.wait_for("is the limit of open files high enough?");
    let open = status(&proxy)["connections"].as_u64().unwrap();
    let turned_away = held.len() as u64 - open;
    wait_until("every other client is turned away", || {
        sample(&proxy, refused).is_some_and(|count| count == turned_away.to_string())
    });
    let mut ended = 0;
    for client in &mut held {
        client.patience(Duration::from_millis(5));
        ended += u64::from(client.try_read_to_end().is_ok());
    }
    assert_eq!(ended, turned_away, "to an end, not a reset");

    // All that an operator does meanwhile.
    proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    let ready = format!("http://{}/readyz", proxy.metrics());
    assert_eq!(curl(&[&ready]).ok().text(), "ok\n");
    let more = patient("new") + "[listener.more]\nbind = [\"127.0.0.1:0\"]\n";
    proxy.rewrite(&more);
    proxy.cli(&["reload"]).ok();

    drop(held);
    wait_until("the connections are gone", || {
        status(&proxy)["connections"] == 0
    });
    assert_eq!(fetch(web), "new");
    assert_eq!(fetch(address(&proxy, "more")), "new");
    assert!(proxy.is_running());
}

#[test]
fn a_breaker_stays_closed_while_the_proxy_itself_has_no_descriptor() {
    let origin = Origin::serving("hello");
    let breaker =
        "\nretries = 0\nbreaker = { failures = 1, window = \"1m\", open = \"5m\" }\n\n[[route]]";
    let patience = "\nheader_timeout = \"5m\"\nidle_timeout = \"5m\"\n\n";
    let config = forwarding(origin.address()).replacen("\n\n", patience, 1);
    let proxy = Proxy::start_with_files(&config.replace("\n\n[[route]]", breaker), FILES);
    let held = clients(address(&proxy, "web"));
    let refused = "openclaw_refusals_total{reason=\"limit.connections\"}";
    wait_until("all of them are in, or turned away", || {
        let turned_away = sample(&proxy, refused).map_or(0, |count| count.parse().unwrap());
        let open = status(&proxy)["connections"].as_u64().unwrap();
        turned_away > 0 && turned_away + open == u64::from(FILES)
    });
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let mut held = held.into_iter();
    // Which of them were turned away is a matter of moments.
    let is_in = held.find_map(|mut client| {
        client.try_send(request).ok()?;
        let response = client.try_response("GET").ok()?;
        Some((client, response))
    });
    let (mut first, refused) = is_in.expect("one of them is in");
    assert_eq!(refused.status(), 502, "{}", refused.text());
    proxy.wait_for_access("no file descriptor is left for a connection to the endpoint");
    drop(held);
    wait_until("the others are gone", || status(&proxy)["connections"] == 1);
    assert_eq!(first.exchange(request).text(), "hello");
}

/// What a start says that few files leave.
fn bound(proxy: &Proxy) -> (usize, usize) {
    let line = proxy.wait_for("the limit of open files, ");
    let number = |before: &str| {
        let rest = line.split_once(before).unwrap_or_else(|| panic!("{line}"));
        let digits = rest.1.split(|byte: char| !byte.is_ascii_digit()).next();
        digits.unwrap().parse().unwrap()
    };
    (number("is enough for "), number("connections, "))
}

#[test]
fn with_few_files_one_client_has_a_share_and_another_is_served() {
    for files in [36, FILES] {
        let proxy = Proxy::start_with_files(&patient("hello"), files);
        let web = address(&proxy, "web");
        let (connections, share) = bound(&proxy);
        assert!(share >= 1 && 2 * share <= connections.max(2), "{files}");
        let held: Vec<_> = (0..files).map(|_| RawClient::connect(web)).collect();
        let refused = format!(
            "openclaw_refusals_total{{reason=\"limit.connections\"}} {}",
            files as usize - share
        );
        wait_until("one has its share", || {
            let page = format!("http://{}/metrics", proxy.metrics());
            curl(&[&page]).ok().text().contains(&refused)
        });
        let from = "127.0.0.2".parse().unwrap();
        let mut other = RawClient::try_connect_from(from, web).unwrap();
        let answer = other.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answer.text(), "hello", "{files}");
        drop(held);
    }
}

#[test]
fn a_start_that_could_serve_no_connection_fails() {
    let proxy = Proxy::start(&answering("hello"));
    let config = proxy.config().to_owned();
    let text = std::fs::read_to_string(&config).unwrap();
    let own = text
        .replace("admin.sock", "other.sock")
        .replace("/state", "/other")
        .replace(&proxy.metrics().to_string(), "off");
    let config = proxy.folder().write("few.toml", own);
    let mut command = Command::new("prlimit");
    command
        .arg("--nofile=28:28")
        .arg(env!("CARGO_BIN_EXE_openclaw"))
        .arg("-c")
        .arg(config)
        .arg("run");
    let ended = Output::of(&mut command, "the proxy");
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let words = "error: the limit of open files, 28, leaves none for connections; raise it (LimitNOFILE, `ulimit -n`)";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}
