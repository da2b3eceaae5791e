//! What a directive inherits: of most the innermost counts, and of lists the innermost level that has any.

use super::block::Directive;

/// The levels around a place, the innermost first.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a>(Vec<&'a [Directive]>);

impl<'a> Scope<'a> {
    pub(super) fn new(level: &'a [Directive]) -> Self {
        Self(vec![level])
    }

    pub(super) fn with(&self, level: &'a [Directive]) -> Self {
        let mut levels = vec![level];
        levels.extend(&self.0);
        Self(levels)
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
        let mut levels = self.0.iter().map(of_level);
        levels.find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Those of all levels.
    pub(super) fn every(&self, is_meant: impl Fn(&Directive) -> bool) -> Vec<&'a Directive> {
        let all = self.0.iter().flat_map(|level| level.iter());
        all.filter(|it| is_meant(it)).collect()
    }
}
