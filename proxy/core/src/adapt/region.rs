//! Expressions inside of a location: the same ones, where they find nothing outside of it. There is no look-ahead, so it is
//! done by what a finding can begin with.

use super::turn::without;

/// The paths of a location by a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Region {
    /// What they begin with.
    start: String,
    /// How those go on that are another location's; none begins with another one.
    ends: Vec<String>,
}

/// What a text means for one that has to go on in a certain way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Never,
    Always,
    Unknown,
}

impl Region {
    /// All that begins with `start`, but for what begins with one of `others`.
    pub(super) fn new(start: &str, others: &[&str]) -> Self {
        let ends = others.iter().filter_map(|other| other.strip_prefix(start));
        let mut ends: Vec<String> = ends.map(str::to_owned).collect();
        ends.sort();
        ends.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        Self {
            start: start.to_owned(),
            ends,
        }
    }

    /// An expression that finds what this one does in these paths, with the same groups. `None`: that is not known.
    pub(super) fn expression(&self, regex: &str, ignores_case: bool) -> Option<String> {
        let flag = if ignores_case { "(?i)" } else { "" };
        if self.start == "/" && self.ends.is_empty() {
            return Some(format!("{flag}{regex}"));
        }
        let mut within = Vec::new();
        for part in alternatives(regex)? {
            within.extend(self.part(part, ignores_case)?);
        }
        (!within.is_empty()).then(|| within.join("|"))
    }

    /// The same of one without alternatives. `Some(None)`: it finds nothing here.
    #[expect(clippy::option_option, reason = "unknown, or nothing")]
    fn part(&self, part: &str, ignores_case: bool) -> Option<Option<String>> {
        let Some(anchored) = part.strip_prefix('^') else {
            return self.anywhere(part, 0, ".*?", ignores_case);
        };
        let (literal, rest) = literal(anchored);
        for any in [".*", ".+"] {
            // What follows may begin anywhere behind it.
            if let Some(rest) = rest.strip_prefix(any)
                && !rest.starts_with(['?', '+'])
            {
                if !prefixes(&self.start, &literal, ignores_case) {
                    return Some(None);
                }
                let is_known = any == ".*" && !ignores_case;
                return is_known.then(|| self.behind(&literal, rest))?;
            }
        }
        let starts = starts(anchored)?;
        let fits: Vec<Fit> = starts
            .iter()
            .map(|it| self.fit(0, "", it, ignores_case))
            .collect();
        match fits.first()? {
            first if fits.iter().any(|fit| fit != first) => None,
            Fit::Unknown => None,
            Fit::Never => Some(None),
            // The location tells capitals apart, whatever the expression does.
            Fit::Always if ignores_case => {
                let rest = behind(anchored, self.start.len())?;
                let start = regex::escape(&self.start);
                Some(Some(format!("^{start}(?i:{rest})")))
            }
            Fit::Always => Some(Some(part.to_owned())),
        }
    }

    /// One that may begin anywhere behind a literal, which the paths begin with, too.
    #[expect(clippy::option_option, reason = "unknown, or nothing")]
    fn behind(&self, literal: &str, rest: &str) -> Option<Option<String>> {
        let others: Vec<String> = self
            .ends
            .iter()
            .map(|end| format!("{}{end}", self.start))
            .collect();
        if others.iter().any(|other| literal.starts_with(other)) {
            return Some(None);
        }
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let is_longer = literal.len() > self.start.len();
        let start = if is_longer { literal } else { &self.start };
        Self::new(start, &others).anywhere(rest, literal.len(), ".*", false)
    }

    /// One that may begin anywhere from there on.
    #[expect(clippy::option_option, reason = "unknown, or nothing")]
    fn anywhere(
        &self,
        part: &str,
        from: usize,
        any: &str,
        ignores_case: bool,
    ) -> Option<Option<String>> {
        let escaped = |text: &str| regex::escape(text);
        let whole = format!("{}{}", escaped(&self.start), without(&self.ends_ref()));
        if matches!(part, "" | "$") {
            return Some(Some(format!("^{whole}")));
        }
        let starts = starts(part)?;
        let mut before: Vec<String> = Vec::new();
        let mut add = |index: usize, behind: &str| {
            let mut fits = starts
                .iter()
                .map(|it| self.fit(index, behind, it, ignores_case));
            let first = fits.next()?;
            if first == Fit::Unknown || fits.any(|fit| fit != first) {
                return None;
            }
            if first == Fit::Always {
                let (start, rest) = self.start.split_at_checked(index)?;
                // It may be so in other letters only.
                if ignores_case && rest.contains(|it: char| it.is_ascii_alphabetic()) {
                    return None;
                }
                before.push(escaped(&format!("{start}{behind}")));
            }
            Some(())
        };
        let inside = self.start.char_indices().map(|(index, _)| index);
        for index in inside.filter(|index| *index >= from) {
            add(index, "")?;
        }
        for node in self.nodes() {
            add(self.start.len(), node)?;
        }
        before.push(format!("{whole}{any}"));
        if any == ".*" {
            before.reverse();
        }
        let before = before.join("|");
        let part = if ignores_case {
            format!("(?i:{part})")
        } else {
            part.to_owned()
        };
        Some(Some(format!("^(?:{before}){part}")))
    }

