//! What is not accepted, one row a rule.

use super::{load_files, rejected};

/// The text must give exactly one problem that contains `message`.
fn check(text: &str, message: &str) {
    let problems = rejected(text);
    let told: Vec<&str> = problems.0.iter().map(|p| p.message.as_str()).collect();
    assert!(
        told.len() == 1 && told[0].contains(message),
        "{text}\n{told:#?}"
    );
    let hint = problems.0[0].hint.as_deref();
    assert_ne!(hint, Some(""), "{text}");
}

fn listener(keys: &str, message: &str) {
    let bind = if keys.starts_with("bind") {
        ""
    } else {
        "bind = [\"127.0.0.1:80\"]"
    };
    check(&format!("[listener.web]\n{bind}\n{keys}\n"), message);
}

fn upstream(keys: &str, message: &str) {
    let endpoints = if keys.starts_with("endpoints") {
        ""
    } else {
        "endpoints = [\"127.0.0.1:80\"]"
    };
    check(
        &format!(
            "[listener.web]\nbind = [\"127.0.0.1:80\"]\n[upstream.app]\n{endpoints}\n{keys}\n"
        ),
        message,
    );
}

fn route(keys: &str, message: &str) {
    let text = "[listener.web]\nbind = [\"127.0.0.1:80\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:80\"]\n";
    check(&format!("{text}[[route]]\n{keys}\n"), message);
}

#[test]
fn the_document_has_a_shape() {
    check("", "at least one listener");
    check("listener = 1", "expected a table, found an integer");
    check("[listener.web]", "missing key `bind`");
    check(
        "[listener.\"a b\"]\nbind = [\"127.0.0.1:80\"]",
        "cannot be a name",
    );
    listener("[[test]]", "missing key `expect`");
    listener("[servr]", "unknown key `servr`");
    listener("[route]\nto = \"x\"", "there is no upstream `x`");
    check(
        "include = 5\n[listener.a]\nbind = [\"127.0.0.1:80\"]",
        "expected a string",
    );
    check(
        "include = \"x\"\n[listener.a]\nbind = [\"127.0.0.1:80\"]",
        "cannot be included here",
    );
}

#[test]
fn includes_must_be_there_and_not_nest() {
    let one = |files: &[(&'static str, &'static str)], message: &str| {
        let problems = load_files(files).unwrap_err();
        let found = problems
            .0
            .iter()
            .any(|problem| problem.message.contains(message));
        assert!(found, "{problems}");
    };
    let main = "include = [\"a.toml\"]\n[listener.a]\nbind = [\"127.0.0.1:80\"]";
    one(&[("openclaw.toml", main)], "there is no file `a.toml`");
    one(
        &[("openclaw.toml", main), ("a.toml", "unreadable")],
        "cannot read `a.toml`: permission denied",
    );
    one(
        &[("openclaw.toml", main), ("a.toml", "include = [\"b\"]")],
        "only the main file can include",
    );
    one(&[("openclaw.toml", main), ("a.toml", "x = = 1")], "");
    one(
        &[("openclaw.toml", main), ("a.toml", "listener = 1")],
        "`listener` is given twice",
    );
}

