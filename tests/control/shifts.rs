//! Traffic that is shifted between the upstreams of a route while the proxy runs, and what else is listed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use super::{address, answering, status};
use crate::support::{Folder, Origin, Proxy, RawClient, certificate};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// A route with a blue and a green upstream.
fn shop(blue: &Origin, green: &Origin) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n\
         [upstream.blue]\nendpoints = [\"{}\"]\n[upstream.green]\nendpoints = [\"{}\"]\n\
         [[route]]\nname = \"shop\"\nto = [{{ upstream = \"blue\", weight = 100 }}, {{ upstream = \"green\", weight = 0 }}]\n\
         [[route]]\nname = \"only\"\nmatch = {{ path = \"/only\" }}\nto = \"blue\"\n",
        blue.address(),
        green.address()
    )
}

fn ask(web: SocketAddr) -> String {
    RawClient::connect(web).exchange(GET).text()
}

#[test]
fn twenty_switches_under_load_fail_nobody_and_each_is_whole_when_it_is_told() {
    let origins = ["blue", "green"].map(Origin::serving);
    let proxy = Proxy::start(&shop(&origins[0], &origins[1]));
    let web = address(&proxy, "web");
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let load = || {
            let mut wrong = Vec::new();
            let mut client = RawClient::connect(web);
            while !over.load(Ordering::Relaxed) {
                let response = client.exchange(GET);
                let body = response.text();
                if response.status() != 200 || !["blue", "green"].contains(&&*body) {
                    wrong.push(body);
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
            wrong
        };
        let loads: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
        // One connection that lives through all of it, and new ones.
        let mut kept = RawClient::connect(web);
        for turn in 0..20 {
            let to = ["green", "blue"][turn % 2];
            let told = proxy.cli(&["route", "switch", "shop", to]).ok().text();
            assert!(told.contains(&format!("{to}=100")), "{told}");
            assert_eq!(kept.exchange(GET).text(), to);
            for _ in 0..4 {
                assert_eq!(ask(web), to);
            }
        }
        over.store(true, Ordering::Relaxed);
        for load in loads {
            assert_eq!(load.join().unwrap(), [""; 0]);
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 20, "there was a load");
}

#[test]
fn weights_are_shifted_and_a_reload_goes_back_unless_they_are_kept() {
    let origins = ["blue", "green"].map(Origin::serving);
    let mut proxy = Proxy::start(&shop(&origins[0], &origins[1]));
    let web = address(&proxy, "web");
    let told = proxy
        .cli(&["route", "weight", "shop", "green=100", "blue=0"])
        .ok()
        .text();
    assert_eq!(
        told,
        "shop: blue=0 green=100 (until the next reload); it was blue=100 green=0\n\
         back: openclaw route weight shop blue=100 green=0\n"
    );
    assert_eq!(ask(web), "green");
    let line = proxy.wait_for("audit: route.weigh done");
    assert!(line.contains("\"route\":\"shop\""), "{line}");
    proxy.cli(&["reload"]).ok();
    assert_eq!(ask(web), "blue");
    let shift = [
        "-o",
        "json",
        "route",
        "switch",
        "shop",
        "green",
        "--persist",
    ];
    let json: Value = serde_json::from_slice(&proxy.cli(&shift).ok().stdout).unwrap();
    assert_eq!(json["before"]["blue"], 100);
    assert_eq!(json["now"]["blue"], 0);
    assert_eq!(json["persisted"], true);
    proxy.cli(&["reload"]).ok();
    assert_eq!(ask(web), "green");
    proxy.kill();
    proxy.start_again();
    assert_eq!(ask(address(&proxy, "web")), "green");
    for (arguments, code, told) in [
        (
            &["weight", "shops", "blue=1"][..],
            1,
            "did you mean `shop`?",
        ),
        (&["weight", "shop", "bleu=1"], 1, "did you mean `blue`?"),
        (&["weight", "shop", "blue=0", "green=0"], 1, "would be 0"),
        (&["weight", "shop", "blue"], 2, "UPSTREAM=N"),
        (
            &["weight", "only", "blue=1"],
            1,
            "does not go to several upstreams",
        ),
        (
            &["switch", "shop", "red"],
            1,
            "there is no upstream in route shop",
        ),
    ] {
        let output = proxy.cli(&[&["route"], arguments].concat());
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
        assert!(output.stderr.contains(told), "{arguments:?}: {output:?}");
    }
}

#[test]
fn routes_are_listed_in_the_order_in_which_they_are_tried() {
    let origin = Origin::serving("one");
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [\"{}\"]\n\
         [[route]]\nname = \"rest\"\nrespond = {{ status = 204 }}\n\
         [[route]]\nname = \"api\"\nto = \"app\"\nlimit = {{ rate = \"10/min\" }}\n\
         match = {{ host = \"*.example.com\", path = \"/api\", method = [\"POST\"], header = {{ \"X-Beta\" = \"1\" }} }}\n\
         [[route]]\nname = \"login\"\nmatch = {{ host = \"www.example.com\", path_exact = \"/login\" }}\n\
         redirect = {{ to = \"/new\", status = 308 }}\n",
        origin.address()
    ));
    let output = proxy.cli(&["-o", "json", "route", "list"]).ok();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let routes = json["routes"].as_array().unwrap();
    let names: Vec<&str> = routes
        .iter()
        .map(|route| route["route"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["login", "api", "rest"]);
    assert_eq!(routes[1]["header"]["x-beta"], "1");
    assert_eq!(routes[1]["to"][0]["upstream"], "app");
    assert_eq!(routes[1]["limit"]["allowance"], 10);
    assert_eq!(routes[0]["redirect"]["status"], 308);
    let text = proxy.cli(&["route", "list"]).ok().text();
    for words in ["308 to /new", "*.example.com", "answers 204", "= /login"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn certificates_are_listed_with_the_days_that_are_left() {
    let folder = Folder::new();
    let (cert, key) = certificate(&folder, &["a.test", "b.test"]);
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\ntls = {{ certificates = [{{ cert = \"{}\", key = \"{}\" }}] }}\n\
         [[route]]\nrespond = {{}}\n",
        cert.display(),
        key.display()
    ));
    let output = proxy.cli(&["-o", "json", "cert", "list"]).ok();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = &json["certificates"][0];
    assert_eq!(one["listener"], "web");
    assert_eq!(one["names"], serde_json::json!(["a.test", "b.test"]));
    assert_eq!(one["validity"], "valid");
    assert!(one["days_left"].as_i64().unwrap() > 0, "{one:#}");
    assert!(
        one["issuer"].as_str().unwrap().starts_with("CN="),
        "{one:#}"
    );
    assert_eq!(one["certificate"], cert.display().to_string());
    let text = proxy.cli(&["cert", "list"]).ok().text();
    assert!(text.contains("a.test b.test"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    let proxy = Proxy::start(&answering("plain"));
    let text = proxy.cli(&["cert", "list"]).ok().text();
    assert_eq!(text, "no listener has a certificate\n");
}

#[test]
fn renewed_certificates_are_read_without_the_configuration() {
    let folder = Folder::new();
    let (cert, key) = certificate(&folder, &["a.test"]);
    let config = format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\ntls = {{ certificates = [{{ cert = \"{}\", key = \"{}\" }}] }}\n[[route]]\nrespond = {{}}\n",
        cert.display(),
        key.display()
    );
    let proxy = Proxy::start(&config);
    let renew = || proxy.cli(&["cert", "renew"]);
    let text = renew().ok().text();
    assert!(text.contains("ACME is not built in"), "{text}");
    certificate(&folder, &["a.test", "b.test"]);
    proxy.rewrite("[broken\n");
    let text = renew().ok().text();
    assert!(
        text.starts_with("web ") && text.contains("valid until"),
        "{text}"
    );
    let listed = proxy.cli(&["cert", "list"]).ok().text();
    assert!(listed.contains("a.test b.test"), "{listed}");
    std::fs::write(&cert, "nothing").unwrap();
    let refused = renew();
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert_eq!(
        refused.stderr.matches("error: ").count(),
        1,
        "{}",
        refused.stderr
    );
}

#[test]
fn renewing_certificates_leaves_what_an_operator_has_changed() {
    let folder = Folder::new();
    let (cert, key) = certificate(&folder, &["a.test"]);
    let config = format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\ntls = {{ certificates = [{{ cert = \"{}\", key = \"{}\" }}] }}\n\
         [upstream.app]\nendpoints = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n[[route]]\nto = \"app\"\n",
        cert.display(),
        key.display()
    );
    let proxy = Proxy::start(&config);
    for order in [
        "upstream add app 127.0.0.1:3",
        "upstream drain app 127.0.0.1:1",
        "upstream weight app 127.0.0.1:2 5",
        "log level debug",
    ] {
        let order: Vec<&str> = order.split(' ').collect();
        proxy.cli(&order).ok();
    }
    let standing = || {
        let listed = proxy.cli(&["upstream", "list", "app"]).ok().text();
        let level = proxy.cli(&["log", "level"]).ok().text();
        (
            listed,
            level,
            status(&proxy)["config"]["generation"].clone(),
        )
    };
    let before = standing();
    assert!(before.0.contains("127.0.0.1:3"), "{}", before.0);
    proxy.cli(&["cert", "renew"]).ok();
    assert_eq!(standing(), before);
    certificate(&folder, &["a.test", "b.test"]);
    proxy.cli(&["cert", "renew"]).ok();
    assert_eq!(standing(), before);
    let listed = proxy.cli(&["cert", "list"]).ok().text();
    assert!(listed.contains("a.test b.test"), "{listed}");
}
