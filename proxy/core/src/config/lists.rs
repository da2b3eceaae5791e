//! `shield.lists`: lists that others keep, in files and at URLs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Item, Section, Unread};
use super::tree::Node;
use super::values;

/// A list that follows its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShieldList {
    pub name: String,
    pub allow: bool,
    pub source: ListSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListSource {
    /// Read again when it changes.
    File(PathBuf),
    Url {
        url: String,
        every: Duration,
        /// How long entries last when the URL gives no answer any more; nothing is for good.
        ttl: Option<Duration>,
        /// How long one fetch may take.
        timeout: Duration,
    },
    /// The decisions of a `CrowdSec` local API.
    Crowdsec {
        url: String,
        api_key: ApiKey,
        every: Duration,
    },
}

/// A key that no log shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key itself, for the one who asks for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

/// More often a list is not fetched without a warning.
const HASTE: Duration = Duration::from_mins(1);
/// How often a `CrowdSec` is asked unless told otherwise.
const ASK_EVERY: Duration = Duration::from_secs(10);

pub(super) static KEYS: keys::Section = keys::Section {
    name: "shield.lists",
    doc: "A list that others keep. Exactly one of file, url and crowdsec; the format is told by the content.",
    keys: &[
        Key::required(
            "name",
            "name",
            "\"drop\"",
            "Its name in commands and metrics.",
        ),
        Key::default("kind", "word", "\"block\"", "block or allow.").words(&["block", "allow"]),
        Key::optional(
            "file",
            "path",
            "\"drop.netset\"",
            "Read again when it changes.",
        ),
        Key::optional(
            "url",
            "URL",
            "\"https://example.org/x.netset\"",
            "Fetched every so often; http or https, perhaps as a gzip, at most 64 MiB. The last good copy is kept in state_dir.",
        ),
        Key::optional(
            "crowdsec",
            "URL",
            "\"http://127.0.0.1:8080\"",
            "The local API of a CrowdSec, whose bans of addresses and ranges are taken and end when it says so.",
        ),
        Key::optional(
            "api_key",
            "text",
            "\"a1b2c3d4\"",
            "The key that the CrowdSec gave out for this bouncer; ${NAME} takes it from the environment.",
        ),
        Key::default(
            "every",
            "duration",
            "\"1h\"",
            "How often the url is fetched; a crowdsec is asked every 10s unless told otherwise.",
        ),
        Key::optional(
            "ttl",
            "duration",
            "\"3h\"",
            "How long the entries last when the url fails; for good when absent.",
        ),
        Key::default(
            "timeout",
            "duration",
            "\"1m\"",
            "How long one fetch of the url may take, from the lookup of its name to its last byte.",
        ),
    ],
    later: &[],
};

/// Every list; `None` with a problem if one is wrong.
pub(super) fn read(shield: &Section<'_>) -> Option<Vec<ShieldList>> {
    let mut lists: Vec<ShieldList> = Vec::new();
    let mut is_whole = true;
    for item in shield.items("lists")? {
        let (path, place) = (item.path.clone(), item.node.place);
        let Some(list) = read_one(shield, item) else {
            is_whole = false;
            continue;
        };
        if lists
            .iter()
            .any(|one| one.name == list.name && one.allow == list.allow)
        {
            let complaint = Complaint::new(format!("there are two lists `{}`", list.name))
                .hint("give each a name of its own");
            shield.reader.report(place, &path, complaint);
            is_whole = false;
        }
        lists.push(list);
    }
    is_whole.then_some(lists)
}

