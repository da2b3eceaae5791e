//! Locations inside of others: which requests get there at all.

use super::block::Directive;
use super::region::{Region, literal};
use super::route::Rank;
use super::{Notes, location};

/// A block with locations.
pub(super) struct Level<'a> {
    pub(super) block: &'a Directive,
    /// Of its expressions.
    pub(super) rank: Rank,
    /// Absent: where they find something is not known.
    region: Option<Region>,
    /// Prefixes of other locations that take what begins with them.
    takers: Vec<&'a str>,
    depth: usize,
}

/// How requests for a location are found.
pub(super) enum Found {
    AsWritten,
    /// By this expression.
    Within(String),
}

impl<'a> Level<'a> {
    pub(super) fn of_server(block: &'a Directive) -> Self {
        Self {
            block,
            rank: Rank::Usual,
            region: Some(Region::new("/", &[])),
            takers: Vec::new(),
            depth: 0,
        }
    }

    /// That of a location of this one.
    pub(super) fn inside(&self, place: &'a Directive) -> Self {
        let (modifier, path) = location::named(place);
        let depth = self.depth + 1;
        if location::expression(place).is_some() {
            let prefix = prefix(path).filter(|_| modifier == "~");
            let is_open = self.depth == 0;
            let prefix = prefix.filter(|prefix| is_open || self.takes(prefix));
            let region = prefix.map(|prefix| Region::new(&prefix, &self.takers));
            return Self {
                block: place,
                rank: self.rank,
                region,
                takers: self.takers.clone(),
                depth,
            };
        }
        let mut takers = self.takers.clone();
        takers.extend(prefixes(self.block, |_| true).filter(|other| longer(other, path)));
        let strong = prefixes(place, |modifier| modifier == "^~");
        let others: Vec<&str> = takers.iter().copied().chain(strong).collect();
        Self {
            block: place,
            rank: Rank::Inside(depth),
            region: Some(Region::new(path, &others)),
            takers,
            depth,
        }
    }

    /// Whether what begins so is looked for here.
    fn takes(&self, start: &str) -> bool {
        let (modifier, path) = location::named(self.block);
        matches!(modifier, "" | "^~") && start.starts_with(path)
    }

    /// `None`: it is not converted, and told.
    pub(super) fn found(&self, place: &Directive, notes: &mut Notes) -> Option<Found> {
        let (modifier, path) = location::named(place);
        if self.depth == 0 {
            return Some(Found::AsWritten);
        }
        let expression = location::expression(place);
        if expression.is_none() && location::expression(self.block).is_some() {
            notes.add(place, "a path inside of an expression is not converted");
            return None;
        }
        if expression.is_none() {
            let taker = self.takers.iter().find(|taker| path.starts_with(**taker));
            if let Some(taker) = taker {
                notes.add(
                    place,
                    format!("is never reached: `location {taker}` takes its requests"),
                );
            }
            return taker.is_none().then_some(Found::AsWritten);
        }
        let region = self.region.as_ref();
        let within = region.and_then(|it| it.expression(path, modifier == "~*"));
        let within = within.or_else(|| self.around(modifier, path));
        if within.is_none() {
            notes.add(
                place,
                "is not converted: there is no expression for what it finds inside of the location around it",
            );
        }
        within.map(Found::Within)
    }

    /// A prefix that is written as an expression, inside of one: what that one finds among its paths.
    fn around(&self, modifier: &str, path: &str) -> Option<String> {
        let (outer, regex) = location::named(self.block);
        let is_expression = matches!(outer, "~" | "~*");
        let prefix = prefix(path).filter(|_| modifier == "~" && !path.contains('('))?;
        if self.depth != 1 || !is_expression {
            return None;
        }
        Region::new(&prefix, &[]).expression(regex, outer == "~*")
    }
}

fn longer(other: &str, path: &str) -> bool {
    other.len() > path.len() && other.starts_with(path)
}

/// The prefixes of the locations of a block.
fn prefixes(block: &Directive, is_meant: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let locations = block.inside().iter().filter(|it| it.name == "location");
    let named = locations.map(location::named);
    let prefixes = named.filter(|(modifier, _)| matches!(*modifier, "" | "^~"));
    let meant = prefixes.filter(move |(modifier, _)| is_meant(modifier));
    meant.map(|(_, path)| path)
}

/// The prefix that an expression stands for.
fn prefix(regex: &str) -> Option<String> {
    let (literal, rest) = literal(regex.strip_prefix('^')?);
    let is_prefix = matches!(rest, "" | ".*" | ".*$" | "(.*)" | "(.*)$");
    (is_prefix && literal.starts_with('/')).then_some(literal)
}
