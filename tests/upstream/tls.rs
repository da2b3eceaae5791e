//! TLS to endpoints: whom the proxy believes, what it shows, what it says when it comes to nothing.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::control::address;
use crate::support::{
    Authority, Folder, Handshake, Message, Nginx, Origin, Proxy, RawClient, StreamOrigin,
    certificate, free_port, server, wait_until,
};

/// The proxy with one worker, so that what one connection has learnt the next one knows.
struct Stage {
    proxy: Proxy,
    web: std::net::SocketAddr,
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn config(keys: &str) -> String {
    format!(
        "[server]\nworkers = 1\nstate_dir = \"state\"\n[listener.web]\nbind = \"127.0.0.1:0\"\n[upstream.app]\nconnect_timeout = \"5s\"\n{keys}\n[[route]]\nto = \"app\"\n"
    )
}

/// An upstream of this endpoint with the authority and more keys of `tls`.
fn believing(endpoint: std::net::SocketAddr, authority: &Authority, keys: &str) -> String {
    let file = authority.file.display();
    format!("endpoints = [\"{endpoint}\"]\ntls = {{ ca = \"{file}\"{keys} }}")
}

impl Stage {
    fn start(keys: &str) -> Self {
        let proxy = Proxy::start(&config(keys));
        let web = address(&proxy, "web");
        Self { proxy, web }
    }

    fn ask(&self) -> Message {
        RawClient::connect(self.web).exchange(GET)
    }

    /// One request is refused, with the code for clients and these words for the operator.
    fn refused(&self, words: &str) {
        let answer = self.ask();
        assert_eq!(answer.status(), 502, "{}", answer.text());
        assert!(answer.text().contains("upstream.tls"), "{}", answer.text());
        let line = self.proxy.wait_for_access(words);
        assert!(line.contains("\"reason\":\"upstream.tls\""), "{line}");
    }

    fn reload(&self, keys: &str) {
        self.proxy.rewrite(&config(keys));
        let reloaded = self.proxy.cli(&["reload"]);
        assert_eq!(reloaded.code, 0, "{reloaded:?}");
    }
}

#[test]
fn an_endpoint_is_believed_by_its_authority_and_its_name_and_sessions_are_resumed() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let origin = Origin::serving_secured(authority.serving(&["app.internal"]), "secret");
    let named = ", server_name = \"app.internal\"";
    let keys = believing(origin.address(), &authority, named);
    // None is kept, so that each request has a connection of its own.
    let stage = Stage::start(&format!("{keys}\nkeepalive = 0"));
    for _ in 0..3 {
        assert_eq!(stage.ask().text(), "secret");
    }
    assert_eq!(
        origin.handshakes(),
        [Handshake::Full, Handshake::Resumed, Handshake::Resumed]
    );
    // Nothing has changed, so that sessions are good after a reload, too.
    stage.reload(&format!("{keys}\nkeepalive = 8"));
    for _ in 0..3 {
        assert_eq!(stage.ask().text(), "secret");
    }
    assert_eq!(origin.handshakes().len(), 4, "one connection was kept");
    assert_eq!(origin.handshakes()[3], Handshake::Resumed);
    assert_eq!(origin.requests()[0].header("Host"), Some("a.test"));
}

#[test]
fn an_endpoint_with_a_wrong_certificate_is_refused_with_the_cause() {
    let folder = Folder::new();
    let (ours, other) = (
        Authority::new(&folder, "ca.pem"),
        Authority::new(&folder, "other.pem"),
    );
    let week = Duration::from_hours(168);
    let expired = ours.sign_as(&["127.0.0.1"], |params| {
        params.not_before = (SystemTime::now() - 2 * week).into();
        params.not_after = (SystemTime::now() - week).into();
    });
    let early = ours.sign_as(&["127.0.0.1"], |params| {
        params.not_before = (SystemTime::now() + week).into();
        params.not_after = (SystemTime::now() + 2 * week).into();
    });
    for (certificate, words, chain) in [
        (
            other.sign(&["127.0.0.1"]),
            "not signed by an authority",
            "UnknownIssuer",
        ),
        (
            ours.sign(&["127.0.0.2"]),
            "bears another name",
            "not valid for name \\\"127.0.0.1\\\"",
        ),
        (expired, "has expired", "expired"),
        (early, "is not valid yet", "not valid yet"),
    ] {
        let origin = Origin::serving_secured(server(certificate, None), "x");
        let stage = Stage::start(&believing(origin.address(), &ours, ""));
        stage.refused(words);
        let told = stage.proxy.wait_for("no TLS with an endpoint");
        assert!(told.contains(chain) && told.contains(words), "{told}");
        assert_eq!(origin.requests(), [], "nothing was sent");
    }
    let good = Origin::serving_secured(ours.serving(&["127.0.0.1"]), "x");
    let stage = Stage::start(&believing(good.address(), &ours, ""));
    assert_eq!(stage.ask().status(), 200);
}

