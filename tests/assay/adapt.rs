//! `openclaw adapt nginx`: what it makes is served, and answers as nginx does.

use serde_json::Value;

use super::openclaw_in;
use crate::control::address;
use crate::support::{Folder, Message, Nginx, Origin, Proxy, RawClient};

/// What a client sees of an answer, and the line that the endpoint got.
fn seen(answer: &Message, origin: &Origin, server: &str) -> String {
    let status = answer.status();
    let place = answer.header("location").unwrap_or("nowhere");
    // The other program writes its own port into a place.
    let place = place.replace(server, "SERVER");
    let told = answer.header("x-told").unwrap_or("nothing");
    let requests = origin.requests();
    // In which version the endpoint is asked is no matter of either.
    let asked = requests.last().and_then(|last| last.start.rsplit_once(' '));
    let asked = asked.map_or("nothing", |(asked, _)| asked);
    let host = requests.last().and_then(|last| last.header("host"));
    let host = host.unwrap_or("nobody");
    let host = host.replace(&origin.address().to_string(), "ENDPOINT");
    // Pages of refusals are each program's own.
    let kind = answer.header("content-type").filter(|_| status == 200);
    format!(
        "{status} {kind:?} to {place}, told {told}, {} asked, last {asked} of {host}",
        requests.len()
    )
}

