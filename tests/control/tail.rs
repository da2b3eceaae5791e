//! `openclaw tail`: exchanges as they end, from the running proxy.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::Command;

use serde_json::Value;

use crate::control::{address, answering, fetch, forwarding};
use crate::support::{Child, Origin, PATIENCE, Proxy, RawClient, free_port, wait_until};

/// Nothing is logged: whatever is told comes from the proxy itself.
const QUIET: &str = "[log]\naccess = { to = \"off\" }\n";

fn tail(proxy: &Proxy, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
    command
        .arg("-c")
        .arg(proxy.config())
        .arg("--socket")
        .arg(proxy.socket());
    Child::start(command.arg("tail").args(arguments), "the proxy")
}

/// Follows, and waits until nothing is missed any more.
fn following(proxy: &Proxy, web: SocketAddr, arguments: &[&str]) -> Child {
    let tail = tail(proxy, arguments);
    wait_until("it follows", || {
        RawClient::connect(web).exchange("GET /warm-up HTTP/1.1\r\nHost: a.test\r\n\r\n");
        !tail.stdout.text().is_empty()
    });
    tail
}

fn line(tail: &Child, part: &str) -> String {
    let line = tail.stdout.line(PATIENCE, |line| line.contains(part));
    line.unwrap_or_else(|| {
        panic!(
            "no {part:?} in:\n{}{}",
            tail.stdout.text(),
            tail.stderr.text()
        )
    })
}

#[test]
fn exchanges_of_all_workers_are_told_as_they_end_without_a_log() {
    let origin = Origin::serving("x");
    let proxy = Proxy::start(&(forwarding(origin.address()) + QUIET));
    let web = address(&proxy, "web");
    let mut tail = following(&proxy, web, &["-o", "json"]);
    for number in 0..20 {
        let request =
            format!("GET /page/{number} HTTP/1.1\r\nHost: a.test\r\nUser-Agent: t\"x\r\n\r\n");
        RawClient::connect(web).exchange(request);
    }
    for number in 0..20 {
        let line = line(&tail, &format!("\"/page/{number}\""));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["status"], &line["route"]),
            (&200.into(), &"all".into())
        );
        assert_eq!(line["endpoint"], origin.address().to_string());
        assert_eq!(line["user_agent"], "t\"x");
    }
    assert_eq!(proxy.stdout(), "", "nothing is logged");
    tail.signal("INT");
    let ended = tail.wait(PATIENCE);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    // Nobody follows any more, and requests go on.
    assert_eq!(fetch(web), "x");
}

#[test]
fn what_is_asked_for_is_told_and_nothing_else() {
    let dead = free_port();
    let config = format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.dead]\nendpoints = [\"127.0.0.1:{dead}\"]\n\
         [[route]]\nname = \"dead\"\nmatch = {{ path = \"/dead\" }}\nto = \"dead\"\n\
         [[route]]\nname = \"here\"\nmatch = {{ path = \"/warm-up\" }}\nrespond = {{ body = \"x\" }}\n{QUIET}"
    );
    let proxy = Proxy::start(&config);
    let web = address(&proxy, "web");
    let ask = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        RawClient::connect(web).exchange(request).status()
    };
    // Whoever comes later is heard after it.
    let nobody = tail(&proxy, &["--client", "192.0.2.0/24"]);
    let all = following(&proxy, web, &[]);
    let rows: [(&[&str], &str); 6] = [
        (&["--reason", "upstream"], "/dead/end"),
        (&["--reason", "route.none"], "/nowhere/end"),
        (&["--route", "dead"], "/dead/end"),
        (&["--status", "5xx", "--client", "127.0.0.0/8"], "/dead/end"),
        (&["--upstream", "dead", "--host", "a.test"], "/dead/end"),
        (
            &["--listener", "web", "--errors", "--status", "404"],
            "/nowhere/end",
        ),
    ];
    let tails: Vec<Child> = rows
        .iter()
        .map(|(arguments, _)| tail(&proxy, arguments))
        .collect();
    wait_until("they follow", || {
        tails.iter().all(|tail| {
            ask("/nowhere/early");
            ask("/dead/early");
            !tail.stdout.text().is_empty()
        })
    });
    assert_eq!(
        (ask("/dead/end"), ask("/nowhere/end"), ask("/warm-up/end")),
        (502, 404, 200)
    );
    for ((arguments, expected), tail) in rows.iter().zip(&tails) {
        line(tail, expected);
        let text = tail.stdout.text();
        let path = expected.trim_end_matches("/end");
        assert!(
            text.lines().all(|line| line.contains(path)),
            "{arguments:?}\n{text}"
        );
    }
    let row = line(&all, "/dead/end");
    for part in [
        " 502 GET a.test/dead/end ",
        " ms from 127.0.0.1 by web > dead > dead > 127.0.0.1:",
        " upstream.connect: the endpoint refused",
    ] {
        assert!(row.contains(part), "{part}: {row}");
    }
    let mut refused = tail(&proxy, &[]);
    let ended = refused.wait(PATIENCE);
    assert_eq!(
        ended.and_then(|status| status.code()),
        Some(1),
        "one too many"
    );
    let told = refused.stderr.to_the_end(PATIENCE);
    assert!(told.contains("8 follow the exchanges already"), "{told}");
    assert_eq!(nobody.stdout.text() + &nobody.stderr.text(), "");
}