    fn ends_ref(&self) -> Vec<&str> {
        self.ends.iter().map(String::as_str).collect()
    }

    /// All beginnings of the ends, the shorter ones first.
    fn nodes(&self) -> Vec<&str> {
        let all = self.ends.iter().flat_map(|end| {
            let cuts = end.char_indices();
            cuts.filter_map(|(index, _)| end.get(..index))
        });
        let mut all: Vec<&str> = all.collect();
        all.sort_by_key(|node| (node.len(), *node));
        all.dedup();
        all
    }

    /// Whether a path is one of these that has `found` behind the first `index` bytes of `start`, or behind all of it and
    /// `behind`.
    fn fit(&self, index: usize, behind: &str, found: &str, ignores_case: bool) -> Fit {
        let rest = self.start.get(index..).unwrap_or_default();
        if !prefixes(rest, found, ignores_case) {
            return Fit::Never;
        }
        let Some(found) = found.get(rest.len()..) else {
            return Fit::Unknown;
        };
        let ends = self.ends.iter().filter_map(|end| end.strip_prefix(behind));
        let mut fit = Fit::Always;
        for end in ends.filter(|end| prefixes(end, found, ignores_case)) {
            if found.len() >= end.len() && !ignores_case {
                return Fit::Never;
            }
            fit = Fit::Unknown;
        }
        fit
    }
}

/// Whether one of the two begins with the other.
fn prefixes(one: &str, other: &str, ignores_case: bool) -> bool {
    let mut pairs = one.bytes().zip(other.bytes());
    pairs.all(|(one, other)| one == other || (ignores_case && one.eq_ignore_ascii_case(&other)))
}

/// The alternatives of an expression, those inside of groups aside. `None`: its parentheses do not fit.
fn alternatives(regex: &str) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_usize);
    let mut class = false;
    let mut characters = regex.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '[' => class = true,
            ']' => class = false,
            _ if class => {}
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            '|' if depth == 0 => {
                parts.push(regex.get(from..at)?);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(regex.get(from..)?);
    (depth == 0).then_some(parts)
}

/// The text that an expression begins with, and what follows.
pub(super) fn literal(regex: &str) -> (String, &str) {
    let mut literal = String::new();
    let mut rest = regex;
    loop {
        let mut characters = rest.chars();
        let next = match characters.next() {
            Some('\\') => characters.next().filter(char::is_ascii_punctuation),
            Some('.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '$' | '^' | '|') => {
                None
            }
            next => next,
        };
        let after = characters.as_str();
        // What is there several times, or not at all, is none.
        let Some(next) = next.filter(|_| !after.starts_with(['*', '?', '+', '{'])) else {
            return (literal, rest);
        };
        literal.push(next);
        rest = after;
    }
}

/// What follows so many bytes of literal text.
fn behind(regex: &str, mut count: usize) -> Option<&str> {
    let mut characters = regex.chars();
    while count > 0 {
        let next = match characters.next()? {
            '\\' => characters.next()?,
            next => next,
        };
        count = count.checked_sub(next.len_utf8())?;
    }
    (literal(regex).1.len() <= characters.as_str().len()).then_some(characters.as_str())
}

