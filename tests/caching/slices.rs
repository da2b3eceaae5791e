//! Ranges of something large, out of slices that are fetched one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Stage, ok, status};
use crate::support::{Folder, Message, Origin, RawClient, eventually};

/// Four slices of 64 KiB, and one that is shorter.
const TOTAL: usize = 4 * 65_536 + 1000;
const RULE: &str = "slice = \"64k\", max_object = \"100k\"";

/// What the origin is just now.
#[derive(Default)]
struct Film {
    /// Part of its `ETag` and of each byte.
    version: AtomicUsize,
    /// It answers 200 with the whole.
    knows_no_ranges: AtomicUsize,
    /// It says no `ETag`.
    has_no_tag: AtomicUsize,
    /// From that byte on nothing may be stored.
    private_from: Option<usize>,
}

impl Film {
    fn byte(version: usize, at: usize) -> u8 {
        b'a' + u8::try_from((at / 1000 + at + version * 7) % 26).unwrap()
    }

    fn bytes(version: usize, range: std::ops::Range<usize>) -> String {
        range
            .map(|at| char::from(Self::byte(version, at)))
            .collect()
    }

    /// As RFC 9110 §14 has it, If-Range included.
    fn answer(&self, request: &Message, total: usize) -> String {
        let version = self.version.load(Ordering::Relaxed);
        let tag = format!("\"v{version}\"");
        let told = if self.has_no_tag.load(Ordering::Relaxed) > 0 {
            String::new()
        } else {
            format!("ETag: {tag}\r\n")
        };
        // Of several at once none.
        let range = request.header("range").filter(|range| !range.contains(','));
        let range = range.and_then(|range| {
            let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
            let from: usize = from.parse().ok()?;
            let to = to.parse().unwrap_or(total - 1).min(total - 1);
            (from <= to).then_some(from..to + 1)
        });
        let is_private = |from| range.as_ref().is_some_and(|range| range.start >= from);
        let control = match self.private_from {
            Some(from) if is_private(from) => "no-store",
            Some(_) | None => "max-age=60",
        };
        let lines = format!("Cache-Control: {control}\r\nCache-Tag: film\r\n{told}");
        let is_same = request.header("if-range").is_none_or(|known| known == tag);
        match range {
            Some(range) if is_same && self.knows_no_ranges.load(Ordering::Relaxed) == 0 => format!(
                "HTTP/1.1 206 Partial Content\r\n{lines}Content-Range: bytes {}-{}/{total}\r\nContent-Length: {}\r\n\r\n{}",
                range.start,
                range.end - 1,
                range.len(),
                Self::bytes(version, range.clone())
            ),
            _ => ok(&lines, &Self::bytes(version, 0..total)),
        }
    }
}

fn stage_of(total: usize, cache: &str, rule: &str) -> (Stage, Arc<Film>) {
    stage_with(Film::default(), total, cache, rule)
}

fn stage_with(film: Film, total: usize, cache: &str, rule: &str) -> (Stage, Arc<Film>) {
    let film = Arc::new(film);
    let of_origin = Arc::clone(&film);
    let origin = Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            peer.send(of_origin.answer(&request, total))?;
        }
        Ok(())
    });
    (Stage::with(cache, rule, origin), film)
}

fn stage() -> (Stage, Arc<Film>) {
    stage_of(TOTAL, "memory = \"64m\"", RULE)
}

fn ask(stage: &Stage, range: &str) -> Message {
    stage.get("/film", &format!("Range: bytes={range}\r\n"))
}

/// The ranges that the origin was asked for.
fn ranges(stage: &Stage) -> Vec<String> {
    let requests = stage.origin.requests();
    let ranges = requests.iter().map(|request| request.header("range"));
    ranges
        .map(|range| range.unwrap_or("-").replace("bytes=", ""))
        .collect()
}

fn check(answer: &Message, version: usize, range: std::ops::Range<usize>) {
    assert_eq!(answer.status(), 206, "{}", status(answer));
    let said = format!("bytes {}-{}/{TOTAL}", range.start, range.end - 1);
    assert_eq!(answer.header("content-range"), Some(&*said));
    assert_eq!(answer.header("etag"), Some(&*format!("\"v{version}\"")));
    assert_eq!(answer.text(), Film::bytes(version, range));
}

