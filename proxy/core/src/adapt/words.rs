//! Words of nginx in ours: variables, times, sizes, rates, and texts of TOML.

use std::fmt::Write;

use regex::bytes::Regex;

/// What words of a place may name.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub(super) server_name: String,
    /// How many groups there are; `None` where none can be named here.
    pub(super) groups: Option<usize>,
    /// Those that have one.
    pub(super) names: Vec<String>,
}

impl Given {
    /// Where groups can be named, if there is an expression that has some.
    pub(super) fn of(server_name: String, regex: Option<&Regex>) -> Self {
        let names = regex.map(|it| it.capture_names().flatten().map(str::to_owned));
        Self {
            server_name,
            groups: Some(regex.map_or(0, |it| it.captures_len() - 1)),
            names: names.map_or_else(Vec::new, Iterator::collect),
        }
    }

    /// Where none can.
    pub(super) fn without_groups(server_name: String) -> Self {
        Self {
            server_name,
            ..Self::default()
        }
    }
}

/// A text with variables as our templates have them. `Err`: the variable that has no like.
pub(super) fn template(text: &str, given: &Given) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(&literal(before));
        let (name, after) = if let Some(braced) = after.strip_prefix('{') {
            braced.split_once('}').unwrap_or((braced, ""))
        } else {
            let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
            let end = after.find(|it| !is_part(it)).unwrap_or(after.len());
            after.split_at_checked(end).unwrap_or((after, ""))
        };
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            let most = given.groups.ok_or_else(|| format!("${name}"))?;
            // A group that is not there is empty.
            if name.parse().is_ok_and(|number: usize| number <= most) {
                out.push('$');
                out.push_str(name);
            }
        } else if given.names.iter().any(|known| known == name) {
            out.push('$');
            out.push_str(name);
        } else if name == "server_name" {
            out.push_str(&literal(&given.server_name));
        } else {
            let ours = variable(name).ok_or_else(|| format!("${name}"))?;
            out.push_str(&ours);
        }
        rest = after;
    }
    out.push_str(&literal(rest));
    Ok(out)
}

/// A brace of theirs is none of ours.
pub(super) fn literal(text: &str) -> String {
    text.replace('{', "{{")
}

fn variable(name: &str) -> Option<String> {
    let word = match name {
        "host" | "http_host" => "host",
        "remote_addr" | "realip_remote_addr" => "client_ip",
        "request_uri" => "uri",
        "scheme" => "scheme",
        "uri" | "document_uri" => "path",
        "args" | "query_string" => "query",
        "request_id" => "request_id",
        "request_method" => "method",
        "status" => "status",
        _ => {
            let (kind, rest) = name.split_once('_')?;
            return match kind {
                "http" => Some(format!("{{header.{}}}", rest.replace('_', "-"))),
                "cookie" => Some(format!("{{cookie.{rest}}}")),
                "arg" => Some(format!("{{query.{rest}}}")),
                _ => None,
            };
        }
    };
    Some(format!("{{{word}}}"))
}

/// `1m30s` in one unit; without a unit they are seconds.
pub(super) fn duration(text: &str) -> Option<String> {
    let mut millis = 0_u64;
    let mut number = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        let unit = match character {
            'm' if characters.next_if_eq(&'s').is_some() => 1,
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            'w' => 7 * 86_400_000,
            _ => return None,
        };
        let count: u64 = std::mem::take(&mut number).parse().ok()?;
        millis = millis.checked_add(count.checked_mul(unit)?)?;
    }
    if !number.is_empty() {
        let seconds: u64 = number.parse().ok()?;
        millis = millis.checked_add(seconds.checked_mul(1_000)?)?;
    }
    match millis {
        0 => None,
        millis if millis % 1_000 == 0 => Some(format!("{}s", millis / 1_000)),
        millis => Some(format!("{millis}ms")),
    }
}

/// `10m`, which may be in capitals.
pub(super) fn size(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches(['k', 'm', 'g']);
    let is_size = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_size && lower.len() - number.len() <= 1).then_some(lower)
}

/// `rate=10r/s`.
pub(super) fn rate(text: &str) -> Option<String> {
    let (count, period) = text.strip_prefix("rate=")?.split_once("r/")?;
    let period = match period {
        "s" => "s",
        "m" => "min",
        _ => return None,
    };
    count.parse::<u32>().ok()?;
    Some(format!("{count}/{period}"))
}

/// A string of TOML.
pub(super) fn text(value: &str) -> String {
    let mut out = String::from('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(character));
            }
            // What looks like a variable of ours in the environment is none.
            _ => out.push(character),
        }
    }
    out.push('"');
    out.replace("${", "$${")
}

/// A path as it can stand in a request line.
pub(super) fn path(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte > b' ' && byte < 0x7f && byte != b'#' {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Whether an authority names a port.
pub(super) fn has_port(authority: &str) -> bool {
    let end = authority.rsplit(']').next();
    end.is_some_and(|end| end.contains(':'))
}

/// A list of strings.
pub(super) fn list<S: AsRef<str>>(values: &[S]) -> String {
    let items: Vec<String> = values.iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// As much of a text as a name of ours may have.
pub(super) fn name(text: &str) -> String {
    let plain = |character: char| {
        let is_plain = character.is_ascii_alphanumeric() || character == '-';
        if is_plain { character } else { '-' }
    };
    let name: String = text.chars().map(plain).collect();
    let mut parts = name.split('-').filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or("x").to_owned();
    let joined = parts.fold(first, |all, part| format!("{all}-{part}"));
    joined.chars().take(40).collect()
}
