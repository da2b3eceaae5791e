//! The wires share one exchange: each front before each kind of origin gives the same answers, and the same lines in the
//! log. A front more is one variant of [`Front`] and one arm of [`Front::ask`].

use bytes::Bytes;
use hyper::{HeaderMap, Method, Request};

use super::h2_client::{in_the_clear, read, run, send};
use super::{LISTENERS, Stage, app};
use crate::h3::client::{Client, answer as answer_of_h3};
use crate::support::{Origin, StreamOrigin, free_port};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    H1,
    H2,
    H3,
}

const FRONTS: [Front; 3] = [Front::H1, Front::H2, Front::H3];

/// A request as a row: method, path, body, and whether a trailer goes with it.
#[derive(Clone, Copy, Debug)]
struct Ask {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    trailer: bool,
}

/// What a client sees, whatever its wire.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    /// The fields that the origin or the route sets, and the limit's.
    fields: Vec<(String, String)>,
    body: String,
}

const TOLD: [&str; 5] = [
    "x-origin",
    "x-route",
    "ratelimit-policy",
    "location",
    "content-length",
];

impl Front {
    fn ask(self, stage: &Stage, ask: Ask, path: &str) -> Seen {
        match self {
            Self::H1 => over_h1(stage, ask, path),
            Self::H2 => run(over_h2(stage, ask, path)),
            Self::H3 => run(over_h3(stage, ask, path)),
        }
    }

    fn protocol(self) -> &'static str {
        match self {
            Self::H1 => "HTTP/1.1",
            Self::H2 => "HTTP/2",
            Self::H3 => "HTTP/3",
        }
    }
}

impl Seen {
    /// Ids differ from request to request.
    fn new(status: u16, find: impl Fn(&str) -> Option<String>, body: &str) -> Self {
        let lines = body.lines().filter(|line| !line.starts_with("request id"));
        let is_refusal = body.contains("request id");
        let fields = TOLD
            .iter()
            .filter(|name| !(is_refusal && **name == "content-length"));
        Self {
            status,
            fields: fields
                .filter_map(|name| Some(((*name).to_owned(), find(name)?)))
                .collect(),
            body: lines.collect::<Vec<_>>().join("\n"),
        }
    }
}

fn over_h1(stage: &Stage, ask: Ask, path: &str) -> Seen {
    let Ask {
        method,
        body,
        trailer,
        ..
    } = ask;
    let rest = match (trailer, body.len()) {
        (true, length) => format!(
            "Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\nX-Sum: 1\r\n\r\n"
        ),
        (false, 0) => "\r\n".to_owned(),
        (false, length) => format!("Content-Length: {length}\r\n\r\n{body}"),
    };
    let mut client = stage.client();
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: a.test\r\nX-Client: h1\r\nX-Kind: one\r\n{rest}"
    ));
    let response = client.response_to(method);
    Seen::new(
        response.status(),
        |name| response.header(name).map(str::to_owned),
        &response.text(),
    )
}

async fn over_h2(stage: &Stage, ask: Ask, path: &str) -> Seen {
    let mut sender = in_the_clear(stage).await;
    let mut request = Request::builder()
        .method(Method::from_bytes(ask.method.as_bytes()).unwrap())
        .uri(format!("http://a.test{path}"))
        .header("x-client", "h2")
        .header("x-kind", "one");
    if !ask.trailer && !ask.body.is_empty() {
        request = request.header("content-length", ask.body.len());
    }
    let ends = !ask.trailer && ask.body.is_empty();
    let request = request.body(()).unwrap();
    let (response, stream) = sender.send_request(request, ends).unwrap();
    if !ends {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        send(stream, ask.body.as_bytes(), ask.trailer.then_some(trailers)).await;
    }
    let (head, mut body) = response.await.unwrap().into_parts();
    let body = read(&mut body).await.unwrap();
    let find = |name: &str| Some(head.headers.get(name)?.to_str().unwrap().to_owned());
    Seen::new(
        head.status.as_u16(),
        find,
        &String::from_utf8(body).unwrap(),
    )
}

