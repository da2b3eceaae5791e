//! Who may come in afterwards, and what is said of the rest.

use super::{adapted, notes, ours};
use crate::assay::{Asked, Open, World};
use crate::config::Files;

const REFUSED: &str = "answers 403 itself";
const PASSED: &str = "to u";

/// What a client at an address gets.
fn gets(text: &str, from: &str, path: &str) -> String {
    let config = ours(text);
    let mut asked = Asked::new("GET", &format!("http://a{path}"), &[]).unwrap();
    asked.from = from.parse().unwrap();
    World::new(&config, &Open).fate(&asked).does()
}

#[test]
fn nobody_comes_in_who_could_not_before() {
    let check = |guards: &str, inside: &str, outside: &str| {
        let pass = "proxy_pass http://u;";
        for text in [
            format!("server {{ location /x/ {{ {guards} {pass} }} location / {{ {pass} }} }}"),
            format!("server {{ {guards} location / {{ {pass} }} }}"),
            format!("http {{ {guards} server {{ location ~ ^/x {{ {pass} }} }} }}"),
            format!("server {{ location / {{ {pass} location /x/ {{ {guards} {pass} }} }} }}"),
        ] {
            for (from, expected) in [("10.1.2.3", inside), ("192.0.2.1", outside)] {
                assert_eq!(gets(&text, from, "/x/y"), expected, "{from} {text}");
            }
        }
    };
    check("", PASSED, PASSED);
    check("allow 10.0.0.0/8; allow ::1; deny all;", PASSED, REFUSED);
    check(
        "allow 10.0.0.0/8; allow unix:; deny all; allow all;",
        PASSED,
        REFUSED,
    );
    check("allow all;", PASSED, PASSED);
    check("deny all;", REFUSED, REFUSED);
    check(
        "deny 10.1.2.3; allow 10.0.0.0/8; deny all;",
        REFUSED,
        REFUSED,
    );
    check("deny 192.0.2.1; allow all;", REFUSED, REFUSED);
    check("allow 10.0.0.1/8; deny all;", REFUSED, REFUSED);
    check("allow 10.0.0.0/8;", REFUSED, REFUSED);
    check(
        "auth_basic staff; auth_basic_user_file /f;",
        REFUSED,
        REFUSED,
    );
    check("auth_basic off;", PASSED, PASSED);
    check("auth_request /auth;", REFUSED, REFUSED);
    check("satisfy any; allow 10.0.0.0/8; deny all;", REFUSED, REFUSED);
    check("satisfy all; allow 10.0.0.0/8; deny all;", PASSED, REFUSED);
    check(
        "auth_basic staff; allow 10.0.0.0/8; deny all;",
        REFUSED,
        REFUSED,
    );
    check("if ($http_x_key != a) { return 403; }", REFUSED, REFUSED);
    check(
        "if ($scheme = http) { return 301 https://$host$request_uri; }",
        PASSED,
        PASSED,
    );
    check("limit_except GET { deny all; }", REFUSED, REFUSED);
    check(
        "set_real_ip_from 10.0.0.0/8; allow 10.0.0.0/8; deny all;",
        REFUSED,
        REFUSED,
    );
}

#[test]
fn certificates_of_clients_are_asked_for_wherever_the_server_stands() {
    let server = |name: &str, more: &str| {
        format!(
            "server {{ listen 443 ssl; server_name {name}; ssl_certificate a; ssl_certificate_key a; {more} return 204; }}\n"
        )
    };
    let verifying = "ssl_client_certificate ca.pem; ssl_verify_client on;";
    let text = server("a.test", "ssl_protocols TLSv1.3;") + &server("b.test", verifying);
    let adapted = adapted(&text);
    assert!(
        adapted.text.contains("client_ca = \"ca.pem\""),
        "{}",
        adapted.text
    );
    let mut told = adapted.notes.iter();
    assert!(told.any(|note| note.line == 1 && note.why.contains("has to show")));
    let other = verifying.replace("ca.pem", "other.pem");
    let text = server("a.test", verifying) + &server("b.test", &other);
    let notes = super::adapted(&text).notes;
    let mut told = notes.iter();
    assert!(told.any(|note| note.line == 2 && note.why.contains("WHO MAY COME IN")));
    let optional = server("a.test", "ssl_verify_client optional;");
    let notes = super::adapted(&optional).notes;
    assert!(notes.iter().any(|note| note.why.contains("`on` alone")));
}

