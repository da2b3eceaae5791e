//! What to write instead, for who has written what is not understood.

use super::keys::{Key, Presence, Section};
use super::problem::Complaint;
use super::tree::{Node, Value};

/// What others have and this program does not, by the key that they have for it; and the way there is.
const NOT_YET: [(&str, &str, &str); 7] = [
    ("acme", "ACME", CERTIFICATES),
    ("letsencrypt", "ACME", CERTIFICATES),
    ("waf", "WAF", FILTERS),
    ("auth", "authentication", AUTHENTICATION),
    ("basic_auth", "authentication", AUTHENTICATION),
    ("forward_auth", "authentication", AUTHENTICATION),
    ("jwt", "authentication", AUTHENTICATION),
];
const CERTIFICATES: &str = "get certificates with certbot or lego, and name their files: tls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }] }";
const FILTERS: &str =
    "leave it out; what there is: `limit` and `match` of routes, lists of the [shield], [autoban]";
const AUTHENTICATION: &str = "leave it out, and let the application ask who it is; `match = { client = [...] }` of a route goes by addresses";

/// What is said of a key that the section does not have.
pub(super) fn of_unknown(section: &Section, name: &str) -> Complaint {
    if let Some(what) = section.later(name) {
        return Complaint::new(format!("this version does not support {what}"))
            .hint("leave it out");
    }
    let not_yet = NOT_YET.iter().find(|(key, ..)| *key == name);
    match not_yet {
        Some((_, what, way)) => {
            Complaint::new(format!("`{name}`: OpenClaw has no {what} yet")).hint(*way)
        }
        None => Complaint::new(format!("unknown key `{name}`")).hint(section.instead(name)),
    }
}

/// The complaint about a value, with what to write; `path` is below the section.
pub(super) fn of_value(
    section: &Section,
    path: &str,
    node: &Node,
    complaint: Complaint,
) -> Complaint {
    let key = section.key(path.trim_start_matches('.'));
    match key.filter(|key| is_refusal(key, node)).and_then(off) {
        // Where there is a word for it, the complaint may know better.
        Some(hint) if !names_a_word(&complaint) => complaint.hint(hint),
        Some(_) | None => complaint.or_hint(section.shape(path)),
    }
}

fn names_a_word(complaint: &Complaint) -> bool {
    let hint = complaint.hint.as_deref().unwrap_or_default();
    hint.contains("\"off\"") || hint.contains("\"none\"")
}

/// Whether somebody does not want to have it.
fn is_refusal(key: &Key, node: &Node) -> bool {
    match &node.value {
        Value::String(text) => matches!(&**text, "off" | "no" | "none" | "never" | "disabled"),
        Value::Boolean(is_on) => !is_on,
        Value::Integer(number) => *number == 0 && key.kind.contains("duration"),
        Value::Float(_) | Value::Datetime | Value::Array(_) | Value::Table(_) | Value::Broken => {
            false
        }
    }
}

/// How to be without it; `None` where that does not come by leaving out, or by a word.
fn off(key: &Key) -> Option<String> {
    let name = key.name;
    match key.presence {
        _ if key.kind.contains("\"off\"") => Some(format!("write {name} = \"off\"")),
        _ if key.kind == "boolean" => Some(format!("write {name} = false")),
        _ if name == "min_body_rate" => Some(format!("write {name} = 0 for any pace")),
        _ if matches!(name, "access" | "security") => {
            Some(format!("write {name} = {{ to = \"off\" }}"))
        }
        Presence::Optional => Some(format!("to be without, leave `{name}` out")),
        Presence::Default(default) if key.kind.contains("duration") => Some(format!(
            "it cannot be off: write a long time, or leave `{name}` out for {default}"
        )),
        Presence::Default(_) | Presence::Required => None,
    }
}
