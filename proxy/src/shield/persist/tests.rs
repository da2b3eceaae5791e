//! What comes back after a restart, and what does not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::Arc;

use super::super::prefix::tests::prefix;
use super::*;

const NOW: Now = Now {
    mono_ns: 5_000_000_000,
    unix: 1_700_000_000,
};

/// A directory that goes with its value.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("openclaw-persist-{}-{name}", std::process::id()));
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lists() -> Lists {
    let mut lists = Lists::default();
    let record = |until_ns, reason: Option<&str>| Record {
        until_ns,
        added: 1_600_000_000,
        reason: reason.map(Arc::from),
    };
    for (kind, name, origin, text, record) in [
        (
            Kind::Block,
            "manual",
            Origin::Operator,
            "203.0.113.7",
            record(65_000_000_000, Some("said \"hi\"")),
        ),
        (
            Kind::Block,
            "manual",
            Origin::Operator,
            "2001:db8::/32",
            record(0, None),
        ),
        (
            Kind::Allow,
            "office",
            Origin::Operator,
            "198.51.100.0/24",
            record(0, None),
        ),
        (
            Kind::Block,
            "config",
            Origin::Config,
            "192.0.2.0/24",
            record(0, None),
        ),
    ] {
        let id = lists.find_or_make(kind, name, origin).unwrap();
        lists.insert(AnyNet::from(prefix(text)), id, record);
    }
    lists
}

#[test]
fn lists_come_back_with_what_is_left_of_their_time() {
    let directory = Directory::new("back");
    assert_eq!(load(&directory.0, NOW).unwrap().lists, []);
    save(&directory.0, &encode(&lists(), &Files::default(), NOW)).unwrap();
    // Another boot: the monotonic clock begins again, ten seconds have passed.
    let later = Now {
        mono_ns: 1_000_000_000,
        unix: NOW.unix + 10,
    };
    let kept = load(&directory.0, later).unwrap().lists;
    let names: Vec<_> = kept
        .iter()
        .map(|list| (list.kind, list.name.as_str(), list.entries.len()))
        .collect();
    assert_eq!(
        names,
        [(Kind::Block, "manual", 2), (Kind::Allow, "office", 1)]
    );
    let (address, record) = kept.first().unwrap().entries.first().unwrap();
    assert_eq!(*address, prefix("203.0.113.7"));
    assert_eq!(
        (record.until_ns, record.added),
        (51_000_000_000, 1_600_000_000)
    );
    assert_eq!(record.reason.as_deref(), Some("said \"hi\""));
    let ended = Now {
        mono_ns: 1,
        unix: NOW.unix + 60,
    };
    let kept = load(&directory.0, ended).unwrap().lists;
    assert_eq!(kept.first().unwrap().entries.len(), 1);
}