#[test]
fn another_endpoint_is_asked_when_one_is_not_believed() {
    let folder = Folder::new();
    let (ours, other) = (
        Authority::new(&folder, "ca.pem"),
        Authority::new(&folder, "other.pem"),
    );
    let wrong = Origin::serving_secured(other.serving(&["127.0.0.1"]), "wrong");
    let right = Origin::serving_secured(ours.serving(&["127.0.0.1"]), "right");
    let stage = Stage::start(&format!(
        "endpoints = [\"https://{}\", \"https://{}\"]\ntls = {{ ca = \"{}\" }}\n\
         breaker = {{ failures = 1, open = \"1h\" }}",
        wrong.address(),
        right.address(),
        ours.file.display()
    ));
    for _ in 0..4 {
        let post = "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";
        let answer = RawClient::connect(stage.web).exchange(post);
        assert_eq!(answer.text(), "right", "nothing was sent to the other one");
    }
    stage.proxy.wait_for("the breaker opens");
    assert_eq!(wrong.handshakes(), [Handshake::Failed], "and left alone");
}

#[test]
fn the_proxy_shows_the_certificate_that_the_endpoint_wants() {
    let folder = Folder::new();
    let (ours, members) = (
        Authority::new(&folder, "ca.pem"),
        Authority::new(&folder, "members.pem"),
    );
    let config = ours.serving_members(&["127.0.0.1"], &members);
    let origin = Origin::serving_secured(config, "members only");
    let none = believing(origin.address(), &ours, "");
    let with = |authority: &Authority| {
        let (cert, key) = authority.files(&folder, &["proxy.test"]);
        let (cert, key) = (cert.display(), key.display());
        let shown = format!(", certificate = {{ cert = \"{cert}\", key = \"{key}\" }}");
        believing(origin.address(), &ours, &shown)
    };
    let stage = Stage::start(&none);
    stage.refused("refuses the proxy's certificate, or wants one");
    stage.reload(&with(&members));
    assert_eq!(stage.ask().text(), "members only");
    // The files alone change, and take effect.
    let own = with(&ours);
    stage.reload(&own);
    stage.refused("refuses the proxy's certificate");
}

#[test]
fn a_certificate_that_signs_itself_is_believed_as_it_stands_in_the_file() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "unused.pem");
    // As `openssl req -x509` makes them: an authority of its own.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap();
    let file = folder.write("own.pem", own.pem());
    let origin = Origin::serving_secured(server((own, key), None), "x");
    let tls = |name: &str| {
        let (endpoint, file) = (origin.address(), file.display());
        format!(
            "endpoints = [\"{endpoint}\"]\ntls = {{ ca = \"{file}\", server_name = \"{name}\" }}"
        )
    };
    let stage = Stage::start(&tls("app.test"));
    assert_eq!(stage.ask().status(), 200);
    stage.reload(&tls("other.test"));
    stage.refused("bears another name");
    stage.reload(&believing(origin.address(), &authority, ""));
    stage.refused("cannot be believed");
}

#[test]
fn without_a_ca_the_system_decides_and_insecure_takes_all_with_a_warning() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let origin = Origin::serving_secured(authority.serving(&["127.0.0.1"]), "x");
    let endpoint = origin.address();
    let stage = Stage::start(&format!("endpoints = [\"https://{endpoint}\"]"));
    stage.refused("not signed by an authority");
    stage.reload(&format!(
        "endpoints = [\"{endpoint}\"]\ntls = {{ insecure = true }}"
    ));
    stage.proxy.wait_for("INSECURE: any certificate is taken");
    assert_eq!(stage.ask().status(), 200);
    let config = stage.proxy.config().display().to_string();
    let checked = stage.proxy.cli(&["check", &config]);
    assert!(checked.stderr.contains("INSECURE"), "{checked:?}");
}

#[test]
fn an_endpoint_without_tls_is_told_from_one_that_is_not_there() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let plain = Origin::start(|peer| {
        peer.read_some()?;
        peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    });
    let stage = Stage::start(&believing(plain.address(), &authority, ""));
    stage.refused("does not speak TLS");
    let nobody = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    stage.reload(&believing(nobody, &authority, ""));
    let answer = stage.ask();
    assert!(
        answer.text().contains("upstream.connect"),
        "{}",
        answer.text()
    );
}

