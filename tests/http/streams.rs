//! Endpoints that speak HTTP/2 (`protocol = "h2"`): shared connections, refusals that are safe to repeat, and truth about
//! what went wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::{Reason, SendStream, server};
use hyper::{HeaderMap, Method, Response};
use tokio::sync::Notify;

use super::h2_client::{get, in_the_clear, read, request, run, send};
use super::{GET, GET_CLOSE, Stage, app, assert_refused};
use crate::support::{Call, Origin, PATIENCE, StreamOrigin, wait_until};

/// More than the sockets on the way hold.
const WHOLE: usize = 32 << 20;

fn before(origin: &StreamOrigin, keys: &str) -> Stage {
    Stage::with(&app(
        origin.address(),
        &format!("protocol = \"h2\"\n{keys}"),
    ))
}

async fn echo(mut call: Call) {
    if let Ok((body, _)) = call.read().await {
        let answer = format!("{} {}", call.path(), String::from_utf8_lossy(&body));
        call.answer(200, &answer);
    }
}

#[test]
fn requests_of_many_clients_share_one_connection() {
    let origin = StreamOrigin::start(echo);
    let stage = Stage::with(&app(origin.address(), "protocol = \"h2\""));
    let mut clients: Vec<_> = (0..5).map(|_| stage.client()).collect();
    for client in &mut clients {
        let post = "POST /x?y HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-Case: Kept\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let response = client.exchange(post);
        assert_eq!(
            (response.status(), response.text()),
            (200, "/x hello".into())
        );
    }
    // One for each worker that had a client.
    assert!(origin.connections() <= 2);
    let (_, head) = origin.requests().remove(0);
    assert_eq!(head.uri(), "http://a.test/x?y");
    assert_eq!(head.headers()["x-case"], "Kept");
    assert_eq!(head.headers()["x-forwarded-for"], "127.0.0.1");
    for gone in ["x-hop", "connection", "transfer-encoding", "host"] {
        assert!(!head.headers().contains_key(gone), "{gone}");
    }
}

