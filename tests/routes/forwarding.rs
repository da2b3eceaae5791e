//! What endpoints learn of clients, and clients of endpoints.

use super::{Stage, upstream};
use crate::support::{Origin, RawClient};

#[test]
fn places_of_the_endpoint_are_told_as_seen_from_outside() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let place = request.header("x-place").unwrap_or_default();
            peer.send(format!(
                "HTTP/1.1 302 Found\r\nServer: inner/1.0\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
            ))?;
        }
        Ok(())
    });
    let address = origin.address();
    let stage = Stage::start(&format!(
        "{}[[route]]\nmatch = {{ path = \"/api\" }}\nstrip_prefix = \"/api\"\nto = \"app\"\n\
         [[route]]\nmatch = {{ path = \"/inner\" }}\nheaders = {{ request = {{ set = {{ Host = \"inner.test\" }} }} }}\nto = \"app\"\n\
         [[route]]\nmatch = {{ path = \"/as-it-is\" }}\nrewrite_location = false\nto = \"app\"\n\
         [[route]]\nto = \"app\"\n",
        upstream("app", &origin, "")
    ));
    let check = |target: &str, place: &str, expected: &str| {
        let answer = stage.ask(target, &format!("X-Place: {place}\r\n"));
        assert_eq!(
            answer.header("location"),
            Some(expected),
            "{target} {place}"
        );
        assert_eq!(answer.header("server"), None);
    };
    check("/", &format!("http://{address}/x?y#z"), "/x?y#z");
    check("/api/a", &format!("http://{address}/x"), "/api/x");
    check("/inner", "http://inner.test/x", "/x");
    check("/inner", "https://inner.test", "/");
    check("/", "https://a.test/x", "https://a.test/x");
    check("/", "http://inner.test/x", "http://inner.test/x");
    check("/", "/x", "/x");
    let itself = format!("http://{address}/x");
    check("/as-it-is", &itself, &itself);
}

#[test]
fn the_standard_field_is_sent_where_it_is_wanted_and_lies_are_replaced() {
    let origin = Origin::serving("app");
    let routes = upstream("app", &origin, "forwarded = \"rfc7239\"") + "[[route]]\nto = \"app\"\n";
    let said = "Forwarded: for=192.0.2.9;proto=https\r\n";
    let trusting = Stage::start(&routes);
    trusting.ask("/", said);
    let doubting = Stage::start(&routes);
    // From an address that is not among the trusted.
    let from = [127, 0, 0, 2].into();
    let mut client = RawClient::try_connect_from(from, doubting.web).unwrap();
    client.exchange(format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\n{said}X-Forwarded-For: 6.6.6.6\r\n\r\n"
    ));
    let requests = origin.wait_for_requests(2);
    let told: Vec<_> = requests
        .iter()
        .map(|request| request.header("forwarded").unwrap())
        .collect();
    let own = "host=\"a.test\";proto=http";
    assert_eq!(
        told[0],
        format!("for=192.0.2.9;proto=https, for=127.0.0.1;{own}")
    );
    assert_eq!(told[1], format!("for=127.0.0.2;{own}"));
    assert!(
        requests
            .iter()
            .all(|request| request.header("x-forwarded-for").is_none())
    );
}
