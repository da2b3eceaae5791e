//! `[admin]`: where the operator reaches the running proxy.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::values;

#[derive(Clone, Debug)]
pub struct Admin {
    pub socket: PathBuf,
    /// Where /metrics, /healthz and /readyz are served; `None` is `"off"`.
    pub metrics: Option<SocketAddr>,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "admin",
    doc: "Where the operator reaches the running proxy.",
    keys: &[
        Key::default(
            "socket",
            "path",
            "\"/run/openclaw/admin.sock\"",
            "The Unix socket of the commands (`openclaw reload`, `openclaw blocklist` and so on).",
        ),
        Key::default(
            "metrics",
            "address or \"off\"",
            "\"127.0.0.1:9464\"",
            "Serves /metrics, /healthz and /readyz.",
        ),
    ],
    later: &[],
};

/// `sun_path` of unix(7), less its closing NUL.
const LONGEST_SOCKET_PATH: usize = 107;

pub(super) fn read(section: &Section<'_>) -> Option<Admin> {
    let socket = section.value("socket", |node| socket(section, node));
    let metrics = section.value("metrics", |node| match values::string(node)? {
        "off" => Ok(None),
        _ => values::bind_address(node).map(Some),
    });
    Some(Admin {
        socket: socket?,
        metrics: metrics?,
    })
}

fn socket(section: &Section<'_>, node: &Node) -> Result<PathBuf, Unread> {
    let path = section.reader.path(node)?;
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        return Err(Complaint::new("the path of a Unix socket is at most 107 bytes long").into());
    }
    Ok(path)
}