#[test]
fn it_ends_with_the_proxy_after_so_many_and_at_nonsense() {
    let proxy = Proxy::start(&(answering("hello") + QUIET));
    let web = address(&proxy, "web");
    let mut endless = following(&proxy, web, &[]);
    let mut limited = tail(&proxy, &["--limit", "2"]);
    let ended = || {
        fetch(web);
        limited.ended()
    };
    let mut ended = ended;
    let deadline = std::time::Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = ended() {
            break status;
        }
        assert!(std::time::Instant::now() < deadline, "it goes on");
    };
    assert!(status.success());
    assert_eq!(limited.stdout.to_the_end(PATIENCE).lines().count(), 2);
    for (arguments, code, message) in [
        (["--route", "nope"], 1, "there is no route `nope`"),
        (["--route", "al"], 1, "did you mean `all`?"),
        (["--upstream", "nope"], 1, "there is no upstream `nope`"),
        (
            ["--reason", "nope"],
            1,
            "no reason is or begins with `nope`",
        ),
        (["--status", "9999x"], 2, "`9999x` is no status"),
        (["--client", "here"], 2, "here"),
        (["--slow", "much"], 2, "much"),
    ] {
        let mut arguments = arguments.to_vec();
        arguments.insert(0, "tail");
        let refused = proxy.cli(&arguments);
        assert_eq!(refused.code, code, "{}", refused.stderr);
        assert!(refused.stderr.contains(message), "{}", refused.stderr);
    }
    proxy.cli(&["stop"]).ok();
    let status = endless.wait(PATIENCE);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    assert!(
        endless
            .stderr
            .to_the_end(PATIENCE)
            .contains("the proxy has ended")
    );
}

/// The reader takes nothing; the proxy waits for nobody, and says afterwards how much was missed.
#[test]
fn a_reader_that_stands_still_loses_lines_which_are_counted() {
    let proxy = Proxy::start(&(answering("hello") + QUIET));
    let web = address(&proxy, "web");
    let mut reader = UnixStream::connect(proxy.socket()).unwrap();
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    reader
        .write_all(b"GET /exchanges/follow HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut head = [0; 12];
    reader.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let path = format!("/{}", "x".repeat(900));
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nUser-Agent: {path}\r\n\r\n");
    let mut client = RawClient::connect(web);
    let count = 3000;
    for _ in 0..count / 100 {
        client.send(request.repeat(100));
        for _ in 0..100 {
            assert_eq!(client.response().status(), 200);
        }
    }
    // What is read makes room for the word on what was lost.
    let (mut text, mut piece) = (String::new(), vec![0; 65536]);
    let told = |text: &str| -> usize {
        let lost = text.lines().filter_map(|line| {
            line.strip_prefix("{\"lost\":")?
                .strip_suffix('}')?
                .parse::<usize>()
                .ok()
        });
        lost.sum::<usize>() + text.matches("\"status\":200").count()
    };
    while told(&text) < count {
        let read = reader.read(&mut piece).unwrap();
        assert!(read > 0, "it ended");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    assert!(
        text.contains("{\"lost\":"),
        "nothing was lost: the test asks too little"
    );
    assert_eq!(told(&text), count);
}
