//! The locations of a server as routes, in an order in which the same one is found.

use super::block::Directive;
use super::convert::Known;
use super::route::{Rank, Route};
use super::scope::Scope;
use super::unread::note_unread;
use super::{Notes, guard, location, pass, turn, words};

/// What is read in a location beside what routes are made of.
const READ_INSIDE: &[&str] = &["location"];

/// What is to be known of all locations of a server.
pub(super) struct Site<'a> {
    named: Vec<&'a Directive>,
    /// Names that something leads to.
    used: Vec<&'a str>,
    /// Prefixes that go before expressions, where there are any.
    strong: Vec<&'a str>,
    /// Those that do not.
    weak: Vec<&'a str>,
    /// Redirects of parts of locations, see `turn::turned`.
    turned: Vec<(usize, String)>,
}

impl<'a> Site<'a> {
    pub(super) fn of(block: &'a Directive) -> Self {
        let mut all = Vec::new();
        collect(block, &mut all);
        let has_expressions = all.iter().any(|it| it.word(0).starts_with('~'));
        let prefixes = |modifier: &str| {
            let named = all.iter().map(|it| location::named(it));
            let prefixes = named.filter(|(known, _)| *known == modifier && has_expressions);
            prefixes.map(|(_, path)| path).collect()
        };
        let named = block.inside().iter().filter(|it| it.name == "location");
        Self {
            named: named.filter(|it| it.word(0).starts_with('@')).collect(),
            used: Vec::new(),
            strong: prefixes("^~"),
            weak: prefixes(""),
            turned: all.iter().flat_map(|it| turn::turned(it)).collect(),
        }
    }

    /// When a prefix is asked that is not found as one: because it goes before expressions, or because it lies inside of
    /// what is an expression here.
    fn rank(&self, place: &Directive) -> Option<Rank> {
        let (modifier, path) = location::named(place);
        if modifier == "^~" && self.strong.contains(&path) {
            return Some(Rank::Early(path.len()));
        }
        let is_inside = self.strong.iter().any(|strong| path.starts_with(strong));
        let mut turned = self.turned.iter();
        let is_turned = turned.any(|(length, start)| {
            path.len() > *length && (path.starts_with(start) || start.starts_with(path))
        });
        let is_prefix = matches!(modifier, "" | "^~");
        (is_prefix && (is_inside || is_turned)).then_some(Rank::Late(path.len()))
    }

    /// How the prefixes go on that lie inside of one that goes before expressions, and do not.
    fn inside(&self, place: &Directive) -> Vec<&'a str> {
        let (modifier, path) = location::named(place);
        let weak = self.weak.iter().filter(|_| modifier == "^~");
        let ends = weak.filter_map(|weak| weak.strip_prefix(path));
        ends.filter(|end| !end.is_empty()).collect()
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

/// The locations of a block, at any depth.
fn collect<'a>(block: &'a Directive, all: &mut Vec<&'a Directive>) {
    for place in block.inside().iter().filter(|it| it.name == "location") {
        all.push(place);
        collect(place, all);
    }
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
        let rank = site.rank(place);
        let matcher = location::matcher(place, rank, &site.inside(place), notes);
        let is_plain = |(found, _): &location::Found| {
            is_wide(block) || rank.is_some() || is_plain(found, place, notes)
        };
        let Some((matcher, rank)) = matcher.filter(is_plain) else {
            let lost = guard::lost(place, notes);
            routes.extend(lost.map(|route| ("left-out".to_owned(), route)));
            continue;
        };
        let (_, path) = location::named(place);
        let word = match path {
            "/" => "root".to_owned(),
            path => words::name(path),
        };
        let made = location::routes(target.unwrap_or(place), &scope, known, notes);
        let last = made.len().saturating_sub(1);
        for (index, mut route) in made.into_iter().enumerate() {
            route.rank = rank;
            if route.matcher.is_empty() {
                has_all |= index == last && (matcher.is_empty() || path == "/");
                route.matcher.clone_from(&matcher);
            } else if rank == Rank::Usual && location::expression(place).is_none() {
                route.rank = Rank::Late(path.len());
            }
            routes.extend(guarded(&word, route, &scope, notes));
        }
        let unslashed = pass::unslashed(place, block.inside());
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
