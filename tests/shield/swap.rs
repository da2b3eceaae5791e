//! A list of many ranges replaced by another while packets come.

use std::{
    fmt::Write as _,
    net::Ipv4Addr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use openclaw::shield::{
    Shield,
    kernel::{Kernel, Maps, Subject},
};
use openclaw_common::{
    abi::{Prefix4, flags},
    maps::FINE4_ENTRIES,
    verdict::{Reason, Verdict},
};
use openclaw_core::config::{NoFiles, Source, load};

use super::{
    frames::Ip4,
    net::{INTERFACE, Net, inside},
    rig::PinDir,
};
use crate::support::{Folder, Proxy, wait_until};

/// Enough to go by the spare maps.
const RANGES: u32 = 20_000;
/// In both lists as it stands.
const SAME: [u8; 4] = [40, 0, 0, 1];
/// In both lists, each time in another range: in a part of a /24 twice, in a whole one before, in a whole one afterwards.
const BLOCKED: [[u8; 4]; 4] = [[20, 0, 1, 1], [30, 0, 0, 1], [30, 0, 1, 1], SAME];

/// One range each sixteen addresses, and what else is on the list.
fn list(ranges: u32, length: u8, more: &[&str]) -> String {
    let mut text = more.join("\n") + "\n";
    for range in 0..ranges {
        let first = Ipv4Addr::from(0x1400_0000 + range * 16);
        writeln!(text, "{first}/{length}").unwrap();
    }
    text
}

fn is_spare(maps: &Maps) -> bool {
    maps.config().unwrap().flags & flags::SPARE != 0
}

#[test]
fn what_is_blocked_before_and_afterwards_never_passes_while_a_list_is_replaced() {
    let (net, pins, folder) = (Net::new(), PinDir::new(), Folder::new());
    let config = format!(
        "[shield]\ninterfaces = [\"{INTERFACE}\"]\npin_dir = \"{}\"\n[listener.web]\nbind = \"127.0.0.1:0\"\n\
         [[route]]\nrespond = {{ body = \"a\" }}\n",
        pins.0.display()
    );
    let proxy = Proxy::start_in(&net.server, &config);
    let before = folder.write(
        "before",
        list(RANGES, 28, &["30.0.0.0/24", "30.0.1.0/29", "40.0.0.0/28"]),
    );
    let after = folder.write(
        "after",
        list(RANGES, 29, &["30.0.0.0/29", "30.0.1.0/24", "40.0.0.0/28"]),
    );
    let import = |file: &std::path::Path| {
        let file = file.to_str().unwrap();
        let arguments = ["blocklist", "import", "--replace", file];
        let output = proxy.cli(&arguments).ok();
        assert!(!output.text().contains("warning"), "{}", output.text());
    };
    import(&before);
    // The same maps, in a process of its own.
    let mut kernel = Kernel::load(&pins.0).unwrap();
    let maps = kernel.maps();
    assert!(is_spare(&maps));
    let frames = BLOCKED.map(|source| Ip4::tcp(source).frame(&[]));
    let mut dropped = |frame: &[u8]| {
        let run = inside(&net.server, || kernel.test_run(Subject::Shield, frame, 1));
        assert_eq!(run.unwrap().verdict, Verdict::Drop, "{frame:?}");
    };
    for frame in &frames {
        dropped(frame);
    }
    let hits = || {
        let found = maps.fine4().get(&Prefix4::new(SAME, 32)).unwrap();
        found.map_or(0, |entry| entry.hits)
    };
    let (rounds, first) = (AtomicU64::new(0), hits());
    assert_eq!(first, 1);
    thread::scope(|scope| {
        let replaced = scope.spawn(|| {
            wait_until("packets", || rounds.load(Ordering::Relaxed) > 0);
            import(&after);
        });
        while !replaced.is_finished() {
            for frame in &frames {
                dropped(frame);
            }
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(!is_spare(&maps));
    let mut entries = maps.fine4().entries().unwrap();
    // What protects the host is there, too.
    entries.retain(|(_, entry)| entry.reason == Reason::Block as u32);
    assert_eq!(entries.len() as u32, RANGES + 2);
    assert!(hits() > first, "hits of a range that stays go on");
    // Of the range that was wider before, the rest is free.
    let frame = Ip4::tcp([20, 0, 1, 9]).frame(&[]);
    let run = inside(&net.server, || kernel.test_run(Subject::Shield, &frame, 1));
    assert_eq!(run.unwrap().verdict, Verdict::Pass);
}

#[test]
fn a_start_over_more_ranges_than_there_is_room_for_beside_its_own_ends_with_its_own() {
    let (pins, folder) = (PinDir::new(), Folder::new());
    let many = FINE4_ENTRIES / 5 * 3;
    let file = folder.path().join("ranges");
    let text = format!(
        "[server]\nstate_dir = \"{}\"\n[shield]\ninterfaces = [\"oc-no-such\"]\npin_dir = \"{}\"\n\
         lists = [{{ name = \"many\", file = \"{}\" }}]\n[listener.web]\nbind = \"127.0.0.1:0\"\n",
        folder.path().join("state").display(),
        pins.0.display(),
        file.display(),
    );
    let source = Source {
        name: "openclaw.toml",
        text: &text,
        files: &NoFiles,
        variable: &|_| None,
    };
    let config = load(&source).unwrap().config;
    let start = |length| {
        folder.write("ranges", list(many, length, &["40.0.0.0/28"]));
        let (_, status) = Shield::start(&config, false);
        assert_eq!(status.warnings, Vec::<String>::new());
    };
    start(28);
    start(29);
    let mut kernel = Kernel::load(&pins.0).unwrap();
    let maps = kernel.maps();
    assert!(is_spare(&maps));
    let keys = maps.fine4().keys().unwrap();
    let of = |length| keys.iter().filter(|key| key.length == length).count();
    assert_eq!((of(28), of(29)), (1, many as usize));
    for (source, verdict) in [
        ([20, 0, 0, 1], Verdict::Drop),
        ([20, 0, 0, 9], Verdict::Pass),
        (SAME, Verdict::Drop),
    ] {
        let frame = Ip4::tcp(source).frame(&[]);
        let run = kernel.test_run(Subject::Shield, &frame, 1).unwrap();
        assert_eq!(run.verdict, verdict, "{source:?}");
    }
}
