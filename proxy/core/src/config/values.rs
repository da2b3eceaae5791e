//! From one TOML value to one typed value.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Prefix;
use super::keys::did_you_mean;
use super::problem::Complaint;
use super::reader::Unread;
use super::tree::{Node, Value};
use super::units;

pub(super) fn expected(what: &str, node: &Node) -> Unread {
    match node.value {
        Value::Broken => Unread::Told,
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Table(_) => {
            let complaint = Complaint::new(format!("expected {what}, found {}", node.kind()));
            complaint.or_hint(unquoted(what, node)).into()
        }
    }
}

/// A number that is written as a string.
fn unquoted(what: &str, node: &Node) -> Option<String> {
    let Value::String(text) = &node.value else {
        return None;
    };
    let is_one = matches!(what, "an integer" | "a number") && text.parse::<f64>().is_ok();
    is_one.then(|| format!("a number has no quotes: write {text}"))
}

pub(super) fn string(node: &Node) -> Result<&str, Unread> {
    if let Value::String(text) = &node.value {
        Ok(text)
    } else {
        Err(expected("a string", node))
    }
}

/// A string made of something.
pub(super) fn text(node: &Node) -> Result<String, Unread> {
    match string(node)? {
        "" => Err(Complaint::new("this must not be empty").into()),
        text => Ok(text.to_owned()),
    }
}

/// An integer within bounds, both included.
pub(super) fn integer(least: i64, most: i64) -> impl Fn(&Node) -> Result<i64, Unread> {
    move |node| {
        let Value::Integer(number) = node.value else {
            return Err(expected("an integer", node));
        };
        if number < least || number > most {
            return Err(Complaint::new(format!("{number} is out of range"))
                .hint(format!("write a number from {least} to {most}"))
                .into());
        }
        Ok(number)
    }
}

/// A count that fits a `usize` on every platform.
pub(super) fn count(least: u32, most: u32) -> impl Fn(&Node) -> Result<u32, Unread> {
    let integer = integer(least.into(), most.into());
    move |node| integer(node).map(|number| u32::try_from(number).unwrap_or(most))
}

/// Whole or with a fraction.
pub(super) fn number(node: &Node) -> Result<f64, Unread> {
    match node.value {
        Value::Integer(number) => Ok(number as f64),
        Value::Float(number) => Ok(number),
        Value::String(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Table(_)
        | Value::Broken => Err(expected("a number", node)),
    }
}

pub(super) fn boolean(node: &Node) -> Result<bool, Unread> {
    if let Value::Boolean(value) = node.value {
        Ok(value)
    } else {
        Err(expected("true or false", node))
    }
}

pub(super) fn rate(node: &Node) -> Result<units::Rate, Unread> {
    if let Value::Integer(number) = &node.value {
        let hint = format!("did you mean \"{number}/s\"?");
        return Err(Complaint::new("a rate needs a period").hint(hint).into());
    }
    let Value::String(text) = &node.value else {
        return Err(expected("a rate such as \"100/s\"", node));
    };
    Ok(units::rate(text)?)
}

/// A share in hundredths.
pub(super) fn percent(node: &Node) -> Result<u32, Unread> {
    if let Value::Integer(number) = &node.value {
        let hint = format!("did you mean \"{number}%\"?");
        return Err(Complaint::new("a share needs a percent sign")
            .hint(hint)
            .into());
    }
    let Value::String(text) = &node.value else {
        return Err(expected("a share such as \"20%\"", node));
    };
    Ok(units::percent(text)?)
}

/// A duration that is not zero: a deadline of zero would refuse everything.
pub(super) fn duration(node: &Node) -> Result<Duration, Unread> {
    let duration = any_duration(node)?;
    if duration.is_zero() {
        return Err(Complaint::new("this time must be longer than zero")
            .hint("write a time such as \"10s\"")
            .into());
    }
    Ok(duration)
}

/// The same, or none at all.
pub(super) fn duration_or_off(node: &Node) -> Result<Option<Duration>, Unread> {
    match &node.value {
        Value::String(text) if text == "off" => Ok(None),
        Value::String(_)
        | Value::Broken
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Table(_) => duration(node).map(Some),
    }
}

pub(super) fn any_duration(node: &Node) -> Result<Duration, Unread> {
    if let Value::Integer(number) = &node.value {
        let hint = format!("did you mean \"{number}s\"?");
        return Err(Complaint::new("a duration needs a unit").hint(hint).into());
    }
    let Value::String(text) = &node.value else {
        return Err(expected("a duration such as \"10s\"", node));
    };
    Ok(units::duration(text)?)
}

pub(super) fn size(node: &Node) -> Result<u64, Unread> {
    if let Value::Integer(bytes) = &node.value {
        return u64::try_from(*bytes).ok().ok_or_else(|| {
            Complaint::new("a size cannot be negative")
                .hint("write a size such as \"64k\"")
                .into()
        });
    }
    let Value::String(text) = &node.value else {
        return Err(expected("a size such as \"64k\"", node));
    };
    Ok(units::size(text)?)
}

pub(super) fn prefix(node: &Node) -> Result<Prefix, Unread> {
    Ok(units::prefix(string(node)?)?)
}

pub(super) fn bind_address(node: &Node) -> Result<SocketAddr, Unread> {
    Ok(units::bind_address(string(node)?)?)
}

/// Where the file system begins for a configuration: relative paths start beside its main file.
pub(super) fn path(node: &Node, base: &std::path::Path) -> Result<PathBuf, Unread> {
    let text = text(node)?;
    if text.contains('\0') {
        return Err(Complaint::new("a path cannot hold a NUL")
            .hint("write the path without it")
            .into());
    }
    Ok(base.join(text))
}

/// One of a fixed set of words.
pub(super) fn choice<T: Copy>(options: &[(&str, T)]) -> impl Fn(&Node) -> Result<T, Unread> {
    move |node| {
        let text = string(node)?;
        options
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let words: Vec<String> = options
                    .iter()
                    .map(|(word, _)| format!("\"{word}\""))
                    .collect();
                let hint = did_you_mean(text, options.iter().map(|(word, _)| *word))
                    .unwrap_or_else(|| format!("write {}", words.join(" or ")));
                Complaint::new(format!("`{text}` is not known here"))
                    .hint(hint)
                    .into()
            })
    }
}

/// A name of the same kind that nothing has to be found by.
pub(super) fn label(node: &Node) -> Result<Arc<str>, Unread> {
    Ok(name(string(node)?)?.into())
}

/// The name of a listener, an upstream or a route: it stands in logs, metrics and commands.
pub(super) fn name(text: &str) -> Result<String, Complaint> {
    let valid = text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':')
    });
    if text.is_empty() || text.len() > 64 || !valid {
        return Err(Complaint::new(format!("`{text}` cannot be a name"))
            .hint("use up to 64 letters, digits and - _ . / :"));
    }
    Ok(text.to_owned())
}
