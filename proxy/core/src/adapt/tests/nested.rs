//! Locations inside of locations.

use super::{adapted, fates, notes};

#[test]
fn a_location_inside_of_another_has_its_requests_and_fields() {
    let text = "server {\n\
                location / { proxy_pass http://root; location ~ \\.php$ { proxy_pass http://php; } }\n\
                location /api/ { proxy_pass http://api/v2/; proxy_set_header X-A b;\n\
                  location /api/old/ { return 410; }\n\
                  location ~ \\.json$ { proxy_pass http://json; }\n\
                  location = /api/exact { proxy_pass http://exact; }\n\
                  location ~ /none$ { }\n\
                }\n\
                location /api/new/ { proxy_pass http://new; }\n}";
    fates(
        text,
        &[
            ("http://a/x.php", "to php as /x.php"),
            ("http://a/x", "to root as /x"),
            // The longest prefix is chosen before what is inside is looked for.
            ("http://a/api/x.php", "to api as /v2/x.php"),
            ("http://a/api/x", "to api as /v2/x"),
            ("http://a/api/x.json", "to json as /api/x.json"),
            ("http://a/x.json", "to root as /x.json"),
            ("http://a/api/new/x.json", "to new as /api/new/x.json"),
            ("http://a/api/old/x", "answers 410 itself"),
            ("http://a/api/old/x.json", "to json as /api/old/x.json"),
            ("http://a/api/exact", "to exact as /api/exact"),
            // Where nothing is said inside there are files.
            ("http://a/api/none", "answers 404 itself"),
        ],
    );
    let text = adapted(text).text;
    let (_, json) = text.split_once("name = \"any-json\"").unwrap();
    let (json, _) = json.split_once("[[route]]").unwrap();
    assert!(json.contains("\"X-A\" = \"b\""), "{json}");
}

#[test]
fn expressions_of_the_innermost_location_go_first() {
    let text = "server {\n\
                location /a/ { return 401;\n\
                  location /a/b/ { return 402; location ~ x { return 403; } }\n\
                  location ^~ /a/c/ { return 404; location ~ y { return 405; } }\n\
                  location ~ x$ { return 406; }\n\
                }\n\
                location ^~ /d/ { return 407; location /d/e/ { return 408; } location ~* \\.Png { return 409; } }\n\
                location ~ z$ { return 410; }\n\
                location ~ ^/r/ { return 411; location ~ \\.php$ { return 412; } location ~ ^/r/s { return 413; } }\n\
                location ~ ^/r/.*q$ { return 414; }\n\
                location ~ \\.cgi$ { return 415; location ~ ^/in/ { return 416; } }\n}";
    let rows = [
        ("/a/1", 401),
        ("/a/x", 406),
        ("/a/b/1", 402),
        ("/a/b/x", 403),
        ("/a/c/1", 404),
        ("/a/c/y", 405),
        ("/a/c/x", 404),
        ("/a/c/z", 410),
        ("/a/b/z", 410),
        ("/a/b/xz", 403),
        ("/d/z", 407),
        ("/d/e/z", 408),
        ("/d/e/x.PNG", 409),
        ("/r/1", 411),
        ("/r/x.php", 412),
        ("/r/s.php", 412),
        ("/r/s", 413),
        ("/r/q", 411),
        ("/x.cgi", 415),
        ("/in/x.cgi", 416),
    ];
    let rows = rows.map(|(path, status)| {
        (
            format!("http://a{path}"),
            format!("answers {status} itself"),
        )
    });
    let rows: Vec<(&str, &str)> = rows.iter().map(|(url, does)| (&**url, &**does)).collect();
    fates(text, &rows);
}

#[test]
fn what_of_it_cannot_be_converted_is_told() {
    let text = "server {\n\
                location /a {\n\
                location ~ [a-z]x$ { proxy_pass http://u; }\n\
                location /a/b/c { return 204; }\n\
                location ~ ^/(a|b)/[0-9] { deny all; }\n\
                }\n\
                location /a/b { proxy_pass http://v; }\n\
                location ~ /q {\n\
                location /q { proxy_pass http://u; }\n\
                }\n}";
    let told = notes(text);
    for expected in [
        "3: location ~ [a-z]x$",
        "4: location /a/b/c",
        "5: location ~ ^/(a|b)/[0-9]",
        "9: location /q",
    ] {
        assert!(told.contains(&expected.to_owned()), "{expected}\n{told:#?}");
    }
    fates(
        text,
        &[
            ("http://a/a/b/c", "to v as /a/b/c"),
            ("http://a/a/1", "answers 403 itself"),
            ("http://a/q", "answers 404 itself"),
        ],
    );
}

#[test]
fn a_condition_of_the_location_around_is_none_of_its_own() {
    let text = "server { location /a/ { if ($x) { return 403; } proxy_pass http://u; location /a/b/ { proxy_pass http://v; } } }";
    fates(
        text,
        &[
            ("http://a/a/x", "answers 403 itself"),
            ("http://a/a/b/x", "to v as /a/b/x"),
        ],
    );
}

#[test]
fn a_slash_at_the_end_is_a_part_of_the_prefix() {
    let text = "server { location / { proxy_pass http://u; } location /gone/ { return 410; } location /gone/not/ { proxy_pass http://v; } location ~ \\.js$ { return 204; } }";
    fates(
        text,
        &[
            ("http://a/gone", "to u as /gone"),
            ("http://a/gone/", "answers 410 itself"),
            ("http://a/gone/x.js", "answers 204 itself"),
            ("http://a/gone/not/x", "to v as /gone/not/x"),
        ],
    );
}