#[test]
fn the_server_section_is_checked() {
    listener("[server]\nworkers = 0", "0 is out of range");
    listener(
        "[server]\nworkers = \"two\"",
        "expected an integer, found a string",
    );
    listener("[server]\nstate_dir = \"\"", "must not be empty");
    listener("[server]\nuser = \"\"", "must not be empty");
    listener("[server]\nuser = 1000", "expected a string");
    listener("[server]\ngroup = 33", "expected a string");
    listener("[server]\nshutdown_grace = 5", "needs a unit");
    listener("[server]\nshutdown_grace = true", "expected a duration");
    listener("[admin]\nmetrics = \"on\"", "not an address with a port");
    listener(
        "[admin]\nmetrics = \"127.0.0.1:80\"",
        "127.0.0.1:80 is bound twice",
    );
    listener(
        &format!("[admin]\nsocket = \"/{}\"", "a".repeat(120)),
        "at most 107 bytes",
    );
    listener("[log]\nlevel = \"loud\"", "`loud` is not known here");
    listener("[log]\naccess = \"stdout\"", "expected a table");
    listener("[log.access]\nformat = \"xml\"", "`xml` is not known here");
    listener(
        "[shield]\ninterfaces = [\"eth0/1\"]",
        "not the name of an interface",
    );
    listener("[shield]\nmode = \"fast\"", "`fast` is not known here");
    listener("[shield]\nallow = [\"10.0.0.1/8\"]", "bits set behind");
    let syn = |keys: &str, message: &str| {
        listener(&format!("[shield]\nsyn = {{ {keys} }}"), message);
    };
    syn("mode = \"on\"", "`on` is not known here");
    syn("per_source = 5", "a rate needs a period");
    syn("per_source = true", "expected a rate");
    syn("enter = \"0/s\"", "more than zero");
    syn("enter = \"20000\"", "is not a rate");
    syn("burst = 0", "0 is out of range");
    syn("hold = \"0s\"", "longer than zero");
    syn("max_answers = \"-1/s\"", "is not a rate");
    syn("variant = \"a\"", "`a` is not known here");
    syn("manage_sysctls = 1", "expected true or false");
    syn("entr = \"1/s\"", "unknown key `entr`");
    syn("action = \"drop\"", "`drop` is not known here");
    let shield = |key: &str, message: &str| listener(&format!("[shield]\n{key}"), message);
    shield("udp = { per_source = 5000 }", "a rate needs a period");
    shield("udp = { burst = 0 }", "0 is out of range");
    shield("udp = { action = \"off\" }", "`off` is not known here");
    shield("block_action = \"drop\"", "`drop` is not known here");
    shield("fragments = \"enforce\"", "`enforce` is not known here");
    shield("invalid = true", "expected a string");
    shield("sample = 100", "100 is not a power of two");
    shield("sample = -1", "-1 is out of range");
}

#[test]
fn countries_are_checked() {
    let geo = |keys: &str, message: &str| {
        listener(&format!("[shield]\ngeo = {{ {keys} }}"), message);
    };
    geo("deny = [\"DE\"]", "missing key `database`");
    geo(
        "database = \"c\", deny = [\"DE\"], action = \"log\"",
        "`log` is not known here",
    );
    geo("database = \"c\"", "which countries are meant?");
    geo("database = \"c\", deny = []", "names no country");
    geo(
        "database = \"c\", deny = [\"DE\"], allow = [\"FR\"]",
        "exclude each other",
    );
    geo("database = \"c\", deny = [\"UK\"]", "`UK` is not the code");
    geo("database = \"c\", deny = [\"de\"]", "`de` is not the code");
    geo("database = \"c\", deny = [5]", "expected a string");
    listener("[shield]\ngeo = \"c\"", "expected a table");
}

#[test]
fn lists_are_checked() {
    let list = |keys: &str, message: &str| {
        listener(&format!("[shield]\nlists = [{{ {keys} }}]"), message);
    };
    list("file = \"a\"", "missing key `name`");
    list("name = \"a\"", "where does the list come from?");
    list(
        "name = \"a b\", file = \"a\"",
        "cannot be the name of a list",
    );
    list(
        "name = \"../a\", file = \"a\"",
        "cannot be the name of a list",
    );
    list(
        "name = \"manual\", file = \"a\"",
        "is not from a file or url",
    );
    list(
        "name = \"a\", file = \"a\", url = \"http://a\"",
        "exclude each other",
    );
    list(
        "name = \"a\", file = \"a\", ttl = \"1h\"",
        "`ttl` is for a url",
    );
    list("name = \"a\", url = \"ftp://a\"", "not a URL of http");
    list("name = \"a\", url = \"http://u:p@a/\"", "not a URL of http");
    list(
        "name = \"a\", url = \"http://a\", ttl = \"1h\"",
        "must be longer than `every`",
    );
    list(
        "name = \"a\", file = \"a\", crowdsec = \"http://a\"",
        "`file` and `crowdsec` exclude each other",
    );
    list(
        "name = \"a\", crowdsec = \"http://a\"",
        "wants an `api_key`",
    );
    list(
        "name = \"a\", crowdsec = \"a\", api_key = \"k\"",
        "not a URL of http",
    );
    list(
        "name = \"a\", crowdsec = \"http://a\", api_key = \"k k\"",
        "cannot be a key",
    );
    list(
        "name = \"a\", file = \"a\", api_key = \"k\"",
        "`api_key` is for a crowdsec",
    );
    list(
        "name = \"a\", file = \"a\" }, { name = \"a\", file = \"b\"",
        "there are two lists `a`",
    );
}