#[test]
fn probes_go_over_the_same_tls() {
    let folder = Folder::new();
    let (ours, other) = (
        Authority::new(&folder, "ca.pem"),
        Authority::new(&folder, "other.pem"),
    );
    let origin = Origin::serving_secured(ours.serving(&["127.0.0.1"]), "x");
    let health =
        "health = { path = \"/health\", every = \"50ms\", timeout = \"5s\", fall = 1, rise = 1 }";
    let keys = believing(origin.address(), &ours, "");
    let stage = Stage::start(&format!("{keys}\n{health}"));
    wait_until("a probe", || !origin.requests().is_empty());
    let keys = believing(origin.address(), &other, "");
    stage.reload(&format!("{keys}\n{health}"));
    let told = stage.proxy.wait_for("unwell: no TLS");
    assert!(told.contains("UnknownIssuer"), "{told}");
}

#[test]
fn a_bad_file_is_told_where_it_is_named() {
    let folder = Folder::new();
    let empty = folder.write("empty.pem", "");
    let (cert, _) = certificate(&folder, &["a.test"]);
    let (_, other) = certificate(&folder, &["b.test"]);
    let (status, words) = Proxy::refuse(&config(&format!(
        "endpoints = [\"127.0.0.1:1\"]\n[upstream.app.tls]\nca = \"{}\"\n[upstream.app.tls.certificate]\ncert = \"{}\"\nkey = \"{}\"\n",
        empty.display(),
        cert.display(),
        other.display(),
    )));
    assert_eq!(status.code(), Some(2), "{words}");
    for expected in [
        "empty.pem holds no certificate",
        "upstream.app.tls.ca",
        "does not belong to the certificate",
        "upstream.app.tls.certificate.key",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}

#[test]
fn nginx_serves_over_tls_large_bodies_both_ways() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let (cert, key) = authority.files(&folder, &["app.test"]);
    let body = vec![b'x'; 3 << 20];
    fs::write(folder.path().join("large"), &body).unwrap();
    for (versions, min) in [("TLSv1.2", "1.2"), ("TLSv1.3", "1.3")] {
        let (cert, key) = (cert.display(), key.display());
        let lines = format!(
            "ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols {versions};
             client_max_body_size 0;
             location /put {{ proxy_pass http://127.0.0.1:1; error_page 502 =204 /none; }}
             location /none {{ return 204; }}"
        );
        let nginx = Nginx::start_tls(folder.path(), &lines);
        let keys = format!(", server_name = \"app.test\", min = \"{min}\"");
        let stage = Stage::start(&believing(nginx.address(), &authority, &keys));
        let get = "GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n";
        for _ in 0..2 {
            let answer = RawClient::connect(stage.web).exchange(get);
            assert!(answer.body == body, "{}", answer.start);
        }
        let mut client = RawClient::connect(stage.web);
        let length = body.len();
        client.send(format!(
            "POST /put HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n"
        ));
        client.send(&body);
        assert_eq!(client.response().status(), 204);
    }
}

#[test]
fn http2_is_agreed_upon_in_the_handshake() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let mut config = authority.serving(&["127.0.0.1"]);
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let origin = StreamOrigin::secured(config, |mut call| async move {
        call.answer(200, "over h2");
    });
    let keys = believing(origin.address(), &authority, "") + "\nprotocol = \"h2\"";
    let stage = Stage::start(&keys);
    for _ in 0..3 {
        assert_eq!(stage.ask().text(), "over h2");
    }
    assert_eq!(origin.connections(), 1);
    let (_, request) = origin.requests().swap_remove(0);
    assert_eq!(request.uri().scheme_str(), Some("https"));
    stage.reload(&format!(
        "{keys}\nhealth = {{ path = \"/health\", every = \"50ms\" }}"
    ));
    wait_until("a probe", || {
        let requests = origin.requests();
        requests
            .iter()
            .any(|(_, request)| request.uri().path() == "/health")
    });
    // One that knows no ALPN, and one that knows HTTP/1 alone.
    let silent = Origin::serving_secured(authority.serving(&["127.0.0.1"]), "x");
    let mut config = authority.serving(&["127.0.0.1"]);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let old = Origin::serving_secured(config, "x");
    for other in [&silent, &old] {
        let keys = believing(other.address(), &authority, "");
        let stage = Stage::start(&format!("{keys}\nprotocol = \"h2\""));
        stage.refused("does not speak the upstream's `protocol` over TLS");
        stage.reload(&keys);
        assert_eq!(stage.ask().text(), "x", "HTTP/1.1 is what it speaks");
    }
}

#[test]
fn an_endpoint_of_http2_that_wants_a_certificate_is_told_from_one_that_went_away() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let mut config = authority.serving_members(&["127.0.0.1"], &authority);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let origin = StreamOrigin::secured(config, |mut call| async move {
        call.answer(200, "x");
    });
    let keys = believing(origin.address(), &authority, "");
    let stage = Stage::start(&format!("{keys}\nprotocol = \"h2\""));
    stage.refused("refuses the proxy's certificate, or wants one");
}
