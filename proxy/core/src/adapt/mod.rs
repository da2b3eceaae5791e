//! The common subset of nginx.conf as a configuration of ours, and line by line what could not be converted.
//!
//! What is not understood is never converted by half: a directive is either carried over whole or named in a note.

mod block;
mod convert;
mod guard;
mod listen;
mod location;
mod places;
mod route;
mod scope;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod unread;
mod upstream;
mod words;

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

/// Converts a file with all that it includes.
///
/// # Errors
/// The text is no nginx.conf.
pub fn nginx(name: &str, text: &str, files: &dyn Files) -> Result<Adapted, SyntaxError> {
    let directives = block::read(name, text, files)?;
    Ok(convert::convert(&directives))
}

/// Notes as they are made.
#[derive(Debug, Default)]
struct Notes(Vec<Note>);

impl Notes {
    fn add(&mut self, directive: &Directive, why: impl Into<String>) {
        let note = Note {
            file: directive.file.clone(),
            line: directive.line,
            directive: directive.shown(),
            why: why.into(),
        };
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}
