//! What a TLS handshake settles: whose certificate a client shows, and which hosts a connection may be asked for.

use std::io;
use std::path::Path;

use rustls::ClientConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::h2_client::{Sender, request, run, with_tls};
use super::{GET, Stage, app, assert_refused};
use crate::support::{Authority, Folder, Origin, RawClient, believing, certificate};

/// A listener `webs` with these keys of `tls`, and one in the clear that nobody uses.
fn stage(origin: &Origin, tls: &str) -> Stage {
    Stage::start(&config(origin, tls))
}

fn config(origin: &Origin, tls: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[listener.webs]\nbind = [\"127.0.0.1:0\"]\ntls = {{ {tls} }}\n{}",
        app(origin.address(), "")
    )
}

/// The `certificates` key with one certificate for each list of names.
fn certificates(folder: &Folder, lists: &[&[&str]]) -> String {
    let list: Vec<String> = lists
        .iter()
        .map(|names| {
            let (cert, key) = certificate(folder, names);
            format!(
                "{{ cert = \"{}\", key = \"{}\" }}",
                cert.display(),
                key.display()
            )
        })
        .collect();
    format!("certificates = [{}]", list.join(", "))
}

fn status(stage: &Stage, server_name: &str, host: &str) -> u16 {
    let mut client = RawClient::connect_tls(stage.webs, server_name, &["http/1.1"]);
    let answer = client.exchange(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    if answer.status() == 421 {
        assert_refused(&answer, 421, "route.misdirected");
        // The connection is still good for its own host.
        let own = client.exchange(format!("GET / HTTP/1.1\r\nHost: {server_name}\r\n\r\n"));
        assert_eq!(own.status(), 200);
    }
    answer.status()
}

#[test]
fn a_host_of_another_certificate_is_misdirected_and_any_other_is_not() {
    let origin = Origin::serving("x");
    let folder = Folder::new();
    let lists: [&[&str]; 3] = [
        &["a.test", "also-a.test"],
        &["b.test"],
        &["c.test", "*.c.test"],
    ];
    let stage = stage(&origin, &certificates(&folder, &lists));
    for (server_name, host, expected) in [
        ("a.test", "a.test", 200),
        ("a.test", "A.Test:443", 200),
        ("a.test", "also-a.test", 200),
        ("a.test", "nobody.test", 200),
        ("a.test", "127.0.0.1", 200),
        ("a.test", "b.test", 421),
        ("a.test", "B.test.:8443", 421),
        ("b.test", "a.test", 421),
        ("c.test", "x.c.test", 200),
        ("x.c.test", "c.test", 200),
        ("a.test", "x.c.test", 421),
        // Unknown, so that the first certificate was shown.
        ("nobody.test", "a.test", 200),
        ("nobody.test", "b.test", 421),
    ] {
        assert_eq!(
            status(&stage, server_name, host),
            expected,
            "{server_name} {host}"
        );
    }
    // Without SNI nothing was asked for.
    assert_eq!(status(&stage, "127.0.0.1", "b.test"), 200);
    let line = stage.proxy.wait_for_access("route.misdirected");
    assert!(line.contains("\"route\":null"), "{line}");
}

#[test]
fn an_exact_name_elsewhere_does_not_take_a_host_from_a_wildcard() {
    let origin = Origin::serving("x");
    let folder = Folder::new();
    let lists: [&[&str]; 2] = [&["*.w.test"], &["a.w.test"]];
    let stage = stage(&origin, &certificates(&folder, &lists));
    assert_eq!(status(&stage, "b.w.test", "a.w.test"), 200);
    assert_eq!(status(&stage, "a.w.test", "b.w.test"), 421);
}

#[test]
fn one_certificate_for_everything_serves_every_host() {
    let origin = Origin::serving("x");
    let folder = Folder::new();
    let stage = stage(&origin, &certificates(&folder, &[&["a.test"]]));
    assert_eq!(status(&stage, "a.test", "b.test"), 200);
}

#[test]
fn http_2_clients_are_told_as_well() {
    let origin = Origin::serving("x");
    let folder = Folder::new();
    let stage = stage(&origin, &certificates(&folder, &[&["a.test"], &["b.test"]]));
    run(async {
        let mut sender: Sender = with_tls(&stage).await;
        for (host, expected) in [("b.test", 421), ("a.test", 200), ("c.test", 200)] {
            let mut asked = request(hyper::Method::GET, "/");
            *asked.uri_mut() = format!("https://{host}/").parse().unwrap();
            let (response, _) = sender.send_request(asked, true).unwrap();
            assert_eq!(response.await.unwrap().status(), expected, "{host}");
        }
    });
}

fn client_of(authority: &Authority) -> ClientConfig {
    let (certificate, key) = authority.sign(&["client.test"]);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    believing(&["http/1.1"], Some((vec![certificate.der().clone()], key))).unwrap()
}

fn keys_of(authority: &Authority) -> String {
    client_ca(&authority.file)
}

fn client_ca(file: &Path) -> String {
    format!(
        "self_signed = [\"a.test\"], client_ca = \"{}\"",
        file.display()
    )
}

/// One request; the refusal of a certificate may come with the handshake or after it.
fn ask(stage: &Stage, client: ClientConfig) -> io::Result<u16> {
    let mut client = RawClient::try_connect_tls_as(stage.webs, "a.test", client)?;
    client.try_send(GET)?;
    client.try_response("GET").map(|answer| answer.status())
}

fn refusal(stage: &Stage, client: ClientConfig) {
    let error = ask(stage, client).expect_err("the client is refused");
    assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{error}");
}

fn nobody() -> ClientConfig {
    believing(&["http/1.1"], None).unwrap()
}

#[test]
fn with_client_ca_only_clients_with_a_certificate_of_it_are_let_in() {
    let origin = Origin::serving("x");
    let folder = Folder::new();
    let (ours, other) = (
        Authority::new(&folder, "ca.pem"),
        Authority::new(&folder, "other.pem"),
    );
    let stage = stage(&origin, &keys_of(&ours));
    assert_eq!(ask(&stage, client_of(&ours)).unwrap(), 200);
    refusal(&stage, nobody());
    let line = stage.proxy.wait_for_access("tls.no_certificate");
    assert!(line.contains("\"listener\":\"webs\""), "{line}");
    refusal(&stage, client_of(&other));
    let line = stage.proxy.wait_for_access("not one of `client_ca`");
    assert!(line.contains("\"reason\":\"tls.handshake\""), "{line}");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_reload_asks_for_another_authority_and_old_sessions_are_of_no_use() {
    let origin = Origin::serving("x");
    let folder = Folder::new();
    let (ours, other) = (
        Authority::new(&folder, "ca.pem"),
        Authority::new(&folder, "other.pem"),
    );
    let stage = stage(&origin, "self_signed = [\"a.test\"]");
    let (anybody, member) = (nobody(), client_of(&ours));
    assert_eq!(ask(&stage, anybody.clone()).unwrap(), 200);
    let reload = |keys: &str| {
        stage.proxy.rewrite(&config(&origin, keys));
        assert_eq!(stage.proxy.cli(&["reload"]).code, 0);
    };
    reload(&keys_of(&ours));
    refusal(&stage, anybody);
    assert_eq!(ask(&stage, member.clone()).unwrap(), 200);
    reload(&keys_of(&other));
    refusal(&stage, member);
    assert_eq!(ask(&stage, client_of(&other)).unwrap(), 200);
}

#[test]
fn a_client_ca_that_is_none_is_refused_at_the_start() {
    let origin = Origin::serving("x");
    let folder = Folder::new();
    let empty = folder.write("empty.pem", "");
    let keys = client_ca(&empty);
    let (status, words) = crate::support::Proxy::refuse(&config(&origin, &keys));
    assert_eq!(status.code(), Some(2), "{words}");
    assert!(words.contains("empty.pem holds no certificate"), "{words}");
}