#[test]
fn a_full_connection_is_joined_by_another() {
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(2);
    let running = Arc::new(AtomicUsize::new(0));
    let own = running.clone();
    let origin = StreamOrigin::with(&builder, move |mut call| {
        let running = own.clone();
        async move {
            running.fetch_add(1, Ordering::SeqCst);
            // All six have to be here at once.
            while call.path() != "/first" && running.load(Ordering::SeqCst) < 7 {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            call.answer(200, "ok");
        }
    });
    let stage = Stage::with(&app(origin.address(), "protocol = \"h2\""));
    run(async {
        let mut sender = in_the_clear(&stage).await;
        // After the first answer the limit of the connection is known.
        assert_eq!(get(&mut sender, "/first").await.1, b"ok");
        let mut answers = Vec::new();
        for _ in 0..6 {
            sender = sender.ready().await.unwrap();
            answers.push(
                sender
                    .send_request(request(Method::GET, "/"), true)
                    .unwrap()
                    .0,
            );
        }
        for answer in answers {
            assert_eq!(answer.await.unwrap().status(), 200);
        }
    });
    let connections = origin.connections();
    assert!((3..=7).contains(&connections), "{connections}");
}

#[test]
fn a_refused_stream_is_tried_again_whatever_the_method() {
    let refused = Arc::new(AtomicUsize::new(0));
    let origin = StreamOrigin::start(move |mut call| {
        let refuse = refused.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if refuse {
                call.respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                call.answer(200, "second");
            }
        }
    });
    let stage = before(&origin, "");
    let response = stage.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(response.text(), "second");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn an_endpoint_that_says_goodbye_is_asked_on_a_new_connection() {
    let origin = StreamOrigin::start(|mut call| async move {
        call.leave();
        call.answer(200, "ok");
    });
    let stage = before(&origin, "");
    let mut client = stage.client();
    for _ in 0..5 {
        assert_eq!(client.exchange(GET).text(), "ok");
    }
    assert_eq!(origin.requests().len(), 5);
    assert!(origin.connections() >= 2);
}

/// An origin that sends half of a body and goes on with the rest as told; the client says when it has the half.
fn in_halves<R>(
    rest: impl Fn(Call, SendStream<Bytes>, Arc<Notify>) -> R + Send + Sync + 'static,
) -> (StreamOrigin, Arc<Notify>)
where
    R: Future<Output = ()> + Send + 'static,
{
    let arrived = Arc::new(Notify::new());
    let own = arrived.clone();
    let origin = StreamOrigin::start(move |mut call| {
        let head = Response::new(());
        let mut stream = call.respond.send_response(head, false).unwrap();
        stream.send_data("half".into(), false).unwrap();
        rest(call, stream, own.clone())
    });
    (origin, arrived)
}

#[test]
fn an_endpoint_that_says_goodbye_in_an_answer_finishes_it() {
    let (origin, arrived) = in_halves(|call, mut stream, arrived| async move {
        call.leave();
        arrived.notified().await;
        stream.send_data(" and half".into(), true).unwrap();
    });
    let stage = before(&origin, "");
    for _ in 0..2 {
        let mut client = stage.client();
        client.send(GET);
        client.read_until("half");
        arrived.notify_one();
        let rest = client.read_until("0\r\n\r\n");
        assert!(String::from_utf8_lossy(&rest).contains(" and half"));
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn what_the_endpoint_may_have_done_is_not_asked_for_twice() {
    for (reset, reason) in [(true, "upstream.reset"), (false, "upstream.reset")] {
        let origin = StreamOrigin::start(move |mut call| async move {
            if reset {
                call.respond.send_reset(Reason::INTERNAL_ERROR);
            } else {
                call.cut();
            }
        });
        let stage = before(&origin, "");
        let response = stage.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert_refused(&response, 502, reason);
        assert_eq!(origin.requests().len(), 1);
    }
}

#[test]
fn a_body_that_breaks_off_is_no_whole_one_for_the_client() {
    let (origin, arrived) = in_halves(|call, mut stream, arrived| async move {
        arrived.notified().await;
        if call.path() == "/cut" {
            call.cut();
            std::future::pending::<()>().await;
        }
        stream.send_reset(Reason::INTERNAL_ERROR);
    });
    let stage = before(&origin, "");
    for path in ["/reset", "/cut"] {
        let mut client = stage.client();
        client.send(GET.replace("GET /", &format!("GET {path}")));
        client.read_until("half");
        arrived.notify_one();
        assert_eq!(client.read_to_end(), b"\r\n");
        run(async {
            let mut sender = in_the_clear(&stage).await;
            let ask = request(Method::GET, path);
            let (response, _) = sender.send_request(ask, true).unwrap();
            let mut body = response.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "half");
            arrived.notify_one();
            let error = read(&mut body).await.unwrap_err();
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        });
    }
    stage.proxy.wait_for_access("upstream.reset");
}

#[test]
fn a_client_that_goes_away_cancels_the_stream_alone() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = StreamOrigin::start(move |mut call| {
        let tell = tell.lock().unwrap().clone();
        async move {
            let head = Response::new(());
            let mut stream = call.respond.send_response(head, false).unwrap();
            stream.send_data("begun".into(), false).unwrap();
            let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            // The other one ends with the proxy.
            drop(tell.send(reset));
        }
    });
    let stage = before(&origin, "");
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (stays, _) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        let (goes, _) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        let mut stays = stays.await.unwrap().into_body();
        assert_eq!(stays.data().await.unwrap().unwrap(), "begun");
        drop(goes.await.unwrap());
        // The connection has to be driven while this thread waits.
        let told = tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE));
        assert_eq!(told.await.unwrap().unwrap().unwrap(), Reason::CANCEL);
        let more = std::future::poll_fn(|cx| stays.poll_data(cx));
        let silent = tokio::time::timeout(std::time::Duration::from_millis(100), more);
        assert!(silent.await.is_err(), "the other stream goes on");
    });
}

