use super::*;

const UPSTREAMS: [&str; 2] = ["app", "blue"];

/// Endpoints of `app`: `:1*2` is at port 1 with a weight of 2, `d` drains, `r` was added at run time.
fn served(words: &str) -> Vec<Served> {
    let one = |word: &str| {
        let (place, words) = word.split_once('*').unwrap();
        let weight = words.trim_end_matches(['d', 'r']);
        let address = format!("127.0.0.1{place}");
        Served {
            label: address.clone(),
            address: Some(address.parse().unwrap()),
            origin: if words.contains('r') {
                Origin::Runtime
            } else {
                Origin::File(0)
            },
            weight: weight.parse().unwrap(),
            is_draining: words.contains('d'),
        }
    };
    words.split(' ').map(one).collect()
}

fn order(verb: Verb, place: &str) -> (Verb, String) {
    (verb, format!("127.0.0.1{place}"))
}

fn ask(overlay: &mut Overlay, now: &str, (verb, endpoint): (Verb, String), flags: &str) -> String {
    let order = Order {
        upstream: "app",
        endpoint: &endpoint,
        addresses: &[],
        verb,
        zone: None,
        persist: flags.contains('p'),
        tls: flags.contains('t'),
    };
    match overlay.order(&order, &UPSTREAMS, Some(&served(now))) {
        Ok(ordered) if ordered.is_last => format!("{}, the last", ordered.label),
        Ok(ordered) => ordered.label,
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let check = |now: &str, order: (Verb, String), expected: &str| {
        let mut overlay = Overlay::default();
        let told = ask(&mut overlay, now, order, "");
        assert!(told.contains(expected), "{told}");
        assert_eq!(overlay, Overlay::default());
    };
    check(
        ":1*1 :2*1",
        order(Verb::Add(None), ":1"),
        "upstream app has 127.0.0.1:1 already",
    );
    check(":1*1 :2*1d", order(Verb::Add(None), ":2"), "it drains");
    check(
        ":9001*1 :2*1",
        order(Verb::Drain, ":9011"),
        "there is no endpoint of upstream app `127.0.0.1:9011`; did you mean `127.0.0.1:9001`?",
    );
    check(
        ":1*1",
        (Verb::Add(None), "nonsense".to_owned()),
        "`nonsense` is not an endpoint: it has no port",
    );
    let mut overlay = Overlay::default();
    let lost = Order {
        upstream: "ap",
        endpoint: "127.0.0.1:1",
        addresses: &[],
        verb: Verb::Drain,
        zone: None,
        persist: false,
        tls: false,
    };
    let refused = overlay.order(&lost, &UPSTREAMS, None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no upstream `ap`; did you mean `app`?"
    );
}

#[test]
fn an_order_that_leaves_nobody_says_so() {
    for (now, verb, is_last) in [
        (":1*1", Verb::Delete, true),
        (":1*1 :2*0", Verb::Drain, true),
        (":1*1 :2*5d", Verb::Weigh(0), true),
        (":1*1 :2*5", Verb::Weigh(0), false),
        (":1*1", Verb::Weigh(3), false),
    ] {
        let mut overlay = Overlay::default();
        let told = ask(&mut overlay, now, order(verb, ":1"), "");
        let expected = ["127.0.0.1:1", "127.0.0.1:1, the last"][usize::from(is_last)];
        assert_eq!(told, expected, "{now}");
        assert_ne!(overlay, Overlay::default());
    }
}

#[test]
fn an_endpoint_is_met_as_its_scheme_says_or_not_taken() {
    let add = |flags: &str, endpoint: &str| {
        let mut overlay = Overlay::default();
        let told = ask(
            &mut overlay,
            ":1*1",
            (Verb::Add(None), endpoint.to_owned()),
            flags,
        );
        (told, overlay != Overlay::default())
    };
    let refused = |flags: &str, endpoint: &str, expected: &str| {
        let (told, is_taken) = add(flags, endpoint);
        assert!(told.contains(expected) && !is_taken, "{told}");
    };
    let all = "an upstream speaks TLS with all of its endpoints or with none, and app does";
    refused("", "https://127.0.0.1:2", &format!("{all} not: `https://`"));
    refused("t", "http://127.0.0.1:2", &format!("{all}: `http://`"));
    refused("t", "builtin:demo", "the demo origin does not speak TLS");
    for (flags, endpoint) in [
        ("", "http://127.0.0.1:2"),
        ("", "127.0.0.1:2"),
        ("t", "https://127.0.0.1:2"),
        ("t", "127.0.0.1:2"),
    ] {
        assert_eq!(add(flags, endpoint), ("127.0.0.1:2".to_owned(), true));
    }
    assert_eq!(add("", "builtin:demo"), ("builtin:demo".to_owned(), true));
}

#[test]
fn one_that_serves_nothing_may_go_while_another_serves() {
    let mut overlay = Overlay::default();
    let told = ask(&mut overlay, ":1*1 :2*0", order(Verb::Delete, ":2"), "");
    assert_eq!(told, "127.0.0.1:2");
}

/// Orders one after another, with what is served then; what is left, layer by layer.
fn after(orders: &[(&str, (Verb, String), &str)]) -> (String, String) {
    let mut overlay = Overlay::default();
    for (now, order, flags) in orders {
        let told = ask(&mut overlay, now, order.clone(), flags);
        assert_eq!(told, order.1);
    }
    let text = |layer: &Layer| {
        let all = layer.endpoints.get("app").into_iter().flatten();
        let one = |(label, change): (&String, &EndpointChange)| {
            format!("{label} {change:?}").replace("127.0.0.1", "")
        };
        all.map(one).collect::<Vec<_>>().join(", ")
    };
    (text(&overlay.kept), text(&overlay.passing))
}

#[test]
fn changes_do_not_pile_up() {
    let nothing = (String::new(), String::new());
    let come_and_go = [
        (":1*1", order(Verb::Add(Some(3)), ":2"), ""),
        (":1*1 :2*3r", order(Verb::Drain, ":2"), ""),
        (":1*1 :2*3rd", order(Verb::Delete, ":2"), ""),
    ];
    assert_eq!(after(&come_and_go), nothing);
    let kept = come_and_go.map(|(now, order, _)| (now, order, "p"));
    assert_eq!(after(&kept), nothing);
    let drained = [
        (":1*1 :2*1", order(Verb::Drain, ":2"), "p"),
        (":1*1 :2*1d", order(Verb::Enable, ":2"), "p"),
        (":1*1 :2*1", order(Verb::Drain, ":2"), ""),
        (":1*1 :2*1d", order(Verb::Enable, ":2"), ""),
    ];
    assert_eq!(after(&drained), nothing);
}

#[test]
fn what_passes_hides_what_is_kept_until_a_kept_change_says_otherwise() {
    let mut orders = vec![
        (":1*1 :2*1", order(Verb::Drain, ":2"), "p"),
        (":1*1 :2*1d", order(Verb::Enable, ":2"), ""),
    ];
    let (kept, passing) = after(&orders);
    assert!(kept.contains("draining: Some(true)"), "{kept}");
    assert!(passing.contains("draining: Some(false)"), "{passing}");
    orders.push((":1*1 :2*1", order(Verb::Weigh(7), ":2"), ""));
    orders.push((":1*1 :2*7", order(Verb::Weigh(8), ":2"), "p"));
    let (kept, passing) = after(&orders);
    assert!(kept.contains("weight: Some(8)"), "{kept}");
    assert!(passing.contains("weight: None"), "{passing}");
}

#[test]
fn weights_of_a_route_are_changed_together() {
    let config = config();
    let pair = |app, blue| vec![("app".to_owned(), app), ("blue".to_owned(), blue)];
    let mut overlay = Overlay::default();
    let weighed = overlay.switch(&config, "shop", "blue", true).unwrap();
    assert_eq!((weighed.before, weighed.now), (pair(95, 5), pair(0, 100)));
    assert_eq!(overlay.target("shop", "app"), Some(0));
    let weighed = overlay.weigh(&config, "shop", &[("blue".to_owned(), 9)], false);
    assert_eq!(weighed.unwrap().now, pair(95, 9));
    assert_eq!(overlay.target("shop", "app"), Some(95));
    let strangers = |config: &Config| overlay.kept.strangers(config).collect::<Vec<_>>();
    assert_eq!(strangers(&config), [""; 0]);
    let mut other = config.clone();
    other.routes.clear();
    assert_eq!(strangers(&other), ["route shop"]);
    overlay.passing = Layer::default();
    assert_eq!(overlay.target("shop", "app"), Some(0));
    let mut refused = |route: &str, weights: &[(String, u32)]| {
        let refused = overlay.weigh(&config, route, weights, false).unwrap_err();
        refused.to_string()
    };
    assert_eq!(
        refused("shops", &pair(1, 1)),
        "there is no route `shops`; did you mean `shop`?"
    );
    assert_eq!(
        refused("shop", &[("blues".to_owned(), 1)]),
        "there is no upstream in route shop named `blues`; did you mean `blue`?"
    );
    assert!(refused("shop", &pair(0, 0)).contains("would be 0"));
    let one = [("app".to_owned(), 1)];
    assert!(refused("only", &one).contains("does not go to several upstreams"));
    assert!(refused("said", &one).contains("does not go to several upstreams"));
}

#[test]
fn a_layer_is_the_same_after_it_was_text() {
    let mut overlay = Overlay {
        kept: layer(&[
            ("127.0.0.1:9001", "-"),
            ("127.0.0.1:9009", "+ w7"),
            ("app.internal:8080", "d"),
        ]),
        passing: Layer::default(),
    };
    overlay.switch(&config(), "shop", "blue", true).unwrap();
    let text = overlay.kept.to_text();
    let lines: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "[upstream.app.\"127.0.0.1:9001\"]",
            "present = false",
            "",
            "[upstream.app.\"127.0.0.1:9009\"]",
            "present = true",
            "weight = 7",
            "",
            "[upstream.app.\"app.internal:8080\"]",
            "draining = true",
            "",
            "[route.shop]",
            "app = 0",
            "blue = 100",
        ]
    );
    assert_eq!(Layer::from_text(&text).unwrap(), overlay.kept);
    assert_eq!(Layer::from_text("").unwrap(), Layer::default());
    assert!(Layer::from_text("[upstream.app.\"127.0.0.1:1\"]\nwieght = 1").is_err());
}

