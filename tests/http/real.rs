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
    let (folder, _nginx, large) = site();
    let nginx = Nginx::start_with(
        &folder.path().join("root"),
        "client_max_body_size 100m;
         location /sink { return 502; }
         location /method { return 200 $request_method:$http_x_forwarded_proto:$content_length; }",
    );
    let stage = Stage::with(&app(nginx.address(), ""));
    let file = folder.write("upload.bin", &large);
    let file = format!("@{}", file.display());
    let url = format!("http://{}/method", stage.web);
    let output = curl(&[
        "--data-binary",
        &file,
        &url,
        "--next",
        "-s",
        "--request",
        "DELETE",
        &url,
    ])
    .ok();
    assert_eq!(output.text(), "POST:http:5000000DELETE:http:");
    let url = format!("https://localhost:{}/method", stage.webs.port());
    let output = curl(&["--insecure", "--http2", "--data-binary", &file, &url]).ok();
    assert_eq!(output.text(), "POST:https:5000000");
    // An origin's own 502 is not the proxy's.
    let code = curl(&[
        "--write-out",
        "%{http_code}",
        "--output",
        "/dev/null",
        &format!("http://{}/sink", stage.web),
    ])
    .ok();
    assert_eq!(code.text(), "502");
}