#[test]
fn a_damaged_file_is_set_aside() {
    for (name, content) in [
        ("cut", r#"{"version":1,"lists":[{"#),
        ("new", r#"{"version":9,"lists":[]}"#),
        ("bytes", "\0"),
    ] {
        let directory = Directory::new(name);
        replace(&directory.0, FILE, content.as_bytes()).unwrap();
        let error = load(&directory.0, NOW).unwrap_err();
        let PersistError::Damaged { path, aside, .. } = &error else {
            unreachable!("{error}")
        };
        assert_eq!(fs::read_to_string(aside).unwrap(), content);
        assert!(!path.exists());
        assert_eq!(load(&directory.0, NOW).unwrap().lists, []);
    }
}

/// What is told of a file, and what is taken of it.
fn partly(name: &str, file: &str, content: &str) -> (String, Vec<usize>) {
    let directory = Directory::new(name);
    save(
        &directory.0,
        &encode(&big(BIG as u32).0, &Files::default(), NOW),
    )
    .unwrap();
    replace(&directory.0, file, content.as_bytes()).unwrap();
    let loaded = load(&directory.0, NOW).unwrap();
    let [PersistError::LeftOut { aside, first, .. }] = loaded.problems.as_slice() else {
        unreachable!("{:?}", loaded.problems)
    };
    assert_eq!(fs::read_to_string(aside).unwrap(), content);
    let counts = loaded.lists.iter().map(|list| list.entries.len());
    (first.clone(), counts.collect())
}

#[test]
fn what_cannot_be_used_is_named_and_costs_itself_alone() {
    let good = r#"{"address":"203.0.113.7","added":1}"#;
    for (name, bad, expected) in [
        (
            "address",
            r#"{"address":"nonsense","added":1}"#,
            "`nonsense` is not an address",
        ),
        ("number", "7", "`7` on the list `manual`: invalid type"),
        (
            "time",
            r#"{"address":"203.0.113.8","added":"x"}"#,
            "invalid type: string \"x\", expected u64",
        ),
    ] {
        let list = format!(r#"{{"kind":"block","name":"manual","entries":[{good},{bad},{good}]}}"#);
        let file = format!(r#"{{"version":1,"lists":[{{"kind":"grey","name":"x"}},{list}]}}"#);
        let (first, counts) = partly(name, FILE, &file);
        assert!(
            first.starts_with("a list: unknown variant `grey`"),
            "{first}"
        );
        assert_eq!(counts, [2]);
        let file = format!(r#"{{"version":1,"lists":[{list}]}}"#);
        let (first, counts) = partly(name, FILE, &file);
        assert!(first.contains(expected), "{first}");
        assert_eq!(counts, [2]);
    }
    let file = "openclaw list 1\n203.0.113.7\t1\t-\nnonsense\t1\t-\n203.0.113.8\t1\tsoon\nend 3\n";
    let (first, counts) = partly("own", &own::file_name(Kind::Block, "feed"), file);
    assert!(first.starts_with("`nonsense"), "{first}");
    assert_eq!(counts.last(), Some(&1));
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_and_leaves_the_old_file() {
    let directory = Directory::new("full");
    replace(&directory.0, FILE, b"old").unwrap();
    let below_a_file = directory.0.join(FILE).join("state");
    let error = replace(&below_a_file, FILE, b"new").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("they hold until the next start only"),
        "{error}"
    );
    assert_eq!(fs::read(directory.0.join(FILE)).unwrap(), b"old");
    let names: Vec<_> = fs::read_dir(&directory.0).unwrap().collect();
    assert_eq!(names.len(), 1);
}

/// A big list, and a small one beside it.
fn big(count: u32) -> (Lists, ListId) {
    let mut lists = lists();
    let id = lists
        .find_or_make(Kind::Block, "feed", Origin::Operator)
        .unwrap();
    for n in 0..count {
        let record = Record {
            until_ns: if n == 0 { 65_000_000_000 } else { 0 },
            added: 1_600_000_000 + u64::from(n),
            reason: (n % 2 == 0).then(|| Arc::from("a\u{e9} \"b\" end 3")),
        };
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
        lists.insert(AnyNet::from(prefix(&address.to_string())), id, record);
    }
    (lists, id)
}

fn names(directory: &Directory) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(&directory.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_big_list_is_written_when_it_changes_and_not_with_others() {
    let directory = Directory::new("own");
    let (mut lists, id) = big(BIG as u32);
    let first = encode(&lists, &Files::default(), NOW);
    save(&directory.0, &first).unwrap();
    assert_eq!(names(&directory), ["block-feed.list", "lists.json"]);
    let mut loaded = load(&directory.0, NOW).unwrap();
    assert!(loaded.problems.is_empty());
    let feed = loaded.lists.pop().unwrap();
    let expected: Vec<_> = lists
        .entries(id)
        .map(|(net, record)| (net.to_prefix(), record.clone()))
        .collect();
    assert_eq!((feed.name.as_str(), feed.is_own), ("feed", true));
    assert_eq!(feed.entries, expected);
    // Another list changes.
    let manual = lists.find(Kind::Block, "manual").unwrap();
    let record = expected.first().unwrap().1.clone();
    lists.insert(AnyNet::from(prefix("192.0.2.77")), manual, record.clone());
    let second = encode(&lists, &first.files, NOW);
    assert_eq!((second.big.len(), second.gone.len()), (0, 0));
    assert!(second.index.len() < 1000, "{}", second.index.len());
    // Its file is taken away.
    let mut files = first.files.clone();
    fs::rename(directory.0.join("block-feed.list"), directory.0.join("x")).unwrap();
    files.look(&directory.0);
    assert_eq!(encode(&lists, &files, NOW).big.len(), 1);
    fs::rename(directory.0.join("x"), directory.0.join("block-feed.list")).unwrap();
    // An entry of this one changes its end: it is as long as before.
    lists.insert(AnyNet::from(prefix("10.0.0.1")), id, record);
    assert_eq!(encode(&lists, &first.files, NOW).big.len(), 1);
    // It is no longer big.
    lists.remove(AnyNet::from(prefix("10.0.0.1")), id);
    let last = encode(&lists, &first.files, NOW);
    save(&directory.0, &last).unwrap();
    assert_eq!(names(&directory), ["lists.json"]);
    let kept = load(&directory.0, NOW).unwrap().lists;
    assert_eq!(kept.last().unwrap().entries.len(), BIG - 1);
}

#[test]
fn a_damaged_file_of_one_list_costs_that_list_alone() {
    let (lists, _) = big(BIG as u32);
    let encoded = encode(&lists, &Files::default(), NOW);
    let (name, whole) = encoded.big.first().unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let cases: [(&str, String); 4] = [
        ("cut", text.chars().take(text.chars().count() - 9).collect()),
        (
            "half-line",
            text.chars().take(text.chars().count() / 2).collect(),
        ),
        ("no-head", text.chars().skip(1).collect()),
        ("more", text.clone() + "192.0.2.1\t0\t-\n"),
    ];
    for (case, content) in cases {
        let directory = Directory::new(case);
        save(&directory.0, &encoded).unwrap();
        fs::write(directory.0.join(name), &content).unwrap();
        let loaded = load(&directory.0, NOW).unwrap();
        let left: Vec<_> = loaded.lists.iter().map(|list| list.name.as_str()).collect();
        assert_eq!(left, ["manual", "office"], "{case}");
        let [PersistError::Damaged { aside, .. }] = loaded.problems.as_slice() else {
            unreachable!("{case}: {:?}", loaded.problems)
        };
        assert_eq!(fs::read_to_string(aside).unwrap(), content, "{case}");
    }
}

#[test]
fn what_a_process_left_half_written_is_taken_out_and_no_other_file() {
    let directory = Directory::new("half");
    fs::create_dir_all(&directory.0).unwrap();
    // No process has a number that large.
    let gone = [".lists.json.4194305", ".block-a.list.4194305"];
    let own = format!(".lists.json.{}", std::process::id());
    let stay = [&*own, "lists.json.4194305", ".key", ".lists.json.new"];
    for name in gone.iter().chain(&stay) {
        fs::write(directory.0.join(name), "half").unwrap();
    }
    load(&directory.0, NOW).unwrap();
    for (names, stays) in [(&gone[..], false), (&stay[..], true)] {
        for name in names {
            assert_eq!(directory.0.join(name).exists(), stays, "{name}");
        }
    }
}
