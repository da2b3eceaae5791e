//! The locations of a server as routes, in an order in which the same one is found.

use super::block::Directive;
use super::convert::Known;
use super::level::{Found, Level};
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
    /// Of locations that take a part of a prefix, by expressions: how long it is, and what the part begins with.
    turned: Vec<(usize, String)>,
}

impl<'a> Site<'a> {
    pub(super) fn of(block: &'a Directive) -> Self {
        let mut all = Vec::new();
        collect(block, None, &mut all);
        let has_expressions = all.iter().any(|(it, _)| it.word(0).starts_with('~'));
        let prefixes = |is_meant: bool| {
            let all = all.iter().filter(|(_, is_strong)| *is_strong == is_meant);
            let named = all.map(|(it, _)| location::named(it));
            let prefixes = named.filter(|(modifier, _)| has_expressions && is_prefix(modifier));
            prefixes.map(|(_, path)| path).collect()
        };
        let named = block.inside().iter().filter(|it| it.name == "location");
        let slashed = all.iter().filter(|(it, _)| is_slashed(it));
        let slashed = slashed.map(|(it, _)| {
            let (_, path) = location::named(it);
            (path.len(), path.to_owned())
        });
        let turned = all.iter().flat_map(|(it, _)| turn::turned(it));
        Self {
            named: named.filter(|it| it.word(0).starts_with('@')).collect(),
            used: Vec::new(),
            strong: prefixes(true),
            weak: prefixes(false),
            turned: turned.chain(slashed).collect(),
        }
    }

    /// When a prefix is asked that is not found as one: because it goes before expressions, or because it lies inside of
    /// what is an expression here.
    fn rank(&self, place: &Directive) -> Option<Rank> {
        let (modifier, path) = location::named(place);
        if !is_prefix(modifier) {
            return None;
        }
        if self.strong.contains(&path) {
            return Some(Rank::Early(path.len()));
        }
        let is_inside = self.strong.iter().any(|strong| path.starts_with(strong));
        let mut turned = self.turned.iter();
        let is_turned = turned.any(|(length, start)| {
            path.len() > *length && (path.starts_with(start) || start.starts_with(path))
        });
        (is_inside || is_turned || is_slashed(place)).then_some(Rank::Late(path.len()))
    }

    /// How the prefixes go on that lie inside of one that goes before expressions, and do not.
    fn inside(&self, place: &Directive) -> Vec<&'a str> {
        let (modifier, path) = location::named(place);
        let is_strong = is_prefix(modifier) && self.strong.contains(&path);
        let weak = self.weak.iter().filter(|_| is_strong);
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

fn is_prefix(modifier: &str) -> bool {
    matches!(modifier, "" | "^~")
}

/// A prefix with a slash at its end that is not proxied: what is the same without it is none of its own, and would be as
/// a `path`.
fn is_slashed(place: &Directive) -> bool {
    let (modifier, path) = location::named(place);
    let is_proxied = place.inside().iter().any(|it| it.name == "proxy_pass");
    is_prefix(modifier) && path.len() > 1 && path.ends_with('/') && !is_proxied
}

/// The locations of a block, at any depth, and whether they go before the expressions of the server.
fn collect<'a>(block: &'a Directive, around: Option<bool>, all: &mut Vec<(&'a Directive, bool)>) {
    for place in block.inside().iter().filter(|it| it.name == "location") {
        let is_strong = around.unwrap_or_else(|| location::named(place).0 == "^~");
        all.push((place, is_strong));
        collect(place, Some(is_strong), all);
    }
}

/// The routes of the locations of a server, and whether one of them takes every path.
pub(super) fn places<'a>(
    block: &'a Directive,
    around: &Scope<'a>,
    site: &mut Site<'a>,
    routes: &mut Vec<(String, Route)>,
    known: &mut Known,
    notes: &mut Notes,
) -> bool {
    let mut has_all = false;
    let level = Level::of_server(block);
    let mut of_level = OfLevel { site, known, notes };
    for (place, made) in of_level.routes(&level, around) {
        has_all |= is_prefix(location::named(place).0) && made.takes_all;
        routes.extend(made.routes);
    }
    has_all
}

