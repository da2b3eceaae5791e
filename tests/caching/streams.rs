//! Clients on streams of one connection, of whom one fetches and goes while others read along.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use hyper::Request;
use tokio::net::TcpStream;

use crate::control::{address, status};
use crate::h3::client::run;
use crate::support::{Origin, PATIENCE, Proxy, RawClient};

fn get(path: &str) -> Request<()> {
    let uri = format!("http://a.test{path}");
    Request::get(uri).body(()).unwrap()
}

/// `whole`: not only the stream of the one who fetches is cut, but the connection.
fn check(whole: bool) {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let origin = Origin::start(move |peer| {
        while peer.request()?.is_some() {
            peer.send(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n01234",
            )?;
            going.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            peer.send("56789")?;
        }
        Ok(())
    });
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\nprotocols = [\"h1\", \"h2\"]\n\
         [upstream.app]\nendpoints = \"{}\"\n[[route]]\nmatch = {{ path = \"/a\" }}\ncache = {{}}\nto = \"app\"\n\
         [[route]]\nrespond = {{}}\n",
        origin.address()
    ));
    let web = address(&proxy, "web");
    let mut follower = run(async {
        let tcp = TcpStream::connect(web).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(tcp).await.unwrap();
        let driver = tokio::spawn(connection);
        let (response, _) = sender.send_request(get("/a"), true).unwrap();
        let response = response.await.unwrap();
        let mut follower = RawClient::connect(web);
        follower.send("GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
        follower.read_until("01234");
        drop(response);
        if whole {
            driver.abort();
            drop(sender);
            while status(&proxy)["connections"] != 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } else {
            // What is answered behind the reset comes when that has been read.
            let (answer, _) = sender.send_request(get("/"), true).unwrap();
            assert_eq!(answer.await.unwrap().status(), 200);
        }
        follower
    });
    go.send(()).unwrap();
    assert_eq!(follower.read_exact(5), b"56789");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn who_resets_its_stream_takes_nothing_from_others() {
    check(false);
}

#[test]
fn who_closes_its_connection_takes_nothing_from_others() {
    check(true);
}
