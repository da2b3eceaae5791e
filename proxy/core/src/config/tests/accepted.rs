//! What a configuration means once it is accepted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::config::{
    AccessFormat, AccessTarget, Action, Autoban, Balance, EndpointAddress, GeoRule, HostPattern,
    Level, LimitKey, ListSource, NoFiles, PacketAction, PathPattern, Protocols, ShieldAction,
    Source, SynMode, SynVariant, Thresholds, TlsVersion, load,
};
use crate::country::{UNKNOWN, country_number};

use super::{Memory, accepted, load_files, load_text};

const SMALL: &str = "[listener.web]\nbind = [\"127.0.0.1:8080\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:9001\"]\n";

#[test]
fn absent_keys_have_their_defaults() {
    let config = accepted(&format!("{SMALL}[[route]]\nto = \"app\"\n"));
    assert_eq!(config.server.workers, None);
    assert_eq!(config.server.state_dir, Path::new("/var/lib/openclaw"));
    assert_eq!(config.server.shutdown_grace, Duration::from_secs(30));
    assert_eq!(config.admin.socket, Path::new("/run/openclaw/admin.sock"));
    assert_eq!(config.admin.metrics.unwrap().to_string(), "127.0.0.1:9464");
    assert_eq!(config.log.level, Level::Info);
    assert_eq!(config.log.access.to, AccessTarget::Stdout);
    assert_eq!(config.log.access.format, AccessFormat::Json);
    assert!(config.shield.interfaces.is_empty());
    let listener = &config.listeners[0];
    assert_eq!(&*listener.name, "web");
    assert_eq!(
        listener.protocols,
        Protocols {
            h1: true,
            h2: false,
            h3: false
        }
    );
    assert_eq!(listener.max_connections, 100_000);
    assert_eq!(listener.max_connections_per_ip, 1000);
    assert_eq!(listener.header_timeout, Duration::from_secs(10));
    assert_eq!(listener.idle_timeout, Duration::from_secs(75));
    let own = (listener.min_body_rate, listener.abort_on_close);
    assert_eq!(own, (240, false));
    assert_eq!(listener.max_header, 32 << 10);
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.connect_timeout, Duration::from_secs(1));
    assert_eq!(upstream.response_timeout, Duration::from_secs(30));
    assert_eq!((upstream.retries, upstream.keepalive), (3, 128));
    assert_eq!(upstream.balance, Balance::RoundRobin);
    assert!(upstream.health.is_none() && upstream.breaker.is_none());
    assert_eq!(&*config.routes[0].name, "route-1");
    assert_eq!(config.routes[0].max_body, None);
}

#[test]
fn syn_floods_have_defaults_and_keys() {
    let syn = accepted(SMALL).shield.syn;
    assert_eq!((syn.mode, syn.variant), (SynMode::Auto, SynVariant::Auto));
    assert_eq!((syn.per_source.count, syn.burst), (200, 400));
    assert_eq!(
        (syn.enter.count, syn.max_answers.count),
        (20_000, 2_000_000)
    );
    assert_eq!(syn.hold, Duration::from_mins(1));
    assert!(syn.manage_sysctls);
    let written = "[shield]\nsyn = { mode = \"always\", variant = \"socket\", enter = \"50/min\", hold = \"1s\", manage_sysctls = false }\n";
    let syn = accepted(&format!("{SMALL}{written}")).shield.syn;
    assert_eq!(
        (syn.mode, syn.variant),
        (SynMode::Always, SynVariant::Socket)
    );
    assert_eq!(
        (syn.enter.count, syn.enter.period),
        (50, Duration::from_mins(1))
    );
    assert_eq!(syn.hold, Duration::from_secs(1));
    assert!(!syn.manage_sysctls);
}

