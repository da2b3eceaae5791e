//! The real program hands over to another under a flood of banned sources: none of their packets arrives, and no privilege is lost.

use openclaw::shield::kernel::{Maps, Pins};
use openclaw_common::verdict::Reason;

use super::attach::Wire;
use super::lists::json;
use super::net::{CLIENT4, INTERFACE, Net, OTHER4, SERVER4};
use super::privileges::{FOUR, NOBODY, client_gets, in_namespace, of_threads};
use super::restart::under_flood;
use super::rig::PinDir;
use crate::support::{Folder, Proxy};

#[test]
fn nothing_of_a_banned_source_arrives_while_the_program_is_upgraded() {
    under_flood("detach", 1000, upgrade_and_change);
}

/// The process that goes leaves everything as it is; the one that comes writes to the same maps.
fn upgrade_and_change(proxy: &mut Proxy) {
    proxy.cli(&["blocklist", "add", "203.0.113.1"]).ok();
    proxy.upgrade(&[]);
    assert_eq!(proxy.wait().code(), Some(0));
    let status = proxy.cli(&["shield", "status"]).ok().text();
    assert!(status.contains(&format!("XDP on {INTERFACE}")), "{status}");
    proxy.cli(&["blocklist", "add", "203.0.113.2"]).ok();
    proxy.upgrade(&[]);
    let listed = proxy.cli(&["blocklist", "export", "--list", "manual"]);
    for address in ["203.0.113.1", "203.0.113.2", OTHER4] {
        let text = listed.text();
        assert!(text.contains(address), "{address} in {text}");
    }
}

#[test]
fn an_ordinary_user_hands_over_a_low_port_and_all_that_it_may_do() {
    let (net, pins) = (Net::new(), PinDir::new());
    let state = Folder::new();
    let config = format!(
        "[shield]\ninterfaces = [\"{INTERFACE}\"]\nmode = \"native\"\npin_dir = \"{}\"\n[listener.web]\nbind = [\"{SERVER4}:80\"]\n\
         [[route]]\nrespond = {{ body = \"hello\" }}\n\
         [server]\nuser = \"65534\"\ngroup = \"65534\"\nworkers = 2\nstate_dir = \"{}\"\n",
        pins.0.display(),
        state.path().join("new").display()
    );
    let namespace = in_namespace(&net);
    let mut proxy = Proxy::start_through(&config, NOBODY, &["nsenter", &namespace], &[]);
    assert_eq!(client_gets(&net, 80), "hello");
    for _ in 0..2 {
        let new = proxy.upgrade(&[]);
        assert_eq!(of_threads(new, "Uid"), ["65534 65534 65534 65534"]);
        assert_eq!(of_threads(new, "CapEff"), [FOUR]);
        assert_eq!(of_threads(new, "NoNewPrivs"), ["1"]);
        let status = json(&proxy.cli(&["-o", "json", "status"]).ok());
        assert_eq!(status["pid"], new);
        assert_eq!(client_gets(&net, 80), "hello");
        let shield = proxy.cli(&["shield", "status"]).ok().text();
        assert!(
            shield.contains(&format!("XDP on {INTERFACE} (native)")),
            "{shield}"
        );
    }
    assert_eq!(proxy.wait().code(), Some(0));
    // What it may do it does: bans, and another low port.
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    proxy
        .cli(&["blocklist", "add", CLIENT4, "--ttl", "1h"])
        .ok();
    wire.assert_dropped(&maps, Reason::Ban);
    proxy.cli(&["blocklist", "del", CLIENT4]).ok();
    let text = std::fs::read_to_string(proxy.config()).unwrap();
    std::fs::write(proxy.config(), text.replace(":80\"", ":81\"")).unwrap();
    proxy.cli(&["reload"]).ok();
    assert_eq!(client_gets(&net, 81), "hello");
}
