//! HTTP/2 header lists (RFC 9113 §8.2, §8.3).

use super::{check, list, reading, refusal};
use crate::message::Fields;
use crate::message::request::from_list;

/// The fields that a row is not about.
const GET: &str = ":method=GET ; :scheme=https ; :path=/ ; :authority=a";
const CONNECT: &str = ":method=CONNECT ; :scheme=https ; :authority=a";
const POST: &str = ":method=POST ; :scheme=https ; :path=/ ; :authority=a";

fn read(row: &str) -> String {
    // A row that ends with `…` has a body to come.
    let (row, ended) = row
        .strip_suffix(" …")
        .map_or((row, true), |row| (row, false));
    let list = list(
        &row.replace("GET!", GET)
            .replace("POST!", POST)
            .replace("CONNECT!", CONNECT),
    );
    let mut fields = Fields::new();
    match from_list(&list, ended, &mut fields) {
        Ok(request) => reading(&request),
        Err(fault) => refusal(&fault),
    }
}

#[test]
fn pseudo_header_fields() {
    check(
        r"
        # RFC 9113 §8.3.1
        GET a / none         | GET!
        GET a / none         | :authority=a ; :path=/ ; :scheme=http ; :method=GET
        GET a:8443 /x?y none | :method=GET ; :scheme=https ; :path=/x?y ; :authority=a:8443
        OPTIONS a * none     | :method=OPTIONS ; :scheme=https ; :path=* ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=https ; :path=* ; :authority=a
        400 http.malformed   | :scheme=https ; :path=/ ; :authority=a
        400 http.malformed   | :method=GET ; :path=/ ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=https ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=https ; :path= ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=https ; :path=x ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=https ; :path=/a b ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=https ; :path=/ HTTP/1.1↵Host: b↵↵ ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=https ; :path=/#f ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=https ; :path=http://a/ ; :authority=a
        400 http.malformed   | :method=GET ; :scheme=ftp ; :path=/ ; :authority=a
        400 http.malformed   | :method=G T ; :scheme=https ; :path=/ ; :authority=a
        400 http.malformed   | :method=GET↵X: y ; :scheme=https ; :path=/ ; :authority=a
        400 http.malformed   | :method= ; :scheme=https ; :path=/ ; :authority=a
        # §8.3: each once, known, before the regular fields
        400 http.malformed   | GET! ; :method=GET
        400 http.malformed   | GET! ; :path=/x
        400 http.malformed   | GET! ; :authority=b
        400 http.malformed   | GET! ; :status=200
        400 http.malformed   | GET! ; :protocol=websocket
        400 http.malformed   | :method=GET ; x=y ; :scheme=https ; :path=/ ; :authority=a
        400 http.malformed   |
        # RFC 9110 §7.2, RFC 9113 §8.3.1: who is meant
        GET a / none         | :method=GET ; :scheme=https ; :path=/ ; host=a
        GET a / none         | GET! ; host=A
        400 http.smuggling   | GET! ; host=b
        400 http.smuggling   | GET! ; host=a ; host=a
        400 http.malformed   | :method=GET ; :scheme=https ; :path=/
        400 http.malformed   | :method=GET ; :scheme=https ; :path=/ ; :authority=
        400 http.malformed   | :method=GET ; :scheme=https ; :path=/ ; :authority=u@a
        400 http.malformed   | :method=GET ; :scheme=https ; :path=/ ; :authority=a/b
        # RFC 9113 §8.5: CONNECT is for forward proxies, in either form
        405 http.method      | :method=CONNECT ; :authority=a:443
        405 http.method      | :method=CONNECT ; :scheme=https ; :path=/ ; :authority=a
        # RFC 8441 §4, RFC 9220 §3: the extended form is for WebSocket
        GET a /x none upgrade | CONNECT! ; :path=/x ; :protocol=websocket
        GET a /x none upgrade | CONNECT! ; :path=/x ; :protocol=WebSocket …
        GET a /x none upgrade | CONNECT! ; :path=/x ; :protocol=websocket ; expect=100-continue …
        501 http.method      | CONNECT! ; :path=/x ; :protocol=connect-udp …
        501 http.method      | CONNECT! ; :path=/x ; :protocol= …
        400 http.malformed   | CONNECT! ; :protocol=websocket …
        400 http.malformed   | :method=CONNECT ; :authority=a ; :protocol=websocket …
        400 http.malformed   | CONNECT! ; :path=/x ; :protocol=websocket ; :protocol=websocket …
        400 http.malformed   | CONNECT! ; :path=x ; :protocol=websocket …
        400 http.malformed   | POST! ; :protocol=websocket …
        400 http.smuggling   | CONNECT! ; :path=/x ; :protocol=websocket ; content-length=5 …
        400 http.smuggling   | CONNECT! ; :path=/x ; :protocol=websocket ; upgrade=websocket …
        400 http.smuggling   | CONNECT! ; :path=/x ; :protocol=websocket ; host=b …
        ",
        read,
    );
}

