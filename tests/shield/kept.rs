//! A filter that one run has left behind, and the next one does not want.

use openclaw::shield::kernel::{Maps, Pins};
use openclaw_common::verdict::Reason;

use super::attach::Wire;
use super::net::{CLIENT4, INTERFACE, Net, SERVER4};
use super::privileges::in_namespace;
use super::rig::PinDir;
use crate::support::Proxy;

#[test]
fn a_kept_filter_that_this_run_does_not_want_is_told_and_can_be_detached() {
    let (net, pins) = (Net::new(), PinDir::new());
    let config = format!(
        "[shield]\ninterfaces = [\"{INTERFACE}\"]\npin_dir = \"{}\"\nblock = [\"{CLIENT4}\"]\non_exit = \"keep\"\n\
         [listener.web]\nbind = [\"{SERVER4}:0\"]\n[[route]]\nrespond = {{ body = \"hello\" }}\n",
        pins.0.display()
    );
    let namespace = in_namespace(&net);
    let start = |arguments| Proxy::start_through(&config, 0, &["nsenter", &namespace], arguments);
    let kept = format!("a filter kept from an earlier run still drops packets on {INTERFACE}");
    let mut first = start(&[]);
    assert!(!first.stderr().contains(&kept), "it is wanted");
    first.signal("TERM");
    assert!(first.wait().success());
    let proxy = start(&["--no-shield"]);
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    wire.assert_dropped(&maps, Reason::Block);
    let told = proxy.wait_for(&kept);
    let detach = format!("openclaw shield detach {INTERFACE}");
    assert!(told.contains(&detach), "{told}");
    proxy.cli(&["shield", "detach", INTERFACE]).ok();
    wire.assert_open();
}
