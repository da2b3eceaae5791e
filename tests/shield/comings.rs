//! Interfaces that come and go under a running proxy.

use std::net::{Ipv4Addr, SocketAddr};

use super::rig::PinDir;
use crate::control::{address, answering, sample};
use crate::support::{Net, Proxy, ip, wait_until};

/// Whether the gauge says that the shield is on our end of the pair.
fn is_attached(proxy: &Proxy, net: &Net) -> bool {
    let name = format!("openclaw_xdp_attached{{interface=\"{}\"}}", net.interface());
    let value = sample(proxy, &name).unwrap_or_else(|| panic!("no {name}"));
    value == "1"
}

/// Whether a client gets an answer. One whose packets are dropped gets nothing; one that is turned away at accept an end.
fn reaches(net: &Net, client: Ipv4Addr, server: SocketAddr) -> bool {
    let (client, url) = (client.to_string(), format!("http://{server}/"));
    let output = net.curl(&["--interface", &client, "--max-time", "2", &url]);
    assert!(matches!(output.code, 0 | 28), "{}", output.stderr);
    output.code == 0
}

#[test]
fn an_interface_that_comes_late_or_anew_is_shielded_by_itself() {
    let (net, pins) = (Net::new(), PinDir::new());
    let blocked = net.inside4;
    let neighbour = Ipv4Addr::from_bits(blocked.to_bits() + 1);
    net.unplug();
    let shield = format!(
        "[shield]\ninterfaces = [\"{}\"]\npin_dir = \"{}\"\n",
        net.interface(),
        pins.0.display()
    );
    let config = answering("hello").replace("127.0.0.1", "0.0.0.0") + &shield;
    let proxy = Proxy::start(&config);
    let server = SocketAddr::from((net.outside4, address(&proxy, "web").port()));
    proxy.wait_for(&format!("the shield is NOT on {}", net.interface()));
    assert!(!is_attached(&proxy, &net));
    proxy.cli(&["blocklist", "add", &blocked.to_string()]).ok();

    for _ in 0..2 {
        net.plug();
        net.add_address(neighbour.into());
        wait_until("the shield is attached", || is_attached(&proxy, &net));
        assert!(!reaches(&net, blocked, server));
        assert!(reaches(&net, neighbour, server));
        net.unplug();
        wait_until("the shield is gone", || !is_attached(&proxy, &net));
    }
    proxy.wait_for("the interface is gone, and the shield with it");
    assert_eq!(proxy.stderr().matches("shield attached").count(), 2);
}

#[test]
fn an_address_that_the_host_is_given_is_blocked_no_longer() {
    let (net, pins) = (Net::new(), PinDir::new());
    let shield = format!(
        "[shield]\ninterfaces = [\"{}\"]\npin_dir = \"{}\"\n",
        net.interface(),
        pins.0.display()
    );
    let proxy = Proxy::start(&(answering("hello") + &shield));
    let address = Ipv4Addr::from_bits(net.outside4.to_bits() + 70).to_string();
    proxy.cli(&["blocklist", "add", &address]).ok();
    let is_blocked = || proxy.cli(&["blocklist", "test", &address]).code == 0;
    assert!(is_blocked());
    ip(&["addr", "add", &address, "dev", net.interface()]);
    wait_until("the host's own address is free", || !is_blocked());
}

#[test]
fn what_was_detached_by_hand_stays_so_and_what_failed_is_tried_again_by_a_reload() {
    let (net, pins) = (Net::new(), PinDir::new());
    let interface = net.interface();
    let config = |interfaces: &str| {
        format!(
            "{}[shield]\ninterfaces = [{interfaces}]\npin_dir = \"{}\"\n",
            answering("hello"),
            pins.0.display()
        )
    };
    let both = config(&format!("\"{interface}\", \"oc-no-such\""));
    let proxy = Proxy::start(&both);
    assert!(is_attached(&proxy, &net));
    proxy.cli(&["shield", "detach", interface]).ok();
    let reloaded = proxy.cli(&["reload"]).ok();
    let words = "there is no network interface `oc-no-such`";
    assert!(reloaded.stderr.contains(words), "{}", reloaded.stderr);
    let gauge = format!("openclaw_xdp_attached{{interface=\"{interface}\"}}");
    assert_eq!(sample(&proxy, &gauge), None);
    proxy.cli(&["shield", "attach", interface]).ok();
    assert!(is_attached(&proxy, &net));
    proxy.rewrite(&config(&format!("\"{interface}\"")));
    let reloaded = proxy.cli(&["reload"]).ok();
    assert_eq!(reloaded.stderr, "", "what is not wanted is not missed");
}
