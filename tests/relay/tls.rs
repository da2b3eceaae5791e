//! `mode = "tls"`: by the name that a client asks for, and untouched.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::EchConfig;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_128;
use rustls::crypto::hpke::{Hpke as _, HpkePublicKey};
use rustls::pki_types::{EchConfigListBytes, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::control::address;
use crate::support::{PATIENCE, Proxy, RawClient, believing};

/// A proxy that ends TLS for a name, as an endpoint, and says which it is.
fn site(name: &str) -> (Proxy, SocketAddr) {
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\ntls = {{ self_signed = [\"{name}\"] }}\n\
         [[route]]\nrespond = {{ body = \"{name}\" }}\n"
    ));
    let at = address(&proxy, "web");
    (proxy, at)
}

struct Passing {
    proxy: Proxy,
    at: SocketAddr,
    _sites: [Proxy; 2],
}

/// `one.test` leads to the first site, everything below `two.test` to the second.
fn passing(more: &str) -> Passing {
    let (one, first) = site("one.test");
    let (two, second) = site("a.two.test");
    let proxy = Proxy::start(&format!(
        "[listener.pass]\nbind = [\"127.0.0.1:0\"]\nmode = \"tls\"\n\
         sni = {{ \"one.test\" = {{ upstream = \"one\", alpn = [\"h2\", \"http/1.1\"] }}, \"*.two.test\" = \"two\" }}\n{more}\n\
         [upstream.one]\nendpoints = [\"{first}\"]\n[upstream.two]\nendpoints = [\"{second}\"]\n"
    ));
    Passing {
        at: address(&proxy, "pass"),
        proxy,
        _sites: [one, two],
    }
}

fn ask(at: SocketAddr, name: &str) -> String {
    let mut client = RawClient::connect_tls(at, name, &["http/1.1"]);
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    let text = client.exchange(request).text();
    // To its end: who closes before it has read everything resets.
    client.expect_closed();
    text
}

/// The first message of a client that asks for a name.
fn hello(name: &'static str, config: ClientConfig) -> (ClientConnection, Vec<u8>) {
    let name = ServerName::try_from(name).unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    (tls, bytes)
}

#[test]
fn each_name_has_its_endpoint_and_its_own_handshake() {
    let passing = passing("");
    assert_eq!(ask(passing.at, "one.test"), "one.test");
    assert_eq!(ask(passing.at, "a.two.test"), "a.two.test");
    let line = passing.proxy.wait_for_access("\"upstream\":\"two\"");
    for part in [
        "\"host\":\"a.two.test\"",
        "\"protocol\":\"tls\"",
        "\"reason\":null",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn a_first_message_in_many_segments_and_records_is_forwarded_whole() {
    let passing = passing("");
    let (_, bytes) = hello("one.test", believing(&["http/1.1"], None).unwrap());
    // One record with everything, in segments; then the same message in records of a few bytes.
    let small: Vec<u8> = bytes[5..]
        .chunks(50)
        .flat_map(|part| [&[22, 3, 1, 0, part.len() as u8][..], part].concat())
        .collect();
    for (sent, step) in [(&bytes, 40), (&small, 333)] {
        let mut tcp = TcpStream::connect(passing.at).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        for part in sent.chunks(step) {
            tcp.write_all(part).unwrap();
        }
        let mut head = [0; 5];
        tcp.read_exact(&mut head).unwrap();
        // A handshake record: the ServerHello.
        assert_eq!(head[..2], [22, 3], "records of {step}");
    }
}

/// A client that hides the name that it asks for (ECH) behind this one.
fn hiding_behind(outer: &str) -> ClientConfig {
    let suite = DH_KEM_X25519_HKDF_SHA256_AES_128;
    let (HpkePublicKey(key), _) = suite.generate_key_pair().unwrap();
    let name = outer.as_bytes();
    // An ECHConfig of version 0xfe0d (draft-ietf-tls-esni §4): its number, the KEM, the key, one suite, the name, no extensions.
    let contents = [
        &[7, 0, 0x20, 0, key.len() as u8][..],
        &key,
        &[0, 4, 0, 1, 0, 1, 64, name.len() as u8],
        name,
        &[0, 0],
    ];
    let contents = contents.concat();
    let length = contents.len() as u8;
    let list = [&[0, length + 4, 0xfe, 0x0d, 0, length][..], &contents].concat();
    let config = EchConfig::new(EchConfigListBytes::from(list), &[suite]).unwrap();
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_ech(config.into())
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

#[test]
fn of_a_name_that_is_hidden_the_outer_one_decides() {
    let passing = passing("");
    let config = hiding_behind("a.two.test");
    let (_, bytes) = hello("one.test", config);
    assert!(!bytes.windows(8).any(|part| part == b"one.test"));
    let mut tcp = TcpStream::connect(passing.at).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(&bytes).unwrap();
    let mut head = [0; 5];
    tcp.read_exact(&mut head).unwrap();
    assert_eq!(head[..2], [22, 3], "the ServerHello");
    drop(tcp);
    let line = passing.proxy.wait_for_access("\"upstream\":\"two\"");
    assert!(line.contains("\"host\":\"a.two.test\""), "{line}");
}

#[test]
fn a_name_that_nobody_has_is_refused_in_tls_and_so_is_a_protocol() {
    let passing = passing("");
    let mut without = believing(&[], None).unwrap();
    without.enable_sni = false;
    for (name, config, alert) in [
        ("three.test", believing(&["h2"], None).unwrap(), 112),
        ("two.test", believing(&[], None).unwrap(), 112),
        ("one.test", without, 112),
        ("one.test", believing(&["acme-tls/1"], None).unwrap(), 120),
    ] {
        let (_, bytes) = hello(name, config);
        let mut tcp = TcpStream::connect(passing.at).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, alert], "{name}");
    }
    let told = "\"detail\":\"`sni` has no such server name\"";
    let line = passing.proxy.wait_for_access(told);
    assert!(line.contains("\"reason\":\"route.none\""), "{line}");
}

#[test]
fn who_speaks_no_tls_or_never_ends_the_first_message_is_not_waited_for() {
    let passing = passing("header_timeout = \"400ms\"");
    let mut plain = RawClient::connect(passing.at);
    plain.send("GET / HTTP/1.1\r\n\r\n");
    plain.patience(Duration::from_secs(5));
    plain.try_read_to_end().unwrap_err();
    passing.proxy.wait_for_access("is not TLS");

    let (_, bytes) = hello("one.test", believing(&[], None).unwrap());
    let mut slow = RawClient::connect(passing.at);
    slow.send(&bytes[..bytes.len() - 1]);
    slow.try_read_to_end().unwrap_err();
    passing
        .proxy
        .wait_for_access("not whole within header_timeout");

    // A message that would be longer than any.
    let mut long = RawClient::connect(passing.at);
    long.send([22, 3, 1, 0, 4, 1, 0, 0x40, 1]);
    long.try_read_to_end().unwrap_err();
    passing.proxy.wait_for_access("is too long");
}
