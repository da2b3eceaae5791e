//! Header edits with variables.

use super::{Stage, upstream};
use crate::support::{Message, Origin};

const ROUTES: &str = r#"
[[route]]
name = "own"
match = { path = "/own" }
respond = { status = 203 }
headers = { response = { set = { X-Said = "{status} {host} {client_ip}" } } }

[[route]]
name = "api"
to = "app"
[route.headers.request]
set = { X-Client = "{client_ip}", X-Where = "{scheme}://{host}{uri}", X-User = "{cookie.user}", Host = "{host}.inner", X-Gone = "{header.x-none}", X-Json = '{"a":{"b":1}}' }
add = { X-Tag = "{route}/{upstream}/{method}" }
[route.headers.response]
set = { X-Said = "{status} {path} {request_id}", X-Echo = "<{header.x-echo}>", Server = "{header.x-none}" }
remove = ["X-Powered-By"]
"#;

fn all<'m>(message: &'m Message, name: &str) -> Vec<&'m str> {
    let same = message.headers.iter();
    let same = same.filter(|(own, _)| own.eq_ignore_ascii_case(name));
    same.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn variables_are_filled_in_on_the_way_in_and_out() {
    let origin = Origin::answering(
        "HTTP/1.1 404 Not Found\r\nServer: s\r\nX-Powered-By: p\r\nX-Said: own\r\nContent-Length: 0\r\n\r\n",
    );
    let stage = Stage::start(&(upstream("app", &origin, "") + ROUTES));
    let answer = stage.ask(
        "/a%20b?q=1",
        "X-Forwarded-For: 192.0.2.9\r\nCookie: a=1; user=ann\r\nX-Gone: x\r\nX-Tag: own\r\nX-Echo: {client_ip}\r\n",
    );
    let request = origin.wait_for_requests(1).remove(0);
    assert_eq!(request.header("x-client"), Some("192.0.2.9"));
    assert_eq!(request.header("x-where"), Some("http://a.test/a%20b?q=1"));
    assert_eq!(request.header("x-user"), Some("ann"));
    assert_eq!(request.header("host"), Some("a.test.inner"));
    assert_eq!(request.header("x-gone"), None, "nothing is set to nothing");
    assert_eq!(request.header("x-json"), Some("{\"a\":{\"b\":1}}"));
    assert_eq!(all(&request, "x-tag"), ["own", "api/app/GET"]);
    let id = request.header("x-request-id").unwrap();
    assert_eq!(all(&answer, "x-said"), [format!("404 /a%20b {id}")]);
    assert_eq!(
        answer.header("x-echo"),
        Some("<{client_ip}>"),
        "what a client writes is text"
    );
    assert_eq!(
        (answer.header("server"), answer.header("x-powered-by")),
        (None, None)
    );
    let own = stage.ask("/own", "");
    assert_eq!(own.header("x-said"), Some("203 a.test 127.0.0.1"));
}