#[test]
fn one_address_of_a_name_goes_alone_and_is_forgotten_with_the_name() {
    let place = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let leads = [place(1), place(2)];
    let at = |label: &str, port: u16, origin: &Origin| Served {
        label: label.to_owned(),
        address: Some(place(port)),
        origin: origin.clone(),
        weight: 1,
        is_draining: false,
    };
    for origin in [Origin::Runtime, Origin::File(0)] {
        for persist in [false, true] {
            let mut overlay = Overlay::default();
            let mut order = |verb, endpoint: &str, served: &[Served]| {
                let order = Order {
                    upstream: "app",
                    endpoint,
                    addresses: if endpoint == "app:1" { &leads } else { &[] },
                    verb,
                    zone: None,
                    persist,
                    tls: false,
                };
                overlay.order(&order, &UPSTREAMS, Some(served)).unwrap();
                overlay.change("app", "app:1", place(1))
            };
            if origin == Origin::Runtime {
                order(Verb::Add(None), "app:1", &[]);
            }
            let both = [at("app:1", 1, &origin), at("app:1", 2, &origin)];
            let change = order(Verb::Delete, "127.0.0.1:1", &both);
            assert_eq!(change.presence, Some(Presence::Deleted));
            // It comes back by itself, which is no other endpoint than before.
            let change = order(Verb::Add(None), "127.0.0.1:1", &both[1..]);
            assert_eq!(change.presence, Some(Presence::Added));
            let change = order(Verb::Delete, "127.0.0.1:1", &both);
            assert_eq!(change.presence, Some(Presence::Deleted));
            order(Verb::Delete, "app:1", &both[1..]);
            let change = order(Verb::Add(None), "app:1", &[]);
            assert_eq!(change.presence, Some(Presence::Added));
        }
    }
}