#[test]
fn listeners_are_checked() {
    listener("bind = []", "at least one address");
    listener(
        "bind = [\"127.0.0.1:80\", \"127.0.0.1:80\"]",
        "127.0.0.1:80 is bound twice",
    );
    listener("mode = \"smtp\"", "`smtp` is not known here");
    listener("protocols = []", "at least one protocol");
    listener("protocols = [\"h1\", \"h3\"]", "never in the clear");
    listener(
        "protocols = [\"h3\"]\ntls = { self_signed = [\"a\"] }",
        "`h3` alone",
    );
    listener("protocols = [\"spdy\"]", "`spdy` is not known here");
    listener("tls = {}", "TLS without a certificate");
    listener("tls = { certificates = [] }", "TLS without a certificate");
    listener(
        "tls = { certificates = [{ cert = \"a\" }] }",
        "missing key `key`",
    );
    listener("tls = { certificates = \"a\" }", "expected a table");
    listener(
        "tls = { self_signed = [\"a b\"] }",
        "neither a host name nor an address",
    );
    listener(
        "tls = { self_signed = [\"a\"], min = \"1.1\" }",
        "`1.1` is not known here",
    );
    listener(
        "tls = { self_signed = [\"a\"], client_ca = [\"a.pem\"] }",
        "expected a string, found a list",
    );
    listener("max_connections = 0", "out of range");
    listener("max_connections_per_ip = -1", "out of range");
    listener("header_timeout = \"0s\"", "longer than zero");
    listener("idle_timeout = \"1 minute\"", "not a duration");
    listener("min_body_rate = \"2g\"", "out of range");
    listener("max_header = \"2m\"", "out of range");
    listener("max_header = -1", "cannot be negative");
    listener("max_header = 99999999999999999999", "too large an integer");
}

#[test]
fn upstreams_are_checked() {
    upstream("endpoints = []", "at least one endpoint");
    upstream("endpoints = [\"a\"]", "it has no port");
    upstream("endpoints = [{ weight = 1 }]", "missing key `address`");
    upstream(
        "endpoints = [{ address = \"a:1\", weight = 0 }]",
        "weights of all endpoints are 0",
    );
    upstream(
        "endpoints = [{ address = \"a:1\", wait = 1 }]",
        "unknown key `wait`",
    );
    upstream("endpoints = [5]", "expected a string");
    upstream("balance = \"best\"", "`best` is not known here");
    upstream("protocol = \"h3\"", "`h3` is not known here");
    upstream("connect_timeout = \"0s\"", "longer than zero");
    upstream("retries = 100", "out of range");
    upstream("health = 1", "expected a table");
    upstream("health = { path = \"health\" }", "cannot be asked for");
    upstream("health = { path = \"/a b\" }", "cannot be asked for");
    upstream("health = { status = [200] }", "only a `path` asks for");
    upstream("health = { path = \"/\", status = [99] }", "out of range");
    upstream("health = { fall = 0 }", "out of range");
    upstream("health = { every = \"0s\" }", "longer than zero");
    upstream("breaker = { failures = 0 }", "out of range");
    upstream("breaker = { half_open = 1 }", "unknown key `half_open`");
}

#[test]
fn routes_are_checked() {
    route("", "this route does nothing");
    route("to = []", "names no upstream");
    route("to = \"ap\"", "there is no upstream `ap`");
    route(
        "to = [{ upstream = \"app\", weight = 0 }]",
        "weights of all upstreams are 0",
    );
    route(
        "to = \"app\"\nredirect = { to = \"/\" }",
        "`to` and `redirect` exclude each other",
    );
    route("to = \"app\"\nname = \"a b\"", "cannot be a name");
    route("to = \"app\"\nmax_body = \"lots\"", "not a size");
    route("to = \"app\"\nstrip_prefix = \"/\"", "no prefix");
    for (limit, message) in [
        ("{}", "missing key `rate`"),
        ("{ rate = 10 }", "a rate needs a period"),
        ("{ rate = \"10\" }", "not a rate"),
        ("{ rate = \"1/d\", burst = 400 }", "longer than a year"),
        ("{ rate = \"1/s\", burst = -1 }", "out of range"),
        ("{ rate = \"1/s\", key = \"ip\" }", "no key of a limit"),
        ("{ rate = \"1/s\", key = \"header:\" }", "no key of a limit"),
        ("{ rate = \"1/s\", key = \"header\" }", "no key of a limit"),
        (
            "{ rate = \"1/s\", key = \"cookie:a b\" }",
            "no key of a limit",
        ),
        ("{ rate = \"1/s\", keys = 5 }", "unknown key `keys`"),
        ("\"10/min\"", "expected a table"),
    ] {
        route(&format!("to = \"app\"\nlimit = {limit}"), message);
    }
    route(
        "name = \"route-2\"\nto = \"app\"\n[[route]]\nto = \"app\"",
        "two routes are named `route-2`",
    );
    route("respond = { status = 100 }", "out of range");
    route("respond = { status = 204, body = \"a\" }", "has no body");
    route(
        "respond = { body = \"a\", builtin = \"welcome\" }",
        "exclude each other",
    );
    route(
        "respond = { builtin = \"hello\" }",
        "`hello` is not known here",
    );
    route(
        "respond = { content_type = \"a\\nb\" }",
        "no control characters",
    );
    route("redirect = { status = 308 }", "missing key `to`");
    route(
        "redirect = { to = \"/\", status = 304 }",
        "304 does not redirect",
    );
    route("redirect = { to = \"www.example.com\" }", "is not a URL");
    route("redirect = { to = \"/a\\r\\nb\" }", "is not a URL");
    route("to = \"app\"\ncompress = 1", "expected a string");
}

