//! The neighbours of every day: nginx as the origin, curl as the client.

use super::{Stage, app};
use crate::support::{Folder, Nginx, curl};

/// A directory tree with small and large files behind nginx.
fn site() -> (Folder, Nginx, Vec<u8>) {
    let folder = Folder::new();
    let large: Vec<u8> = (0..5_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    folder.write("root/index.html", "<h1>home</h1>\n");
    folder.write("root/docs/a b.txt", "spaces\n");
    folder.write("root/large.bin", &large);
    let nginx = Nginx::start(&folder.path().join("root"));
    (folder, nginx, large)
}

#[test]
fn curl_fetches_a_tree_from_nginx_over_every_wire() {
    let (_folder, nginx, large) = site();
    let stage = Stage::with(&app(nginx.address(), ""));
    let plain = format!("http://{}", stage.web);
    let tls = format!("https://localhost:{}", stage.webs.port());
    for (wire, base, version) in [
        ("--http1.1", &plain, "1.1"),
        ("--http1.0", &plain, "1.1"),
        ("--http2-prior-knowledge", &plain, "2"),
        ("--http1.1", &tls, "1.1"),
        ("--http2", &tls, "2"),
    ] {
        let get = |path: &str, more: &[&str]| {
            let url = format!("{base}{path}");
            curl(&[&["--insecure", wire][..], more, &[&url]].concat()).ok()
        };
        let home = get("/", &["--write-out", "%{http_version} %{http_code}"]).text();
        assert_eq!(home, format!("<h1>home</h1>\n{version} 200"), "{wire}");
        assert_eq!(get("/docs/a%20b.txt", &[]).text(), "spaces\n");
        assert!(get("/large.bin", &[]).stdout == large, "{wire}");
        assert!(
            get("/large.bin", &["--range", "1000000-1999999"]).stdout
                == large[1_000_000..2_000_000]
        );
        assert_eq!(
            get(
                "/none",
                &["--output", "/dev/null", "--write-out", "%{http_code}"]
            )
            .text(),
            "404"
        );
        let head = get("/large.bin", &["--head"]).text().to_ascii_lowercase();
        assert!(head.contains("content-length: 5000000\r\n"), "{head}");
        assert!(!head.contains("server:"), "{head}");
        let etag = head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .unwrap();
        let condition = format!("If-None-Match: {}", etag.trim());
        let code = get(
            "/large.bin",
            &["--header", &condition, "--write-out", "%{http_code}"],
        )
        .text();
        assert_eq!(code, "304", "{wire}");
    }
}

#[test]
fn curl_uploads_and_keeps_its_connection() {
    let (folder, nginx, large) = site();
    let root = folder.path().join("root");
    let inner = Nginx::start_with(
        &root,
        "client_max_body_size 100m;
         location / { return 200 $request_method:$content_length; }",
    );
    // This one reads the whole body before it goes on.
    let outer = Nginx::start_with(
        &root,
        &format!(
            "client_max_body_size 100m;
             location / {{ proxy_pass http://{}; proxy_http_version 1.1; }}
             location /own {{ return 502; }}",
            inner.address()
        ),
    );
    drop(nginx);
    let stage = Stage::with(&app(outer.address(), ""));
    let file = folder.write("upload.bin", &large);
    let file = format!("@{}", file.display());
    let plain = format!("http://{}", stage.web);
    let tls = format!("https://localhost:{}", stage.webs.port());
    for (wire, url) in [
        ("--http1.1", &plain),
        ("--http2-prior-knowledge", &plain),
        ("--http1.1", &tls),
        ("--http2", &tls),
    ] {
        let output = curl(&["--insecure", wire, "--data-binary", &file, url]).ok();
        assert_eq!(output.text(), "POST:5000000", "{wire} {url}");
    }
    let twice = ["--http1.1", "--data-binary", &file, &plain, &plain];
    let connects = ["--write-out", " %{num_connects} "];
    let output = curl(&[&twice[..], &connects].concat()).ok();
    assert_eq!(output.text(), "POST:5000000 1 POST:5000000 0 ");
    // An origin's own 502 is not the proxy's.
    let own = curl(&[&format!("{plain}/own")]).ok().text();
    assert!(own.contains("nginx"), "{own}");
}
