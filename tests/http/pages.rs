//! Pages in place of the proxy's own few words.

use super::{GET, Stage, assert_refused, listeners};
use crate::support::{Folder, Origin, Proxy, RawClient, free_port, openclaw};

fn config(pages: &str, origin: &Origin) -> String {
    let listeners = listeners(&format!(
        "protocols = [\"h1\", \"h2\"]\nerror_pages = {{ {pages} }}"
    ));
    format!(
        "{listeners}[upstream.dead]\nendpoints = [\"127.0.0.1:{}\"]\n[upstream.app]\nendpoints = [\"{}\"]\n[[route]]\nmatch = {{ path = \"/dead\" }}\nto = \"dead\"\n[[route]]\nmatch = {{ path = \"/app\" }}\nto = \"app\"\n",
        free_port(),
        origin.address()
    )
}

#[test]
fn a_refusal_has_its_page_its_status_and_its_id() {
    let folder = Folder::new();
    let page = |name: &str, text: &str| folder.write(name, text).display().to_string();
    let down = page("down.html", "<p>down</p>");
    let lost = page("lost.json", "{\"lost\": true}");
    let origin = Origin::answering("HTTP/1.1 502 X\r\nContent-Length: 3\r\n\r\nown");
    let pages = format!("\"5xx\" = \"{down}\", \"404\" = \"{lost}\"");
    let stage = Stage::start(&config(&pages, &origin));
    let get = |path: &str| stage.ask(&GET.replace("GET /", &format!("GET {path}")));
    let response = get("/dead");
    assert_eq!(
        (response.status(), response.text()),
        (502, "<p>down</p>".into())
    );
    assert_eq!(
        response.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let id = response.header("x-request-id").unwrap();
    let line = stage.proxy.wait_for_access(id);
    assert!(line.contains("upstream.connect"), "{line}");
    let response = get("/none");
    assert_eq!(
        (response.status(), response.text()),
        (404, "{\"lost\": true}".into())
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    // An answer of an endpoint is its own, whatever it is, and other refusals are as they were.
    assert_eq!(get("/app").text(), "own");
    let head = stage.ask("TRACE /app HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    assert_refused(&head, 405, "http.method");
    let mut client = stage.client();
    client.send("HEAD /dead HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.response_to("HEAD");
    assert_eq!(
        (head.status(), head.header("content-length")),
        (502, Some("11"))
    );
    // Pages are read anew with the configuration.
    folder.write("down.html", "<p>soon</p>");
    assert_eq!(get("/dead").text(), "<p>down</p>");
    assert_eq!(stage.proxy.cli(&["reload"]).code, 0);
    let over = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"])
        .exchange(GET.replace("GET /", "GET /dead"));
    assert_eq!(over.text(), "<p>soon</p>");
}

#[test]
fn a_page_that_cannot_be_read_is_told_with_its_line() {
    let origin = Origin::serving("");
    let folder = Folder::new();
    let long = folder.write("long.html", "x".repeat((128 << 10) + 1));
    for (page, why) in [
        ("missing.html".to_owned(), "No such file"),
        (long.display().to_string(), "larger than 128 KiB"),
    ] {
        let (status, said) = Proxy::refuse(&config(&format!("\"502\" = \"{page}\""), &origin));
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains("error_pages") && said.contains(why), "{said}");
    }
}

#[test]
fn a_page_that_is_no_file_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    let pipe = folder.path().join("pipe.html");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let config = folder.write(
        "openclaw.toml",
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\nerror_pages = { \"503\" = \"pipe.html\" }\n",
    );
    let output = openclaw(&["check", config.to_str().unwrap()]);
    assert_eq!(output.code, 2);
    assert!(
        output.stderr.contains("not a regular file"),
        "{}",
        output.stderr
    );
}

#[test]
fn the_page_of_a_route_comes_before_the_listeners() {
    let folder = Folder::new();
    let page = |name: &str| folder.write(name, name).display().to_string();
    let [own, gone, other] = ["own.json", "gone.txt", "other.html"].map(page);
    let listeners = listeners(&format!(
        "protocols = [\"h1\"]\nerror_pages = {{ \"502\" = \"{other}\", \"4xx\" = \"{other}\" }}"
    ));
    let dead = free_port();
    let stage = Stage::start(&format!(
        "{listeners}[upstream.dead]\nendpoints = [\"127.0.0.1:{dead}\"]\n\
         [[route]]\nmatch = {{ path = \"/api\" }}\nto = \"dead\"\nerror_pages = {{ \"5xx\" = \"{own}\", \"429\" = \"{gone}\" }}\nlimit = {{ rate = \"1/h\", burst = 1 }}\n\
         [[route]]\nto = \"dead\"\n"
    ));
    let get = |path: &str| {
        let response = stage.ask(&GET.replace("GET /", &format!("GET {path}")));
        (response.status(), response.text())
    };
    assert_eq!(get("/api"), (502, "own.json".into()));
    let limited = (0..5)
        .map(|_| get("/api"))
        .find(|(status, _)| *status == 429);
    assert_eq!(limited, Some((429, "gone.txt".into())));
    assert_eq!(get("/"), (502, "other.html".into()));
    // What is wrong with a page is told at the route that has it.
    let broken = format!(
        "{listeners}[upstream.dead]\nendpoints = [\"127.0.0.1:{dead}\"]\n[[route]]\nto = \"dead\"\nerror_pages = {{ \"502\" = \"missing.html\" }}\n"
    );
    let (status, said) = Proxy::refuse(&broken);
    assert_eq!(status.code(), Some(2), "{said}");
    for part in ["route route-1", "route[0].error_pages.502", "No such file"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