#[test]
fn matches_are_checked() {
    let matches = |keys: &str, message: &str| {
        route(&format!("to = \"app\"\nmatch = {{ {keys} }}"), message);
    };
    matches("host = \"a b\"", "not a host name");
    matches("host = \"a:80\"", "not a host name");
    matches("host = \"a.*.b\"", "not a host name");
    matches("host = \"*a.b\"", "not a host name");
    matches("path = \"api\"", "starts with `/`");
    matches("path = \"/a?b\"", "is not a path");
    matches(
        "path = \"/a\", path_exact = \"/b\"",
        "`path` and `path_exact` exclude",
    );
    matches(
        "path_regex = \"(\"",
        "not a regular expression: unclosed group",
    );
    matches("method = [\"get\"]", "written in capitals");
    matches("method = [\"G T\"]", "is not a method");
    matches("header = { \"a b\" = \"1\" }", "not a field name");
    matches("header = { a = 1 }", "expected a string");
    matches("header = { a = \" 1\" }", "no control characters");
    matches("cookie = { a = \"1;2\" }", "no cookie looks like");
    matches("query = { a = \"1&2\" }", "no query holds");
    matches("client = [\"10.0.0.1/8\"]", "bits set behind");
    matches("hots = \"a\"", "unknown key `hots`");
}

#[test]
fn header_edits_are_checked() {
    let edit = |keys: &str, message: &str| {
        route(&format!("to = \"app\"\nheaders = {{ {keys} }}"), message);
    };
    edit(
        "request = { set = { \"a b\" = \"1\" } }",
        "not a field name",
    );
    edit(
        "request = { set = { a = \"1\\r\\nb: 2\" } }",
        "no control characters",
    );
    edit(
        "request = { set = { \"Content-Length\" = \"1\" } }",
        "belongs to the connection",
    );
    edit(
        "request = { remove = [\"transfer-encoding\"] }",
        "belongs to the connection",
    );
    edit(
        "response = { add = { Connection = \"close\" } }",
        "belongs to the connection",
    );
    edit(
        "response = { set = { Host = \"a\" } }",
        "can only be set, and only on requests",
    );
    edit(
        "request = { remove = [\"Host\"] }",
        "can only be set, and only on requests",
    );
    edit("request = { replace = {} }", "unknown key `replace`");
}

#[test]
fn bans_are_checked() {
    for (keys, message) in [
        ("after = { limits = 1 }", "unknown key `limits`"),
        ("after = { limit = 0 }", "out of range"),
        ("after = { waf = \"3\" }", "expected an integer"),
        ("window = \"0s\"", "longer than zero"),
        ("ttl = \"10ms\"", "at least a second"),
        ("ttl = 10", "a duration needs a unit"),
        ("grow = 0.5", "0.5 is out of range"),
        ("grow = nan", "NaN is out of range"),
        ("grow = \"4\"", "expected a number"),
        (
            "ttl = \"2h\"\nmax_ttl = \"1h\"",
            "`max_ttl` is shorter than `ttl`",
        ),
        ("ttl = \"2d\"", "`max_ttl` is shorter than `ttl`"),
        ("untl = 5", "unknown key `untl`"),
    ] {
        listener(&format!("[autoban]\n{keys}"), message);
    }
}
