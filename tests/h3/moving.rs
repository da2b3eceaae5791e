//! Clients whose addresses change.

use bytes::Bytes;
use hyper::Method;

use super::client::{Client, answer, run};
use super::{Stage, echo};

#[test]
fn a_client_goes_on_from_another_address() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let mut client = Client::connect(stage.webs).await;
        let mut stream = client.start(Method::POST, "/moving").await;
        stream.send_data(Bytes::from("one")).await.unwrap();
        for part in ["two", "three", "four", "five", "six"] {
            client.move_away();
            stream.send_data(Bytes::from(part)).await.unwrap();
            // The other worker would know nothing of this connection.
            let (head, _) = client.get("/beside").await;
            assert_eq!(head.status().as_u16(), 200);
        }
        stream.finish().await.unwrap();
        let (_, body) = answer(&mut stream).await;
        assert_eq!(body, b"onetwothreefourfivesix");
    });
}