#[test]
fn a_range_has_the_slices_fetched_that_it_touches_and_others_are_served_out_of_them() {
    let (stage, _) = stage();
    check(&ask(&stage, "65000-70000"), 0, 65_000..70_001);
    let two = ["0-65535", "65536-131071"];
    assert_eq!(ranges(&stage), two);
    for (range, expected) in [
        ("0-0", 0..1),
        ("0-131071", 0..131_072),
        ("65536-65536", 65_536..65_537),
        ("100-80000", 100..80_001),
    ] {
        let answer = ask(&stage, range);
        check(&answer, 0, expected);
        assert!(status(&answer).contains("hit"), "{}", status(&answer));
    }
    assert_eq!(ranges(&stage), two);
    // To the end, which is a shorter slice, and what lies behind it.
    check(&ask(&stage, "262000-"), 0, 262_000..TOTAL);
    check(&ask(&stage, "262144-9999999"), 0, 262_144..TOTAL);
    assert_eq!(ranges(&stage)[2..], ["196608-262143", "262144-327679"]);
    assert_eq!(ranges(&stage).len(), 4);
    let asked = stage.origin.requests();
    assert_eq!(asked[0].header("if-range"), None);
    assert_eq!(asked[1].header("if-range"), Some("\"v0\""));
    // The client's own conditions are answered here.
    let known = stage.get("/film", "Range: bytes=0-9\r\nIf-None-Match: \"v0\"\r\n");
    assert_eq!(known.status(), 304);
    let same = stage.get("/film", "Range: bytes=0-9\r\nIf-Range: \"v0\"\r\n");
    check(&same, 0, 0..10);
    assert_eq!(ranges(&stage).len(), 4);
}

#[test]
fn what_cannot_be_stored_comes_past_the_store() {
    let film = Film {
        private_from: Some(65_536),
        ..Film::default()
    };
    let (stage, _) = stage_with(film, TOTAL, "memory = \"64m\"", RULE);
    check(&ask(&stage, "100-200000"), 0, 100..200_001);
    assert_eq!(ranges(&stage), ["0-65535", "65536-131071", "65536-200000"]);
    // The first slice is stored, and goes on to be.
    check(&ask(&stage, "0-70000"), 0, 0..70_001);
    assert_eq!(ranges(&stage)[3..], ["65536-131071", "65536-70000"]);
}

#[test]
fn a_slice_is_fetched_once_for_all_who_want_it() {
    let (stage, _) = stage();
    thread::scope(|scope| {
        for client in 0..8 {
            let stage = &stage;
            scope.spawn(move || {
                let from = client * 100;
                let answer = ask(stage, &format!("{from}-150000"));
                check(&answer, 0, from..150_001);
            });
        }
    });
    let mut asked = ranges(&stage);
    asked.sort();
    assert_eq!(asked, ["0-65535", "131072-196607", "65536-131071"]);
}

#[test]
fn versions_are_never_mixed() {
    let (stage, film) = stage();
    check(&ask(&stage, "0-70000"), 0, 0..70_001);
    film.version.store(1, Ordering::Relaxed);
    // What is stored is fresh. What is not has changed, and the answer breaks off rather than go on with it.
    check(&ask(&stage, "0-70000"), 0, 0..70_001);
    let mut client = RawClient::connect(stage.web);
    client.send("GET /film HTTP/1.1\r\nHost: a.test\r\nRange: bytes=0-140000\r\n\r\n");
    assert!(client.try_response("GET").is_err());
    // From then on it is the new one.
    check(&ask(&stage, "0-140000"), 1, 0..140_001);
    check(&ask(&stage, "10-20"), 1, 10..21);
    // Where the answer begins with what has changed, it is the new one whole.
    film.version.store(2, Ordering::Relaxed);
    check(&ask(&stage, "200000-200010"), 2, 200_000..200_011);
    check(&ask(&stage, "0-140000"), 2, 0..140_001);
}

#[test]
fn purges_and_unsafe_requests_take_the_slices_as_well() {
    let (stage, film) = stage();
    let mut version = 0;
    check(&ask(&stage, "0-10"), 0, 0..11);
    let mut renewed = |take: &dyn Fn()| {
        version += 1;
        film.version.store(version, Ordering::Relaxed);
        check(&ask(&stage, "0-10"), version - 1, 0..11);
        take();
        check(&ask(&stage, "0-10"), version, 0..11);
    };
    let purge = |arguments: &[&str]| {
        stage
            .proxy
            .cli(&[&["cache", "purge"], arguments].concat())
            .ok();
    };
    renewed(&|| purge(&["http://a.test/film"]));
    renewed(&|| purge(&["--soft", "http://a.test/film"]));
    renewed(&|| purge(&["--tag", "film"]));
    renewed(&|| purge(&["--prefix", "http://a.test/"]));
    renewed(&|| {
        stage.ask("POST", "/film", "Content-Length: 0\r\n");
    });
}