#[test]
fn both_programs_answer_alike() {
    let lines = |origin: &Origin| {
        let endpoint = origin.address();
        format!(
            "client_max_body_size 1k;
             location /app/ {{ proxy_pass http://{endpoint}; add_header X-Told $request_method; }}
             location /api/ {{ proxy_pass http://{endpoint}/v2/; proxy_set_header X-Client $remote_addr; }}
             location = /exact {{ proxy_pass http://{endpoint}/other; }}
             location ~ \\.(png|css)$ {{ proxy_pass http://{endpoint}; }}
             location /old/ {{ rewrite ^/old/(.*)$ /new/$1 break; proxy_pass http://{endpoint}; }}
             location /svc {{ proxy_pass http://{endpoint}/backend; proxy_set_header Host $host; }}
             location ~ ^/c/(.*)$ {{ rewrite ^ /d/$1? break; proxy_pass http://{endpoint}; }}
             location '/sp ace' {{ proxy_pass http://{endpoint}; }}
             location /weird {{ proxy_pass http://{endpoint}/weird2?fixed=1; }}
             location /left {{ rewrite ^/left/(.*)$ https://left.example/$1 permanent; }}
             location /left/not {{ return 409; }}
             location ^~ /st {{ return 410; }}
             location /static/long {{ return 403; }}
             location ~ \\.js$ {{ return 406; }}
             location = /json {{ default_type application/json; return 200 '{{}}'; }}
             location /gone/ {{ return 410; }}
             location /moved/ {{ return 301 https://$host/there$request_uri; }}
             rewrite ^/blog/([0-9]+)$ https://blog.example/$1 permanent;"
        )
    };
    let long = "b".repeat(2000);
    let rows = [
        ("GET /app/x?y HTTP/1.1", ""),
        ("GET /api/x?y HTTP/1.1", ""),
        ("GET /exact?q HTTP/1.1", ""),
        ("GET /api/a.css HTTP/1.1", ""),
        ("GET /old/thing?z HTTP/1.1", ""),
        ("GET /svc?q HTTP/1.1", ""),
        ("GET /svc/ HTTP/1.1", ""),
        ("GET /svc/x HTTP/1.1", ""),
        ("GET /c/x HTTP/1.1", ""),
        ("GET /sp%20ace HTTP/1.1", ""),
        ("GET /sp%20aces HTTP/1.1", ""),
        ("GET /weird HTTP/1.1", ""),
        ("GET /left HTTP/1.1", ""),
        ("GET /left/x?y HTTP/1.1", ""),
        ("GET /left/not HTTP/1.1", ""),
        ("GET /static/x.js HTTP/1.1", ""),
        ("GET /static/long/x.js HTTP/1.1", ""),
        ("GET /static/longer HTTP/1.1", ""),
        ("GET /json HTTP/1.1", ""),
        ("GET /gone/x HTTP/1.1", ""),
        ("GET /moved/x?y HTTP/1.1", ""),
        ("GET /blog/12?y HTTP/1.1", ""),
        ("GET /nothing HTTP/1.1", ""),
        ("POST /app/x HTTP/1.1", "short"),
        ("POST /app/x HTTP/1.1", &long),
    ];
    compare(lines, &rows);
}

#[test]
fn nested_locations_and_groups_answer_alike() {
    let lines = |origin: &Origin| {
        let endpoint = origin.address();
        format!(
            "location / {{ return 420; location ~ \\.php$ {{ return 421; }} }}
             location /api/ {{
                 proxy_pass http://{endpoint}/v2/; add_header X-Told api;
                 location /api/old/ {{ return 410; }}
                 location ~ \\.json$ {{ proxy_pass http://{endpoint}; }}
                 location = /api/exact {{ proxy_pass http://{endpoint}/other; }}
                 location ~* ^/api/U([0-9]+)$ {{ proxy_pass http://{endpoint}/user/$1$is_args$args; }}
             }}
             location /api/new/ {{ return 422; location /api/new/deep/ {{ return 423; location ~ z {{ return 424; }} }} }}
             location ^~ /d/ {{ return 407; location /d/e/ {{ return 418; }} location ~* \\.Png {{ return 409; }} }}
             location /w/ {{ return 425; location ^~ /w/c/ {{ return 426; location ~ y {{ return 427; }} }} location ~ x$ {{ return 428; }} }}
             location ~ z$ {{ return 429; }}
             location ~ ^/r/ {{ return 411; location ~ \\.php$ {{ return 412; }} location ~ ^/r/s {{ return 413; }} }}
             location ~ \\.cgi$ {{ return 415; location ~ ^/in/ {{ return 416; }} }}
             location /gone/ {{ return 430; }}
             location /shut/ {{ deny all; }}
             location /raw/ {{ proxy_pass http://{endpoint}$request_uri; }}
             location /put/ {{ proxy_pass http://{endpoint}/before$request_uri; }}
             location /undone/ {{ rewrite ^/undone/(.*)$ /$1 break; proxy_pass http://{endpoint}$request_uri; }}
             location ~ ^/u/([0-9]+)/(.*)$ {{ proxy_pass http://{endpoint}/$2/of/$1$is_args$args; }}
             location ~ ^/n/(?<name>[a-c]+)$ {{ proxy_pass http://{endpoint}/named/$name?$args; }}
             location ~ ^/v(/.*)$ {{ proxy_pass http://{endpoint}$1$is_args$args; }}
             location /old/ {{ rewrite ^/old/(.*)$ /unused/$1 break; proxy_pass http://{endpoint}/new/$1$is_args$args; }}
             location /re/ {{ rewrite ^/re/(.*)$ /$1 break; proxy_pass http://{endpoint}$uri$is_args$args; }}"
        )
    };
    let paths = [
        "/x",
        "/x.php",
        "/api/x.php",
        "/api/x?y",
        "/api/x.json?y",
        "/api/old/x",
        "/api/old/x.json",
        "/api/exact?q",
        "/api/u12?q",
        "/api/u12x",
        "/api/new/x.json",
        "/api/new/deep/1",
        "/api/new/deep/z1",
        "/d/z",
        "/d/e/z",
        "/d/e/x.PNG",
        "/w/1",
        "/w/x",
        "/w/c/1",
        "/w/c/x",
        "/w/c/y",
        "/w/c/z",
        "/w/z",
        "/r/1",
        "/r/x.php",
        "/r/s.php",
        "/r/s",
        "/r/z",
        "/x.cgi",
        "/in/x.cgi",
        "/gone",
        "/gone/",
        "/gone/x.php",
        "/shut/x",
        "/raw/a%20b//c?d",
        "/put/a%20b?d",
        "/undone/x?y",
        "/u/12/x/y?q",
        "/u/12/x",
        "/n/abc?q",
        "/n/abcd",
        "/v/x/y?q",
        "/old/x?q",
        "/re/x?q",
    ];
    let lines_of = paths.map(|path| format!("GET {path} HTTP/1.1"));
    let rows: Vec<(&str, &str)> = lines_of.iter().map(|line| (line.as_str(), "")).collect();
    compare(lines, &rows);
}

/// Asks both programs for the same, which are to say the same and to ask their endpoints for the same.
fn compare(lines: impl Fn(&Origin) -> String, rows: &[(&str, &str)]) {
    let (theirs, ours) = (Origin::serving("x"), Origin::serving("x"));
    let folder = Folder::new();
    let nginx = Nginx::start_with(folder.path(), &lines(&theirs));
    folder.write(
        "nginx.conf",
        format!("server {{ listen 80; {} }}", lines(&ours)),
    );
    let adapted = openclaw_in(&folder, &["adapt", "nginx", "nginx.conf"])
        .ok()
        .text();
    let adapted = adapted.replace("\"0.0.0.0:80\"", "\"127.0.0.1:0\"");
    let proxy = Proxy::start(&adapted);
    let web = address(&proxy, "http-80");
    for (line, body) in rows {
        let length = body.len();
        let text = format!(
            "{line}\r\nHost: www.example.com\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let ask = |to| RawClient::connect(to).exchange(&text);
        let expected = seen(&ask(nginx.address()), &theirs, &nginx.address().to_string());
        assert_eq!(
            seen(&ask(web), &ours, &web.to_string()),
            expected,
            "{line}\n{adapted}"
        );
    }
}

#[test]
fn what_could_not_be_converted_is_said_line_by_line() {
    let folder = Folder::new();
    folder.write(
        "conf.d/a.conf",
        "server {\n  auth_basic on;\n  return 200;\n}\n",
    );
    folder.write(
        "nginx.conf",
        "user x;\nhttp {\n  lua_load x;\n  include conf.d/*.conf;\n}\n",
    );
    let output = openclaw_in(&folder, &["adapt", "nginx", "nginx.conf"]).ok();
    let told: Vec<&str> = output.stderr.lines().collect();
    assert!(
        told[0].starts_with("conf.d/a.conf:2: auth_basic on: is not asked"),
        "{told:?}"
    );
    assert!(told[1].starts_with("nginx.conf:1: user x: "), "{told:?}");
    assert!(
        told[2].starts_with("nginx.conf:3: lua_load x: "),
        "{told:?}"
    );
    assert_eq!(told.len(), 3);
    let made = folder.write("made.toml", output.text());
    let checked = openclaw_in(&folder, &["check", made.to_str().unwrap()]).ok();
    assert!(
        checked.text().contains("1 listener, 1 route"),
        "{}",
        checked.text()
    );
    let json = openclaw_in(&folder, &["-o", "json", "adapt", "nginx", "nginx.conf"]).ok();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["notes"][2]["line"], &json["text"]),
        (&3.into(), &output.text().into())
    );
    folder.write("broken.conf", "http {\n");
    let broken = openclaw_in(&folder, &["adapt", "nginx", "broken.conf"]);
    assert_eq!(broken.code, 2);
    assert!(
        broken
            .stderr
            .contains("broken.conf:1: this block is not closed"),
        "{}",
        broken.stderr
    );
    assert_eq!(
        openclaw_in(&folder, &["adapt", "nginx", "missing.conf"]).code,
        2
    );
}
