//! Which location takes a request, and what it asks for.

use super::{fates, notes};

#[test]
fn a_prefix_that_goes_before_expressions_still_does() {
    let text = "server {\n\
                location / { proxy_pass http://u; }\n\
                location ~ \\.php$ { proxy_pass http://php; }\n\
                location ^~ /admin/ { deny all; proxy_pass http://u; }\n\
                location /admin/open/ { proxy_pass http://open; }\n\
                location /other/ { deny all; proxy_pass http://u; }\n\
                location = /admin/x.php { return 204; }\n\
                rewrite ^/old$ /new permanent;\n}";
    fates(
        text,
        &[
            ("http://a/x.php", "to php as /x.php"),
            ("http://a/admin/y.php", "answers 403 itself"),
            ("http://a/x/../admin/y.php", "answers 403 itself"),
            ("http://a/admin/y", "answers 403 itself"),
            ("http://a/admin/x.php", "answers 204 itself"),
            ("http://a/admin/open/y", "to open as /admin/open/y"),
            ("http://a/administrator", "to u as /administrator"),
            // There an expression is asked first, as it was.
            ("http://a/other/x.php", "to php as /other/x.php"),
            ("http://a/other/x", "answers 403 itself"),
            ("http://a/old", "redirects to /new with 301"),
        ],
    );
    let guarded = "server { location ^~ /x/ { allow 10.0.0.0/8; deny all; proxy_pass http://u; } location ~ p { proxy_pass http://p; } }";
    fates(guarded, &[("http://a/x/p", "answers 403 itself")]);
}

#[test]
fn a_slash_at_the_end_means_what_it_meant() {
    let text = "server {\n\
                location /a/ { proxy_pass http://u/c; }\n\
                location /b/ { proxy_pass http://u; }\n\
                location /d { proxy_pass http://u/; }\n\
                location /e/ { proxy_pass http://u; }\n\
                location = /e { return 204; }\n}";
    fates(
        text,
        &[
            ("http://a/a/x?y", "to u as /cx?y"),
            ("http://a/a/", "to u as /c"),
            ("http://a/a?y", "redirects to /a/?y with 301"),
            ("http://a/b", "redirects to /b/ with 301"),
            ("http://a/b/x", "to u as /b/x"),
            ("http://a/d/x", "to u as /x"),
            ("http://a/e", "answers 204 itself"),
        ],
    );
    let told = notes(text);
    assert!(
        told.contains(&"4: proxy_pass http://u/".to_owned()),
        "{told:#?}"
    );
}

#[test]
fn what_is_no_file_goes_to_the_named_location() {
    let text = "server {\n\
                root /srv;\n\
                location / { try_files $uri $uri/ @app; }\n\
                location /s/ { alias /srv/s/; }\n\
                location /t/ { try_files $uri =404; }\n\
                location @app { proxy_pass http://u; }\n\
                location @other { proxy_pass http://v; }\n}";
    fates(
        text,
        &[
            ("http://a/x", "to u as /x"),
            ("http://a/s/x", "answers 404 itself"),
            ("http://a/t/x", "answers 404 itself"),
        ],
    );
    let told = notes(text);
    for expected in [
        "2: root /srv",
        "3: try_files $uri $uri/ @app",
        "4: alias /srv/s/",
        "5: try_files $uri =404",
        "7: location @other",
    ] {
        assert!(told.contains(&expected.to_owned()), "{expected}\n{told:#?}");
    }
    assert!(!told.iter().any(|line| line.starts_with("6:")), "{told:#?}");
    // Where both say who may come in nothing is converted.
    let guards = "server { location / { deny all; try_files $uri @app; } location @app { allow all; proxy_pass http://u; } }";
    fates(guards, &[("http://a/x", "answers 404 itself")]);
    let outer = "server { location / { deny all; try_files $uri @app; } location @app { proxy_pass http://u; } }";
    fates(outer, &[("http://a/x", "answers 403 itself")]);
    let inner = "server { location / { try_files $uri @app; } location @app { deny all; proxy_pass http://u; } }";
    fates(inner, &[("http://a/x", "answers 403 itself")]);
}
