//! From the text of a configuration to a template. A brace begins a variable only before a word and a closing brace, so that
//! values which are JSON stay as they are; `{{word}` is the text `{word}`.

use regex::bytes::Regex;

use super::{Part, Template, Variable};
use crate::config::Complaint;
use crate::config::keys::did_you_mean;

const WORDS: [(&str, Variable); 11] = [
    ("client_ip", Variable::ClientIp),
    ("host", Variable::Host),
    ("method", Variable::Method),
    ("path", Variable::Path),
    ("query", Variable::Query),
    ("request_id", Variable::RequestId),
    ("route", Variable::Route),
    ("scheme", Variable::Scheme),
    ("status", Variable::Status),
    ("upstream", Variable::Upstream),
    ("uri", Variable::Uri),
];

/// Cuts a text into its parts. `$1` and `$name` are groups where there is an expression.
pub(crate) fn parse(text: &str, expression: Option<&Regex>) -> Result<Template, Complaint> {
    let mut parts = Vec::new();
    let mut own = String::new();
    let mut rest = text;
    let mut put = |own: &mut String, part: Part| {
        let before = std::mem::take(own).into_bytes();
        parts.extend((!before.is_empty()).then(|| Part::Text(before.into())));
        parts.push(part);
    };
    while let Some(at) = rest.find(['{', '$']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        own.push_str(before);
        if let Some((word, after)) = from.strip_prefix("{{").and_then(word) {
            own.extend(["{", word, "}"]);
            rest = after;
        } else if let Some((word, after)) = from.strip_prefix('{').and_then(word) {
            put(&mut own, Part::Variable(variable(word)?));
            rest = after;
        } else if let (Some(after), Some(expression)) = (from.strip_prefix('$'), expression) {
            if let Some(after) = after.strip_prefix('$') {
                own.push('$');
                rest = after;
                continue;
            }
            let (group, after) = group(after, expression)?;
            put(&mut own, Part::Group(group));
            rest = after;
        } else {
            let (one, after) = from.split_at_checked(1).unwrap_or((from, ""));
            own.push_str(one);
            rest = after;
        }
    }
    own.push_str(rest);
    if parts.is_empty() {
        return Ok(Template::Plain(own.into_bytes().into()));
    }
    parts.extend((!own.is_empty()).then(|| Part::Text(own.into_bytes().into())));
    Ok(Template::Parts(parts))
}

/// What stands before the next closing brace, if that could be a variable, and what is behind.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, after) = text.split_once('}')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let is_word =
        word.starts_with(|first: char| first.is_ascii_alphabetic()) && word.bytes().all(fits);
    is_word.then_some((word, after))
}

fn variable(word: &str) -> Result<Variable, Complaint> {
    if let Some((_, variable)) = WORDS.iter().find(|(known, _)| *known == word) {
        return Ok(variable.clone());
    }
    let named = match word.split_once('.') {
        Some((_, "")) | None => None,
        Some(("header", name)) => Some(Variable::Header(name.to_ascii_lowercase())),
        Some(("cookie", name)) => Some(Variable::Cookie(name.to_owned())),
        Some(("query", name)) => Some(Variable::Parameter(name.to_owned())),
        Some(_) => None,
    };
    named.ok_or_else(|| {
        let words = WORDS.iter().map(|(word, _)| *word);
        let hint = did_you_mean(word, words.clone()).unwrap_or_else(|| {
            let words: Vec<&str> = words.collect();
            format!(
                "there are {}, header.NAME, cookie.NAME and query.NAME; write `{{{{{word}}}` for the characters themselves",
                words.join(", ")
            )
        });
        Complaint::new(format!("there is no variable `{word}`")).hint(hint)
    })
}

/// The group that a text begins with, and what is behind it.
fn group<'t>(text: &'t str, expression: &Regex) -> Result<(usize, &'t str), Complaint> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let end = if digits > 0 {
        digits
    } else {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        text.bytes().take_while(fits).count()
    };
    let (name, after) = text.split_at_checked(end).unwrap_or((text, ""));
    let index = match name.parse::<usize>() {
        Ok(number) => Some(number).filter(|number| *number < expression.captures_len()),
        Err(_) => expression
            .capture_names()
            .position(|known| known == Some(name)),
    };
    match index {
        Some(index) => Ok((index, after)),
        None => Err(
            Complaint::new(format!("the expression has no group `{name}`"))
                .hint("write $1 or $name, and $$ for a dollar sign"),
        ),
    }
}
