//! The README: what it says to type does what it says.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::control::address;
use crate::support::{Folder, Origin, Proxy, RawClient, certificate, openclaw};

fn readme() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join("README.md")).unwrap()
}

/// Its lines run one by one with a proxy of their own: other sockets, files and maps than this machine's. Each line is told with how it
/// ended.
const TRY: &str = r#"
set -u
mount -t tmpfs none /run
mount -t tmpfs none /var/lib
mount -t bpf none /sys/fs/bpf
ip link set lo up
cd "$ROOM"
"$OPENCLAW" run 2>log &
proxy=$!
for round in $(seq 200); do
  if grep -q 'openclaw ready' log; then break; fi
  sleep 0.1
done
while read -r line; do
  echo "== $line"
  sh -c "$line" 2>&1
  echo "-- $?"
done <typed
kill "$proxy"
wait "$proxy"
"#;

#[test]
fn a_first_try_goes_as_it_is_written() {
    let readme = readme();
    let (_, rest) = readme.split_once("in another terminal:").unwrap();
    let typed = rest.split("```sh\n").nth(1).unwrap();
    let typed = typed.split("```").next().unwrap();
    let program = env!("CARGO_BIN_EXE_openclaw");
    let folder = Folder::new();
    folder.write("typed", typed.replace("target/release/openclaw", program));
    let done = Command::new("unshare")
        .args(["--mount", "--net", "bash", "-c", TRY])
        .env("ROOM", folder.path())
        .env("OPENCLAW", program)
        .env_remove("OPENCLAW_CONFIG")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let told = format!("{said}\n{}\n{log}", String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{told}");
    let steps: Vec<&str> = said.split("== ").skip(1).collect();
    let [hello, add, refused, del, metrics] = steps[..] else {
        panic!("five lines: {told}");
    };
    for (step, part, code) in [
        (hello, "hello", "-- 0"),
        (add, "1 added", "-- 0"),
        (refused, "", "-- 28"),
        (del, "1 removed", "-- 0"),
        (metrics, "openclaw_requests_total", "-- 0"),
    ] {
        assert!(step.contains(part) && step.contains(code), "{step}\n{told}");
    }
    assert!(refused.contains("times out"), "what the README says of it");
}

/// For every verb of the table, as an operator types it: the words, and how it ends.
const TYPED: &[(&str, i32)] = &[
    ("check", 0),
    (
        "init first.toml --to http://127.0.0.1:3000 --listen 127.0.0.1:8080",
        0,
    ),
    ("fmt --check first.toml", 0),
    ("schema", 0),
    ("reload", 0),
    ("reload --confirm 60s", 0),
    ("confirm", 0),
    ("rollback", 1),
    ("status", 0),
    (
        "tail --reason limit.rate --route site --status 5xx --client 192.0.2.0/24 --limit 0",
        2,
    ),
    ("log level debug", 0),
    ("log reopen", 0),
    (
        "blocklist add 203.0.113.9 --ttl 4h --reason scan --list manual",
        0,
    ),
    ("blocklist list --containing 203.0.113.9", 0),
    ("blocklist test 203.0.113.9", 0),
    ("blocklist stats", 0),
    ("blocklist export", 0),
    ("blocklist import bad.txt --ttl 24h", 0),
    ("blocklist add 203.0.113.10 --confirm 60s", 0),
    ("blocklist confirm", 0),
    ("blocklist del 203.0.113.9", 0),
    ("blocklist flush --list manual", 0),
    ("allowlist add 203.0.113.9 --ttl 1h", 0),
    ("upstream list", 0),
    ("upstream add app 127.0.0.1:2 --weight 2", 0),
    ("upstream weight app 127.0.0.1:2 3", 0),
    ("upstream drain app 127.0.0.1:2 --timeout 1s", 0),
    ("upstream enable app 127.0.0.1:2", 0),
    ("upstream del app 127.0.0.1:2", 0),
    ("upstream reset app", 0),
    ("route list", 0),
    ("route weight split app=1 other=3", 0),
    ("route switch split other", 0),
    ("cache stats", 0),
    ("cache purge http://a.test/", 0),
    ("cache purge --prefix http://a.test/ --soft", 0),
    ("cache purge --tag news", 0),
    ("cache purge --all", 0),
    ("cert list", 0),
    ("cert renew", 0),
    ("limit list", 0),
    ("limit reset site", 0),
    ("shield status", 0),
    ("shield drops", 0),
    ("shield doctor", 0),
    ("shield confirm", 1),
    ("shield off", 0),
    ("shield on", 0),
    ("explain ip 203.0.113.9", 0),
    (
        "explain request GET http://a.test/ -H X-Beta:1 --from 192.0.2.1",
        0,
    ),
    ("explain id nothing", 1),
    ("test", 0),
    ("test --filter site", 0),
    ("diff openclaw.toml openclaw.toml", 0),
    ("replay access.log --against openclaw.toml", 0),
    ("adapt nginx nginx.conf", 0),
    ("reasons", 0),
    ("reasons http.smuggling", 0),
    ("version", 0),
    ("completions bash", 0),
    ("man", 0),
    ("upgrade", 0),
    ("stop --grace 30s", 0),
];
/// Verbs that other tests run: they take a terminal, an interface, or do not end.
const ELSEWHERE: [&str; 5] = [
    "run",
    "top",
    "shield attach",
    "shield detach",
    "blocklist watch",
];

fn proxy() -> (Proxy, Origin, Folder) {
    let origin = Origin::serving("hello");
    let folder = Folder::new();
    let (cert, key) = certificate(&folder, &["a.test"]);
    let at = origin.address();
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n\
         [listener.webs]\nbind = [\"127.0.0.1:0\"]\ntls = {{ certificates = [{{ cert = \"{}\", key = \"{}\" }}] }}\n\
         [upstream.app]\nendpoints = [\"{at}\"]\n[upstream.other]\nendpoints = [\"{at}\"]\n\
         [[route]]\nname = \"site\"\nmatch = {{ host = \"a.test\" }}\nlimit = {{ rate = \"100/s\" }}\ncache = {{}}\nto = \"app\"\n\
         [[route]]\nname = \"split\"\nto = [{{ upstream = \"app\", weight = 1 }}, {{ upstream = \"other\", weight = 1 }}]\n\
         [[test]]\nname = \"site\"\nrequest = \"GET http://a.test/\"\nexpect = {{ route = \"site\" }}\n",
        cert.display(),
        key.display()
    ));
    (proxy, origin, folder)
}

