//! What nginx does where nothing is said, and what is said where it cannot be done here.

use super::{adapted, fates, nginx, notes, ours};
use crate::adapt::AdaptError;
use crate::config::{Action, NoFiles, Route};

/// The routes of a location `/`.
fn route(text: &str) -> Route {
    let config = ours(&format!("server {{ server_name a.test b.test; {text} }}"));
    config.routes.first().unwrap().clone()
}

fn is_told(text: &str, directive: &str, expected: &str) {
    let notes = adapted(text).notes;
    let mut of_directive = notes.iter().filter(|note| note.directive == directive);
    assert!(
        of_directive.any(|note| note.why.contains(expected)),
        "{directive} {notes:#?}"
    );
}

#[test]
fn a_server_that_is_not_for_everybody_does_not_become_public() {
    let pass = "location / { proxy_pass http://127.0.0.1:9; }";
    let alone = format!("server {{ listen unix:/x; {pass} }}");
    for text in [
        alone.as_str(),
        "stream { }",
        "http { }",
        "server { listen 80x; }",
    ] {
        let error = nginx("nginx.conf", text, &NoFiles).unwrap_err();
        assert!(matches!(error, AdaptError::Nothing { .. }), "{error}");
    }
    let told = nginx("nginx.conf", &alone, &NoFiles)
        .unwrap_err()
        .to_string();
    assert!(told.contains("nginx.conf:1: listen unix:/x: "), "{told}");
    for listen in ["unix:/x", "127.0.0.1:8080", "[::1]:80"] {
        let text = format!(
            "server {{ listen 80; return 204; }}\nserver {{ listen {listen}; server_name in.test; {pass} }}"
        );
        fates(&text, &[("http://in.test/", "answers 204 itself")]);
        assert_eq!(ours(&text).listeners.len(), 1, "{text}");
        assert!(notes(&text).contains(&"2: server".to_owned()), "{text}");
    }
    let both = format!("server {{ listen unix:/x; listen 127.0.0.1:81; {pass} }}");
    fates(&both, &[("http://in.test/", "to 127-0-0-1-9 as /")]);
}

#[test]
fn servers_at_several_ports_are_told_of() {
    let text = "server { listen 80; server_name a.test; return 204; }\nserver { listen 81; server_name b.test; return 205; }\nserver { listen 82; return 206; }";
    let told = notes(text);
    assert_eq!(told.len(), 4, "{told:#?}");
}

#[test]
fn what_the_reader_refuses_is_left_out_and_told() {
    is_told(
        "server { add_header Connection close; return 204; }",
        "return 204",
        "belongs to the connection",
    );
    let text = "server {\nserver_name a:b;\nlocation / { proxy_pass http://h; proxy_set_header Transfer-Encoding x; }\n}\nserver { server_name c.test; return 204; }";
    let told: Vec<String> = adapted(text)
        .notes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        told.iter()
            .any(|note| note.contains("Transfer-Encoding` belongs to the connection")),
        "{told:#?}"
    );
    // A guard that cannot be written is not left out in silence.
    let long = "(a{1000}){1000}";
    let guard = format!("server {{ location ~ {long} {{ deny all; proxy_pass http://h; }} }}");
    if let Ok(adapted) = nginx("nginx.conf", &guard, &NoFiles) {
        let why = adapted.notes.iter().map(|note| note.why.as_str());
        let why: String = why.collect();
        assert!(why.contains("MAY COME IN"), "{why}");
    }
    let limits = "http { client_max_body_size 99999999999999999999g; server { location / { proxy_pass http://h; } } }";
    assert_eq!(ours(limits).routes[0].max_body, None);
    is_told(limits, "location /", "(max_body)");
}

#[test]
fn paths_that_are_none_of_ours_are_found_by_expressions() {
    let text = "server {\n\
                location \"/sp ace\" { proxy_pass http://h; }\n\
                location \"/sq uash/\" { proxy_pass http://h/x/; }\n\
                location = \"/ex act\" { return 204; }\n\
                location /weird { proxy_pass http://h/weird2?fixed=1; }\n\
                location ~ ^/c/(.*)$ { rewrite ^ /d/$1? break; proxy_pass http://h; }\n\
                location ~ ^/e/(.*)$ { return 301 /f/$1; }\n}";
    fates(
        text,
        &[
            ("http://a/sp%20ace/x", "to h as /sp%20ace/x"),
            ("http://a/sq%20uash/a%20b", "to h as /x/a%20b"),
            ("http://a/ex%20act", "answers 204 itself"),
            ("http://a/weird", "to h as /weird2?fixed=1"),
            ("http://a/c/x", "to h as /d/"),
            ("http://a/e/x", "redirects to /f/x with 301"),
        ],
    );
    is_told(text, "rewrite ^ /d/$1? break", "took off");
}

