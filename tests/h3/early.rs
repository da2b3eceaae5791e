//! Early data: requests that come with the first packets of a client that was here before.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use quinn::{ClientConfig, ZeroRttAccepted};
use quinn_proto::TokenStore;

use super::client::{Client, Stream, answer, config, endpoint, run};
use super::{Stage, echo};

/// A client that was here before asks for two things with its first packets.
async fn come_back(stage: &Stage, config: ClientConfig) -> (Client, [Stream; 2], ZeroRttAccepted) {
    // What it remembers is in its configuration.
    let endpoint = endpoint(config);
    let quic = endpoint.connect(stage.webs, "a.test").unwrap();
    let mut first = Client::over(endpoint.clone(), quic.await.unwrap()).await;
    assert_eq!(first.get("/first").await.0.status().as_u16(), 200);
    first.quic.close(0u32.into(), b"");
    let connecting = endpoint.connect(stage.webs, "a.test").unwrap();
    let (quic, accepted) = connecting.into_0rtt().expect("a ticket came");
    let mut early = Client::over(endpoint, quic).await;
    let mut get = early.start(Method::GET, "/early").await;
    get.finish().await.unwrap();
    let mut post = early.start(Method::POST, "/early-post").await;
    post.finish().await.unwrap();
    (early, [get, post], accepted)
}

#[test]
fn early_requests_are_told_of_and_those_that_change_something_have_to_wait() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let (mut early, [mut get, mut post], accepted) = come_back(&stage, config()).await;
        let (head, _) = answer(&mut get).await;
        assert_eq!(head.status().as_u16(), 200);
        let (head, body) = answer(&mut post).await;
        assert_eq!(head.status().as_u16(), 425);
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("http.too_early"), "{text}");
        assert!(accepted.await, "early data was accepted");
        let (head, _) = early.post("/post", Vec::new()).await;
        assert_eq!(head.status().as_u16(), 200);
    });
    let requests = origin.requests();
    let early = |path: &str| {
        let request = requests.iter().find(|one| one.start.contains(path));
        request.map(|request| request.header("early-data").map(str::to_owned))
    };
    assert_eq!(early("/first"), Some(None));
    assert_eq!(early("/early "), Some(Some("1".to_owned())));
    assert_eq!(early("/early-post"), None, "it never reached the endpoint");
    assert_eq!(early("/post"), Some(None));
}

/// Forgets what would show a server the client's address.
struct Nothing;

impl TokenStore for Nothing {
    fn insert(&self, _: &str, _: Bytes) {}

    fn take(&self, _: &str) -> Option<Bytes> {
        None
    }
}

#[test]
fn early_requests_from_an_address_that_is_not_proven_wait_for_the_handshake() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let mut config = config();
        config.token_store(Arc::new(Nothing));
        let (_early, [mut get, mut post], accepted) = come_back(&stage, config).await;
        for request in [&mut get, &mut post] {
            assert_eq!(answer(request).await.0.status().as_u16(), 200);
        }
        assert!(accepted.await, "early data was accepted");
    });
    // Nobody can have sent these again.
    let requests = origin.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_eq!(request.header("early-data"), None, "{}", request.start);
    }
}
