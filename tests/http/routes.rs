//! Where requests go, what is done to them on the way, and what the proxy answers itself.

use super::{GET, Stage, assert_refused};
use crate::support::Origin;

const ROUTES: &str = r#"
[upstream.app]
endpoints = ["ORIGIN"]

[[route]]
name = "text"
match = { host = "a.test", path_exact = "/text" }
respond = { status = 200, body = "hello\n", content_type = "text/plain" }

[[route]]
name = "teapot"
match = { host = "a.test", path = "/teapot" }
respond = { status = 418 }

[[route]]
name = "small"
match = { host = "a.test", path = "/small" }
max_body = "5"
respond = { status = 418 }

[[route]]
name = "old"
match = { host = "a.test", path = "/old" }
redirect = { to = "https://www.a.test/new", status = 308 }

[[route]]
name = "api"
match = { host = "*.a.test", path = "/api" }
strip_prefix = "/api"
headers = { request = { set = { "X-Api" = "1", "Host" = "inner" }, add = { "X-Tag" = "t" }, remove = ["Cookie"] }, response = { set = { "X-Frame-Options" = "DENY" }, remove = ["X-Secret"] } }
to = "app"

[[route]]
name = "post"
match = { host = "a.test", path = "/post", method = ["POST"] }
to = "app"
"#;

fn stage(origin: &Origin) -> Stage {
    Stage::with(&ROUTES.replace("ORIGIN", &origin.address().to_string()))
}

