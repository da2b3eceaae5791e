//! An independent client against the server: the `h2` crate.

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use hyper::http::{HeaderMap, HeaderValue, Request};

use super::server::{Served, run, serve};
use crate::serve::h2::End;

async fn connect(
    served: Served,
    builder: &Builder,
) -> (SendRequest<Bytes>, tokio::task::JoinHandle<End>) {
    let (send, connection) = builder.handshake::<_, Bytes>(served.pipe).await.unwrap();
    tokio::task::spawn_local(async move { connection.await.unwrap() });
    (send.ready().await.unwrap(), served.end)
}

fn request(method: &str, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(format!("https://test{path}"))
        .body(())
        .unwrap()
}

/// Sends a request and returns status, fields, body and trailers.
async fn exchange(
    send: SendRequest<Bytes>,
    method: &str,
    path: &str,
    body: &[u8],
    trailers: Option<HeaderMap>,
) -> Result<(u16, HeaderMap, Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut send = send.ready().await?;
    let ends = body.is_empty() && trailers.is_none();
    let (response, mut stream) = send.send_request(request(method, path), ends)?;
    let body = body.to_vec();
    let upload = async move {
        let mut rest = &*body;
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else {
                return;
            };
            let (part, tail) = rest.split_at(room.min(rest.len()));
            let last = tail.is_empty() && trailers.is_none();
            if stream
                .send_data(Bytes::copy_from_slice(part), last)
                .is_err()
            {
                return;
            }
            rest = tail;
        }
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers).unwrap();
        }
    };
    let download = async move {
        let (head, mut stream) = response.await?.into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let trailers = stream.trailers().await?;
        Ok((head.status.as_u16(), head.headers, body, trailers))
    };
    tokio::join!(upload, download).1
}

#[test]
fn a_get_is_answered() {
    run(async {
        let (send, _) = connect(serve(), &Builder::new()).await;
        for _ in 0..300 {
            let (status, fields, body, _) =
                exchange(send.clone(), "GET", "/", b"", None).await.unwrap();
            assert_eq!((status, &*body), (200, &b"hello"[..]));
            assert_eq!(fields["content-length"], "5");
        }
    });
}

#[test]
fn a_mebibyte_comes_back_through_default_small_and_large_windows() {
    let body: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
    for window in [100, 65535, 1 << 24] {
        let size = if window < 1000 { 20_000 } else { body.len() };
        run(async {
            let mut builder = Builder::new();
            builder
                .initial_window_size(window)
                .initial_connection_window_size(window);
            let (send, _) = connect(serve(), &builder).await;
            let (status, _, echoed, _) = exchange(send, "POST", "/echo", &body[..size], None)
                .await
                .unwrap();
            assert_eq!(status, 200);
            assert!(echoed == body[..size], "window {window}");
        });
    }
}

#[test]
fn a_hundred_exchanges_run_at_once() {
    run(async {
        let (send, _) = connect(serve(), &Builder::new()).await;
        let body = vec![7; 50_000];
        let tasks: Vec<_> = (0..100)
            .map(|at| {
                let (send, body) = (send.clone(), body.clone());
                tokio::task::spawn_local(async move {
                    let (method, path, body) = if at % 2 == 0 {
                        ("POST", "/echo", &*body)
                    } else {
                        ("GET", "/length/50000", &b""[..])
                    };
                    exchange(send, method, path, body, None)
                        .await
                        .unwrap()
                        .2
                        .len()
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 50_000);
        }
    });
}

#[test]
fn trailers_pass_both_ways_without_those_that_mean_something() {
    run(async {
        let (send, _) = connect(serve(), &Builder::new()).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "abc".parse().unwrap());
        trailers.insert("host", "evil".parse().unwrap());
        for body in [&b"data"[..], b""] {
            let (_, _, echoed, back) =
                exchange(send.clone(), "POST", "/echo", body, Some(trailers.clone()))
                    .await
                    .unwrap();
            let back = back.unwrap();
            assert_eq!(echoed, body);
            assert_eq!(
                (back.len(), &back["x-sum"]),
                (1, &"abc".parse::<HeaderValue>().unwrap())
            );
        }
    });
}

#[test]
fn heads_without_body_and_long_heads_arrive() {
    run(async {
        let mut builder = Builder::new();
        // Our encoder must confirm that it uses no table.
        builder.header_table_size(0).max_header_list_size(1 << 20);
        let (send, _) = connect(serve(), &builder).await;
        for _ in 0..2 {
            let (status, fields, body, _) = exchange(send.clone(), "GET", "/none", b"", None)
                .await
                .unwrap();
            assert_eq!((status, body.len()), (304, 0));
            assert_eq!(fields["content-length"], "7");
            let (_, fields, ..) = exchange(send.clone(), "GET", "/fields", b"", None)
                .await
                .unwrap();
            assert_eq!(
                fields
                    .get_all("x-long")
                    .iter()
                    .map(HeaderValue::len)
                    .sum::<usize>(),
                40_000
            );
            assert_eq!(fields["content-type"], "text/plain");
            assert!(!fields.contains_key("connection"));
        }
    });
}

#[test]
fn responses_that_cannot_be_completed_are_reset() {
    run(async {
        let (send, _) = connect(serve(), &Builder::new()).await;
        for path in ["/abort", "/short", "/long", "/drop"] {
            let error = exchange(send.clone(), "GET", path, b"", None)
                .await
                .unwrap_err();
            assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR), "{path}");
        }
        assert_eq!(exchange(send, "GET", "/", b"", None).await.unwrap().0, 200);
    });
}

#[test]
fn an_early_answer_stops_the_upload_without_an_error() {
    run(async {
        let (send, _) = connect(serve(), &Builder::new()).await;
        for _ in 0..300 {
            let body = vec![0; 100_000];
            let (status, _, _, _) = exchange(send.clone(), "POST", "/early", &body, None)
                .await
                .unwrap();
            assert_eq!(status, 413);
        }
    });
}
