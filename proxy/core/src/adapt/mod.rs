//! The common subset of nginx.conf as a configuration of ours, and line by line what could not be converted.
//!
//! What is not understood is never converted by half: a directive is either carried over whole or named in a note.

mod block;
mod convert;
mod evaluated;
mod guard;
mod level;
mod listen;
mod location;
mod mend;
mod pass;
mod places;
mod region;
mod route;
mod scope;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod turn;
mod unread;
mod upstream;
mod words;

use std::fmt;

use serde::Serialize;

pub use block::SyntaxError;

use crate::config::Files;
use block::Directive;

/// A configuration of ours, and what it does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adapted {
    /// TOML.
    pub text: String,
    /// In the order of the file.
    pub notes: Vec<Note>,
}

/// What could not be converted, or does something else here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// As it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// As it is written there.
    pub directive: String,
    /// One sentence.
    pub why: String,
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            directive,
            why,
        } = self;
        write!(out, "{file}:{line}: {directive}: {why}")
    }
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdaptError {
    /// The text is no nginx.conf.
    #[error(transparent)]
    Syntax(SyntaxError),
    /// Nothing is left that could be served.
    #[error("{file}: {why}{}", listed(notes))]
    Nothing {
        /// As it was named.
        file: String,
        /// One sentence.
        why: String,
        /// As of a configuration.
        notes: Vec<Note>,
    },
}

fn listed(notes: &[Note]) -> String {
    notes
        .iter()
        .fold(String::new(), |all, note| format!("{all}\n{note}"))
}

/// Converts a file with all that it includes.
///
/// # Errors
/// The text is no nginx.conf, or has nothing that could be served.
pub fn nginx(name: &str, text: &str, files: &dyn Files) -> Result<Adapted, AdaptError> {
    let directives = block::read(name, text, files).map_err(AdaptError::Syntax)?;
    convert::convert(name, &directives)
}

/// Notes as they are made.
#[derive(Debug, Default)]
struct Notes(Vec<Note>);

impl Notes {
    /// A note without a reason yet.
    fn place(directive: &Directive) -> Note {
        Note {
            file: directive.file.clone(),
            line: directive.line,
            directive: directive.shown(),
            why: String::new(),
        }
    }

    fn add(&mut self, directive: &Directive, why: impl Into<String>) {
        self.add_at(&Self::place(directive), why);
    }

    fn add_at(&mut self, place: &Note, why: impl Into<String>) {
        let note = Note {
            why: why.into(),
            ..place.clone()
        };
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}