/// What the routes of a level are made with.
struct OfLevel<'s, 'a> {
    site: &'s mut Site<'a>,
    known: &'s mut Known,
    notes: &'s mut Notes,
}

/// Of one location.
#[derive(Default)]
struct Made {
    routes: Vec<(String, Route)>,
    takes_all: bool,
}

impl<'a> OfLevel<'_, 'a> {
    fn routes(&mut self, level: &Level<'a>, around: &Scope<'a>) -> Vec<(&'a Directive, Made)> {
        let locations = level.block.inside().iter();
        let locations = locations.filter(|it| it.name == "location");
        let locations = locations.filter(|it| !it.word(0).starts_with('@'));
        let mut all = Vec::new();
        for place in locations {
            let Some(expression) = level.found(place, self.notes) else {
                let lost = guard::lost(place, self.notes);
                let lost = lost.map(|route| ("left-out".to_owned(), route));
                let routes = lost.into_iter().collect();
                all.push((
                    place,
                    Made {
                        routes,
                        ..Made::default()
                    },
                ));
                continue;
            };
            let mut own = self.own(place, level, around, &expression);
            let inner = level.inside(place);
            let scope = around.behind(place.inside());
            let nested = self.routes(&inner, &scope).into_iter();
            let nested = nested.flat_map(|(_, made)| made.routes);
            if location::expression(place).is_some() {
                // What is inside is looked for as soon as this is found.
                own.routes.splice(0..0, nested);
            } else {
                own.routes.extend(nested);
            }
            all.push((place, own));
        }
        all
    }

    /// What the location itself does.
    fn own(
        &mut self,
        place: &'a Directive,
        level: &Level<'a>,
        around: &Scope<'a>,
        found: &Found,
    ) -> Made {
        let Self { site, known, notes } = self;
        let target = location::fallback(place, &site.named, notes);
        let tried = target.map_or("location", |_| "try_files");
        let read = [READ_INSIDE, location::READ, &[tried]].concat();
        note_unread(place.inside(), &read, notes);
        let mut scope = around.with(place.inside());
        if let Some(target) = target {
            note_unread(target.inside(), location::READ, notes);
            scope = scope.with(target.inside());
            site.used.push(target.word(0));
        }
        let rank = site.rank(place);
        let matcher = match found {
            Found::Within(expression) => {
                let matcher = vec![("path_regex", words::text(expression))];
                Some((matcher, level.rank))
            }
            Found::AsWritten => location::matcher(place, rank, &site.inside(place), notes),
        };
        let Some((matcher, rank)) = matcher else {
            let lost = guard::lost(place, notes).map(|route| ("left-out".to_owned(), route));
            let routes = lost.into_iter().collect();
            return Made {
                routes,
                takes_all: false,
            };
        };
        let (_, path) = location::named(place);
        let word = if path == "/" {
            "root".to_owned()
        } else {
            words::name(path)
        };
        let mut made = Made::default();
        let of_place = location::routes(target.unwrap_or(place), &scope, known, notes);
        let last = of_place.len().saturating_sub(1);
        let expression = location::expression(place);
        let written = expression.as_deref().map(words::text);
        for (index, mut route) in of_place.into_iter().enumerate() {
            route.rank = rank;
            let mut matched = route.matcher.iter();
            let is_whole = matched.all(|(_, it)| Some(it) == written.as_ref());
            if is_whole {
                made.takes_all |= index == last && (matcher.is_empty() || path == "/");
                route.matcher.clone_from(&matcher);
            } else if rank == Rank::Usual && expression.is_none() {
                route.rank = Rank::Late(path.len());
            }
            made.routes.extend(guarded(&word, route, &scope, notes));
        }
        let unslashed = pass::unslashed(place, level.block.inside());
        let unslashed = unslashed.map(|route| (format!("{word}-slash"), route));
        made.routes.extend(unslashed);
        made
    }
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
