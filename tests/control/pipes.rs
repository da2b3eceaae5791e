//! Files that never end, in the place of those that are read: nothing waits for them.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{address, answering, fetch};
use crate::support::{Folder, PATIENCE, Proxy, certificate, openclaw};

fn pipe(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|made| made.success()), "mkfifo");
    path
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused_at_once() {
    let folder = Folder::new();
    let (cert, key) = certificate(&folder, &["a.test"]);
    let pipe = pipe(&folder, "pipe.html");
    let (cert, key, pipe) = (cert.display(), key.display(), pipe.display());
    let listener = |more: &str| format!("[listener.web]\nbind = [\"127.0.0.1:0\"]\n{more}\n");
    let good = format!("certificates = [{{ cert = \"{cert}\", key = \"{key}\" }}]");
    let whole = [
        listener(&format!(
            "tls = {{ certificates = [{{ cert = \"{pipe}\", key = \"{key}\" }}] }}"
        )),
        listener(&format!(
            "tls = {{ certificates = [{{ cert = \"{cert}\", key = \"{pipe}\" }}] }}"
        )),
        listener(&format!("tls = {{ {good}, client_ca = \"{pipe}\" }}")),
        listener(&format!("error_pages = {{ \"503\" = \"{pipe}\" }}")),
        listener("")
            + &format!(
                "[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\ntls = {{ ca = \"{pipe}\" }}\n"
            ),
        listener("") + &format!("[shield]\nlists = [{{ name = \"own\", file = \"{pipe}\" }}]\n"),
        listener("") + &format!("[shield]\ngeo = {{ database = \"{pipe}\", deny = [\"ZZ\"] }}\n"),
    ];
    let proxy = Proxy::start(&answering("before"));
    let web = address(&proxy, "web");
    for config in &whole {
        let file = folder.write("openclaw.toml", config);
        let checked = openclaw(&["check", file.to_str().unwrap()]);
        assert_eq!(checked.code, 2, "{config}{}", checked.stderr);
        let told = checked.stderr.contains("it is not a regular file");
        assert!(told, "{config}{}", checked.stderr);
        proxy.rewrite(config);
        let reloaded = proxy.cli(&["reload"]);
        // What the shield lacks is told, and the rest is served.
        let is_shield = config.contains("[shield]");
        assert_eq!(
            reloaded.code,
            if is_shield { 0 } else { 2 },
            "{}",
            reloaded.stderr
        );
        if !is_shield {
            assert_eq!(fetch(web), "before");
        }
        proxy.rewrite(&answering("before"));
        proxy.cli(&["reload"]).ok();
    }
}

#[test]
fn a_configuration_may_come_through_a_pipe_that_ends() {
    let folder = Folder::new();
    let whole = folder.write("whole.toml", answering("x"));
    let script = "\"$0\" check <(cat \"$1\")";
    let checked = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_openclaw")])
        .arg(&whole)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let silent = pipe(&folder, "silent.toml");
    let checked = openclaw(&["check", silent.to_str().unwrap()]);
    assert_eq!(checked.code, 2);
    assert!(
        checked.stderr.contains("does not end within 5 s"),
        "{}",
        checked.stderr
    );
}

#[test]
fn a_start_that_waits_for_names_can_be_stopped() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let resolver = server.local_addr().unwrap();
    let mut proxy = Proxy::launch(
        &format!(
            "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\ndiscover = {{ srv = \"_http._tcp.a.test\", resolver = \"{resolver}\" }}\n\
             [[route]]\nto = \"app\"\n"
        ),
        &[],
    );
    let mut question = [0; 512];
    server.recv(&mut question).unwrap();
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(
        !proxy.stderr().contains("openclaw ready"),
        "{}",
        proxy.stderr()
    );
    // It would have asked three times before it went on.
    server
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    let asked = std::iter::repeat_with(|| server.recv(&mut question)).take_while(Result::is_ok);
    assert!(asked.count() < 2);
}