#[test]
fn rules_of_the_shield_are_enforced_or_monitored_one_by_one() {
    let shield = accepted(SMALL).shield;
    assert_eq!(
        (shield.udp.per_source.count, shield.udp.burst),
        (5_000, 10_000)
    );
    let actions = [shield.block_action, shield.syn.action, shield.udp.action];
    assert_eq!(actions, [ShieldAction::Enforce; 3]);
    let packets = (shield.fragments, shield.invalid);
    assert_eq!(packets, (PacketAction::Drop, PacketAction::Drop));
    assert_eq!(shield.sample, 64);
    let written = r#"
[shield]
block_action = "monitor"
syn = { action = "monitor" }
udp = { per_source = "1/min", burst = 1, action = "monitor" }
fragments = "pass"
invalid = "monitor"
sample = 0
"#;
    let shield = accepted(&format!("{SMALL}{written}")).shield;
    let actions = [shield.block_action, shield.syn.action, shield.udp.action];
    assert_eq!(actions, [ShieldAction::Monitor; 3]);
    assert_eq!((shield.udp.per_source.count, shield.udp.burst), (1, 1));
    let packets = (shield.fragments, shield.invalid);
    assert_eq!(packets, (PacketAction::Pass, PacketAction::Monitor));
    assert_eq!(shield.sample, 0);
}

#[test]
fn a_user_is_given_by_name_or_number_and_a_group_only_with_him() {
    let config = accepted(SMALL);
    assert_eq!((config.server.user, config.server.group), (None, None));
    let given = accepted(&format!(
        "{SMALL}[server]\nuser = \"web\"\ngroup = \"33\"\n"
    ));
    assert_eq!(given.server.user.as_deref(), Some("web"));
    assert_eq!(given.server.group.as_deref(), Some("33"));
    let alone = load_text(&format!("{SMALL}[server]\ngroup = \"web\"\n")).unwrap();
    let told = alone.warnings.iter();
    let told: Vec<&str> = told.map(|warning| warning.message.as_str()).collect();
    assert!(
        told.contains(&"`group` without `user` does nothing"),
        "{told:?}"
    );
}

#[test]
fn h2_comes_with_tls_and_can_be_asked_for_without() {
    let check = |keys: &str, h1: bool, h2: bool| {
        let config = accepted(&format!("[listener.web]\nbind = \"127.0.0.1:0\"\n{keys}\n"));
        assert_eq!(
            config.listeners[0].protocols,
            Protocols { h1, h2, h3: false },
            "{keys}"
        );
    };
    let tls = "tls = { self_signed = [\"localhost\", \"*.localhost\"], min = \"1.3\" }";
    check("", true, false);
    check(tls, true, true);
    check("protocols = [\"h2\"]", false, true);
    check("protocols = [\"h1\", \"h2\"]", true, true);
    check(&format!("{tls}\nprotocols = [\"h1\"]"), true, false);
    let quic = format!("{tls}\nprotocols = [\"h1\", \"h3\"]");
    let config = accepted(&format!("[listener.web]\nbind = \"127.0.0.1:0\"\n{quic}\n"));
    let protocols = config.listeners[0].protocols;
    assert!(protocols.h1 && !protocols.h2 && protocols.h3);
    let config = accepted(&format!("[listener.web]\nbind = \"127.0.0.1:0\"\n{tls}\n"));
    assert_eq!(
        config.listeners[0].tls.as_ref().unwrap().min,
        TlsVersion::V1_3
    );
}