#[test]
fn every_verb_of_the_table_does_something() {
    let (mut proxy, _origin, _certificates) = proxy();
    let web = address(&proxy, "web");
    for host in ["a.test", "b.test"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(RawClient::connect(web).exchange(request).status(), 200);
    }
    proxy.wait_for_access("b.test");
    proxy.folder().write("access.log", proxy.stdout());
    proxy.folder().write("bad.txt", "203.0.113.77\n");
    proxy.folder().write(
        "nginx.conf",
        "server { listen 80; location / { proxy_pass http://127.0.0.1:3000; } }\n",
    );
    for (line, code) in TYPED {
        let done = Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .arg("-c")
            .arg(proxy.config())
            .args(line.split(' '))
            .current_dir(proxy.folder().path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert_eq!(done.status.code(), Some(*code), "{line}: {said}");
        if *line == "upgrade" {
            let (_, rest) = said.split_once("process ").unwrap();
            let pid = rest.split(' ').next().unwrap().parse().unwrap();
            proxy.has_successor(pid);
        }
    }
    assert_eq!(proxy.wait().code(), Some(0));
}

/// Whether the help of some verb, or of all, has a line about another.
fn has_verb(family: &[&str], verb: &str) -> bool {
    let help = openclaw(&[family, &["--help"]].concat()).ok().text();
    help.lines()
        .any(|line| line.split_whitespace().next() == Some(verb))
}

/// The verbs in the first column of the table: `a [X]`, `a b`, and after that `c` of the same family.
fn verbs(row: &str) -> Vec<String> {
    let mut family = "";
    let mut verbs = Vec::new();
    for code in row.split('`').skip(1).step_by(2) {
        let mut words = code.split([' ', '[']).filter(|word| !word.is_empty());
        let is_word = |word: &&str| word.starts_with(char::is_lowercase);
        let Some(first) = words.next().filter(is_word) else {
            continue;
        };
        if !family.is_empty() && has_verb(&[family], first) {
            verbs.push(format!("{family} {first}"));
            continue;
        }
        assert!(has_verb(&[], first), "{first}: {row}");
        let second = words.next().filter(is_word);
        let second = second.filter(|second| has_verb(&[first], second));
        family = if second.is_some() { first } else { "" };
        verbs.extend([
            second.map_or_else(|| first.to_owned(), |second| format!("{first} {second}"))
        ]);
    }
    verbs
}

#[test]
fn no_verb_of_the_table_is_left_out_here() {
    let readme = readme();
    let (_, table) = readme.split_once("| verb | does |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut seen = 0;
    for row in rows {
        // What the row says it does may name other things.
        let first = row.trim_start_matches('|').split(" | ").next().unwrap();
        for verb in verbs(first) {
            let is_typed = TYPED.iter().any(|(line, _)| {
                let rest = line.strip_prefix(&*verb);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            });
            assert!(is_typed || ELSEWHERE.contains(&&*verb), "{verb}: {row}");
            seen += 1;
        }
    }
    assert!(seen >= 50, "{seen} verbs");
}