async fn over_h3(stage: &Stage, ask: Ask, path: &str) -> Seen {
    let mut client = Client::connect(stage.webs).await;
    let mut request = Request::builder()
        .method(Method::from_bytes(ask.method.as_bytes()).unwrap())
        .uri(format!("https://a.test{path}"))
        .header("x-client", "h3")
        .header("x-kind", "one");
    if !ask.trailer && !ask.body.is_empty() {
        request = request.header("content-length", ask.body.len());
    }
    let request = request.body(()).unwrap();
    let mut stream = client.sender.send_request(request).await.unwrap();
    // A refusal may stop the request before it is whole.
    if !ask.body.is_empty() {
        drop(stream.send_data(Bytes::from(ask.body)).await);
    }
    if ask.trailer {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        drop(stream.send_trailers(trailers).await);
    }
    drop(stream.finish().await);
    let (head, body) = answer_of_h3(&mut stream).await;
    let find = |name: &str| Some(head.headers().get(name)?.to_str().unwrap().to_owned());
    Seen::new(
        head.status().as_u16(),
        find,
        &String::from_utf8(body).unwrap(),
    )
}

/// The status that a path of the origins asks for, and what they say.
fn answer(method: &str, path: &str, body: &[u8], trailer: bool) -> (u16, String) {
    let status = if path == "/missing" { 404 } else { 200 };
    let body = String::from_utf8_lossy(body);
    (status, format!("{method} {path} {body} {trailer}"))
}

fn h1_origin() -> Origin {
    Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let (method, target) = request.start.split_once(' ').unwrap();
            // Each question has a query of its own, to be found by in the log.
            let path = target.split(['?', ' ']).next().unwrap();
            if path == "/silent" {
                peer.read_to_end()?;
            }
            let trailer = request.raw.ends_with(b"x-sum: 1\r\n\r\n")
                || request.raw.ends_with(b"X-Sum: 1\r\n\r\n");
            let (status, text) = answer(method, path, &request.body, trailer);
            peer.send(format!(
                "HTTP/1.1 {status} X\r\nX-Origin: o\r\nContent-Length: {}\r\n\r\n",
                text.len()
            ))?;
            if method != "HEAD" {
                peer.send(text)?;
            }
        }
        Ok(())
    })
}

fn h2_origin() -> StreamOrigin {
    StreamOrigin::start(|mut call| async move {
        let Ok((body, trailers)) = call.read().await else {
            return;
        };
        if call.path() == "/silent" {
            std::future::pending::<()>().await;
        }
        let method = call.request.method().as_str();
        let (status, text) = answer(method, call.path(), &body, trailers.is_some());
        let head = hyper::Response::builder()
            .status(status)
            .header("x-origin", "o")
            .header("content-length", text.len());
        let is_head = method == "HEAD";
        let head = head.body(()).unwrap();
        if let Ok(mut stream) = call.respond.send_response(head, is_head)
            && !is_head
        {
            drop(stream.send_data(text.into(), true));
        }
    })
}

const ROWS: [(Ask, u16); 15] = [
    (get("/"), 200),
    (get("/missing"), 404),
    (
        Ask {
            method: "HEAD",
            ..get("/")
        },
        200,
    ),
    (
        Ask {
            method: "POST",
            body: "hello",
            ..get("/")
        },
        200,
    ),
    (
        Ask {
            method: "POST",
            body: "hello",
            trailer: true,
            ..get("/")
        },
        200,
    ),
    (
        Ask {
            method: "POST",
            body: "more than ten bytes",
            ..get("/small")
        },
        413,
    ),
    (get("/dead"), 502),
    (get("/silent"), 504),
    (get("/limited"), 200),
    (get("/scarce"), 200),
    (get("/scarce"), 200),
    (get("/scarce"), 429),
    (get("/moved"), 308),
    (get("/fixed"), 418),
    (get("/edited/in/part"), 200),
];

