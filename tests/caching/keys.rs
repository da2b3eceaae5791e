//! What tells stored responses apart, and what goes past them.

use super::{Stage, config, ok, status};
use crate::control::address;
use crate::support::{Message, Origin, Proxy};

const FRESH: &str = "Cache-Control: max-age=60\r\n";

#[test]
fn what_does_not_count_of_a_query_makes_no_difference() {
    let stage = Stage::start("key = { query = [\"id\", \"page\"] }", |request, _| {
        ok(FRESH, request.start.split(' ').nth(1).unwrap_or_default())
    });
    // The endpoint gets all of it.
    assert_eq!(
        stage.get("/a?utm=1&page=2&id=1", "").text(),
        "/a?utm=1&page=2&id=1"
    );
    assert_eq!(
        stage.get("/a?id=1&page=2&utm=9", "").text(),
        "/a?utm=1&page=2&id=1"
    );
    assert_eq!(stage.get("/a?id=2", "").text(), "/a?id=2");
    assert_eq!(stage.asked(), 2);
    let purged = stage
        .proxy
        .cli(&["cache", "purge", "http://a.test/a?id=1&page=2"]);
    assert_eq!(purged.ok().text(), "1 response purged\n");
    let blind = Stage::start("key = { query = \"none\" }", |_, before| {
        ok(FRESH, &before.to_string())
    });
    assert_eq!(
        (blind.get("/a?1", "").text(), blind.get("/a?2", "").text()),
        ("0".into(), "0".into())
    );
}

#[test]
fn a_cookie_counts_where_it_is_named() {
    let stage = Stage::start(
        "key = { cookies = [\"lang\"], headers = [\"X-Device\"] }",
        |_, before| ok(FRESH, &before.to_string()),
    );
    let ask = |lines: &str| stage.get("/a", lines).text();
    assert_eq!(ask("Cookie: lang=de; id=1\r\n"), "0");
    assert_eq!(ask("Cookie: id=2; lang=de\r\n"), "0");
    assert_eq!(ask("Cookie: lang=en\r\n"), "1");
    assert_eq!(ask("Cookie: lang=en\r\nX-Device: phone\r\n"), "2");
    assert_eq!(ask(""), "3");
    // A change is one of the resource, whoever made it.
    stage.ask("POST", "/a", "Content-Length: 0\r\n");
    assert_eq!(ask("Cookie: lang=de\r\n"), "5");
}

#[test]
fn who_is_known_goes_past() {
    let stage = Stage::start(
        "bypass = [\"cookie:session\", \"header:X-Preview\"]",
        |_, before| ok(FRESH, &before.to_string()),
    );
    assert_eq!(stage.get("/a", "").text(), "0");
    for (line, body) in [("Cookie: session=1\r\n", "1"), ("X-Preview: 1\r\n", "2")] {
        let past = stage.get("/a", line);
        assert_eq!(
            (past.text(), status(&past)),
            (body.to_owned(), "openclaw; fwd=bypass")
        );
    }
    assert_eq!(stage.get("/a", "Cookie: a=b\r\n").text(), "0");
}

/// What an application makes its links of.
fn links(request: &Message) -> String {
    let said = [
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-host",
        "x-original-url",
    ];
    let said = said.map(|name| request.header(name).unwrap_or("-"));
    said.join(" ")
}

const EVIL: &str = "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 666\r\nX-Forwarded-Prefix: /evil\r\nX-HOST: evil\r\n";

#[test]
fn what_anybody_says_of_where_an_endpoint_stands_is_not_stored() {
    let stage = Stage::start("", |request, _| ok(FRESH, &links(request)));
    assert_eq!(stage.get("/a", EVIL).text(), "a.test - - - -");
    let next = stage.get("/a", "");
    assert_eq!((next.text(), stage.asked()), ("a.test - - - -".into(), 1));
    // What is not stored is heard by whom it is for.
    let posted = stage.ask("POST", "/b", &format!("{EVIL}Content-Length: 0\r\n"));
    assert_eq!(posted.text(), "a.test - - evil -");
    // Who asks for another target goes past.
    let past = stage.get("/a", "X-Original-URL: /admin\r\n");
    assert_eq!(past.text(), "a.test - - - /admin");
    assert_eq!(status(&past), "openclaw; fwd=bypass");
    assert_eq!(stage.get("/a", "").text(), "a.test - - - -");
}

#[test]
fn what_the_route_has_in_its_key_is_heard() {
    let stage = Stage::start("vary = [\"X-Host\"]", |request, _| {
        ok(FRESH, &links(request))
    });
    assert_eq!(stage.get("/a", EVIL).text(), "a.test - - evil -");
    assert_eq!(stage.get("/a", "").text(), "a.test - - - -");
    assert_eq!(stage.get("/a", EVIL).text(), "a.test - - evil -");
    assert_eq!(stage.asked(), 2);
}

#[test]
fn what_a_trusted_proxy_says_of_it_tells_responses_apart() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            peer.send(ok(FRESH, &links(&request)))?;
        }
        Ok(())
    });
    let bind = "bind = \"127.0.0.1:0\"";
    let trusting = format!("{bind}\ntrusted_proxies = \"127.0.0.1\"");
    let config = config("memory = \"64m\"", "", &origin).replace(bind, &trusting);
    let proxy = Proxy::start(&config);
    let web = address(&proxy, "web");
    let stage = Stage { proxy, web, origin };
    for _ in 0..2 {
        assert_eq!(stage.get("/a", EVIL).text(), "evil 666 /evil evil -");
        assert_eq!(stage.get("/a", "").text(), "a.test - - - -");
        let port = stage.get(
            "/a",
            "X-Forwarded-Port: 443\r\nX-Forwarded-For: 192.0.2.1\r\n",
        );
        assert_eq!(port.text(), "a.test 443 - - -");
    }
    assert_eq!(stage.asked(), 3);
}

#[test]
fn what_an_endpoint_hears_from_this_hop_alone_tells_nothing_apart() {
    for vary in ["X-Forwarded-For", "x-client"] {
        let origin = Origin::start(move |peer| {
            let mut count = 0;
            while let Some(request) = peer.request()? {
                let client = request.header(vary).unwrap_or_default();
                peer.send(ok(
                    &format!("{FRESH}Vary: {vary}\r\n"),
                    &format!("{client} {count}"),
                ))?;
                count += 1;
            }
            Ok(())
        });
        let edits = "headers = { request = { set = { X-Client = \"{client_ip}\" } } }\ncache = ";
        let config = config("memory = \"64m\"", "", &origin).replace("cache = ", edits);
        let proxy = Proxy::start(&config);
        let web = address(&proxy, "web");
        let stage = Stage { proxy, web, origin };
        for _ in 0..2 {
            let found = stage.get("/a", "");
            assert!(found.text().starts_with("127.0.0.1 "), "{}", found.text());
            assert_eq!(status(&found), "openclaw; fwd=uri-miss; detail=vary");
        }
        assert_eq!(stage.asked(), 2);
    }
}
