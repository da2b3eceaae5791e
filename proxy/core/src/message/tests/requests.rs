//! HTTP/1 request heads (RFC 9112 §2–§7, RFC 9110 §5–§10).

use super::{bytes, check, reading, refusal};
use crate::message::Fields;
use crate::message::h1::parse_request;

const MAX: usize = 512;

fn read(row: &str) -> String {
    let message = bytes(row);
    let mut fields = Fields::new();
    match parse_request(&message, MAX, &mut fields) {
        Ok(None) => "more".to_owned(),
        Ok(Some((request, length))) => {
            let line = reading(&request);
            match message.len() - length {
                0 => line,
                left => format!("{line} +{left}"),
            }
        }
        Err(fault) => refusal(&fault),
    }
}

#[test]
fn request_lines_and_targets() {
    check(
        r"
        # RFC 9112 §3: method SP request-target SP HTTP-version
        GET a / none                   | GET / HTTP/1.1↵Host: a↵↵
        GET a /x?y=1&z none            | GET /x?y=1&z HTTP/1.1↵Host: a↵↵
        GET a /x?{}|^` none            | GET /x?{}|^` HTTP/1.1↵Host: a↵↵
        GET a //x none                 | GET //x HTTP/1.1↵Host: a↵↵
        GET a /%2e%2e/ none            | GET /%2e%2e/ HTTP/1.1↵Host: a↵↵
        M-SEARCH a / none              | M-SEARCH / HTTP/1.1↵Host: a↵↵
        get a / none                   | get / HTTP/1.1↵Host: a↵↵
        connect a / none               | connect / HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET  / HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET /  HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET\t/ HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET / x HTTP/1.1↵Host: a↵↵
        400 http.malformed             | G(T / HTTP/1.1↵Host: a↵↵
        400 http.malformed             | G\xe9T / HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET↵Host: a↵↵
        400 http.malformed             | \x16\x03\x01\x02\x00
        # RFC 9112 §2.2: one or more empty lines before the request line are ignored; white space is not
        GET a / none                   | ↵GET / HTTP/1.1↵Host: a↵↵
        400 http.malformed             | \nGET / HTTP/1.1↵Host: a↵↵
        400 http.malformed             | \x20GET / HTTP/1.1↵Host: a↵↵
        # RFC 9112 §2.3, §2.6: the version
        505 http.version               | GET / HTTP/1.2↵Host: a↵↵
        505 http.version               | GET / HTTP/2.0↵Host: a↵↵
        505 http.version               | GET / HTTP/0.9↵Host: a↵↵
        400 http.malformed             | GET / http/1.1↵Host: a↵↵
        400 http.malformed             | GET / HTTP/1.1 ↵Host: a↵↵
        400 http.malformed             | GET / HTTP/11↵Host: a↵↵
        # RFC 9112 §3.2.1: origin-form
        400 http.malformed             | GET x HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET ?x HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET /a#b HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET /a\xc3\xa9 HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET /\0 HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET /<x> HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET /a\\b HTTP/1.1↵Host: a↵↵
        # RFC 9112 §3.2.2: absolute-form; Host may not say another thing
        GET a / none                   | GET http://a HTTP/1.1↵Host: a↵↵
        GET a:81 /x none               | GET HTTP://a:81/x HTTP/1.1↵Host: A:81↵↵
        GET a /?q none                 | GET https://a/?q HTTP/1.1↵Host: a↵↵
        GET a /x none close            | GET http://a/x HTTP/1.0↵↵
        400 http.smuggling             | GET http://b/ HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET http://a/ HTTP/1.1↵↵
        400 http.malformed             | GET http:///x HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET http://u@a/ HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET ftp://a/ HTTP/1.1↵Host: a↵↵
        # RFC 9112 §3.2.3: authority-form belongs to CONNECT, which is for forward proxies
        405 http.method                | CONNECT a:443 HTTP/1.1↵Host: a:443↵↵
        405 http.method                | CONNECT / HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET a:443 HTTP/1.1↵Host: a:443↵↵
        # RFC 9112 §3.2.4: asterisk-form; an absolute-form OPTIONS without a path becomes it
        OPTIONS a * none               | OPTIONS * HTTP/1.1↵Host: a↵↵
        OPTIONS a * none               | OPTIONS http://a HTTP/1.1↵Host: a↵↵
        OPTIONS a / none               | OPTIONS http://a/ HTTP/1.1↵Host: a↵↵
        400 http.malformed             | GET * HTTP/1.1↵Host: a↵↵
        400 http.malformed             | OPTIONS ** HTTP/1.1↵Host: a↵↵
        ",
        read,
    );
}

#[test]
fn hosts() {
    check(
        r"
        # RFC 9112 §3.2: exactly one Host in HTTP/1.1, none needed in HTTP/1.0
        400 http.malformed             | GET / HTTP/1.1↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host:↵↵
        400 http.smuggling             | GET / HTTP/1.1↵Host: a↵Host: b↵↵
        400 http.smuggling             | GET / HTTP/1.1↵Host: a↵hOST: a↵↵
        GET - / none close             | GET / HTTP/1.0↵↵
        GET - / none close             | GET / HTTP/1.0↵Host:↵↵
        400 http.smuggling             | GET / HTTP/1.0↵Host: a↵Host: a↵↵
        # RFC 9110 §7.2: uri-host [ : port ]
        GET a.test:8080 / none         | GET / HTTP/1.1↵Host: a.test:8080↵↵
        GET [::1]:80 / none            | GET / HTTP/1.1↵Host: [::1]:80↵↵
        GET a / none                   | GET / HTTP/1.1↵Host: \t a \t↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a b↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a,b↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: u@a↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a/x↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a:x↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: [::1↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: http://a↵↵
        400 http.malformed             | GET / HTTP/1.0↵Host: a b↵↵
        ",
        read,
    );
}

#[test]
fn field_lines() {
    check(
        r"
        # RFC 9112 §5: field-name : OWS field-value OWS
        GET a / none                   | GET / HTTP/1.1↵Host:a↵X:↵Y: \t z \t↵↵
        GET a / none                   | GET / HTTP/1.1↵Host: a↵X: \xff\xfe↵↵
        GET a / none                   | GET / HTTP/1.1↵Host: a↵X: b:c: d↵↵
        # RFC 9112 §5.1: no white space between name and colon
        400 http.malformed             | GET / HTTP/1.1↵Host : a↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵Content-Length : 5↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵Transfer-Encoding\t: chunked↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵: x↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵no colon↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X(: y↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X\xe9: y↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X\0: y↵↵
        # RFC 9112 §5.2: obs-fold; §2.2: white space before the first field line
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X: y↵ z↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X: y↵\tContent-Length: 5↵↵
        400 http.malformed             | GET / HTTP/1.1↵ Host: a↵↵
        # RFC 9110 §5.5: CR, LF and NUL in a value; RFC 9112 §2.2: bare LF and bare CR
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X: \0↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X: a\x7f↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X: a\x01b↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X: a\rContent-Length: 5↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵X: y\r\r\n↵
        400 http.malformed             | GET / HTTP/1.1\nHost: a\n\n
        400 http.malformed             | GET / HTTP/1.1↵Host: a\nX: y↵↵
        400 http.malformed             | GET / HTTP/1.1↵Host: a↵\n
        # Heads in parts, and what is behind a head
        more                           | GET
        more                           | GET / HTTP/1.1↵
        more                           | GET / HTTP/1.1↵Host: a↵\r
        GET a / none +3                | GET / HTTP/1.1↵Host: a↵↵GET
        ",
        read,
    );
}

#[test]
fn framing() {
    check(
        r"
        # RFC 9112 §6.2, §6.3: Content-Length, one plain number
        GET a / none                   | GET / HTTP/1.1↵Host: a↵Content-Length: 0↵↵
        POST a / 5 +5                  | POST / HTTP/1.1↵Host: a↵Content-Length: 5↵↵hello
        POST a / 5                     | POST / HTTP/1.1↵Host: a↵Content-Length: 0005↵↵
        POST a / 9223372036854775807   | POST / HTTP/1.1↵Host: a↵Content-Length: 9223372036854775807↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 9223372036854775808↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 18446744073709551621↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: -1↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: +5↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 0x5↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 5 5↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 5.0↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: ٥↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length:↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 5, 5↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 5,6↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 5↵Content-Length: 6↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 5↵content-length: 5↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 0↵Content-Length: 0↵↵
        # RFC 9112 §6.1: Transfer-Encoding, exactly chunked, once, alone, and not in HTTP/1.0
        POST a / stream                | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked↵↵
        POST a / stream                | POST / HTTP/1.1↵Host: a↵transfer-ENCODING: \t Chunked ↵↵
        GET a / stream                 | GET / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked↵Content-Length: 5↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 5↵Transfer-Encoding: chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Content-Length: 0↵Transfer-Encoding: chunked↵↵
        400 http.smuggling             | POST / HTTP/1.0↵Host: a↵Transfer-Encoding: chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked↵Transfer-Encoding: chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked↵Transfer-Encoding: identity↵↵
        # RFC 9112 §6.1: a coding that is not understood, where the end of the body is clear
        501 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: gzip, chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: ,chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: a b, chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked, chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked, identity↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: identity↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: xchunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: \x22chunked\x22↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked;q=1↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: ,chunked↵↵
        400 http.smuggling             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding:↵↵
        400 http.malformed             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding: \x0bchunked↵↵
        400 http.malformed             | POST / HTTP/1.1↵Host: a↵Transfer-Encoding:↵ chunked↵↵
        # What only looks like framing is a field like any other
        GET a / none                   | GET / HTTP/1.1↵Host: a↵Content_Length: 5↵Transfer_Encoding: chunked↵↵
        ",
        read,
    );
}

#[test]
fn connections_expectations_and_upgrades() {
    check(
        r"
        # RFC 9112 §9.3: persistence
        GET a / none close             | GET / HTTP/1.1↵Host: a↵Connection: close↵↵
        GET a / none close             | GET / HTTP/1.1↵Host: a↵Connection: x, CLOSE ,↵↵
        GET a / none close             | GET / HTTP/1.1↵Host: a↵Connection: keep-alive↵Connection: close↵↵
        GET a / none                   | GET / HTTP/1.1↵Host: a↵Connection: closed↵↵
        GET a / none close             | GET / HTTP/1.0↵Host: a↵↵
        GET a / none                   | GET / HTTP/1.0↵Host: a↵Connection: Keep-Alive↵↵
        GET a / none close             | GET / HTTP/1.0↵Host: a↵Connection: keep-alive, close↵↵
        # RFC 9110 §10.1.1: Expect
        PUT a / 5 continue             | PUT / HTTP/1.1↵Host: a↵Content-Length: 5↵Expect: 100-Continue↵↵
        PUT a / stream continue        | PUT / HTTP/1.1↵Host: a↵Transfer-Encoding: chunked↵Expect: 100-continue↵↵
        GET a / none                   | GET / HTTP/1.1↵Host: a↵Expect: 100-continue↵↵
        PUT a / 5 close                | PUT / HTTP/1.0↵Host: a↵Content-Length: 5↵Expect: 100-continue↵↵
        417 http.malformed             | PUT / HTTP/1.1↵Host: a↵Content-Length: 5↵Expect: 200-ok↵↵
        417 http.malformed             | PUT / HTTP/1.1↵Host: a↵Content-Length: 5↵Expect:↵↵
        # RFC 9110 §7.8: Upgrade needs both fields, HTTP/1.1 and no body
        GET a / none upgrade           | GET / HTTP/1.1↵Host: a↵Connection: x, Upgrade↵Upgrade: websocket↵↵
        GET a / none                   | GET / HTTP/1.1↵Host: a↵Upgrade: websocket↵↵
        GET a / none                   | GET / HTTP/1.1↵Host: a↵Connection: Upgrade↵↵
        GET a / none                   | GET / HTTP/1.0↵Host: a↵Connection: keep-alive, upgrade↵Upgrade: websocket↵↵
        POST a / 5                     | POST / HTTP/1.1↵Host: a↵Connection: Upgrade↵Upgrade: websocket↵Content-Length: 5↵↵
        # RFC 9110 §10.1.4: TE
        GET a / none trailers          | GET / HTTP/1.1↵Host: a↵TE: gzip;q=1, Trailers↵Connection: TE↵↵
        GET a / none                   | GET / HTTP/1.1↵Host: a↵TE: gzip↵↵
        ",
        read,
    );
}

#[test]
fn heads_larger_than_their_limit() {
    let check = |message: String, expected: &str| {
        assert_eq!(read(&message), expected, "{} bytes", message.len());
    };
    let head = |size: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1↵Host: a↵X: {}↵↵", "x".repeat(size - frame))
    };
    check(head(MAX), "GET a / none");
    check(head(MAX + 1), "431 http.header_too_large");
    check(format!("GET /{}", "x".repeat(MAX)), "414 http.uri_too_long");
    check(
        format!("GET / HTTP/1.1↵X: {}", "x".repeat(MAX)),
        "431 http.header_too_large",
    );
    let line = |size: usize| {
        let target = "x".repeat(size - "GET / HTTP/1.1\r\n".len());
        format!("GET /{target} HTTP/1.1↵")
    };
    // It makes no difference how much of what is too large has arrived.
    for rest in ["", "Host: a↵", "Host: a↵↵"] {
        let long = format!("{}{rest}", line(MAX + 1));
        check(long, "414 http.uri_too_long");
        let long = format!("↵↵{}{rest}", line(MAX + 1));
        check(long, "414 http.uri_too_long");
        let fits = format!("{}{rest}", line(MAX));
        check(fits, "431 http.header_too_large");
    }

    let fields = |count: usize| {
        let message = bytes(&format!(
            "GET / HTTP/1.1↵Host: a↵{}↵",
            "X:↵".repeat(count - 1)
        ));
        let mut fields = Fields::new();
        parse_request(&message, 4096, &mut fields)
            .map(|_| ())
            .map_err(|fault| fault.status)
    };
    assert_eq!(fields(100), Ok(()));
    assert_eq!(fields(101), Err(431));
}
