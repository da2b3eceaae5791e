//! The wires share one exchange: each front before each kind of origin gives the same answers, and the same lines in the
//! log. A front more is one variant of [`Front`] and one arm of [`Front::ask`].

use hyper::{HeaderMap, Method, Request};

use super::h2_client::{in_the_clear, read, run, send};
use super::{Stage, app};
use crate::support::{Origin, StreamOrigin, free_port};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    H1,
    H2,
}

const FRONTS: [Front; 2] = [Front::H1, Front::H2];

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

const TOLD: [&str; 4] = ["x-origin", "x-route", "ratelimit-policy", "content-length"];

impl Front {
    fn ask(self, stage: &Stage, ask: Ask) -> Seen {
        match self {
            Self::H1 => over_h1(stage, ask),
            Self::H2 => run(over_h2(stage, ask)),
        }
    }

    fn protocol(self) -> &'static str {
        match self {
            Self::H1 => "HTTP/1.1",
            Self::H2 => "HTTP/2",
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

fn over_h1(stage: &Stage, ask: Ask) -> Seen {
    let Ask {
        method,
        path,
        body,
        trailer,
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
        "{method} {path} HTTP/1.1\r\nHost: a.test\r\n{rest}"
    ));
    let response = client.response_to(method);
    Seen::new(
        response.status(),
        |name| response.header(name).map(str::to_owned),
        &response.text(),
    )
}

async fn over_h2(stage: &Stage, ask: Ask) -> Seen {
    let mut sender = in_the_clear(stage).await;
    let mut request = Request::builder()
        .method(Method::from_bytes(ask.method.as_bytes()).unwrap())
        .uri(format!("http://a.test{}", ask.path));
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
            let path = target.split(' ').next().unwrap();
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

const ROWS: [(Ask, u16); 9] = [
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
    Stage::with(&format!(
        "[[route]]\nname = \"small\"\nmatch = {{ path = \"/small\" }}\nmax_body = 10\nto = \"app\"\n\
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
    for (ask, status) in ROWS {
        let mut first: Option<(Seen, String)> = None;
        for (origin, stage) in stages.iter().enumerate() {
            for front in FRONTS {
                let case = format!("{ask:?} over {front:?} to origin {origin}");
                let seen = front.ask(stage, ask);
                assert_eq!(seen.status, status, "{case}: {seen:?}");
                let method = format!("\"method\":\"{}\"", ask.method);
                let line = stage.proxy.wait_for_access_to(&case, |line| {
                    line.contains(&format!("\"path\":\"{}\"", ask.path))
                        && line.contains(&format!("\"protocol\":\"{}\"", front.protocol()))
                        && line.contains(&method)
                        && line.contains(&format!(
                            "\"bytes_in\":{},",
                            if status == 413 { 0 } else { ask.body.len() }
                        ))
                });
                let now = (seen, told(&line));
                match &first {
                    None => first = Some(now),
                    Some(first) => assert_eq!(*first, now, "{case}"),
                }
            }
        }
    }
}