/// All that a finding can begin with. `None`: it is not known, or may be nothing.
fn starts(regex: &str) -> Option<Vec<String>> {
    let (literal, rest) = literal(regex);
    let group = rest.strip_prefix("(?:").or_else(|| {
        let group = rest.strip_prefix('(')?;
        (!group.starts_with('?')).then_some(group)
    });
    let inside = group.and_then(|group| {
        let end = closing(group)?;
        let after = group.get(end + 1..)?;
        let is_once = !after.starts_with(['*', '?', '+', '{']);
        is_once.then_some(group.get(..end)?)
    });
    let known = |literal: String| (!literal.is_empty()).then(|| vec![literal]);
    let Some(inside) = inside else {
        return known(literal);
    };
    let mut all = Vec::new();
    for part in alternatives(inside)? {
        match starts(part) {
            Some(more) => all.extend(more.iter().map(|more| format!("{literal}{more}"))),
            None => return known(literal),
        }
    }
    Some(all)
}

/// Where the group ends whose inside a text begins with.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut class) = (0_usize, false);
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '[' => class = true,
            ']' => class = false,
            _ if class => {}
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use regex::Regex;

    use super::Region;

    /// All paths of these pieces.
    fn paths() -> Vec<String> {
        let pieces = ["/", "a", "b", ".js", "x", "A"];
        let mut all = vec!["/".to_owned()];
        let mut last = all.clone();
        for _ in 0..5 {
            let longer = last
                .iter()
                .flat_map(|path| pieces.map(|piece| format!("{path}{piece}")));
            last = longer.collect();
            all.extend(last.clone());
        }
        all
    }

    #[test]
    fn an_expression_finds_the_same_inside_and_nothing_outside() {
        let paths = paths();
        let check = |start: &str, others: &[&str], regex: &str, ignores_case: bool| {
            let region = Region::new(start, others);
            let Some(within) = region.expression(regex, ignores_case) else {
                return false;
            };
            let flag = if ignores_case { "(?i)" } else { "" };
            let theirs = Regex::new(&format!("{flag}{regex}")).unwrap();
            let ours = Regex::new(&within).unwrap();
            for path in &paths {
                let is_taken = others.iter().any(|other| path.starts_with(other));
                let is_inside = path.starts_with(start) && !is_taken;
                let expected = theirs.captures(path).filter(|_| is_inside);
                let found = ours.captures(path);
                let groups = |found: Option<regex::Captures<'_>>| {
                    let all = found?;
                    let groups = all.iter().skip(1);
                    let groups = groups.map(|it| it.map(|it| it.as_str().to_owned()));
                    Some(groups.collect::<Vec<_>>())
                };
                assert_eq!(
                    groups(found),
                    groups(expected),
                    "{start} but {others:?}: {regex} as {within} of {path}"
                );
            }
            true
        };
        for (start, others, regex) in [
            ("/", &[][..], r"x$"),
            ("/", &["/a/"][..], r"\.js$"),
            ("/a/", &[][..], r"\.js$"),
            ("/a", &["/a/", "/ab"][..], r"\.js$"),
            ("/a/", &["/a/b/", "/a/b/x"][..], r"\.(js|css)$"),
            ("/a/", &["/b/"][..], r"/(b|x)/"),
            ("/a/", &[][..], r"/x"),
            ("/a", &[][..], r"ab"),
            ("/a/", &[][..], r"^/a/(x|b)(.*)$"),
            ("/a", &["/a/b/"][..], r"^/a/x(.*)$"),
            ("/a/", &[][..], r"^/.*\.js$"),
            ("/a/", &["/a/b/"][..], r"^/.*\.(js)"),
            ("/a/", &[][..], r"\.js$|x$"),
            ("/a/", &["/a/x/"][..], r"\.js(/.*)$|(b)x$"),
            ("/a/", &[][..], r"^/a/b.*\.js"),
            ("/a/", &["/a/b/x"][..], r"^/a/b.*\.js"),
            ("/a/", &["/a/b"][..], r"x$|^/a/b.*\.js"),
            ("/a/", &[][..], r"^"),
        ] {
            let is_known = check(start, others, regex, false);
            assert!(is_known || regex == "^", "{start} {others:?} {regex}");
        }
        assert!(check("/a/", &[], r"\.JS$", true));
        assert!(check("/a/", &["/a/b/"], r"\.(Js|css)$", true));
        assert!(check("/a/", &[], r"^/A/(X|b).*$", true));
        // Where it is not known nothing is said, and nothing wrong.
        for (start, regex) in [
            ("/a/", r"[ab]"),
            ("/a/", r"a?x"),
            ("/a/", r"/"),
            ("/a/", r"(/a)*/b"),
            ("/a/", r"^/[ab]/x"),
        ] {
            assert!(!check(start, &[], regex, false), "{start} {regex}");
        }
        assert!(!check("/a/", &[], r"a/b", true));
    }
}
