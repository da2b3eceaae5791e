//! `openclaw explain id`: what became of a request, for whoever has its id.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::control::{address, forwarding};
use crate::support::{Message, Origin, Proxy, RawClient, free_port};

/// No access log: what is told has to be remembered elsewhere.
const QUIET: &str = "[log]\naccess = { to = \"off\" }\nslow = \"300ms\"\n";

fn ask(web: SocketAddr, path: &str) -> Message {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: tester/1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    );
    RawClient::connect(web).exchange(request)
}

fn explain(proxy: &Proxy, id: &str) -> Value {
    let told = proxy.cli(&["-o", "json", "explain", "id", id]).ok();
    serde_json::from_slice(&told.stdout).expect("it is JSON")
}

fn id(response: &Message) -> String {
    response.header("x-request-id").expect("an id").to_owned()
}

#[test]
fn a_failed_request_is_told_with_every_endpoint_that_was_tried() {
    let (first, second) = (free_port(), free_port());
    let config = format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nretries = 1\nendpoints = [\"127.0.0.1:{first}\", \
         \"127.0.0.1:{second}\"]\n[[route]]\nname = \"shop\"\nmatch = {{ path = \"/shop\" }}\nstrip_prefix = \"/shop\"\nto = \"app\"\n{QUIET}"
    );
    let proxy = Proxy::start(&config);
    let web = address(&proxy, "web");
    let answer = ask(web, "/shop/cart?item=7");
    assert_eq!(answer.status(), 502);
    let id = id(&answer);
    let told = explain(&proxy, &id);
    for (name, expected) in [
        ("id", &*id),
        ("reason", "upstream.connect"),
        ("fault", "origin"),
        ("outcome", "failed with 502"),
        ("listener", "web"),
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("host", "shop.test"),
        ("protocol", "HTTP/1.1"),
        ("path", "/cart?item=7"),
        ("user_agent", "tester/1"),
        ("route", "shop"),
        ("upstream", "app"),
    ] {
        assert_eq!(told[name], expected, "{name}: {told:#}");
    }
    assert_eq!(
        (&told["status"], &told["retries"]),
        (&502.into(), &1.into())
    );
    assert_eq!(told["path_is_as_sent"], true);
    let mut tried: Vec<&str> = told["tries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!(one["reason"], "upstream.connect");
            assert_eq!(one["detail"], "the endpoint refused the connection");
            one["endpoint"].as_str().unwrap()
        })
        .collect();
    tried.sort_unstable();
    let mut expected = [format!("127.0.0.1:{first}"), format!("127.0.0.1:{second}")];
    expected.sort_unstable();
    assert_eq!(tried, expected);
    let text = proxy.cli(&["explain", "id", &id]).ok().text();
    let head = format!("{id}: failed with 502 (upstream.connect), ");
    assert!(text.starts_with(&head), "{text}");
    for part in [
        "what      No endpoint of the upstream took a connection",
        "do        Is the origin up",
        "request   GET shop.test/cart?item=7 (as the endpoint got it)\n",
        "try 2     127.0.0.1:",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_refused_one_has_the_path_that_came_and_a_slow_one_its_times() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            if request.start.contains("/slow") {
                std::thread::sleep(Duration::from_millis(400));
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    });
    let config = forwarding(origin.address()).replace(
        "name = \"all\"",
        "match = { host = \"shop.test\" }\nname = \"all\"",
    );
    let proxy = Proxy::start(&(config + QUIET));
    let web = address(&proxy, "web");
    let other = "GET /lost HTTP/1.1\r\nHost: other.test\r\nX-Request-Id: mine\r\n\r\n";
    let refused = RawClient::connect(web).exchange(other);
    let told = explain(&proxy, &id(&refused));
    assert_eq!(told["reason"], "route.none");
    assert_eq!(told["path"], "/lost");
    assert_eq!(told["route"], Value::Null);
    assert_eq!(told["path_is_as_sent"], false);
    let malformed = RawClient::connect(web).exchange("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    let told = explain(&proxy, &id(&malformed));
    assert_eq!(told["reason"], "http.malformed");
    assert_eq!(told["outcome"], "refused with 400");

    assert_eq!(ask(web, "/quick").status(), 200);
    assert_eq!(ask(web, "/slow").status(), 200);
    let slow = origin
        .requests()
        .into_iter()
        .find(|one| one.start.contains("/slow"))
        .unwrap();
    let told = explain(&proxy, slow.header("x-request-id").unwrap());
    assert_eq!(told["outcome"], "answered 200, later than after 300ms");
    assert_eq!(
        (&told["reason"], &told["path"]),
        (&Value::Null, &"/slow".into())
    );
    assert!(told["upstream_ms"].as_f64().unwrap() >= 400.0, "{told:#}");
    assert!(told["sent_after_ms"].as_f64().unwrap() < 300.0, "{told:#}");
    // A normal one is not remembered, and that is said.
    let quick = origin
        .requests()
        .into_iter()
        .find(|one| one.start.contains("/quick"))
        .unwrap();
    let quick = quick.header("x-request-id").unwrap();
    let unknown = proxy.cli(&["explain", "id", quick]);
    assert_eq!(unknown.code, 1);
    for part in [
        quick,
        "refused, failed, or whose answer took longer than 300ms",
        "3 now, the oldest from ",
    ] {
        assert!(unknown.stderr.contains(part), "{part}: {}", unknown.stderr);
    }
}

#[test]
fn an_endpoint_that_says_500_itself_is_told_apart() {
    let origin = Origin::answering("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
    let proxy = Proxy::start(&(forwarding(origin.address()) + QUIET));
    let answer = ask(address(&proxy, "web"), "/");
    assert_eq!(answer.status(), 500);
    let id = origin.wait_for_requests(1)[0]
        .header("x-request-id")
        .unwrap()
        .to_owned();
    let told = explain(&proxy, &id);
    assert_eq!(told["outcome"], "the endpoint itself answered 500");
    assert_eq!(told["endpoint"], origin.address().to_string());
}