const fn get(path: &'static str) -> Ask {
    Ask {
        method: "GET",
        path,
        body: "",
        trailer: false,
    }
}

fn stage(endpoint: std::net::SocketAddr, protocol: &str) -> Stage {
    let dead = free_port();
    let listeners = LISTENERS.replace("\ntls =", "\nprotocols = [\"h1\", \"h2\", \"h3\"]\ntls =");
    Stage::start(&format!(
        "{listeners}\n\
         [[route]]\nname = \"scarce\"\nmatch = {{ path = \"/scarce\" }}\nlimit = {{ rate = \"1/min\", burst = 1, key = \"header:x-client\" }}\nto = \"app\"\n\
         [[route]]\nname = \"moved\"\nmatch = {{ path = \"/moved\" }}\nredirect = {{ to = \"https://b.test/new\", status = 308 }}\n\
         [[route]]\nname = \"fixed\"\nmatch = {{ path = \"/fixed\", method = [\"GET\"] }}\nrespond = {{ status = 418, body = \"short\" }}\n\
         [[route]]\nname = \"edited\"\nmatch = {{ path = \"/edited\", header = {{ \"X-Kind\" = \"one\" }} }}\nstrip_prefix = \"/edited\"\nheaders = {{ response = {{ remove = [\"X-Origin\"] }} }}\nto = \"app\"\n\
         [[route]]\nname = \"small\"\nmatch = {{ path = \"/small\" }}\nmax_body = 10\nto = \"app\"\n\
         [[route]]\nname = \"limited\"\nmatch = {{ path = \"/limited\" }}\nlimit = {{ rate = \"100/s\" }}\nheaders = {{ response = {{ set = {{ \"X-Route\" = \"r\" }} }} }}\nto = \"app\"\n\
         [[route]]\nname = \"dead\"\nmatch = {{ path = \"/dead\" }}\nto = \"dead\"\n\
         [upstream.dead]\nendpoints = [\"127.0.0.1:{dead}\"]\nprotocol = \"{protocol}\"\n{}",
        app(
            endpoint,
            &format!("protocol = \"{protocol}\"\nresponse_timeout = \"300ms\"")
        )
    ))
}

/// The parts of a log line that say what became of a request, without those that name its wire and its time.
fn told(line: &str) -> String {
    let keys = [
        "route", "method", "host", "path", "status", "reason", "bytes_in", "upstream",
    ];
    let value = |key: &str| {
        let from = line.find(&format!("\"{key}\":"))? + key.len() + 3;
        let end = line[from..].find([',', '}'])?;
        Some(format!("{key}={}", &line[from..from + end]))
    };
    keys.iter()
        .filter_map(|key| value(key))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_front_before_every_origin_tells_the_same() {
    let (h1, h2) = (h1_origin(), h2_origin());
    let stages = [stage(h1.address(), "h1"), stage(h2.address(), "h2")];
    let mut all = Vec::new();
    for (number, (ask, status)) in ROWS.into_iter().enumerate() {
        for (origin, stage) in stages.iter().enumerate() {
            for front in FRONTS {
                let case = format!("{ask:?} over {front:?} to origin {origin}");
                let path = format!("{}?{number}", ask.path);
                let seen = front.ask(stage, ask, &path);
                assert_eq!(seen.status, status, "{case}: {seen:?}");
                all.push((case, number, stage, front, path, seen));
            }
        }
    }
    // The log is written now and then: it is read when all of it is on its way.
    let mut first: Option<(usize, Seen, String)> = None;
    for (case, number, stage, front, path, seen) in all {
        let line = stage.proxy.wait_for_access_to(&case, |line| {
            line.contains(&format!("\"path\":\"{path}\""))
                && line.contains(&format!("\"protocol\":\"{}\"", front.protocol()))
        });
        let now = (number, seen, told(&line));
        match &first {
            Some(first) if first.0 == number => assert_eq!(*first, now, "{case}"),
            _ => first = Some(now),
        }
    }
}
