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
fn inside_of_a_prefix_that_goes_before_expressions_others_do_not() {
    let text = "server {\n\
                location ^~ /st { return 410; }\n\
                location /static/long { return 403; }\n\
                location /static/long/er { return 409; }\n\
                location ^~ /static/long/own { return 418; }\n\
                location ~ \\.js$ { return 406; }\n}";
    fates(
        text,
        &[
            ("http://a/st", "answers 410 itself"),
            ("http://a/static/x.js", "answers 410 itself"),
            ("http://a/static/lon.js", "answers 410 itself"),
            ("http://a/static/long", "answers 403 itself"),
            ("http://a/static/longer", "answers 403 itself"),
            ("http://a/static/long/x.js", "answers 406 itself"),
            ("http://a/static/longer.js", "answers 406 itself"),
            ("http://a/static/long/er", "answers 409 itself"),
            ("http://a/static/long/er.js", "answers 406 itself"),
            ("http://a/static/long/own.js", "answers 418 itself"),
            ("http://a/x.js", "answers 406 itself"),
        ],
    );
}

#[test]
fn a_rewrite_that_redirects_takes_its_part_of_the_location_alone() {
    let text = "server {\n\
                location / { proxy_pass http://u; }\n\
                location /moved { rewrite ^/moved/(.*)$ /there/$1 permanent; }\n\
                location /moved/not { proxy_pass http://v; }\n\
                location /two { rewrite ^/two/a/(.*)$ /A/$1 permanent; rewrite ^/two/b/(.*)$ /B/$1? redirect; proxy_pass http://w; }\n\
                location /all { rewrite ^(.*)$ https://x.test$1 permanent; }\n\
                location /any { rewrite ^ https://y.test/ permanent; }\n\
                location /wide { rewrite /x$ /y permanent; proxy_pass http://z; }\n\
                location ~ \\.php$ { proxy_pass http://php; }\n}";
    fates(
        text,
        &[
            ("http://a/moved", "answers 404 itself"),
            ("http://a/moved/x?y", "redirects to /there/x?y with 301"),
            ("http://a/moved/not", "to v as /moved/not"),
            ("http://a/moved/x.php", "to php as /moved/x.php"),
            ("http://a/two", "to w as /two"),
            ("http://a/two/a/x", "redirects to /A/x with 301"),
            ("http://a/two/b/x?y", "redirects to /B/x with 302"),
            (
                "http://a/all/x",
                "redirects to https://x.test/all/x with 301",
            ),
            ("http://a/any/x", "redirects to https://y.test/ with 301"),
            ("http://a/other/x", "to u as /other/x"),
            ("http://a/wide/x", "to z as /wide/x"),
            ("http://a/b/x", "to u as /b/x"),
        ],
    );
    let told = notes(text);
    assert!(
        told.contains(&"8: rewrite /x$ /y permanent".to_owned()),
        "{told:#?}"
    );
}

#[test]
fn a_slash_at_the_end_means_what_it_meant() {
    let text = "server {\n\
                location /a/ { proxy_pass http://u/c; }\n\
                location /b/ { proxy_pass http://u; }\n\
                location /d { proxy_pass http://u/; }\n\
                location /e/ { proxy_pass http://u; }\n\
                location = /e { return 204; }\n\
                location /f { proxy_pass http://u/g; }\n}";
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
            ("http://a/f?y", "to u as /g?y"),
            ("http://a/f/", "to u as /g/"),
            ("http://a/f/x", "to u as /g/x"),
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
    fates(guards, &[("http://a/x", "answers 403 itself")]);
    let outer = "server { location / { deny all; try_files $uri @app; } location @app { proxy_pass http://u; } }";
    fates(outer, &[("http://a/x", "answers 403 itself")]);
    let inner = "server { location / { try_files $uri @app; } location @app { deny all; proxy_pass http://u; } }";
    fates(inner, &[("http://a/x", "answers 403 itself")]);
}
