//! What is different between two configurations, in terms of what they do: not how they are written, and not in which order they say
//! what has no order.

use std::collections::HashMap;

use serde::Serialize;

use super::{Fate, World};
use crate::config::{Asks, Field, Plain};
use crate::route::{order, shadowed};

/// One of the two.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// That is asked.
    pub world: &'a World<'a>,
    /// As it is compared.
    pub plain: &'a Plain,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is there, is gone, or says something else.
    pub changes: Vec<Change>,
    /// Routes that are asked in another order, each with the one before it now.
    pub moved: Vec<Shifted>,
    /// Routes to which no request comes any more, each with the one that takes all of theirs.
    pub unreachable: Vec<Shifted>,
    /// What the tests of both ask for, where something else becomes of it.
    pub tests: Vec<Turned>,
}

/// A part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `listener web`, `route api`, `shield`.
    pub what: String,
    /// What happens to it.
    pub kind: Kind,
    /// Sentences: `max_connections: 100 -> 200`.
    pub keys: Vec<String>,
}

/// What happens to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

/// A route beside another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shifted {
    /// Its name.
    pub route: String,
    /// The other's; absent where there is none.
    pub other: Option<String>,
}

/// A request or packet of which something else becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turned {
    /// As the test asks it.
    pub asks: String,
    /// Before.
    pub old: Fate,
    /// After.
    pub new: Fate,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        let Self {
            changes,
            moved,
            unreachable,
            tests,
        } = self;
        changes.is_empty() && moved.is_empty() && unreachable.is_empty() && tests.is_empty()
    }
}

/// Compares two configurations.
pub fn difference(old: Side<'_>, new: Side<'_>) -> Difference {
    let mut changes = Vec::new();
    for section in ["listener", "route", "upstream"] {
        changes.extend(parts(section, old.plain, new.plain));
    }
    changes.extend(settings(old.plain, new.plain));
    Difference {
        changes,
        moved: moved(old, new),
        unreachable: unreachable(old, new),
        tests: turned(old, new),
    }
}

/// Sections that have names.
fn parts(section: &str, old: &Plain, new: &Plain) -> Vec<Change> {
    let old = named(section, old);
    let mut new = named(section, new);
    let mut changes = Vec::new();
    for (name, plain) in &old {
        let what = format!("{section} {name}");
        let Some(at) = partner(&new, name, plain) else {
            changes.push(whole(what, Kind::Removed, plain));
            continue;
        };
        let (renamed, other) = new.remove(at);
        let mut keys = compared(plain, other);
        if renamed != *name {
            // Counted, and others come before it now or are gone.
            keys.push(format!("its name in logs: {name} -> {renamed}"));
        }
        if !keys.is_empty() {
            let kind = Kind::Changed;
            changes.push(Change { what, kind, keys });
        }
    }
    let added = new.into_iter();
    changes
        .extend(added.map(|(name, plain)| whole(format!("{section} {name}"), Kind::Added, plain)));
    changes
}

fn whole(what: String, kind: Kind, plain: &Plain) -> Change {
    let keys = vec![plain.shown()];
    Change { what, kind, keys }
}

/// The sections of that kind with their names; routes without one are counted.
fn named<'p>(section: &str, plain: &'p Plain) -> Vec<(String, &'p Plain)> {
    match plain.field(section) {
        Some(Plain::Table(fields)) => fields
            .iter()
            .map(|field| (field.key.clone(), &field.value))
            .collect(),
        Some(Plain::List(items)) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let name = item.field("name").map(Plain::shown);
                (name.unwrap_or_else(|| format!("route-{}", index + 1)), item)
            })
            .collect(),
        Some(Plain::One(_)) | None => Vec::new(),
    }
}

/// The same part on the other side: of its name, or, of a route that has none, what takes the same requests.
fn partner(others: &[(String, &Plain)], name: &str, plain: &Plain) -> Option<usize> {
    let has_name = |plain: &Plain| plain.field("name").is_some();
    let is_alike = |other: &Plain| !has_name(other) && other.field("match") == plain.field("match");
    let is_counted = !has_name(plain) && name.starts_with("route-");
    let alike = others
        .iter()
        .position(|(_, other)| is_counted && is_alike(other));
    alike.or_else(|| others.iter().position(|(other, _)| other == name))
}

/// Sections of which there is one each.
fn settings(old: &Plain, new: &Plain) -> Vec<Change> {
    let Plain::Table(fields) = new else {
        return Vec::new();
    };
    // Tests are asked below, and what is included is there already.
    let beside = ["include", "test", "listener", "route", "upstream"];
    let fields = fields
        .iter()
        .filter(|it| !beside.contains(&it.key.as_str()));
    let changed = fields.filter_map(|Field { key, value, .. }| {
        let keys = compared(old.field(key)?, value);
        let what = key.clone();
        let kind = Kind::Changed;
        (!keys.is_empty()).then_some(Change { what, kind, keys })
    });
    changed.collect()
}

/// What is different, a sentence a key.
fn compared(old: &Plain, new: &Plain) -> Vec<String> {
    let mut told = Vec::new();
    compare("", Some(old), Some(new), &mut told);
    told
}

