//! Calls of gRPC. The counterpart is the `h2` crate on both sides, which puts on the wire what gRPC's libraries do: a frame
//! of five octets and the message, `te: trailers`, and the status in trailers.

use bytes::Bytes;
use hyper::{HeaderMap, Method, Request, Response};

use super::h2_client::{Sender, in_the_clear, read, run, with_tls};
use super::{Stage, app};
use crate::support::{Call, StreamOrigin};

fn message(text: &str) -> Bytes {
    let mut framed = vec![0];
    framed.extend_from_slice(&(text.len() as u32).to_be_bytes());
    framed.extend_from_slice(text.as_bytes());
    framed.into()
}

fn call(path: &str) -> Request<()> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("https://a.test{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .header("grpc-timeout", "5S")
        .body(())
        .unwrap()
}

async fn open(
    sender: &mut Sender,
    path: &str,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    *sender = sender.clone().ready().await.unwrap();
    sender.send_request(call(path), false).unwrap()
}

/// Echoes each message as it comes, and sums up in trailers.
async fn serve(mut call: Call) {
    let head = call.request.headers();
    assert_eq!(head["te"], "trailers");
    assert_eq!(head["grpc-timeout"], "5S");
    let response = Response::builder().header("content-type", "application/grpc");
    if call.path() == "/lab.Echo/Fail" {
        let failed = response
            .header("grpc-status", "9")
            .header("grpc-message", "nope");
        call.respond
            .send_response(failed.body(()).unwrap(), true)
            .unwrap();
        return;
    }
    let mut stream = call
        .respond
        .send_response(response.body(()).unwrap(), false)
        .unwrap();
    let mut count = 0;
    let body = call.request.body_mut();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        // The end may come as a frame of its own.
        count += usize::from(!data.is_empty());
        stream.send_data(data, false).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("x-count", count.to_string().parse().unwrap());
    stream.send_trailers(trailers).unwrap();
}

fn stage(origin: &StreamOrigin) -> Stage {
    let keys = "protocol = \"h2\"\nresponse_timeout = \"1s\"";
    Stage::with(&app(origin.address(), keys).replace(
        "to = \"app\"",
        "match = { path = \"/lab.Echo\" }\nto = \"app\"",
    ))
}

#[test]
fn messages_go_both_ways_one_by_one_and_the_status_comes_last() {
    let origin = StreamOrigin::start(serve);
    let stage = stage(&origin);
    run(async {
        for mut sender in [in_the_clear(&stage).await, with_tls(&stage).await] {
            let (response, mut up) = open(&mut sender, "/lab.Echo/Bidi").await;
            up.send_data(message("one"), false).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.headers()["content-type"], "application/grpc");
            let mut down = response.into_body();
            assert_eq!(down.data().await.unwrap().unwrap(), message("one"));
            // Only now, so that nothing was held back for the end of the body.
            up.send_data(message("two"), true).unwrap();
            assert_eq!(read(&mut down).await.unwrap(), message("two"));
            let trailers = down.trailers().await.unwrap().unwrap();
            assert_eq!(trailers["grpc-status"], "0");
            assert_eq!(trailers["x-count"], "2");
        }
    });
}

#[test]
fn a_status_in_the_head_alone_stays_there() {
    let origin = StreamOrigin::start(serve);
    let stage = stage(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, _up) = open(&mut sender, "/lab.Echo/Fail").await;
        let response = response.await.unwrap();
        assert!(response.body().is_end_stream());
        assert_eq!(response.headers()["grpc-status"], "9");
        assert_eq!(response.headers()["grpc-message"], "nope");
        assert!(!response.headers().contains_key("content-length"));
    });
}

#[test]
fn refusals_are_told_in_the_words_of_grpc() {
    let origin = StreamOrigin::start(serve);
    let stage = stage(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, mut up) = open(&mut sender, "/other").await;
        up.send_data(message("x"), true).unwrap();
        let response = response.await.unwrap();
        assert!(response.body().is_end_stream());
        let told = response.headers();
        assert_eq!(response.status(), 200);
        assert_eq!(told["grpc-status"], "12");
        assert_eq!(told["grpc-message"], "route.none");
        assert_eq!(told["content-type"], "application/grpc");
        assert!(!told.contains_key("content-length"));
    });
    let line = stage.proxy.wait_for_access("route.none");
    assert!(line.contains("\"status\":404"), "{line}");
}
