//! The paths inside one host: exact ones by hash, regexes in order, prefixes by a tree of segments.

use std::cmp::Reverse;
use std::collections::HashMap;

use regex::bytes::Regex;

use crate::config::{Matcher, PathPattern};

use super::conditions;
use super::hash::Fast;

/// Indexes of routes in the order in which they are tried.
type Candidates = Vec<usize>;

#[derive(Clone, Debug)]
pub(super) struct Paths {
    exact: HashMap<Box<[u8]>, Candidates, Fast>,
    /// Routes with the same expression are equal ones.
    regex: Vec<(Regex, Candidates)>,
    /// The first is the root: `/`, or no path asked for.
    nodes: Vec<Node>,
}

/// All that begins with the segments that lead here.
#[derive(Clone, Debug, Default)]
struct Node {
    children: HashMap<Box<[u8]>, usize, Fast>,
    parent: Option<usize>,
    candidates: Candidates,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            exact: HashMap::default(),
            regex: Vec::new(),
            nodes: vec![Node::default()],
        }
    }
}

impl Paths {
    pub(super) fn add(&mut self, index: usize, matcher: &Matcher) {
        match &matcher.path {
            None => self.add_prefix("/", index),
            Some(PathPattern::Prefix(prefix)) => self.add_prefix(prefix, index),
            Some(PathPattern::Exact(path)) => self
                .exact
                .entry(path.as_bytes().into())
                .or_default()
                .push(index),
            Some(PathPattern::Regex(regex)) => {
                let known = self
                    .regex
                    .iter_mut()
                    .find(|(known, _)| known.as_str() == regex.as_str());
                match known {
                    Some((_, candidates)) => candidates.push(index),
                    None => self.regex.push((regex.clone(), vec![index])),
                }
            }
        }
    }

    fn add_prefix(&mut self, prefix: &str, index: usize) {
        let mut at = 0;
        for segment in segments(prefix.trim_end_matches('/').as_bytes()) {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else {
                return;
            };
            let child = *node.children.entry(segment.into()).or_insert(next);
            if child == next {
                self.nodes.push(Node {
                    parent: Some(at),
                    ..Node::default()
                });
            }
            at = child;
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.candidates.push(index);
        }
    }

    /// More conditions first, then file order.
    pub(super) fn sort(&mut self, matchers: &[Matcher]) {
        let all = self
            .exact
            .values_mut()
            .chain(self.regex.iter_mut().map(|(_, candidates)| candidates))
            .chain(self.nodes.iter_mut().map(|node| &mut node.candidates));
        for candidates in all {
            candidates.sort_by_key(|index| {
                let conditions = matchers.get(*index).map_or(0, conditions::count);
                (Reverse(conditions), *index)
            });
        }
    }

    pub(super) fn find(&self, path: &[u8], holds: impl Fn(usize) -> bool) -> Option<usize> {
        let first = |candidates: &Candidates| candidates.iter().copied().find(|i| holds(*i));
        if !self.exact.is_empty()
            && let Some(found) = self.exact.get(path).and_then(first)
        {
            return Some(found);
        }
        self.regex
            .iter()
            .filter(|(regex, _)| regex.is_match(path))
            .find_map(|(_, candidates)| first(candidates))
            .or_else(|| {
                // Down as far as the segments lead, then up again: the longest prefix first.
                let mut node = Some(self.deepest(path)?);
                while let Some(at) = node {
                    if let Some(found) = first(&at.candidates) {
                        return Some(found);
                    }
                    node = at.parent.and_then(|parent| self.nodes.get(parent));
                }
                None
            })
    }

    fn deepest(&self, path: &[u8]) -> Option<&Node> {
        let mut node = self.nodes.first()?;
        for segment in segments(path) {
            if node.children.is_empty() {
                break;
            }
            match node.children.get(segment) {
                Some(child) => node = self.nodes.get(*child)?,
                None => break,
            }
        }
        Some(node)
    }
}

/// What stands between the slashes; nothing for a target that is no path, such as `*`.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/")
        .into_iter()
        .flat_map(|rest| rest.split(|byte| *byte == b'/'))
}