#[test]
fn a_route_is_read_whole() {
    let config = accepted(
        r#"
        [listener.web]
        bind = ["127.0.0.1:8080"]
        [upstream.v1]
        endpoints = ["127.0.0.1:${PORT}", { address = "app.internal:80", weight = 3 }]
        [upstream.v2]
        endpoints = "builtin:demo"
        [[route]]
        name = "api"
        match = { host = "*.Example.com", path = "/api/", method = ["GET"], header = { "X-Beta" = "1" }, cookie = { version = "2" }, query = { beta = "1" }, client = ["10.0.0.0/8"] }
        to = [{ upstream = "v1", weight = 95 }, { upstream = "v2", weight = 5 }]
        headers = { request = { set = { "X-Api" = "1", "Host" = "app" }, remove = ["Cookie"] }, response = { add = { "X-Tag" = "a" } } }
        strip_prefix = "/api"
        max_body = "1m"
        limit = { rate = "10/min", burst = 5, key = "header:X-Api-Key" }
        [[route]]
        match = { path_regex = '^/static/.*\.png$' }
        redirect = { to = "/new", status = 308 }
        [[route]]
        match = { path_exact = "/" }
        respond = { builtin = "welcome" }
        "#,
    );
    assert_eq!(
        config.upstreams[0].endpoints[0].address,
        EndpointAddress::Ip("127.0.0.1:9001".parse().unwrap())
    );
    assert_eq!(config.upstreams[0].endpoints[1].weight, 3);
    assert_eq!(
        config.upstreams[1].endpoints[0].address,
        EndpointAddress::Demo
    );
    let api = &config.routes[0];
    assert_eq!(
        api.matcher.host,
        Some(HostPattern::Suffix(".example.com".to_owned()))
    );
    assert!(matches!(&api.matcher.path, Some(PathPattern::Prefix(path)) if path == "/api"));
    assert_eq!(
        api.matcher.header,
        [(
            "x-beta".to_owned(),
            crate::config::Wanted::Is("1".to_owned())
        )]
    );
    let Action::Forward(targets) = &api.action else {
        panic!("{:?}", api.action);
    };
    let targets: Vec<(usize, u32)> = targets.iter().map(|t| (t.upstream, t.weight)).collect();
    assert_eq!(targets, [(0, 95), (1, 5)]);
    let set: Vec<&str> = api
        .headers
        .request
        .set
        .iter()
        .map(|(n, _)| n.as_str())
        .collect();
    assert_eq!(set, ["X-Api", "Host"]);
    assert_eq!(
        api.headers.response.add,
        [("X-Tag".to_owned(), crate::template::Template::from("a"))]
    );
    let limit = api.limit.as_ref().unwrap();
    assert_eq!((limit.quota.allowance(), limit.quota.window()), (15, 60));
    assert_eq!(limit.key, LimitKey::Header("x-api-key".to_owned()));
    assert_eq!(api.max_body, Some(1 << 20));
    assert_eq!(api.strip_prefix.as_deref(), Some("/api"));
    assert!(
        matches!(&config.routes[1].action, Action::Redirect(redirect) if redirect.status == 308)
    );
    assert!(
        matches!(&config.routes[2].action, Action::Respond(page) if page.content_type.starts_with("text/html"))
    );
    assert_eq!(&*config.routes[2].name, "route-3");
}

#[test]
fn countries_are_numbers_in_order() {
    let text = format!(
        "{SMALL}[shield]\ngeo = {{ database = \"c.mmdb\", allow = [\"FR\", \"DE\", \"unknown\", \"DE\"] }}\n"
    );
    let geo = load_text(&text).unwrap().config.shield.geo.unwrap();
    assert_eq!(
        (geo.rule, geo.action),
        (GeoRule::Allow, ShieldAction::Enforce)
    );
    assert!(geo.database.ends_with("c.mmdb"));
    let numbers = ["DE", "FR"].map(|code| country_number(code).unwrap());
    assert_eq!(geo.countries, [UNKNOWN, numbers[0], numbers[1]]);
}

#[test]
fn lists_come_from_files_and_urls() {
    let text = format!(
        "{SMALL}[shield]\nlists = [{{ name = \"drop\", file = \"drop.netset\" }}, {{ name = \"drop\", kind = \"allow\", url = \"https://a/b\", ttl = \"3h\" }}]\n"
    );
    let lists = load_text(&text).unwrap().config.shield.lists;
    assert!(matches!(&lists[0].source, ListSource::File(file) if file.ends_with("drop.netset")));
    assert_eq!((lists[0].allow, lists[1].allow), (false, true));
    let hour = Duration::from_hours(1);
    let url = ListSource::Url {
        url: "https://a/b".into(),
        every: hour,
        ttl: Some(hour * 3),
        timeout: Duration::from_mins(1),
    };
    assert_eq!(lists[1].source, url);
    let text = format!(
        "{SMALL}[shield]\nlists = [{{ name = \"cs\", crowdsec = \"http://127.0.0.1:8080\", api_key = \"secret\" }}]\n"
    );
    let lists = load_text(&text).unwrap().config.shield.lists;
    let ListSource::Crowdsec {
        url,
        api_key,
        every,
    } = &lists[0].source
    else {
        unreachable!("{lists:?}")
    };
    assert_eq!(
        (url.as_str(), api_key.expose()),
        ("http://127.0.0.1:8080", "secret")
    );
    assert_eq!(*every, Duration::from_secs(10));
    assert!(!format!("{lists:?}").contains("secret"));
}

