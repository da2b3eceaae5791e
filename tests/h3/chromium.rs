//! Chromium, the browser of most: a page with what belongs to it over HTTP/3, told to or by `Alt-Svc` alone.
//!
//! It is 300 MB to download, so `cargo xtask setup --with-browser` installs it and these tests are ignored unless they are asked for:
//! `cargo xtask test chromium -- --ignored`.

use std::fs;
use std::process::Command;

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use x509_parser::pem::parse_x509_pem;

use super::LISTENER;
use crate::control::address;
use crate::support::{Child, Folder, Origin, Proxy, certificate};

const NAME: &str = "page.test";

/// Fetches until a fetch went over HTTP/3, and tells.
const PATIENT: &str = "<!doctype html><script>
async function go() {
  for (let number = 0; number < 200; number++) {
    const url = new URL('/try/' + number, location).href;
    await (await fetch(url)).text();
    const entry = performance.getEntriesByName(url)[0];
    if (entry && entry.nextHopProtocol === 'h3') {
      await fetch('/upgraded');
      return;
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}
go();
</script>";

const PAGE: &str = "<!doctype html><link rel=stylesheet href=/style.css><img src=/image.svg>
<script src=/script.js></script>";

/// The proxy with a certificate of which Chromium is told, before an origin with pages.
struct Stage {
    proxy: Proxy,
    port: u16,
    /// What Chromium compares with the certificate's key.
    pin: String,
    folder: Folder,
    _origin: Origin,
}

impl Stage {
    fn set() -> Self {
        let folder = Folder::new();
        let (cert, key) = certificate(&folder, &[NAME]);
        let pin = pin(&fs::read(&cert).unwrap());
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request()? {
                let path = request.start.split(' ').nth(1).unwrap();
                let (kind, body) = match path {
                    "/" => ("text/html", PAGE),
                    "/patient" => ("text/html", PATIENT),
                    "/style.css" => ("text/css", "body { background: url(/behind.svg) }"),
                    "/script.js" => (
                        "text/javascript",
                        "fetch('/fetched', { method: 'POST', body: 'x' })",
                    ),
                    "/image.svg" | "/behind.svg" => (
                        "image/svg+xml",
                        "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>",
                    ),
                    _ => ("text/plain", "x"),
                };
                peer.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ))?;
            }
            Ok(())
        });
        let listener = LISTENER.replace(
            "self_signed = [\"a.test\", \"localhost\"]",
            &format!(
                "certificates = [{{ cert = \"{}\", key = \"{}\" }}]",
                cert.display(),
                key.display()
            ),
        );
        let proxy = Proxy::start(&format!(
            "{listener}\n[upstream.app]\nendpoints = [\"{}\"]\n\n[[route]]\nname = \"all\"\nto = \"app\"\n",
            origin.address()
        ));
        let port = address(&proxy, "webs").port();
        Self {
            proxy,
            port,
            pin,
            folder,
            _origin: origin,
        }
    }

    /// Opens a page in a browser that nobody sees. `quic_on`: the port on which it may not use anything else. An authority that is not
    /// among the browser's own is good enough for QUIC with that host alone.
    fn browse(&self, path: &str, quic_on: u16) -> Child {
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .arg("--remote-debugging-port=0")
            .arg(format!(
                "--user-data-dir={}",
                self.folder.path().join("profile").display()
            ))
            .arg(format!(
                "--host-resolver-rules=MAP {NAME} 127.0.0.1, MAP * ~NOTFOUND"
            ))
            .arg(format!(
                "--ignore-certificate-errors-spki-list={}",
                self.pin
            ))
            .arg(format!("--origin-to-force-quic-on={NAME}:{quic_on}"))
            .arg(format!("https://{NAME}:{}{path}", self.port));
        Child::start(
            &mut command,
            "Chromium (`cargo xtask setup --with-browser`)",
        )
    }

    fn line(&self, path: &str) -> String {
        self.proxy.wait_for_access(&format!("\"path\":\"{path}\""))
    }
}

/// Base64 of the SHA-256 of the certificate's public key.
fn pin(pem: &[u8]) -> String {
    let (_, pem) = parse_x509_pem(pem).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    let hash = suite
        .common
        .hash_provider
        .hash(certificate.public_key().raw);
    base64(hash.as_ref())
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in octets.chunks(3) {
        let word = three.iter().enumerate().fold(0u32, |word, (at, octet)| {
            word | u32::from(*octet) << (16 - 8 * at)
        });
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at)) as usize & 63] as char;
            text.push(if at <= three.len() { digit } else { '=' });
        }
    }
    text
}

#[test]
#[ignore = "needs Chromium: cargo xtask setup --with-browser"]
fn chromium_loads_a_page_with_all_that_belongs_to_it_over_http_3() {
    let stage = Stage::set();
    let _browser = stage.browse("/", stage.port);
    for path in ["/", "/style.css", "/script.js", "/image.svg", "/fetched"] {
        let line = stage.line(path);
        assert!(
            line.contains("\"HTTP/3\"") && line.contains("\"status\":200"),
            "{line}"
        );
    }
    let log = stage.proxy.stdout();
    let others = log
        .lines()
        .find(|line| line.contains(NAME) && !line.contains("\"HTTP/3\""));
    assert_eq!(others, None);
}

#[test]
#[ignore = "needs Chromium: cargo xtask setup --with-browser"]
fn chromium_comes_to_http_3_by_alt_svc() {
    let stage = Stage::set();
    // Another port of the same host: on the one that is asked it goes by Alt-Svc.
    let _browser = stage.browse("/patient", 9);
    let first = stage.line("/patient");
    assert!(first.contains("\"HTTP/2\""), "{first}");
    let upgraded = stage.line("/upgraded");
    assert!(upgraded.contains("\"HTTP/3\""), "{upgraded}");
}

#[test]
fn a_pin_is_what_browsers_take() {
    assert_eq!(base64(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
    assert_eq!(base64(b"any carnal pleasu"), "YW55IGNhcm5hbCBwbGVhc3U=");
    assert_eq!(base64(b"any carnal pleasur"), "YW55IGNhcm5hbCBwbGVhc3Vy");
}
