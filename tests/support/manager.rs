//! A service manager's part (systemd): it gives sockets to what it starts, hears what that says, and keeps sockets for it.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use openclaw::net::passing::{Channel, LARGEST};

use super::{Folder, PATIENCE};

/// Puts descriptors where a service expects them, and becomes the service.
const SHIM: &str = r#"
import fcntl, os, socket, sys
names, given, _, _ = socket.recv_fds(socket.socket(fileno=os.dup(0)), 65536, 250)
given = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in given]
for number, fd in enumerate(given, 3):
    os.dup2(fd, number)
os.closerange(3 + len(given), 400)
os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
names = names.decode().removeprefix("names=")
os.environ.update(NOTIFY_SOCKET=sys.argv[1], LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)), LISTEN_FDNAMES=names)
os.execv(sys.argv[2], sys.argv[2:])
"#;

/// Sockets by name.
pub type Sockets = Vec<(String, OwnedFd)>;

pub struct Manager {
    way: Channel,
    path: PathBuf,
    _folder: Folder,
}

/// One thing that a service has said.
pub struct Word {
    pub text: String,
    pub sockets: Vec<OwnedFd>,
}

impl Manager {
    pub fn new() -> Self {
        let folder = Folder::new();
        let path = folder.path().join("notify");
        let way = UnixDatagram::bind(&path).expect("a socket in a folder of ours");
        let way = Channel::from(OwnedFd::from(way));
        way.set_patience(Some(PATIENCE)).expect("it is a socket");
        Self {
            way,
            path,
            _folder: folder,
        }
    }

    /// What the service says next.
    pub fn hear(&self) -> Word {
        let mut buffer = vec![0; LARGEST];
        let (text, sockets) = self
            .way
            .receive(&mut buffer)
            .expect("the service says something")
            .expect("not nothing");
        Word {
            text: String::from_utf8_lossy(text).into_owned(),
            sockets,
        }
    }

    /// Listens until the service says what is expected, and does with its sockets what it asks for.
    pub fn hear_until(&self, expected: &str, kept: &mut Sockets) {
        loop {
            let word = self.hear();
            if word.text == expected {
                return;
            }
            word.obey(kept);
        }
    }

    /// The beginning of a command, and what has to be its standard input: the program with its arguments follows.
    pub fn command(&self, given: &[(String, OwnedFd)]) -> (Command, Stdio) {
        let (own, theirs) = Channel::pair().expect("descriptors are free");
        let names: Vec<&str> = given.iter().map(|(name, _)| &**name).collect();
        let sockets: Vec<_> = given.iter().map(|(_, socket)| socket.as_fd()).collect();
        own.send(format!("names={}", names.join(":")).as_bytes(), &sockets)
            .expect("there is room");
        let mut command = Command::new("python3");
        command.args(["-c", SHIM]).arg(&self.path);
        (command, Stdio::from(OwnedFd::from(theirs)))
    }
}

impl Word {
    /// Keeps sockets, or lets go of them.
    pub fn obey(self, kept: &mut Sockets) {
        let name = self
            .text
            .lines()
            .find_map(|line| line.strip_prefix("FDNAME="));
        let name = name
            .unwrap_or_else(|| panic!("about sockets: {}", self.text))
            .to_owned();
        if self.text.starts_with("FDSTOREREMOVE=1\n") {
            kept.retain(|(known, _)| *known != name);
        } else {
            assert!(self.text.starts_with("FDSTORE=1\n"), "{}", self.text);
            assert!(name.len() < 256 && !name.contains(':'), "{name}");
            kept.extend(
                self.sockets
                    .into_iter()
                    .map(|socket| (name.clone(), socket)),
            );
        }
    }
}
