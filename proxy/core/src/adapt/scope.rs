//! What a directive inherits: of most the innermost counts, and of lists the innermost level that has any.

use super::block::Directive;

/// The levels around a place, the innermost first.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    levels: Vec<&'a [Directive]>,
    /// Locations around the innermost one, among the levels: where requests have not gone through.
    passed: Vec<&'a [Directive]>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(level: &'a [Directive]) -> Self {
        Self {
            levels: vec![level],
            passed: Vec::new(),
        }
    }

    pub(super) fn with(&self, level: &'a [Directive]) -> Self {
        let mut levels = vec![level];
        levels.extend(&self.levels);
        Self {
            levels,
            passed: self.passed.clone(),
        }
    }

    /// With a location around those that are meant: what it says counts for them, what it does with requests does not.
    pub(super) fn behind(&self, level: &'a [Directive]) -> Self {
        let mut behind = self.with(level);
        behind.passed.push(level);
        behind
    }

    /// The one that counts.
    pub(super) fn last(&self, name: &str) -> Option<&'a Directive> {
        self.all(name).pop()
    }

    /// Those that count.
    pub(super) fn all(&self, name: &str) -> Vec<&'a Directive> {
        self.innermost(|it| it.name == name)
    }

    /// What `$server_name` stands for: the first name.
    pub(super) fn server_name(&self) -> String {
        let names = self.all("server_name");
        let first = names.first().map_or("", |it| it.word(0));
        first
            .strip_prefix('.')
            .unwrap_or(first)
            .to_ascii_lowercase()
    }

    /// Those of the innermost level that has any.
    pub(super) fn innermost(&self, is_meant: impl Fn(&Directive) -> bool) -> Vec<&'a Directive> {
        let of_level = |level: &&'a [Directive]| -> Vec<&'a Directive> {
            level.iter().filter(|it| is_meant(it)).collect()
        };
        let mut levels = self.levels.iter().map(of_level);
        levels.find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Those of all levels that requests go through.
    pub(super) fn every(&self, is_meant: impl Fn(&Directive) -> bool) -> Vec<&'a Directive> {
        let is_asked = |level: &&&[Directive]| {
            let mut passed = self.passed.iter();
            !passed.any(|passed| std::ptr::eq(*passed, **level))
        };
        let levels = self.levels.iter().filter(is_asked);
        let all = levels.flat_map(|level| level.iter());
        all.filter(|it| is_meant(it)).collect()
    }
}
