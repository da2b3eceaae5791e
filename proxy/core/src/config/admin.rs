//! `[admin]`: where the operator reaches the running proxy.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::keys::{self, Key};
use super::lists::{self, ApiKey};
use super::problem::Complaint;
use super::reader::{Section, Told, Unread};
use super::tree::Node;
use super::{names, values};

#[derive(Clone, Debug)]
pub struct Admin {
    pub socket: PathBuf,
    /// Where /metrics, /healthz and /readyz are served; `None` is `"off"`.
    pub metrics: Option<SocketAddr>,
    /// Where the page for browsers is served, if anywhere.
    pub web: Option<SocketAddr>,
    /// Who may change something there; `None`: nobody.
    pub token: Option<Token>,
    /// Names by which the page may be asked for, beside addresses and localhost; in lower case.
    pub web_names: Vec<String>,
}

/// Where the token of the page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Here(ApiKey),
    /// Read when it is asked for.
    File(PathBuf),
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
        Key::optional(
            "web",
            "address",
            "\"127.0.0.1:9465\"",
            "Serves a page for browsers with what `openclaw top` shows. Without a token it only shows; on an address that is not of this machine alone, a token is needed for that, too.",
        ),
        Key::optional(
            "token",
            "string",
            "\"${OPENCLAW_TOKEN:-at-least-sixteen-letters}\"",
            "Who knows it may drain and enable endpoints, block and unblock addresses and purge the cache on that page.",
        ),
        Key::optional(
            "token_file",
            "path",
            "\"token\"",
            "The same in a file of one line, read anew each time.",
        ),
        Key::default(
            "web_names",
            "list of names",
            "[]",
            "Host names by which the page may be asked for, beside addresses and localhost.",
        )
        .example("[\"proxy.example.net\"]"),
    ],
    later: &[],
};

/// `sun_path` of unix(7), less its closing NUL.
const LONGEST_SOCKET_PATH: usize = 107;

/// A shorter one could be guessed.
const SHORTEST_TOKEN: usize = 16;

pub(super) fn read(section: &Section<'_>) -> Option<Admin> {
    let socket = section.value("socket", |node| socket(section, node));
    let metrics = section.value("metrics", |node| match values::string(node)? {
        "off" => Ok(None),
        text if !text.contains(':') => Err(Complaint::new(format!(
            "`{text}` is not an address with a port"
        ))
        .hint("write \"127.0.0.1:9464\", or \"off\" for none")
        .into()),
        _ => values::bind_address(node).map(Some),
    });
    let web = section.optional("web", values::bind_address);
    let token = read_token(section);
    let web_names = section.list("web_names", host);
    let (metrics, web, token) = (metrics?, web.ok()?, token.ok()?);
    if let Some(web) = web {
        check_web(section, web, metrics, token.is_some());
    }
    Some(Admin {
        socket: socket?,
        metrics,
        web,
        token,
        web_names: web_names?,
    })
}

fn read_token(section: &Section<'_>) -> Result<Option<Token>, Told> {
    let here = section.optional("token", token)?.map(Token::Here);
    let file = section.optional("token_file", |node| section.reader.path(node));
    let file = file?.map(Token::File);
    if here.is_some() && file.is_some() {
        let complaint = Complaint::new("`token` and `token_file` exclude each other");
        section.complain("token_file", complaint.hint("keep one of the two"));
    }
    if !section.has("web") {
        for key in ["token", "token_file"] {
            if section.has(key) {
                let complaint = Complaint::new(format!("`{key}` does nothing without `web`"))
                    .hint("add web = \"127.0.0.1:9091\", or leave it out");
                let path = section.key_path(key);
                section.reader.warn(section.place_of(key), &path, complaint);
            }
        }
    }
    Ok(here.or(file))
}

/// What the page shows is for this machine, unless it is guarded.
fn check_web(section: &Section<'_>, web: SocketAddr, metrics: Option<SocketAddr>, has_token: bool) {
    if metrics == Some(web) && web.port() != 0 {
        let complaint = Complaint::new(format!("`metrics` has the address {web} already"))
            .hint("give each a port of its own");
        section.complain("web", complaint);
    }
    if web.ip().to_canonical().is_loopback() {
        return;
    }
    if has_token {
        let complaint = Complaint::new("the page and its token cross the network in the clear");
        let hint = "bind it to 127.0.0.1, and reach it by `ssh -L` or through a listener with TLS";
        let (place, path) = (section.place_of("web"), section.key_path("web"));
        section.reader.warn(place, &path, complaint.hint(hint));
    } else {
        let complaint = Complaint::new(format!(
            "whoever reaches {web} would read this proxy's traffic and addresses"
        ));
        let hint = "bind it to 127.0.0.1 or [::1], or set `token` or `token_file`";
        section.complain("web", complaint.hint(hint));
    }
}

fn token(node: &Node) -> Result<ApiKey, Unread> {
    let token = lists::key(node)?;
    if token.expose().len() < SHORTEST_TOKEN {
        let complaint = Complaint::new("a token this short can be guessed");
        return Err(complaint.hint("write 16 characters or more").into());
    }
    Ok(token)
}

fn host(node: &Node) -> Result<String, Unread> {
    let name = values::text(node)?.to_ascii_lowercase();
    if !names::is_host(&name) {
        let complaint = Complaint::new(format!("`{name}` is no host name"));
        return Err(complaint.hint("write it without scheme and port").into());
    }
    Ok(name)
}

fn socket(section: &Section<'_>, node: &Node) -> Result<PathBuf, Unread> {
    let path = section.reader.path(node)?;
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        return Err(
            Complaint::new("the path of a Unix socket is at most 107 bytes long")
                .hint("write a shorter one, such as \"/run/openclaw/control.sock\"")
                .into(),
        );
    }
    Ok(path)
}