#[test]
fn the_endpoint_is_asked_as_nginx_asks_it() {
    let host = |text: &str| {
        let route = route(&format!("location / {{ {text} }}"));
        let set = route.headers.request.set.iter();
        let host = set.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
        host.map(|(_, value)| String::from_utf8(value.plain().unwrap().to_vec()).unwrap())
            .next()
    };
    let check = |text: &str, expected: Option<&str>| {
        assert_eq!(host(text).as_deref(), expected, "{text}");
    };
    check("proxy_pass http://h;", Some("h"));
    check("proxy_pass http://h:80;", Some("h"));
    check("proxy_pass https://h:443/x;", Some("h"));
    check("proxy_pass http://h:8080;", Some("h:8080"));
    check("proxy_pass http://h; proxy_set_header X-A b;", Some("h"));
    check("proxy_pass http://h; proxy_set_header Host $host;", None);
    check(
        "proxy_pass http://h; proxy_set_header host $proxy_host;",
        Some("h"),
    );
    check(
        "proxy_pass http://h; proxy_set_header Host $server_name;",
        Some("a.test"),
    );
    check(
        "proxy_pass http://h; proxy_set_header Host x.test;",
        Some("x.test"),
    );
}

#[test]
fn endpoints_have_the_time_that_they_had() {
    let text = "server { location / { proxy_pass http://u; } location /x { proxy_read_timeout 5s; proxy_connect_timeout 2s; proxy_pass http://v; } location /y { proxy_connect_timeout 3s; proxy_pass http://v; } }";
    let config = ours(text);
    let read: Vec<u64> = config
        .routes
        .iter()
        .map(|it| it.response_timeout.unwrap().as_secs())
        .collect();
    assert_eq!(read, [60, 5, 60]);
    let connect: Vec<u64> = config
        .upstreams
        .iter()
        .map(|it| it.connect_timeout.as_secs())
        .collect();
    assert_eq!(connect, [60, 2]);
    is_told(text, "proxy_connect_timeout 3s", "one `connect_timeout`");
}

#[test]
fn the_name_of_a_server_is_its_first() {
    let text = "server { server_name www.c.test c.test; return 301 https://$server_name$request_uri; } server { server_name .d.test; return 301 https://${server_name}/x; }";
    fates(
        text,
        &[
            (
                "http://c.test/x?y",
                "redirects to https://www.c.test/x?y with 301",
            ),
            ("http://e.d.test/", "redirects to https://d.test/x with 301"),
        ],
    );
}

#[test]
fn answers_have_their_type_and_their_fields() {
    let kind = |text: &str| {
        let Action::Respond(respond) = route(text).action else {
            panic!("{text}");
        };
        respond.content_type
    };
    let json = "default_type application/json; location / { return 200 '{}'; }";
    assert_eq!(kind(json), "application/json");
    assert_eq!(kind("location / { return 200 x; }"), "text/plain");
    is_told(
        "server { return 444; }",
        "return 444",
        "closes the connection",
    );
    let text = "server { add_header X-A b always; add_header X-C d; return 204; }";
    is_told(text, "add_header X-A b always", "413, 429");
    is_told(text, "add_header X-C d", "whatever its status");
    assert_eq!(
        route("add_header X-A b; return 204;")
            .headers
            .response
            .add
            .len(),
        1
    );
}

#[test]
fn a_location_that_nobody_is_to_touch_is_left_alone() {
    let rewrites = |text: &str| {
        let text = format!("location / {{ proxy_pass http://h; {text} }}");
        route(&text).rewrite_location
    };
    assert!(rewrites(""));
    assert!(rewrites("proxy_redirect default;"));
    assert!(!rewrites("proxy_redirect off;"));
    let other = "server { location / { proxy_pass http://h; proxy_redirect http://x/ /; } }";
    is_told(other, "proxy_redirect http://x/ /", "names itself");
}

#[test]
fn responses_are_kept_in_a_folder_of_ours() {
    let check = |theirs: &str, ours_is: &str| {
        let text = format!("http {{ proxy_cache_path {theirs} keys_zone=a:1m; server {{ }} }}");
        let disk = ours(&text).cache.disk.unwrap();
        assert_eq!(disk.path.to_str().unwrap(), ours_is);
        assert_eq!(notes(&text).len(), 1);
    };
    check("/var/cache/nginx", "/var/cache/openclaw");
    check("/var/cache/nginx/pages/", "/var/cache/nginx/openclaw");
    check("/var/cache/openclaw", "/var/cache/openclaw-cache");
}

#[test]
fn one_upstream_with_tls_and_without_is_two() {
    let text = "upstream a_b { server 10.0.0.1; } upstream a-b { server 10.0.0.2; } server { location / { proxy_pass http://a_b; } location /x { proxy_pass https://a_b; } location /y { proxy_pass http://a-b; } location /z { proxy_pass https://h; } }";
    fates(
        text,
        &[
            ("http://a/", "to a-b as /"),
            ("http://a/x", "to a-b-3 as /x"),
            ("http://a/y", "to a-b-2 as /y"),
            ("http://a/z", "to h as /z"),
        ],
    );
    let config = ours(text);
    let tls: Vec<bool> = config.upstreams.iter().map(|it| it.tls.is_some()).collect();
    assert_eq!(tls, [false, false, true, true]);
    assert!(adapted(text).text.contains("\"h:443\""));
}