#[test]
fn an_origin_without_ranges_or_without_a_tag_is_served_as_ever() {
    let (stage, film) = stage_of(
        TOTAL,
        "memory = \"64m\"",
        "slice = \"64k\", max_object = \"1m\"",
    );
    film.knows_no_ranges.store(1, Ordering::Relaxed);
    // The whole comes, and is stored whole.
    check(&ask(&stage, "5-10"), 0, 5..11);
    check(&ask(&stage, "65000-70000"), 0, 65_000..70_001);
    // Whoever asks in the moment between its end and its being stored fetches it once more.
    let asked = ranges(&stage);
    assert!(asked.iter().all(|range| range == "0-65535"), "{asked:?}");
    let whole = eventually("the whole is stored", || {
        let whole = stage.get("/film", "");
        status(&whole).contains("hit").then_some(whole)
    });
    assert_eq!(whole.body.len(), TOTAL);
    let (stage, film) = self::stage();
    film.has_no_tag.store(1, Ordering::Relaxed);
    // The client's own request goes there.
    let answer = ask(&stage, "5-10");
    assert_eq!(
        (answer.status(), answer.text()),
        (206, Film::bytes(0, 5..11))
    );
    assert_eq!(ranges(&stage), ["0-65535", "5-10"]);
    let answer = ask(&stage, "6-10");
    assert_eq!(
        (answer.status(), answer.text()),
        (206, Film::bytes(0, 6..11))
    );
    assert_eq!(ranges(&stage)[2..], ["6-10"]);
    // What has no beginning is no matter of slices.
    ask(&stage, "-5");
    assert_eq!(ranges(&stage)[3..], ["-5"]);
}

#[test]
fn the_last_bytes_come_out_of_slices_once_it_is_known_where_the_end_is() {
    let (stage, _) = stage();
    // Nobody knows yet: it is the endpoint's matter.
    ask(&stage, "-1500");
    check(&ask(&stage, "0-10"), 0, 0..11);
    check(&ask(&stage, "-1500"), 0, TOTAL - 1500..TOTAL);
    let asked = ["-1500", "0-65535", "196608-262143", "262144-327679"];
    assert_eq!(ranges(&stage), asked);
    let again = ask(&stage, "-5");
    check(&again, 0, TOTAL - 5..TOTAL);
    assert!(status(&again).contains("hit"), "{}", status(&again));
    assert_eq!(ranges(&stage), asked);
    // More than there is.
    check(&ask(&stage, "-9999999"), 0, 0..TOTAL);
    assert_eq!(ranges(&stage).len(), 6);
}

#[test]
fn several_ranges_at_once_pass_as_they_were_asked() {
    let (stage, _) = stage();
    check(&ask(&stage, "0-10"), 0, 0..11);
    let answer = ask(&stage, "0-9,20-29");
    assert_eq!((answer.status(), answer.body.len()), (200, TOTAL));
    assert_eq!(ranges(&stage), ["0-65535", "0-9,20-29"]);
    check(&ask(&stage, "5-10"), 0, 5..11);
    assert_eq!(stage.asked(), 2);
}

#[test]
fn what_is_stored_whole_answers_ranges_without_slices() {
    let (stage, _) = stage_of(
        TOTAL,
        "memory = \"64m\"",
        "slice = \"64k\", max_object = \"1m\"",
    );
    stage.get("/film", "");
    let whole = eventually("the whole is stored", || {
        let whole = stage.get("/film", "");
        status(&whole).contains("hit").then_some(whole)
    });
    assert_eq!(whole.body.len(), TOTAL);
    let asked = stage.asked();
    for (range, expected) in [("65000-70000", 65_000..70_001), ("-5", TOTAL - 5..TOTAL)] {
        let answer = ask(&stage, range);
        check(&answer, 0, expected);
        assert!(status(&answer).contains("hit"), "{}", status(&answer));
    }
    let several = ask(&stage, "0-9,20-29");
    assert_eq!((several.status(), several.body.len()), (200, TOTAL));
    assert_eq!(stage.asked(), asked);
}

#[test]
fn slices_outlive_a_restart_on_disk() {
    let folder = Folder::new();
    let disk = format!(
        "memory = \"1m\"\ndisk = {{ path = \"{}\", max = \"10m\" }}",
        folder.path().join("cache").display()
    );
    let (mut stage, _) = stage_of(TOTAL, &disk, RULE);
    check(&ask(&stage, "0-"), 0, 0..TOTAL);
    let asked = stage.asked();
    assert_eq!(asked, 5);
    eventually("all on disk", || {
        let stats = stage.proxy.cli(&["cache", "stats"]).ok().text();
        stats.contains("on disk: 6 responses").then_some(())
    });
    stage.kill_and_start();
    check(&ask(&stage, "1000-200000"), 0, 1000..200_001);
    assert_eq!(stage.asked(), asked);
}