#[test]
fn included_tables_are_merged_and_routes_follow_in_order() {
    let loaded = load_files(&[
        (
            "openclaw.toml",
            "include = [\"conf.d/*\", \"none/*\"]\n[listener.web]\nbind = [\"0.0.0.0:80\"]\n[log]\nlevel = \"warn\"\n[[route]]\nname = \"a\"\nmatch = { path = \"/a\" }\nto = \"app\"\n",
        ),
        ("conf.d/2.toml", "[[route]]\nname = \"c\"\nmatch = { path = \"/c\" }\nto = \"app\"\n"),
        (
            "conf.d/1.toml",
            "[upstream.app]\nendpoints = [\"127.0.0.1:2\"]\n[log.access]\nto = \"off\"\n[[route]]\nname = \"b\"\nto = \"app\"\n",
        ),
    ])
    .unwrap();
    let names: Vec<&str> = loaded
        .config
        .routes
        .iter()
        .map(|route| &*route.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(loaded.config.log.level, Level::Warn);
    assert_eq!(loaded.config.log.access.to, AccessTarget::Off);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn relative_paths_start_at_the_main_file() {
    let text = "[listener.web]\nbind = \"127.0.0.1:0\"\ntls = { certificates = [{ cert = \"a.pem\", key = \"/k/a.key\" }], client_ca = \"ca.pem\" }\n";
    let loaded = load(&Source {
        name: "/etc/openclaw/openclaw.toml",
        text,
        files: &NoFiles,
        variable: &|_| None,
    })
    .unwrap();
    let tls = loaded.config.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].cert, Path::new("/etc/openclaw/a.pem"));
    assert_eq!(tls.certificates[0].key, Path::new("/k/a.key"));
    let ca = tls.client_ca.as_deref();
    assert_eq!(ca, Some(Path::new("/etc/openclaw/ca.pem")));
}

#[test]
fn patterns_start_at_the_main_file() {
    let files = Memory(BTreeMap::from([(
        "/etc/openclaw/conf.d/a.toml",
        "[listener.web]\nbind = \"127.0.0.1:0\"\n",
    )]));
    let loaded = load(&Source {
        name: "/etc/openclaw/openclaw.toml",
        text: "include = [\"conf.d/*\"]\n",
        files: &files,
        variable: &|_| None,
    });
    assert_eq!(loaded.unwrap().config.listeners.len(), 1);
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let warnings: Vec<String> = load_text(SMALL)
        .unwrap()
        .warnings
        .iter()
        .map(|warning| warning.message.clone())
        .collect();
    assert_eq!(
        warnings,
        [
            "without a route every request is answered with 404",
            "no route leads to the upstream `app`"
        ]
    );
}

