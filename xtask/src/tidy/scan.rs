//! Just enough of Rust's lexical structure to ask questions of a source file: what is code, what is a test, which
//! paths are named, where functions begin and end. Line numbers survive every step.

/// The text with comments and the insides of strings and characters replaced by spaces.
pub(super) fn blank(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&here) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let length = match here {
            '/' if rest.get(1) == Some(&'/') => line_comment(rest),
            '/' if rest.get(1) == Some(&'*') => block_comment(rest),
            '"' => string(rest),
            'r' if !follows_word(&out) => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(here);
            at += 1;
            continue;
        }
        for &hidden in rest.iter().take(length) {
            out.push(if hidden == '\n' { '\n' } else { ' ' });
        }
        at += length;
    }
    out
}

fn follows_word(before: &str) -> bool {
    before
        .chars()
        .next_back()
        // The b of a raw byte string is a prefix, but so is the end of a name: a name goes on with r, a prefix does
        // not follow one.
        .is_some_and(|last| last != 'b' && is_word(last))
}

fn line_comment(rest: &[char]) -> usize {
    rest.iter().position(|&c| c == '\n').unwrap_or(rest.len())
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match (rest.get(at), rest.get(at + 1)) {
            (Some('/'), Some('*')) => {
                depth += 1;
                at += 2;
            }
            (Some('*'), Some('/')) => {
                depth = depth.saturating_sub(1);
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while let Some(&here) = rest.get(at) {
        match here {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a raw string that starts here; 0 if this is a name.
fn raw_string(rest: &[char]) -> usize {
    let hashes = rest.iter().skip(1).take_while(|&&c| c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut at = 2 + hashes;
    while at < rest.len() {
        let closing = rest.iter().skip(at + 1).take(hashes);
        if rest.get(at) == Some(&'"') && closing.filter(|&&c| c == '#').count() == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    rest.len()
}

/// The length of a character literal that starts here; 0 if this is a lifetime.
fn character(rest: &[char]) -> usize {
    if rest.get(1) == Some(&'\\') {
        let closing = rest.iter().skip(3).position(|&c| c == '\'');
        return closing.map_or(0, |more| more + 4);
    }
    if rest.get(2) == Some(&'\'') { 3 } else { 0 }
}

/// Blanked code without its `#[cfg(test)]` items.
pub(super) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, item)) = rest.split_once(MARK) {
        out.push_str(before);
        let length = item_length(item);
        let (hidden, after) = item.split_at_checked(length).unwrap_or((item, ""));
        out.extend(hidden.chars().filter(|&c| c == '\n'));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// How far the item at the start of `code` goes: to its semicolon, or to the end of its braces.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, here) in code.char_indices() {
        match here {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A token that paths and functions are made of, with its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'t> {
    line: usize,
    text: &'t str,
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (number, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
            found.push(Token {
                line: number + 1,
                text: token,
            });
            rest = after.trim_start();
        }
    }
    found
}

/// Every path of two or more parts that the code names, groups spelt out: `a::{b, c::d}` is `a::b` and `a::c::d`.
pub(super) fn paths(code: &str) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let starts = token.text.starts_with(is_word)
            && tokens.get(at + 1).is_some_and(|next| next.text == "::");
        at = if starts {
            path(&tokens, at, "", &mut found)
        } else {
            at + 1
        };
    }
    found
}

/// Follows the path that starts at `at`; gives where it ends.
fn path(
    tokens: &[Token<'_>],
    mut at: usize,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let Some(first) = tokens.get(at) else {
        return at;
    };
    let mut whole = format!("{prefix}{}", first.text);
    at += 1;
    while tokens.get(at).is_some_and(|token| token.text == "::") {
        let Some(next) = tokens.get(at + 1) else {
            break;
        };
        if next.text == "{" {
            return group(tokens, at + 2, &format!("{whole}::"), found);
        }
        if !next.text.starts_with(is_word) {
            break;
        }
        whole = format!("{whole}::{}", next.text);
        at += 2;
    }
    found.push((first.line, whole));
    at
}

/// Follows the group whose brace was just passed; gives where it ends.
fn group(
    tokens: &[Token<'_>],
    mut at: usize,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.text {
            "}" => return at + 1,
            "as" => at + 2,
            text if text.starts_with(is_word) => path(tokens, at, prefix, found),
            _ => at + 1,
        };
    }
    at
}

/// Every function with a body: its name, its first line, and how many lines it has.
pub(super) fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(name) = tokens.get(at + 1) else {
            break;
        };
        // `fn(` is a type.
        if token.text != "fn" || !name.text.starts_with(is_word) {
            continue;
        }
        if let Some(last) = body_end(&tokens, at + 2) {
            found.push((name.text.to_owned(), token.line, last + 1 - token.line));
        }
    }
    found
}

/// The last line of the body of a function whose signature goes on at `at`; none if it has no body.
fn body_end(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut nested = 0_usize;
    for token in tokens.iter().skip(at) {
        match token.text {
            // A semicolon inside brackets belongs to an array type.
            "[" | "(" if depth == 0 => nested += 1,
            "]" | ")" if depth == 0 => nested = nested.saturating_sub(1),
            ";" if depth == 0 && nested == 0 => return None,
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_code_is_blanked() {
        for (text, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("f(\"x // y\")", "f(        )"),
            ("f(\"\\\"\", g)", "f(    , g)"),
            ("r#\"a\"b\"# c", "         c"),
            ("br\"a\" c", "b     c"),
            ("r#type c", "r#type c"),
            ("for r in x", "for r in x"),
            ("'a' 'b", "    'b"),
            ("'\\'' '\\u{1f}' x", "              x"),
            ("&'a str", "&'a str"),
            ("\"a\nb\" c", "  \n   c"),
        ] {
            assert_eq!(blank(text), code, "{text}");
        }
    }

    #[test]
    fn test_items_are_left_out_and_lines_stay() {
        let code = "a\n#[cfg(test)]\nmod tests {\n  fn b() { }\n}\nc\n#[cfg(test)]\nmod tests;\nd";
        let left = without_tests(code);
        assert_eq!(left.lines().count(), code.lines().count());
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["a", "c", "d"]);
    }

    #[test]
    fn paths_are_spelt_out() {
        for (code, expected) in [
            ("use a::b;", vec!["a::b"]),
            (
                "use a::{b, c::d, self};",
                vec!["a::b", "a::c::d", "a::self"],
            ),
            ("use a::{b::{c, d}, e};", vec!["a::b::c", "a::b::d", "a::e"]),
            ("let x = std::fs::read(y);", vec!["std::fs::read"]),
            ("Vec::<u8>::new()", vec!["Vec"]),
            ("use a::{b as c, d::*};", vec!["a::b", "a::d"]),
            ("no + path", vec![]),
        ] {
            let found: Vec<String> = paths(code).into_iter().map(|(_, path)| path).collect();
            assert_eq!(found, expected, "{code}");
        }
    }

    #[test]
    fn a_path_knows_its_line() {
        assert_eq!(paths("\n\na::b"), [(3, "a::b".to_owned())]);
    }

    #[test]
    fn functions_are_measured_from_their_name_to_their_brace() {
        let code = "fn one() {\n  if x {\n  }\n}\ntrait T {\n  fn none(a: [u8; 4]);\n}\nfn two(f: fn(u8)) -> [u8; 2] { }";
        assert_eq!(
            functions(code),
            [("one".to_owned(), 1, 4), ("two".to_owned(), 8, 1)]
        );
    }
}
