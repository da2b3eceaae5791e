//! The same over every wire, read by curl and its decoders, and by the clients of the other tests.

use bytes::Bytes;
use hyper::{Request, Response};

use super::{CODINGS, JSON, Stage, accept, decoded, json, ok, plain};
use crate::h3::client::{Client, answer, run};
use crate::support::{Folder, Origin, RawClient, StreamOrigin, curl};

const ALL: &str = "compress = [\"br\", \"zstd\", \"gzip\"]";

#[test]
fn curl_reads_what_was_compressed() {
    let body = json(150_000);
    let given = body.clone();
    let stage = Stage::start(ALL, move |_| ok(JSON, &given));
    let urls = [
        (format!("http://{}/", stage.web), "--http1.1"),
        (format!("http://{}/", stage.web), "--http2-prior-knowledge"),
        (format!("https://{}/", stage.webs), "--http2"),
    ];
    for coding in CODINGS {
        for (url, version) in &urls {
            let line = format!("Accept-Encoding: {coding}");
            let arguments = ["--insecure", "--compressed", "-H", &line, version, url];
            let read = curl(&arguments).ok();
            assert!(read.stdout == body.as_bytes(), "{coding} {version}");
            // On the way it was less.
            let raw = curl(&["--insecure", "-H", &line, version, url]).ok();
            assert!(raw.stdout.len() < body.len() / 2, "{coding} {version}");
        }
    }
    assert_eq!(CODINGS.map(|coding| stage.compressions(coding)), [6, 6, 6]);
}

#[test]
fn http_3_reads_what_was_compressed() {
    let body = json(150_000);
    let given = body.clone();
    let stage = Stage::start(ALL, move |_| ok(JSON, &given));
    for coding in CODINGS {
        let (head, got) = run(async {
            let mut client = Client::connect(stage.webs).await;
            let request = Request::builder()
                .uri("https://a.test/")
                .header("accept-encoding", coding)
                .body(())
                .unwrap();
            let mut stream = client.sender.send_request(request).await.unwrap();
            stream.finish().await.unwrap();
            answer(&mut stream).await
        });
        assert_eq!(head.headers()["content-encoding"], coding);
        assert_eq!(head.headers()["vary"], "Accept-Encoding");
        assert!(!head.headers().contains_key("content-length"));
        assert!(decoded(Some(coding), &got) == body.as_bytes(), "{coding}");
    }
}

#[test]
fn an_origin_that_speaks_http_2_is_compressed_the_same() {
    let streams = StreamOrigin::start(|mut call| async move {
        let head = Response::builder().header("content-type", "text/plain");
        let head = head.header("etag", "\"a\"").body(()).unwrap();
        let mut stream = call.respond.send_response(head, false).unwrap();
        stream
            .send_data(Bytes::from("word ".repeat(5000)), true)
            .unwrap();
    });
    let upstream = format!("endpoints = \"{}\"\nprotocol = \"h2\"", streams.address());
    let stage = Stage::with(&upstream, ALL, Origin::serving(""));
    let answer = stage.get("/", &accept("gzip"));
    assert_eq!(answer.header("etag"), Some("W/\"a\""));
    assert_eq!(plain(&answer).len(), 25_000);
}

#[test]
fn trailers_go_on_behind_a_compressed_body() {
    let origin = Origin::start(|peer| {
        while peer.request()?.is_some() {
            let words = "word ".repeat(1000);
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {:x}\r\n{words}\r\n0\r\nX-Sum: 1\r\nContent-Digest: sha-256=:x:\r\n\r\n",
                words.len()
            ))?;
        }
        Ok(())
    });
    let stage = Stage::before(ALL, origin);
    let answer = stage.get("/", &format!("{}TE: trailers\r\n", accept("zstd")));
    assert_eq!(plain(&answer).len(), 5000);
    let raw = String::from_utf8_lossy(&answer.raw).into_owned();
    assert!(raw.ends_with("0\r\nX-Sum: 1\r\n\r\n"), "{raw:?}");
}

#[test]
fn an_old_client_reads_to_the_end_of_the_connection() {
    let body = json(20_000);
    let given = body.clone();
    let stage = Stage::start(ALL, move |_| ok(JSON, &given));
    let mut client = RawClient::connect(stage.web);
    client.send(format!(
        "GET / HTTP/1.0\r\nHost: a.test\r\n{}\r\n",
        accept("gzip")
    ));
    let answer = client.response();
    assert_eq!(answer.header("transfer-encoding"), None);
    assert!(plain(&answer) == body);
}

#[test]
fn gzip_reads_what_was_saved() {
    let body = json(40_000);
    let given = body.clone();
    let stage = Stage::start(ALL, move |_| ok(JSON, &given));
    let folder = Folder::new();
    for (coding, program) in [("gzip", "gzip"), ("zstd", "zstd")] {
        let path = folder.path().join(coding);
        std::fs::write(&path, stage.get("/", &accept(coding)).body).unwrap();
        let mut command = std::process::Command::new(program);
        let output = command
            .args(["-d", "-c"])
            .stdin(std::fs::File::open(&path).unwrap());
        let output = output
            .output()
            .unwrap_or_else(|error| panic!("install {program}: {error}"));
        assert!(output.stdout == body.as_bytes(), "{coding}");
    }
}
