//! HTTP/1 response heads from endpoints (RFC 9112 §4, §6.3).

use super::{bytes, check};
use crate::message::h1::{Asked, parse_response};
use crate::message::{Fields, ResponseBody};
use crate::reason::Reason;

fn read_as(asked: Asked) -> impl Fn(&str) -> String {
    move |row| {
        let message = bytes(row);
        let mut fields = Fields::new();
        match parse_response(&message, 512, asked, &mut fields) {
            Ok(None) => "more".to_owned(),
            Ok(Some((response, length))) => {
                let body = match response.body {
                    ResponseBody::None { declared: None } => "none".to_owned(),
                    ResponseBody::None {
                        declared: Some(length),
                    } => format!("none({length})"),
                    ResponseBody::Length(length) => length.to_string(),
                    ResponseBody::Chunked => "chunked".to_owned(),
                    ResponseBody::UntilClose => "until-close".to_owned(),
                    ResponseBody::Tunnel => "tunnel".to_owned(),
                };
                let life = if response.keep_alive { "" } else { " close" };
                let left = message.len() - length;
                let rest = if left == 0 {
                    String::new()
                } else {
                    format!(" +{left}")
                };
                format!("{} {body}{life}{rest}", response.status)
            }
            Err(fault) => {
                assert_eq!(
                    (fault.status, fault.reason),
                    (502, Reason::UpstreamBadResponse)
                );
                "refused".to_owned()
            }
        }
    }
}

#[test]
fn status_lines_and_fields() {
    check(
        r"
        # RFC 9112 §4
        200 0                | HTTP/1.1 200 OK↵Content-Length: 0↵↵
        200 0                | HTTP/1.1 200 ↵Content-Length: 0↵↵
        200 0                | HTTP/1.1 200↵Content-Length: 0↵↵
        200 0                | HTTP/1.1 200 Tr\xe8s bien↵Content-Length: 0↵↵
        299 0                | HTTP/1.1 299 Own↵Content-Length: 0↵↵
        599 0                | HTTP/1.1 599 Own↵Content-Length: 0↵↵
        200 0 +4             | HTTP/1.1 200 OK↵Content-Length: 0↵↵HTTP
        more                 | HTTP/1.1 200 OK↵Content-
        more                 | HTTP/1.
        refused              | HTTP/1.1 20 OK↵↵
        refused              | HTTP/1.1 2000 OK↵↵
        refused              | HTTP/1.1 099 OK↵↵
        refused              | HTTP/1.1 2x0 OK↵↵
        refused              | HTTP/2 200 OK↵↵
        refused              | HTTP/1.1  200 OK↵↵
        refused              | ICY 200 OK↵↵
        refused              | <html>hello</html>
        refused              | GET / HTTP/1.1↵Host: a↵↵
        refused              | \0\0\0\0
        # RFC 9112 §5.1, §5.2: what a proxy would have to repair is refused
        # RFC 9112 §5.1: white space before the colon is taken off
        200 5                | HTTP/1.1 200 OK↵Content-Length : 5↵↵
        refused              | HTTP/1.1 200 OK↵X: y↵ z↵↵
        refused              | HTTP/1.1 200 OK↵X: \0↵↵
        refused              | HTTP/1.1 200 OK↵X: a\rb↵↵
        refused              | HTTP/1.1 200 OK↵no colon↵↵
        ",
        read_as(Asked::default()),
    );
}