fn read_one(shield: &Section<'_>, item: Item) -> Option<ShieldList> {
    let section = shield.item_section("lists", item)?;
    let name = section.value("name", name);
    let allow = section.value("kind", values::choice(&[("block", false), ("allow", true)]));
    let file = section
        .optional("file", |node| section.reader.path(node))
        .ok()?;
    let url = section.optional("url", url).ok()?;
    let every = section.value("every", values::duration);
    let ttl = section.optional("ttl", values::duration).ok()?;
    let timeout = section.value("timeout", values::duration);
    let crowdsec = section.optional("crowdsec", self::url).ok()?;
    let api_key = section.optional("api_key", key).ok()?;
    if let Some(url) = crowdsec {
        let source = read_crowdsec(&section, url, api_key, every?)?;
        return Some(ShieldList {
            name: name?,
            allow: allow?,
            source,
        });
    }
    if api_key.is_some() {
        section.complain(
            "api_key",
            Complaint::new("`api_key` is for a crowdsec")
                .hint("add crowdsec = \"http://127.0.0.1:8080\", or leave it out"),
        );
        return None;
    }
    let source = match (file, url) {
        (Some(file), None) => {
            for key in ["every", "ttl", "timeout"] {
                if section.has(key) {
                    let complaint = Complaint::new(format!("`{key}` is for a url"));
                    section.complain(key, complaint.hint("a file is read when it changes"));
                    return None;
                }
            }
            ListSource::File(file)
        }
        (None, Some(url)) => {
            let (every, timeout) = (every?, timeout?);
            if ttl.is_some_and(|ttl| ttl <= every) {
                let complaint = Complaint::new("this must be longer than `every`");
                section.complain(
                    "ttl",
                    complaint.hint("else the entries end between two fetches"),
                );
                return None;
            }
            warn_of_haste(&section, every);
            ListSource::Url {
                url,
                every,
                ttl,
                timeout,
            }
        }
        (file, _) => {
            complain_of_sources(&section, file.is_some());
            return None;
        }
    };
    Some(ShieldList {
        name: name?,
        allow: allow?,
        source,
    })
}

/// There are two, or none.
fn complain_of_sources(section: &Section<'_>, are_two: bool) {
    let (key, text) = if are_two {
        ("url", "`file` and `url` exclude each other")
    } else {
        ("name", "where does the list come from?")
    };
    let complaint = Complaint::new(text).hint("write one of file, url and crowdsec");
    section.complain(key, complaint);
}

/// Providers turn away who asks too often.
fn warn_of_haste(section: &Section<'_>, every: Duration) {
    if every < HASTE {
        let complaint = Complaint::new("the url is fetched more than once a minute").hint(
            "most lists change hourly or daily, and their providers refuse who asks too often",
        );
        section.reader.warn(
            section.place_of("every"),
            &section.key_path("every"),
            complaint,
        );
    }
}

fn read_crowdsec(
    section: &Section<'_>,
    url: String,
    api_key: Option<ApiKey>,
    every: Duration,
) -> Option<ListSource> {
    for key in ["file", "url", "ttl", "timeout", "kind"] {
        if section.has(key) {
            let complaint = Complaint::new(format!("`{key}` and `crowdsec` exclude each other"));
            section.complain(
                key,
                complaint.hint("its decisions block, each with its own end"),
            );
            return None;
        }
    }
    let Some(api_key) = api_key else {
        let complaint = Complaint::new("a crowdsec wants an `api_key`");
        section.complain(
            "crowdsec",
            complaint.hint("`cscli bouncers add openclaw` prints one"),
        );
        return None;
    };
    let every = if section.has("every") {
        every
    } else {
        ASK_EVERY
    };
    Some(ListSource::Crowdsec {
        url,
        api_key,
        every,
    })
}

pub(super) fn key(node: &Node) -> Result<ApiKey, Unread> {
    let text = values::text(node)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Complaint::new("this cannot be a key")
            .hint("write printable ASCII characters without blanks")
            .into());
    }
    Ok(ApiKey(text))
}

fn name(node: &Node) -> Result<String, Unread> {
    let name = values::text(node)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() > 64 || !name.bytes().all(is_plain) || name.starts_with('.') {
        let complaint = Complaint::new(format!("`{name}` cannot be the name of a list"));
        return Err(complaint
            .hint("use up to 64 letters, digits and - _ .")
            .into());
    }
    if ["config", "protected", "manual"].contains(&name.as_str()) {
        let complaint = Complaint::new(format!("the list `{name}` is not from a file or url"));
        return Err(complaint.hint("choose another name").into());
    }
    Ok(name)
}

pub(super) fn url(node: &Node) -> Result<String, Unread> {
    let text = values::text(node)?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let host = rest.and_then(|rest| rest.split(['/', '?']).next());
    match host {
        Some(host) if is_plain && !host.is_empty() && !host.contains('@') => Ok(text),
        _ => Err(Complaint::new("this is not a URL of http or https")
            .hint("write it as \"https://example.org/list.netset\"")
            .into()),
    }
}