#[test]
fn a_slow_client_holds_the_endpoint_back() {
    let sent = Arc::new(AtomicUsize::new(0));
    let own = sent.clone();
    let origin = StreamOrigin::start(move |mut call| {
        let sent = own.clone();
        async move {
            let mut stream = call
                .respond
                .send_response(Response::new(()), false)
                .unwrap();
            while sent.load(Ordering::SeqCst) < WHOLE {
                stream.reserve_capacity(16_384);
                let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                let Some(Ok(room)) = room else { return };
                drop(stream.send_data(Bytes::from(vec![7; room]), false));
                sent.fetch_add(room, Ordering::SeqCst);
            }
            drop(stream.send_data(Bytes::new(), true));
        }
    });
    let stage = before(&origin, "");
    let mut client = stage.client();
    client.send(GET_CLOSE);
    client.read_until("\r\n\r\n");
    wait_until("the flow stops", || {
        let before = sent.load(Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(300));
        before > 0 && before == sent.load(Ordering::SeqCst)
    });
    let held = sent.load(Ordering::SeqCst);
    assert!(held < WHOLE / 2, "{held}");
    let rest = client.read_to_end();
    assert!(rest.len() > WHOLE && rest.ends_with(b"\r\n0\r\n\r\n"));
}

#[test]
fn interim_answers_and_trailers_go_both_ways() {
    let origin = StreamOrigin::start(|mut call| async move {
        assert_eq!(call.request.headers()["te"], "trailers");
        let (body, trailers) = call.read().await.unwrap();
        assert_eq!(
            (&body[..], trailers.unwrap()["x-sum"].as_bytes()),
            (&b"body"[..], &b"1"[..])
        );
        let hints = Response::builder()
            .status(103)
            .header("link", "</a.css>")
            .body(())
            .unwrap();
        call.respond.send_informational(hints).unwrap();
        let mut stream = call
            .respond
            .send_response(Response::new(()), false)
            .unwrap();
        stream.send_data("ok".into(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-total", "2".parse().unwrap());
        trailers.insert("set-cookie", "no=1".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
    });
    let stage = before(&origin, "");
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n");
    let hints = client.response();
    assert_eq!(
        (hints.status(), hints.header("link")),
        (103, Some("</a.css>"))
    );
    let raw = String::from_utf8(client.response().raw).unwrap();
    assert!(raw.ends_with("2\r\nok\r\n0\r\nx-total: 2\r\n\r\n"), "{raw}");
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let mut post = request(Method::POST, "/");
        post.headers_mut().insert("te", "trailers".parse().unwrap());
        let (response, stream) = sender.send_request(post, false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        send(stream, b"body", Some(trailers)).await;
        let mut body = response.await.unwrap().into_body();
        assert_eq!(read(&mut body).await.unwrap(), b"ok");
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(
            (&trailers["x-total"], trailers.len()),
            (&"2".parse::<hyper::header::HeaderValue>().unwrap(), 1)
        );
    });
}

#[test]
fn a_silent_endpoint_is_given_up_and_its_connection_left() {
    let origin = StreamOrigin::start(|mut call| async move {
        if call.path() == "/silent" {
            std::future::pending::<()>().await;
        }
        call.answer(200, "ok");
    });
    let stage = Stage::with(&app(
        origin.address(),
        "protocol = \"h2\"\nresponse_timeout = \"300ms\"",
    ));
    let mut client = stage.client();
    assert_refused(
        &client.exchange(GET.replace("GET /", "GET /silent")),
        504,
        "upstream.timeout",
    );
    assert_eq!(client.exchange(GET).text(), "ok");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn an_endpoint_that_speaks_something_else_is_a_bad_gateway() {
    let origin = Origin::serving("HTTP/1.1, if you please");
    let stage = Stage::with(&app(origin.address(), "protocol = \"h2\""));
    assert_refused(&stage.ask(GET), 502, "upstream.bad_response");
}

#[test]
fn a_websocket_for_them_is_refused_and_an_upgrade_ignored() {
    let origin = StreamOrigin::start(echo);
    let stage = before(&origin, "");
    let upgrade =
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(stage.ask(upgrade).text(), "/chat ");
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, _up) =
            super::websocket::ask(&mut sender, super::websocket::connect("websocket")).await;
        assert_eq!(response.status(), 501);
    });
}
