//! Variables in `proxy_pass`, and groups of expressions.

use super::{adapted, fates, notes};

/// What a request becomes behind a location, and what is said of it.
fn check(location: &str, url: &str, expected: &str, told: &str) {
    let text = format!("server {{ {location} }}");
    fates(&text, &[(url, expected)]);
    let notes = adapted(&text).notes.into_iter();
    let why: String = notes.map(|note| note.why + "\n").collect();
    match told {
        "" => assert_eq!(why, "", "{location}"),
        told => assert!(why.contains(told), "{location} {why}"),
    }
}

#[test]
fn what_the_client_asked_for_goes_as_it_came() {
    check(
        "location / { proxy_pass http://u$request_uri; }",
        "http://a/x%2Fy//z?q",
        "to u as /x%2Fy//z?q",
        "",
    );
    check(
        "location /x/ { rewrite ^/x/(.*)$ /$1 break; proxy_pass http://u$request_uri; }",
        "http://a/x/y?q",
        "to u as /x/y?q",
        "changes nothing",
    );
    check(
        "location / { proxy_pass http://u/p${request_uri}; }",
        "http://a/x%2Fy?q",
        "to u as /p/x%2Fy?q",
        "",
    );
    check(
        "location / { proxy_pass http://u/p/$request_uri; }",
        "http://a/x",
        "to u as /p/x",
        "doubles the slash",
    );
    check(
        "location / { proxy_pass http://u$uri$is_args$args; }",
        "http://a/x?q",
        "to u as /x?q",
        "",
    );
    check(
        "location /x/ { rewrite ^/x/(.*)$ /$1 break; proxy_pass http://u$uri?$args; }",
        "http://a/x/y?q",
        "to u as /y?q",
        "",
    );
}

#[test]
fn groups_stand_where_they_stood() {
    check(
        "location ~ ^/u/([0-9]+)/(.*)$ { proxy_pass http://u/$2/of/$1$is_args$args; }",
        "http://a/u/12/x/y?q",
        "to u as /x/y/of/12?q",
        "",
    );
    check(
        "location ~* ^/u/(?<id>[a-f]+)$ { proxy_pass http://u/id/$id; }",
        "http://a/U/AB?q",
        "to u as /id/AB?q",
        "goes along here",
    );
    check(
        "location ~ ^/u(/.*)$ { proxy_pass http://u$1$is_args$args; }",
        "http://a/u/x?q",
        "to u as /x?q",
        "",
    );
    check(
        "location /old/ { rewrite ^/old/(.*)$ /unused/$1 break; proxy_pass http://u/new/$1$is_args$args; }",
        "http://a/old/x?q",
        "to u as /new/x?q",
        "",
    );
    check(
        "location /old/ { rewrite ^/old/([0-9]+)$ /unused/$1 break; proxy_pass http://u/new/$1?$args; }",
        "http://a/old/1?q",
        "to u as /new/1?q",
        "finds nothing",
    );
    check(
        "location /old/ { rewrite ^/old/([0-9]+)$ /new/$1 break; proxy_pass http://u/rest/; }",
        "http://a/old/1",
        "to u as /new/1",
        "finds nothing",
    );
    check(
        "location /p/ { proxy_pass http://u; location ~ \\.(json|xml)$ { proxy_pass http://u/as/$1$is_args$args; } }",
        "http://a/p/x.xml?q",
        "to u as /as/xml?q",
        "",
    );
    check(
        "location ~ ^/n/(?<name>.*)$ { return 301 /m/$name; }",
        "http://a/n/x",
        "redirects to /m/x with 301",
        "",
    );
}

#[test]
fn what_has_no_like_is_answered_with_404_and_told() {
    for pass in [
        "http://$host$request_uri",
        "http://u/x/$request_uri/y",
        "http://u/$upstream_addr",
        "http://u$1",
        "http://u$scheme",
        "http://$1/x",
    ] {
        let text = format!("server {{\nlocation ~ ^/a([0-9]*)b {{\nproxy_pass {pass};\n}}\n}}");
        fates(&text, &[("http://a/a1b", "answers 404 itself")]);
        assert_eq!(notes(&text), [format!("3: proxy_pass {pass}")], "{text}");
    }
}
