//! The registry: what keys there are, what they mean, and what they are when absent.
//!
//! One table a section, kept beside the code that reads it. The reader finds unknown keys, defaults and "did you mean"
//! here; the generated reference prints it. So a key cannot be documented and missing, or the reverse.

/// What an absent key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A problem.
    Required,
    /// The feature is not used.
    Optional,
    /// As if this TOML value were written.
    Default(&'static str),
}

/// One key of a section.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    /// The type in an operator's words, `duration` or `list of prefixes`.
    pub kind: &'static str,
    pub presence: Presence,
    /// A TOML value that is accepted.
    pub example: &'static str,
    pub doc: &'static str,
    /// The keys of a table written as the value, or as each item of it.
    pub fields: Option<&'static Section>,
    /// The words that it may be, where they are few.
    pub words: &'static [&'static str],
    /// Another key of its table, beside which a required one may be left out.
    pub unless: Option<&'static str>,
}

impl Key {
    pub(crate) const fn required(
        name: &'static str,
        kind: &'static str,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            presence: Presence::Required,
            example,
            doc,
            fields: None,
            words: &[],
            unless: None,
        }
    }

    pub(crate) const fn optional(
        name: &'static str,
        kind: &'static str,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            presence: Presence::Optional,
            ..Self::required(name, kind, example, doc)
        }
    }

    pub(crate) const fn default(
        name: &'static str,
        kind: &'static str,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            presence: Presence::Default(default),
            ..Self::required(name, kind, default, doc)
        }
    }

    pub(crate) const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    pub(crate) const fn unless(mut self, other: &'static str) -> Self {
        self.unless = Some(other);
        self
    }

    pub(crate) const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    /// What is written for it, for who has written something else.
    pub(crate) fn shape(&self) -> String {
        if matches!(self.example, "[]" | "{}" | "\"\"") {
            format!("`{}` takes this: {}", self.name, self.kind)
        } else {
            format!("write it like {} = {}", self.name, self.example)
        }
    }

    pub(crate) const fn fields(mut self, fields: &'static Section) -> Self {
        self.fields = Some(fields);
        self
    }
}

/// A table of the file.
#[derive(Debug)]
pub struct Section {
    /// How problems and the reference call it; empty for the top level.
    pub name: &'static str,
    pub doc: &'static str,
    pub keys: &'static [Key],
    /// Keys of the interface that this version does not have yet, each with what it would do.
    pub later: &'static [(&'static str, &'static str)],
}

impl Section {
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// How the key is written into which a path leads from here.
    pub(crate) fn shape(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix('.').unwrap_or(path);
        let name = path.split(['.', '[']).next()?;
        self.key(name).map(Key::shape)
    }

    /// What to write for a key that there is not.
    pub(crate) fn instead(&self, wrong: &str) -> String {
        let names = || self.keys.iter().map(|key| key.name);
        did_you_mean(wrong, names()).unwrap_or_else(|| {
            let some: Vec<&str> = names().take(FEW).collect();
            let more = if self.keys.len() > FEW {
                " and others, which `openclaw schema` lists"
            } else {
                ""
            };
            format!("known here are {}{more}", some.join(", "))
        })
    }

    pub(crate) fn later(&self, name: &str) -> Option<&'static str> {
        self.later
            .iter()
            .find(|(later, _)| *later == name)
            .map(|(_, what)| *what)
    }
}

/// As many keys are named to who has written one that there is not.
const FEW: usize = 6;

/// The candidate that was probably meant.
pub fn did_you_mean<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| {
            let close = strsim::damerau_levenshtein(&wrong.to_lowercase(), candidate);
            (close, candidate)
        })
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}
