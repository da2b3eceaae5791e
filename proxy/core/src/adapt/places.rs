//! The locations of a server as routes, in an order in which the same one is found.

use super::block::Directive;
use super::convert::Known;
use super::route::Route;
use super::scope::Scope;
use super::unread::note_unread;
use super::{Notes, guard, location, words};

/// What is read in a location beside what routes are made of.
const READ_INSIDE: &[&str] = &["location"];

/// What is to be known of all locations of a server.
pub(super) struct Site<'a> {
    named: Vec<&'a Directive>,
    /// Names that something leads to.
    used: Vec<&'a str>,
    /// Prefixes that go before expressions, where there are any.
    strong: Vec<&'a str>,
}

impl<'a> Site<'a> {
    pub(super) fn of(block: &'a Directive) -> Self {
        let all = block.inside().iter().filter(|it| it.name == "location");
        let is_named = |it: &&Directive| it.word(0).starts_with('@');
        let strong = all.clone().filter(|it| it.word(0) == "^~");
        let strong = strong
            .map(|it| it.word(1))
            .filter(|_| has_expressions(block));
        Self {
            named: all.filter(is_named).collect(),
            used: Vec::new(),
            strong: strong.collect(),
        }
    }

    /// Whether a location is found before expressions are looked at, or inside of one that is.
    fn is_strong(&self, place: &Directive) -> bool {
        match place.words.as_slice() {
            [path] => self.strong.iter().any(|strong| path.starts_with(strong)),
            [modifier, path] => modifier == "^~" && self.strong.contains(&path.as_str()),
            _ => false,
        }
    }

    pub(super) fn note_unused(&self, notes: &mut Notes) {
        for place in &self.named {
            if !self.used.contains(&place.word(0)) {
                let why = "it is not converted: no `try_files` that is converted leads to it";
                notes.add(place, why);
            }
        }
    }
}

/// Whether some location is an expression, at any depth.
fn has_expressions(block: &Directive) -> bool {
    block
        .inside()
        .iter()
        .any(|it| it.name == "location" && (it.word(0).starts_with('~') || has_expressions(it)))
}

/// The routes of the locations of a block, and whether one of them takes every path.
pub(super) fn places<'a>(
    block: &'a Directive,
    around: &Scope<'a>,
    site: &mut Site<'a>,
    routes: &mut Vec<(String, Route)>,
    known: &mut Known,
    notes: &mut Notes,
) -> bool {
    let mut has_all = false;
    let locations = block.inside().iter().filter(|it| it.name == "location");
    for place in locations.filter(|it| !it.word(0).starts_with('@')) {
        let target = location::fallback(place, &site.named, notes);
        let tried: &[&str] = if target.is_some() {
            &["try_files"]
        } else {
            &[]
        };
        let read = [READ_INSIDE, location::READ, tried].concat();
        note_unread(place.inside(), &read, notes);
        let mut scope = around.with(place.inside());
        if let Some(target) = target {
            note_unread(target.inside(), location::READ, notes);
            scope = scope.with(target.inside());
            site.used.push(target.word(0));
        }
        let is_strong = site.is_strong(place);
        let matcher = location::matcher(place, notes, is_strong);
        let is_plain = |it: &Vec<_>| is_wide(block) || is_strong || is_plain(it, place, notes);
        let matcher = matcher.filter(is_plain);
        let Some(matcher) = matcher else {
            let lost = guard::lost(place, notes);
            routes.extend(lost.map(|route| ("left-out".to_owned(), route)));
            continue;
        };
        let path = place.words.last().map_or("", String::as_str);
        has_all |= matcher.is_empty() || (is_strong && path == "/");
        let mut route = location::route(target.unwrap_or(place), &scope, known, notes);
        if route.matcher.is_empty() {
            route.matcher = matcher;
        }
        route.precedence = is_strong.then_some(path.len());
        let word = if path == "/" {
            "root".to_owned()
        } else {
            words::name(path)
        };
        routes.extend(guarded(&word, route, &scope, notes));
        let unslashed = location::unslashed(place, block.inside());
        routes.extend(unslashed.map(|route| (format!("{word}-slash"), route)));
        has_all |= places(place, &scope, site, routes, known, notes);
    }
    has_all
}

/// With the word for the place of each.
pub(super) fn guarded(
    word: &str,
    route: Route,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Vec<(String, Route)> {
    let routes = guard::guarded(route, scope, notes).into_iter();
    let routes = routes.enumerate().map(|(index, route)| {
        let end = if index == 0 { "" } else { "-others" };
        (format!("{word}{end}"), route)
    });
    routes.collect()
}

/// Whether what is inside is looked for in every path.
fn is_wide(block: &Directive) -> bool {
    block.name != "location" || block.words.last().is_some_and(|path| path == "/")
}

/// An expression would be looked for outside of the location around it, too.
fn is_plain(matcher: &[(&'static str, String)], place: &Directive, notes: &mut Notes) -> bool {
    let is_plain = matcher.iter().all(|(key, _)| *key != "path_regex");
    if !is_plain {
        notes.add(
            place,
            "an expression inside of another location is not converted",
        );
    }
    is_plain
}