#[test]
fn regular_fields() {
    check(
        r"
        # RFC 9113 §8.2.1: lower-case tokens, clean values
        GET a / none         | GET! ; x= ; y=a:b\xff ; z=a\tb
        400 http.malformed   | GET! ; X=y
        400 http.malformed   | GET! ; x y=z
        400 http.malformed   | GET! ; x↵y: z=a
        400 http.malformed   | GET! ; x:y=z
        400 http.malformed   | GET! ; x\xe9=z
        400 http.malformed   | GET! ; x=a↵b
        400 http.malformed   | GET! ; x=a\nb
        400 http.malformed   | GET! ; x=a\rb
        400 http.malformed   | GET! ; x=a\0b
        400 http.malformed   | GET! ; x=\ta
        400 http.malformed   | GET! ; x=a\x20
        # §8.2.2: nothing that speaks of a connection
        400 http.smuggling   | GET! ; connection=close
        400 http.smuggling   | GET! ; keep-alive=x
        400 http.smuggling   | GET! ; proxy-connection=keep-alive
        400 http.smuggling   | GET! ; transfer-encoding=chunked
        400 http.smuggling   | POST! ; transfer-encoding=chunked …
        400 http.smuggling   | GET! ; upgrade=h2c
        GET a / none trailers | GET! ; te=trailers
        400 http.malformed   | GET! ; te=gzip
        400 http.malformed   | GET! ; te=trailers, gzip
        GET a / none         | GET! ; trailer=x ; proxy-authorization=x ; http2-settings=x ; proxy-authenticate=x
        # RFC 9110 §10.1.1
        POST a / stream continue | POST! ; expect=100-continue …
        POST a / none        | POST! ; expect=100-continue
        417 http.malformed   | POST! ; expect=x …
        ",
        read,
    );
}

#[test]
fn framing() {
    check(
        r"
        # RFC 9113 §8.1.1: content-length has to be true, DATA or not
        POST a / none        | POST!
        POST a / none        | POST! ; content-length=0
        POST a / stream      | POST! …
        POST a / 5           | POST! ; content-length=5 …
        GET a / 5            | GET! ; content-length=5 …
        400 http.smuggling   | POST! ; content-length=5
        400 http.smuggling   | POST! ; content-length=5 ; content-length=5 …
        400 http.smuggling   | POST! ; content-length=5 ; content-length=6 …
        400 http.smuggling   | POST! ; content-length=+5 …
        400 http.smuggling   | POST! ; content-length=5,5 …
        400 http.smuggling   | POST! ; content-length= …
        400 http.smuggling   | POST! ; content-length=99999999999999999999 …
        ",
        read,
    );
}

#[test]
fn a_list_has_no_more_fields_than_an_http_1_head() {
    let of = |count: usize| read(&format!("GET!{}", " ; x=y".repeat(count)));
    assert_eq!(of(100), "GET a / none");
    assert_eq!(of(101), "431 http.header_too_large");
}