fn compare(path: &str, old: Option<&Plain>, new: Option<&Plain>, told: &mut Vec<String>) {
    match (old, new) {
        (Some(one), Some(other)) if one == other => {}
        (Some(Plain::Table(one)), Some(Plain::Table(other))) => {
            let news = other
                .iter()
                .filter(|it| one.iter().all(|old| old.key != it.key));
            for Field { key, .. } in one.iter().chain(news) {
                let (old, new) = (value(one, key), value(other, key));
                compare(&join(path, key), old, new, told);
            }
        }
        (Some(Plain::List(one)), Some(Plain::List(other))) => lists(path, one, other, told),
        (old, new) => {
            let shown =
                |plain: Option<&Plain>| plain.map_or_else(|| "absent".to_owned(), Plain::shown);
            told.push(format!("{path}: {} -> {}", shown(old), shown(new)));
        }
    }
}

fn value<'p>(fields: &'p [Field], key: &str) -> Option<&'p Plain> {
    let mut fields = fields.iter();
    fields.find(|it| it.key == key).map(|it| &it.value)
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

fn lists(path: &str, old: &[Plain], new: &[Plain], told: &mut Vec<String>) {
    // By what they are about; of several alike the last one counts.
    let identities = |items: &[Plain]| -> HashMap<String, Plain> {
        let items = items.iter();
        items.map(|item| (item.identity(), item.clone())).collect()
    };
    let (olds, news) = (identities(old), identities(new));
    let before = told.len();
    for item in old.iter().filter(|item| !new.contains(item)) {
        let name = item.identity();
        match news.get(&name) {
            Some(other) => compare(&format!("{path}[{name}]"), Some(item), Some(other), told),
            None => told.push(format!("{path}: - {}", item.shown())),
        }
    }
    let added = new.iter().filter(|item| !old.contains(item));
    let added = added.filter(|item| !olds.contains_key(&item.identity()));
    told.extend(added.map(|item| format!("{path}: + {}", item.shown())));
    if told.len() == before {
        told.push(format!("{path}: the same in another order or number"));
    }
}

/// Routes of both that are asked in another order.
fn moved(old: Side<'_>, new: Side<'_>) -> Vec<Shifted> {
    let asked = |side: Side<'_>| -> Vec<String> {
        let routes = &side.world.config().routes;
        let order = order(routes).into_iter();
        order
            .filter_map(|index| Some(routes.get(index)?.name.to_string()))
            .collect()
    };
    let (before, after) = (asked(old), asked(new));
    let places: HashMap<&str, usize> = (0..)
        .zip(&after)
        .map(|(place, name)| (name.as_str(), place))
        .collect();
    let kept = before
        .iter()
        .filter_map(|name| Some((name, *places.get(name.as_str())?)));
    let kept: Vec<(&String, usize)> = kept.collect();
    let stays = rising(&kept.iter().map(|(_, place)| *place).collect::<Vec<_>>());
    let moved = kept.iter().zip(stays).filter(|(_, stays)| !stays);
    moved
        .map(|((name, place), _)| Shifted {
            route: (*name).clone(),
            other: place
                .checked_sub(1)
                .and_then(|place| after.get(place).cloned()),
        })
        .collect()
}

/// Which of these are in a longest rising row of them: the fewest have moved then.
fn rising(places: &[usize]) -> Vec<bool> {
    // The last of the best row of each length, and what comes before each in its row.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(places.len());
    for (index, place) in places.iter().enumerate() {
        let length = ends.partition_point(|end| places.get(*end) < Some(place));
        before.push(length.checked_sub(1).and_then(|at| ends.get(at).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut stays = vec![false; places.len()];
    let mut next = ends.last().copied();
    while let Some(index) = next {
        if let Some(stays) = stays.get_mut(index) {
            *stays = true;
        }
        next = before.get(index).copied().flatten();
    }
    stays
}

fn unreachable(old: Side<'_>, new: Side<'_>) -> Vec<Shifted> {
    let pairs = |side: Side<'_>| -> Vec<Shifted> {
        let routes = &side.world.config().routes;
        let name = |index: usize| routes.get(index).map(|route| route.name.to_string());
        let pairs = shadowed(routes).into_iter();
        pairs
            .filter_map(|(route, taker)| {
                let (route, other) = (name(route)?, name(taker));
                Some(Shifted { route, other })
            })
            .collect()
    };
    let known = pairs(old);
    let mut now = pairs(new);
    now.retain(|pair| known.iter().all(|it| it.route != pair.route));
    now
}

fn turned(old: Side<'_>, new: Side<'_>) -> Vec<Turned> {
    let mut asked: Vec<&Asks> = Vec::new();
    let tests = [old, new].map(|side| side.world.config().tests.iter());
    let tests = tests.into_iter().flatten().map(|test| &test.asks);
    for asks in tests {
        if !asked.contains(&asks) {
            asked.push(asks);
        }
    }
    let turned = asked.into_iter().map(|asks| Turned {
        asks: asks.text().to_owned(),
        old: old.world.asks(asks),
        new: new.world.asks(asks),
    });
    turned.filter(|it| !it.old.is_same(&it.new)).collect()
}
