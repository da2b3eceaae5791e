//! Texts of the configuration with variables in them, such as `{client_ip}`: cut into parts once, filled in for a request.
//! What comes out of a variable is the client's word: it is never written where it could end a line, or be taken for a part of
//! a URL that it is not.

mod facts;
mod parse;
mod url;

pub use facts::Facts;
pub(crate) use parse::parse;
pub use url::{encoded_path, path_of, sent_to};

/// A text, or parts of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// Without variables, or with all of them filled in.
    Plain(Box<[u8]>),
    /// Two parts or more, or a lone variable.
    Parts(Vec<Part>),
}

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is written.
    Text(Box<[u8]>),
    /// What the request says.
    Variable(Variable),
    /// A group of the expression that belongs to the template.
    Group(usize),
}

/// What can stand in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word of its name")]
pub enum Variable {
    ClientIp,
    Host,
    Method,
    Path,
    Query,
    RequestId,
    Route,
    Scheme,
    Status,
    Upstream,
    Uri,
    Header(String),
    Cookie(String),
    /// Of the query.
    Parameter(String),
}

/// Where the values of variables come from.
pub trait Source {
    /// Appends the value; false if it is not known yet.
    fn push(&self, variable: &Variable, out: &mut Vec<u8>) -> bool;
}

impl Template {
    /// The text where nothing is left to be filled in.
    #[inline]
    pub fn plain(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Parts(_) => None,
        }
    }

    /// All that a request has to say.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Variable> {
        let parts = match self {
            Self::Plain(_) => &[][..],
            Self::Parts(parts) => parts,
        };
        parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Text(_) | Part::Group(_) => None,
        })
    }

    /// The same with all values filled in that are known; blanks at its ends, which a field value cannot have, are gone.
    #[must_use]
    pub fn filled(&self, source: &impl Source) -> Self {
        let Self::Parts(parts) = self else {
            return self.clone();
        };
        let mut rest = Vec::new();
        let mut text = Vec::new();
        for part in parts {
            match part {
                Part::Text(own) => text.extend_from_slice(own),
                Part::Variable(variable) if source.push(variable, &mut text) => {}
                Part::Variable(_) | Part::Group(_) => {
                    let before = std::mem::take(&mut text);
                    rest.extend((!before.is_empty()).then(|| Part::Text(before.into())));
                    rest.push(part.clone());
                }
            }
        }
        if rest.is_empty() {
            return Self::Plain(text.trim_ascii().into());
        }
        rest.extend((!text.is_empty()).then(|| Part::Text(text.into())));
        Self::Parts(rest)
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Self::Plain(text.as_bytes().into())
    }
}

/// The status of a response, the last thing to be known.
#[derive(Clone, Copy, Debug)]
pub struct Status(pub u16);

impl Source for Status {
    fn push(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        if *variable == Variable::Status {
            out.extend_from_slice(itoa::Buffer::new().format(self.0).as_bytes());
        }
        // What nobody knew until now nobody knows.
        true
    }
}

#[cfg(test)]
mod tests;