#[test]
fn bodies() {
    check(
        r"
        # RFC 9112 §6.3, in its order
        204 none             | HTTP/1.1 204 No Content↵Content-Length: 5↵↵
        204 none             | HTTP/1.1 204 No Content↵Transfer-Encoding: chunked↵↵
        304 none(5)          | HTTP/1.1 304 Not Modified↵Content-Length: 5↵↵
        304 none             | HTTP/1.1 304 Not Modified↵↵
        100 none             | HTTP/1.1 100 Continue↵↵
        103 none             | HTTP/1.1 103 Early Hints↵Link: </a>↵↵
        refused              | HTTP/1.1 101 Switching Protocols↵Upgrade: x↵↵
        200 chunked          | HTTP/1.1 200 OK↵Transfer-Encoding: chunked↵↵
        200 chunked          | HTTP/1.1 200 OK↵Transfer-Encoding: CHUNKED↵↵
        refused              | HTTP/1.1 200 OK↵Transfer-Encoding: chunked↵Content-Length: 5↵↵
        refused              | HTTP/1.1 200 OK↵Content-Length: 5↵Transfer-Encoding: chunked↵↵
        refused              | HTTP/1.1 200 OK↵Transfer-Encoding: chunked↵Transfer-Encoding: chunked↵↵
        refused              | HTTP/1.1 200 OK↵Transfer-Encoding: gzip↵↵
        refused              | HTTP/1.1 200 OK↵Transfer-Encoding: gzip, chunked↵↵
        refused              | HTTP/1.1 200 OK↵Transfer-Encoding: identity↵↵
        refused              | HTTP/1.0 200 OK↵Transfer-Encoding: chunked↵↵
        200 5                | HTTP/1.1 200 OK↵Content-Length: 5↵↵
        200 5                | HTTP/1.1 200 OK↵Content-Length: 5↵Content-Length: 5↵↵
        refused              | HTTP/1.1 200 OK↵Content-Length: 5↵Content-Length: 6↵↵
        refused              | HTTP/1.1 200 OK↵Content-Length: 5, 5↵↵
        refused              | HTTP/1.1 200 OK↵Content-Length: -5↵↵
        refused              | HTTP/1.1 200 OK↵Content-Length: five↵↵
        refused              | HTTP/1.1 200 OK↵Content-Length:↵↵
        refused              | HTTP/1.1 200 OK↵Content-Length: 99999999999999999999↵↵
        200 until-close close | HTTP/1.1 200 OK↵↵
        200 until-close close | HTTP/1.1 200 OK↵Connection: keep-alive↵↵
        # RFC 9112 §9.3
        200 5 close          | HTTP/1.1 200 OK↵Content-Length: 5↵Connection: Close↵↵
        200 5 close          | HTTP/1.0 200 OK↵Content-Length: 5↵↵
        200 5                | HTTP/1.0 200 OK↵Content-Length: 5↵Connection: keep-alive↵↵
        ",
        read_as(Asked::default()),
    );
    check(
        r"
        200 none(5)          | HTTP/1.1 200 OK↵Content-Length: 5↵↵
        200 none             | HTTP/1.1 200 OK↵Transfer-Encoding: chunked↵↵
        200 none             | HTTP/1.1 200 OK↵↵
        refused              | HTTP/1.1 200 OK↵Transfer-Encoding: chunked↵Content-Length: 5↵↵
        ",
        read_as(Asked {
            head: true,
            ..Asked::default()
        }),
    );
    check(
        r"
        101 tunnel close     | HTTP/1.1 101 Switching Protocols↵Upgrade: websocket↵Connection: upgrade↵↵
        200 5                | HTTP/1.1 200 OK↵Content-Length: 5↵↵
        ",
        read_as(Asked {
            upgrade: true,
            ..Asked::default()
        }),
    );
    // RFC 6455 §1.3 has this key and this answer; RFC 8441 §5: what is no switch is no tunnel for the client either.
    check(
        r"
        101 tunnel close     | HTTP/1.1 101 Switching Protocols↵Upgrade: WebSocket↵Connection: upgrade↵Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=↵↵
        refused              | HTTP/1.1 101 Switching Protocols↵Upgrade: websocket↵Connection: upgrade↵Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=↵↵
        refused              | HTTP/1.1 101 Switching Protocols↵Upgrade: websocket↵Connection: upgrade↵↵
        refused              | HTTP/1.1 101 Switching Protocols↵Upgrade: h2c↵Connection: upgrade↵Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=↵↵
        refused              | HTTP/1.1 101 Switching Protocols↵Connection: upgrade↵Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=↵↵
        refused              | HTTP/1.1 200 OK↵Content-Length: 5↵↵
        refused              | HTTP/1.1 204 No Content↵↵
        103 none             | HTTP/1.1 103 Early Hints↵↵
        403 5                | HTTP/1.1 403 Forbidden↵Content-Length: 5↵↵
        302 0                | HTTP/1.1 302 Found↵Content-Length: 0↵↵
        ",
        read_as(Asked {
            upgrade: true,
            websocket: Some(*b"dGhlIHNhbXBsZSBub25jZQ=="),
            ..Asked::default()
        }),
    );
}

#[test]
fn heads_larger_than_their_limit() {
    let read = read_as(Asked::default());
    assert_eq!(
        read(&format!("HTTP/1.1 200 OK↵X: {}", "x".repeat(512))),
        "refused"
    );
    assert_eq!(
        read(&format!("HTTP/1.1 200 OK↵X: {}↵↵", "x".repeat(512))),
        "refused"
    );
    assert_eq!(
        read(&format!("HTTP/1.1 200 OK↵{}↵", "X:↵".repeat(101))),
        "refused"
    );
}