#[test]
fn what_was_changed_can_be_forgotten() {
    let mut overlay = Overlay::default();
    let now = ":1*1 :2*1";
    ask(&mut overlay, now, order(Verb::Add(None), ":3"), "p");
    ask(&mut overlay, now, order(Verb::Drain, ":1"), "p");
    ask(&mut overlay, now, order(Verb::Weigh(5), ":1"), "");
    let none = overlay.clone();
    let mut forget = |endpoint: Option<&str>| overlay.forget("app", endpoint, &UPSTREAMS).unwrap();
    assert_eq!(forget(Some("127.0.0.1:2")), 0);
    assert_eq!(forget(Some("http://127.0.0.1:1")), 1);
    assert_eq!(forget(None), 1);
    assert_eq!(overlay, Overlay::default());
    // Of an upstream that the configuration does not have any more.
    let mut overlay = none;
    assert_eq!(overlay.forget("app", None, &["blue"]).unwrap(), 2);
    let refused = overlay.forget("app", None, &["apps"]).unwrap_err();
    let told = "there is no upstream `app`; did you mean `apps`?";
    assert_eq!(refused.to_string(), told);
}

#[test]
fn what_is_added_stands_where_it_is_said() {
    let mut overlay = Overlay::default();
    let zone = "eu-1".into();
    let order = Order {
        upstream: "app",
        endpoint: "127.0.0.1:3",
        addresses: &[],
        verb: Verb::Add(Some(2)),
        zone: Some(&zone),
        persist: true,
        tls: false,
    };
    overlay.order(&order, &UPSTREAMS, Some(&[])).unwrap();
    let text = overlay.kept.to_text();
    assert_eq!(Layer::from_text(&text).unwrap(), overlay.kept);
    let added = overlay.added("app");
    assert_eq!(added.len(), 1);
    assert_eq!(added[0].zone, Some(zone));
}