#[test]
fn a_location_lifts_what_is_asked_around_it() {
    let text = "server { auth_basic a; deny all; location / { auth_basic off; allow all; proxy_pass http://u; } }";
    assert_eq!(gets(text, "192.0.2.1", "/"), PASSED);
}

#[test]
fn redirects_come_before_guards_but_not_before_conditions() {
    let check = |inside: &str, expected: &str| {
        let text = format!("server {{ {inside} }}");
        assert_eq!(gets(&text, "192.0.2.1", "/x"), expected, "{text}");
    };
    check("deny all; return 204;", "answers 204 itself");
    check("if ($a) { return 403; } return 204;", REFUSED);
    check(
        "if ($a) { return 403; } location / { return 204; }",
        REFUSED,
    );
}

#[test]
fn a_location_that_cannot_be_converted_still_keeps_back_what_it_did() {
    let check = |location: &str, path: &str, expected: &str| {
        let text = format!("server {{ {location} location / {{ proxy_pass http://u; }} }}");
        assert_eq!(gets(&text, "10.1.2.3", path), expected, "{text} {path}");
    };
    check(
        r"location ~ /\.(?!well-known(/|$)) { deny all; }",
        "/.git/x",
        REFUSED,
    );
    check(r"location ~ /\.(?!well-known) { deny all; }", "/x", PASSED);
    check(r"location ~* /\.(?!well) { return 404; }", "/.GIT", REFUSED);
    check(
        r"location /x { proxy_pass http://u; location ~ \.php$ { deny all; } }",
        "/x/a.php",
        REFUSED,
    );
    check(
        r"location /x { proxy_pass http://u; location ~ \.php$ { proxy_pass http://u; } }",
        "/x/a.php",
        PASSED,
    );
}

#[test]
fn a_shut_route_says_above_it_what_guarded_it() {
    let text = adapted("server { location / { auth_basic \"a\nb\"; proxy_pass http://u; } }").text;
    let (before, after) = text.split_once("[[route]]").unwrap();
    assert!(
        before.contains("# nginx guarded this by `auth_basic a b` (nginx.conf:1)."),
        "{text}"
    );
    assert!(
        before.contains("Without it this would be: to = \"u\""),
        "{text}"
    );
    assert!(after.contains("respond = { status = 403, body ="), "{text}");
    let told = notes("server { location / { allow 10.0.0.0/8; deny all; proxy_pass http://u; } }");
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn whatever_is_dropped_has_a_note_that_leads_somewhere() {
    let check = |directive: &str, expected: &str| {
        for text in [
            format!("http {{ {directive}; server {{ }} }}"),
            format!("server {{ {directive}; }}"),
        ] {
            let notes = adapted(&text).notes;
            let told = notes.iter().any(|note| note.why.contains(expected));
            assert!(told, "{text} {notes:#?}");
        }
    };
    check("error_page 502 /502.html", "`error_pages`");
    check("set_real_ip_from 10.0.0.0/8", "`trusted_proxies`");
    check("real_ip_header X-Forwarded-For", "`trusted_proxies`");
    check("limit_conn a 5", "`max_connections_per_ip`");
    check("map $http_upgrade $c { } a", "not needed");
    check("gzip_types text/css", "`compress`");
    check("gzip_comp_level 5", "`compress`");
    check("ssl_ciphers HIGH", "ciphers");
    check("error_log /e", "stderr");
    check("proxy_buffering off", "bodies");
    check("user www-data", "service manager");
    check("sendfile on", "nothing here needs it");
    check("nonsense on", "not converted");
    let cache = "http { proxy_cache_path /c keys_zone=a:1m inactive=60m; server { } }";
    let told = adapted(cache).notes;
    assert!(
        told.iter().any(|note| note.why.contains("inactive=60m")),
        "{told:?}"
    );
}

#[test]
fn a_folder_that_is_not_there_is_included_as_nothing() {
    struct Bare;
    impl Files for Bare {
        fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
            Err(match pattern {
                "/n/locked/*.conf" => "Permission denied (os error 13)".to_owned(),
                _ => "No such file or directory (os error 2)".to_owned(),
            })
        }
        fn read(&self, _: &str) -> Result<String, String> {
            Err("gone".to_owned())
        }
    }
    let read = |text: &str| super::nginx("/n/nginx.conf", text, &Bare);
    assert!(read("include conf.d/*.conf; server { return 200; }").is_ok());
    let told = read("include locked/*.conf;").unwrap_err().to_string();
    assert_eq!(
        told,
        "/n/nginx.conf:1: cannot include `/n/locked/*.conf`: Permission denied (os error 13)"
    );
}
