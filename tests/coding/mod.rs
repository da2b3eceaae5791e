//! Responses that are compressed on their way: which, for whom, and that what comes out is what went in, by decoders of others.

mod kept;
mod rules;
mod streams;
mod wires;

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;

use crate::control::{address, sample};
use crate::support::{Message, Origin, Proxy, RawClient};

/// The proxy with a route that compresses, in front of an origin.
struct Stage {
    proxy: Proxy,
    web: SocketAddr,
    webs: SocketAddr,
    origin: Origin,
}

impl Stage {
    /// `keys` of the route, its compression among them.
    fn start(keys: &str, answer: impl Fn(&Message) -> String + Send + Sync + 'static) -> Self {
        Self::before(
            keys,
            Origin::start(move |peer| {
                while let Some(request) = peer.request()? {
                    let answer = answer(&request);
                    // A HEAD has the head alone.
                    let head = answer
                        .split_inclusive("\r\n\r\n")
                        .next()
                        .unwrap_or_default();
                    let is_head = request.start.starts_with("HEAD ");
                    peer.send(if is_head { head } else { &answer })?;
                }
                Ok(())
            }),
        )
    }

    fn before(keys: &str, origin: Origin) -> Self {
        let upstream = format!("endpoints = \"{}\"\nretries = 0", origin.address());
        Self::with(&upstream, keys, origin)
    }

    fn with(upstream: &str, keys: &str, origin: Origin) -> Self {
        let proxy = Proxy::start(&format!(
            "[listener.web]\nbind = \"127.0.0.1:0\"\nprotocols = [\"h1\", \"h2\"]\n\
             [listener.webs]\nbind = \"127.0.0.1:0\"\nprotocols = [\"h1\", \"h2\", \"h3\"]\ntls = {{ self_signed = [\"a.test\"] }}\n\
             [upstream.app]\n{upstream}\n[[route]]\nname = \"all\"\nto = \"app\"\n{keys}\n"
        ));
        Self {
            web: address(&proxy, "web"),
            webs: address(&proxy, "webs"),
            proxy,
            origin,
        }
    }

    fn get(&self, path: &str, lines: &str) -> Message {
        self.ask("GET", path, lines)
    }

    /// One request on a connection of its own.
    fn ask(&self, method: &str, path: &str, lines: &str) -> Message {
        let mut client = RawClient::connect(self.web);
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"
        ));
        client.response_to(method)
    }

    /// How many responses were compressed so far, as the metrics say.
    fn compressions(&self, coding: &str) -> u64 {
        let name = format!("openclaw_compressions_total{{encoding=\"{coding}\"}}");
        sample(&self.proxy, &name).map_or(0, |count| count.parse().unwrap())
    }

    /// Accept-Encoding of each request that has reached the origin.
    fn asked(&self) -> Vec<Option<String>> {
        let requests = self.origin.requests();
        let field = |request: &Message| request.header("accept-encoding").map(str::to_owned);
        requests.iter().map(field).collect()
    }
}

const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

fn accept(codings: &str) -> String {
    format!("Accept-Encoding: {codings}\r\n")
}

/// A 200 with these field lines and a body.
fn ok(lines: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const JSON: &str = "Content-Type: application/json\r\n";

/// About as many bytes as an application says at once.
fn json(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(5);
    let mut text = String::from("[\n");
    while text.len() < length {
        let (id, name) = (random.u32(..), random.u16(..));
        writeln!(
            text,
            "  {{\"id\": {id}, \"name\": \"user {name}\", \"active\": {}, \"tags\": [\"alpha\", \"beta\"]}},",
            id % 2 == 0
        )
        .unwrap();
    }
    text
}

/// What a body says, as far as it has come.
fn decoded(coding: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // The end may be still to come, which the readers call an error.
    let _unfinished = match coding {
        None => {
            plain.extend_from_slice(body);
            Ok(0)
        }
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut plain),
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
        Some("zstd") => {
            unzstd(body, &mut plain);
            Ok(0)
        }
        Some(other) => panic!("{other} was not asked for"),
    };
    plain
}

fn unzstd(body: &[u8], plain: &mut Vec<u8>) {
    let mut context = zstd_safe::DCtx::create();
    let mut input = zstd_safe::InBuffer::around(body);
    let mut piece = vec![0; 1 << 17];
    loop {
        let mut out = zstd_safe::OutBuffer::around(&mut piece[..]);
        context.decompress_stream(&mut out, &mut input).unwrap();
        let count = out.pos();
        plain.extend_from_slice(&piece[..count]);
        if count == 0 && input.pos() == body.len() {
            return;
        }
    }
}

/// What a response says when its coding is undone.
fn plain(message: &Message) -> String {
    let body = decoded(message.header("content-encoding"), &message.body);
    String::from_utf8(body).unwrap()
}