#[test]
fn a_route_that_answers_itself_takes_no_larger_body_either() {
    let origin = Origin::serving("app");
    let stage = stage(&origin);
    let ask = |body: &str| {
        let length = body.len();
        stage.client().exchange(format!(
            "POST /small HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    assert_eq!(ask("12345").status(), 418);
    assert_refused(&ask("123456"), 413, "http.body_too_large");
}

#[test]
fn the_proxy_answers_itself_where_a_route_says_so() {
    let origin = Origin::serving("app");
    let stage = stage(&origin);
    let mut client = stage.client();
    let text = client.exchange("GET /text HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!((text.status(), text.text()), (200, "hello\n".to_owned()));
    assert_eq!(text.header("content-type"), Some("text/plain"));
    assert!(text.header("date").is_some());
    client.send("HEAD /text HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(
        client.response_to("HEAD").header("content-length"),
        Some("6")
    );
    let teapot =
        client.exchange("POST /teapot/x HTTP/1.1\r\nHost: A.TEST:1\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((teapot.status(), teapot.text()), (418, String::new()));
    let moved = client.exchange("GET /old/x HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(
        (moved.status(), moved.header("location")),
        (308, Some("https://www.a.test/new"))
    );
    assert_eq!(origin.connections(), 0);
}

#[test]
fn an_own_answer_to_a_body_that_still_comes_ends_the_connection() {
    let origin = Origin::serving("app");
    let stage = stage(&origin);
    let mut client = stage.client();
    client.send("POST /teapot HTTP/1.1\r\nHost: a.test\r\nContent-Length: 40\r\n\r\n");
    let teapot = client.response();
    assert_eq!(
        (teapot.status(), teapot.header("connection")),
        (418, Some("close"))
    );
    client.send("GET /text HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.expect_closed();
}

#[test]
fn edits_and_prefixes_are_applied_on_the_way() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nX-Secret: s\r\nX-Frame-Options: ALLOW\r\nX-Kept: k\r\nContent-Length: 0\r\n\r\n",
    );
    let stage = stage(&origin);
    let response = stage.ask(
        "GET /api/x?y HTTP/1.1\r\nHost: b.a.test\r\nCookie: c=d\r\nx-api: 0\r\nX-Tag: own\r\n\r\n",
    );
    assert_eq!(response.header("x-secret"), None);
    assert_eq!(response.header("x-kept"), Some("k"));
    let frames: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-frame-options"))
        .collect();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].1, "DENY");
    let request = origin.wait_for_requests(1).remove(0);
    assert_eq!(request.start, "GET /x?y HTTP/1.1");
    assert_eq!(request.header("host"), Some("inner"));
    assert_eq!(request.header("x-forwarded-host"), Some("b.a.test"));
    assert_eq!(request.header("cookie"), None);
    let values = |name: &str| -> Vec<String> {
        let same = request
            .headers
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(values("x-api"), ["1"]);
    assert_eq!(values("x-tag"), ["own", "t"]);
    assert_eq!(values("host"), ["inner"]);
    // As they are written in the file.
    for name in ["X-Api", "X-Tag", "Host"] {
        let mut names = request.headers.iter().map(|(name, _)| name);
        assert!(names.any(|known| known == name), "{name}");
    }
}

#[test]
fn a_request_that_no_route_takes_is_a_404_and_the_connection_goes_on() {
    let origin = Origin::serving("app");
    let stage = stage(&origin);
    let mut client = stage.client();
    for request in [
        "GET /textual HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: b.test\r\n\r\n",
        "GET /post HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /text HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ] {
        let response = client.exchange(request);
        assert_refused(&response, 404, "route.none");
        assert!(
            !response.text().contains("text"),
            "nothing of the request is echoed"
        );
    }
    let post = client.exchange("POST /post HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(post.text(), "app");
    let line = stage.proxy.wait_for_access("route.none");
    assert!(line.contains("\"status\":404"), "{line}");
}

#[test]
fn every_request_has_an_id_of_its_own_that_the_origin_sees() {
    let origin = Origin::serving("app");
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for _ in 0..3 {
        client.exchange("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n");
    }
    let requests = origin.wait_for_requests(3);
    let mut ids: Vec<_> = requests
        .iter()
        .map(|request| request.header("x-request-id").unwrap())
        .collect();
    for id in &ids {
        stage.proxy.wait_for_access(id);
        assert_ne!(*id, "mine");
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(
        requests[0]
            .header("traceparent")
            .is_some_and(|value| value.starts_with("00-"))
    );
}

#[test]
fn a_trusted_proxy_speaks_for_its_client() {
    let origin = Origin::serving("app");
    let config =
        super::listeners("trusted_proxies = [\"127.0.0.0/8\"]") + &super::app(origin.address(), "");
    let stage = Stage::start(&config);
    let sent =
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs-1\r\n";
    let response = stage.ask(&GET.replace("\r\n\r\n", &format!("\r\n{sent}\r\n")));
    assert_eq!(response.status(), 200);
    let request = origin.wait_for_requests(1).remove(0);
    assert_eq!(
        request.header("x-forwarded-for"),
        Some("192.0.2.7, 127.0.0.1")
    );
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    assert_eq!(request.header("x-request-id"), Some("theirs-1"));
}

#[test]
fn a_trusted_proxy_may_say_it_with_forwarded_and_nobody_else() {
    let origin = Origin::serving("app");
    let app = super::app(origin.address(), "");
    let ask = |keys: &str, fields: &str| {
        let before = origin.requests().len();
        let stage = Stage::start(&(super::listeners(keys) + &app));
        let request = GET.replace("\r\n\r\n", &format!("\r\n{fields}\r\n\r\n"));
        assert_eq!(stage.ask(&request).status(), 200);
        let request = origin.wait_for_requests(before + 1).remove(before);
        let line = stage.proxy.wait_for_access("\"status\":200");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let field = |name| request.header(name).unwrap_or_default().to_owned();
        (
            line["client"].as_str().unwrap().to_owned(),
            field("forwarded"),
            field("x-forwarded-for"),
        )
    };
    let check = |keys, fields, expected: [&str; 3]| {
        let (client, forwarded, older) = ask(keys, fields);
        assert_eq!([&*client, &*forwarded, &*older], expected, "{fields}");
    };
    let trusting = "trusted_proxies = [\"127.0.0.0/8\"]";
    let said = "Forwarded: for=6.6.6.6, for=\"192.0.2.7:1\";proto=https";
    let value = said.split_once(' ').unwrap().1;
    check(trusting, said, ["192.0.2.7", value, "192.0.2.7, 127.0.0.1"]);
    let told = origin.requests().pop();
    let told = told.and_then(|told| told.header("x-forwarded-proto").map(str::to_owned));
    assert_eq!(told.as_deref(), Some("https"));
    check("", said, ["127.0.0.1", "", "127.0.0.1"]);
    check(
        trusting,
        "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 192.0.2.7",
        ["192.0.2.7", "", "192.0.2.7, 127.0.0.1"],
    );
}

#[test]
fn a_guarded_path_is_guarded_however_it_is_written() {
    let origin = Origin::serving("app");
    let stage = Stage::with(&format!(
        "[upstream.app]\nendpoints = [\"{}\"]\n\
         [[route]]\nname = \"guard\"\nmatch = {{ path = \"/admin\" }}\nrespond = {{ status = 403 }}\n\
         [[route]]\nname = \"rest\"\nto = \"app\"\n",
        origin.address()
    ));
    let mut client = stage.client();
    for path in [
        "/admin",
        "/%61dmin/x",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2E/admin",
        "/admin%2fx",
    ] {
        let answer = client.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(answer.status(), 403, "{path}");
    }
    let target = "/x/%61/../y?q=/../admin";
    let answer = client.exchange(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(answer.status(), 200);
    // The origin gets it as it was.
    let request = origin.wait_for_requests(1).remove(0);
    assert!(request.start.contains(target), "{}", request.start);
}

#[test]
fn a_client_behind_a_trusted_proxy_is_routed_and_logged_by_its_own_address() {
    let stage = Stage::start(&format!(
        "{}[[route]]\nname = \"office\"\nmatch = {{ client = [\"198.51.100.0/24\"] }}\n\
         respond = {{ status = 200 }}\n[[route]]\nname = \"others\"\nrespond = {{ status = 403 }}\n",
        super::listeners("trusted_proxies = [\"127.0.0.1/32\"]")
    ));
    let asked = |forwarded: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {forwarded}\r\n\r\n");
        stage.ask(&request).status()
    };
    assert_eq!(asked("198.51.100.9"), 200);
    assert_eq!(
        asked("198.51.100.9, 192.0.2.1"),
        403,
        "what stands left is invention"
    );
    stage.proxy.wait_for_access("\"client\":\"198.51.100.9\"");
}