/// One warning for each, and none for its good neighbour.
#[test]
fn what_does_nothing_or_more_than_it_seems_to_is_a_warning() {
    let check = |listener: &str, endpoints: &str, rest: &str, expected: &[&str]| {
        let text = format!(
            "[listener.web]\nbind = [\"127.0.0.1:80\"]\n{listener}\n[upstream.app]\nendpoints = [{endpoints}]\n[[route]]\nto = \"app\"\n{rest}"
        );
        let text = match listener.strip_prefix("bind") {
            Some(_) => text.replacen("bind = [\"127.0.0.1:80\"]\n", "", 1),
            None => text,
        };
        let warnings = load_text(&text).unwrap().warnings;
        let told = warnings.iter().map(|warning| {
            let place = &warning.location;
            format!("{}:{} {}", place.line, place.column, warning.message)
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{text}");
    };
    let one = "\"127.0.0.1:1\"";
    check("", one, "", &[]);
    check(
        "bind = [\"127.0.0.1:80\", \"0.0.0.0:80\", \"[::]:80\", \"127.0.0.1:81\"]",
        one,
        "",
        &["2:9 127.0.0.1:80 is part of 0.0.0.0:80"],
    );
    check(
        "trusted_proxies = [\"10.0.0.0/8\", \"::/0\"]",
        one,
        "",
        &[
            "3:34 every client is believed what it says of its own address: limits, bans and `client` conditions hold for nobody",
        ],
    );
    check(
        "",
        "\"127.0.0.1:1\", \"127.0.0.1:2\", { address = \"127.0.0.1:1\", weight = 2 }",
        "",
        &["5:44 this endpoint is named twice"],
    );
    check(
        "",
        one,
        "[[route]]\nmatch = { path = \"/api/*\" }\nto = \"app\"\n[[route]]\nmatch = { path_regex = '^/a*$' }\nto = \"app\"\n",
        &["9:18 `*` is a literal star here: it stands for nothing else"],
    );
    check(
        "",
        one,
        "[autoban]\nafter = { waf = 3, auth = 2, limit = 5, protocol = 1 }\n",
        &[
            "9:17 `waf` bans nobody: nothing gives waf.* verdicts yet",
            "9:27 `auth` bans nobody: nothing gives auth.* verdicts yet",
            "9:38 `limit` bans nobody: no route has a `limit`",
        ],
    );
    check(
        "",
        one,
        "limit = { rate = \"1/s\" }\n[autoban]\nafter = { limit = 5 }\n",
        &[],
    );
    check(
        "",
        one,
        "[[route]]\nname = \"late\"\nmatch = { path = \"/\" }\nrespond = {}\n",
        &["8:1 no request comes to the route `late`: `route-1` takes all that it would take"],
    );
}

#[test]
fn keys_of_the_shield_that_are_right_and_still_not_meant_are_warned_of() {
    let text = format!(
        "{SMALL}[[route]]\nto = \"app\"\n[shield]\ninterfaces = [\"eth0\", \"eth1\", \"eth0\"]\n\
         lists = [{{ name = \"a\", url = \"http://a\", every = \"5s\" }}, {{ name = \"b\", url = \"http://b\", every = \"1m\" }}]\n"
    );
    let loaded = load_text(&text).unwrap();
    assert_eq!(loaded.config.shield.interfaces, ["eth0", "eth1"]);
    let warnings = loaded.warnings.iter();
    let told: Vec<_> = warnings
        .map(|one| (one.key.as_str(), one.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("shield.interfaces", "`eth0` is named more than once"),
            (
                "shield.lists[0].every",
                "the url is fetched more than once a minute"
            ),
        ]
    );
}

#[test]
fn nothing_is_limited_and_nobody_banned_unless_it_is_written() {
    let config = accepted(&format!("{SMALL}[[route]]\nto = \"app\"\n"));
    assert!(config.routes[0].limit.is_none());
    assert_eq!(config.server.limit_keys, 262_144);
    assert!(config.autoban.after.is_empty());
}

#[test]
fn bans_follow_from_what_is_written() {
    let config = accepted(&format!(
        "{SMALL}[[route]]\nto = \"app\"\n[autoban]\nafter = {{ waf = 3, auth = 10, limit = 20, protocol = 1 }}\nwindow = \"1m\"\nttl = \"10m\"\ngrow = 4.0\n"
    ));
    let expected = Autoban {
        after: Thresholds {
            waf: Some(3),
            auth: Some(10),
            limit: Some(20),
            protocol: Some(1),
        },
        window: Duration::from_mins(1),
        ttl: Duration::from_mins(10),
        grow: 4.0,
        max_ttl: Duration::from_hours(24),
    };
    assert_eq!(config.autoban, expected);
    let config = accepted(&format!("{SMALL}[autoban]\ngrow = 2\n"));
    assert!((config.autoban.grow - 2.0).abs() < f64::EPSILON);
    assert!(config.autoban.after.is_empty());
}
