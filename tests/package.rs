//! The package for Debian, on a system of its own: this one's files with a writable layer over them, that nobody else sees.

use std::path::Path;
use std::process::Command;

use crate::support::Folder;

/// Everything happens in one shell, in namespaces that end with it. `said` sets the parts of its output apart.
const STORY: &str = r#"
set -eu
said() { echo "== $1"; }
mount -t tmpfs none "$ROOM"
mkdir "$ROOM/over" "$ROOM/root"
cd "$ROOM/root"
mkdir proc dev tmp run sys
mount -t proc none proc
mount --rbind /dev dev
for name in usr etc var; do
  mkdir "$name" "$ROOM/over/$name" "$ROOM/over/$name.work"
  mount -t overlay none -o "lowerdir=/$name,upperdir=$ROOM/over/$name,workdir=$ROOM/over/$name.work" "$name"
done
for name in bin sbin lib lib64; do
  if [ -L "/$name" ]; then ln -s "usr/$name" "$name"; fi
done
cp "$PACKAGE" tmp/openclaw.deb
ip link set lo up
inside() { chroot . "$@"; }

inside dpkg --purge openclaw >/dev/null 2>&1 || true
inside dpkg --install /tmp/openclaw.deb >/dev/null
said files
inside dpkg --listfiles openclaw
said account
inside getent passwd openclaw
said check
inside setpriv --reuid openclaw --regid openclaw --init-groups openclaw -c /etc/openclaw/openclaw.toml check
said answer
mkdir -p run/openclaw var/lib/openclaw
chroot . openclaw -c /etc/openclaw/openclaw.toml run --no-shield >run/log 2>&1 &
proxy=$!
for round in $(seq 200); do
  if grep -q 'openclaw ready' run/log; then break; fi
  sleep 0.1
done
curl --silent --show-error --max-time 10 http://127.0.0.1:8080/ || true
# An upgrade of the package while it runs: a service manager that says so, and asks for nothing else.
said upgraded
mkdir -p run/systemd/system
printf '#!/bin/sh\necho "systemctl $*" >>/run/asked\n' >usr/bin/systemctl
chmod +x usr/bin/systemctl
inside dpkg --install /tmp/openclaw.deb >/dev/null
cat run/asked
inside openclaw -c /etc/openclaw/openclaw.toml -o json status | grep '"pid"'
echo "was $proxy"
wait "$proxy"
curl --silent --show-error --max-time 10 http://127.0.0.1:8080/ || true
said refused
echo '[broken' >>etc/openclaw/openclaw.toml
inside dpkg --install --force-confold /tmp/openclaw.deb 2>&1 >/dev/null
curl --silent --show-error --max-time 10 http://127.0.0.1:8080/ || true
sed -i '$d' etc/openclaw/openclaw.toml
inside openclaw -c /etc/openclaw/openclaw.toml stop
rm usr/bin/systemctl
rmdir run/systemd/system
said log
cat run/log
said removed
inside dpkg --remove openclaw >/dev/null
ls usr/bin/openclaw etc/openclaw 2>&1 || true
said purged
inside dpkg --purge openclaw >/dev/null
ls -d etc/openclaw/openclaw.toml var/lib/openclaw 2>&1 || true
inside getent passwd openclaw || echo "no account"
"#;

fn pack(into: &Path) -> std::path::PathBuf {
    let packed = Command::new(env!("CARGO"))
        .args(["xtask", "dist", "--binary", env!("CARGO_BIN_EXE_openclaw")])
        .arg("--into")
        .arg(into)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&packed.stderr);
    assert!(packed.status.success(), "{said}");
    let files = std::fs::read_dir(into).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    files
        .find(|file| file.extension().is_some_and(|end| end == "deb"))
        .expect("a package")
}

#[test]
fn the_package_installs_runs_and_goes_without_a_trace() {
    let folder = Folder::new();
    let package = pack(folder.path());
    let room = folder.path().join("room");
    std::fs::create_dir(&room).unwrap();
    let told = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "sh", "-c", STORY])
        .env("PACKAGE", &package)
        .env("ROOM", &room)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{text}\n{complaint}");
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("== {name}\n")).expect(&text);
        rest.split("== ").next().unwrap_or_default().to_owned()
    };
    let files = part("files");
    for file in [
        "/usr/bin/openclaw\n",
        "/usr/lib/systemd/system/openclaw.service\n",
        "/usr/share/man/man1/openclaw.1.gz\n",
        "/etc/openclaw/openclaw.toml\n",
        "/usr/share/doc/openclaw/examples/reverse-proxy.toml\n",
        "/usr/share/doc/openclaw/cdn/cloudflare.toml\n",
    ] {
        assert!(files.contains(file), "{file}: {files}");
    }
    assert!(part("account").contains("/usr/sbin/nologin"), "{text}");
    assert!(
        part("check").contains("/etc/openclaw/openclaw.toml"),
        "{text}"
    );
    // The starter's endpoint is not there: the proxy says so itself.
    assert!(part("answer").contains("502"), "{text}");
    let upgraded = part("upgraded");
    assert!(
        upgraded.contains("systemctl --quiet is-active openclaw.service"),
        "{upgraded}"
    );
    assert!(!upgraded.contains("restart"), "{upgraded}");
    let number = |after: &str| {
        let (_, rest) = upgraded.split_once(after).expect(&upgraded);
        let digits = rest
            .trim_start_matches([':', ' '])
            .split(|it: char| !it.is_ascii_digit());
        digits.map(str::to_owned).next().unwrap()
    };
    assert_ne!(number("\"pid\""), number("was "), "{upgraded}");
    assert!(upgraded.contains("502"), "{upgraded}");
    let refused = part("refused");
    assert!(
        refused.contains("The program before this one serves on"),
        "{refused}"
    );
    assert!(
        refused.contains("openclaw.toml:"),
        "the line that is wrong: {refused}"
    );
    assert!(refused.contains("502"), "{refused}");
    assert_eq!(
        part("log").matches("openclaw ready: 1 listener").count(),
        2,
        "{text}"
    );
    let removed = part("removed");
    assert!(removed.contains("openclaw.toml"), "{removed}");
    assert!(
        removed.contains("cannot access 'usr/bin/openclaw'"),
        "{removed}"
    );
    let purged = part("purged");
    assert!(purged.contains("no account"), "{purged}");
    assert_eq!(purged.matches("cannot access").count(), 2, "{purged}");
}
