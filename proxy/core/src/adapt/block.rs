//! nginx.conf as it is written: directives, each with its words and perhaps a block, with the place where it stands.

use crate::config::Files;

/// How deep blocks and included files may lie in each other.
const DEEPEST: usize = 16;

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) words: Vec<String>,
    pub(super) block: Option<Vec<Self>>,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct SyntaxError {
    /// As it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl Directive {
    pub(super) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    /// What is inside its block.
    pub(super) fn inside(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }

    /// As it is written, on one line.
    pub(super) fn shown(&self) -> String {
        let mut shown = self.name.clone();
        for word in &self.words {
            shown.push(' ');
            shown.push_str(word);
        }
        shown
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

/// Reads a file with all that it includes.
pub(super) fn read(
    name: &str,
    text: &str,
    files: &dyn Files,
) -> Result<Vec<Directive>, SyntaxError> {
    let base = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    Reader { files, base }.file(name, text, 0)
}

struct Reader<'a> {
    files: &'a dyn Files,
    /// Where names of included files begin.
    base: &'a str,
}

impl Reader<'_> {
    fn file(&self, name: &str, text: &str, depth: usize) -> Result<Vec<Directive>, SyntaxError> {
        let mut tokens = tokens(name, text)?.into_iter();
        let (directives, is_closed) = self.block(name, &mut tokens, depth)?;
        if is_closed {
            let line = text.lines().count();
            return Err(wrong(name, line, "a `}` closes nothing"));
        }
        Ok(directives)
    }

    /// The directives up to the end of a block, and whether it is there.
    fn block(
        &self,
        file: &str,
        tokens: &mut impl Iterator<Item = (usize, Token)>,
        depth: usize,
    ) -> Result<(Vec<Directive>, bool), SyntaxError> {
        let mut directives = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let mut first = 0;
        while let Some((line, token)) = tokens.next() {
            let block = match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        first = line;
                    }
                    words.push(word);
                    continue;
                }
                Token::Close if words.is_empty() => return Ok((directives, true)),
                Token::Close => return Err(wrong(file, line, "a `;` is missing before this")),
                Token::Open | Token::End if words.is_empty() => {
                    return Err(wrong(file, line, "a directive has no name"));
                }
                Token::Open if depth >= DEEPEST => {
                    return Err(wrong(file, line, "blocks lie too deep in each other"));
                }
                Token::Open => {
                    let (block, is_closed) = self.block(file, tokens, depth + 1)?;
                    if !is_closed {
                        return Err(wrong(file, line, "this block is not closed"));
                    }
                    Some(block)
                }
                Token::End => None,
            };
            let mut all = std::mem::take(&mut words).into_iter();
            let directive = Directive {
                file: file.to_owned(),
                line: first,
                name: all.next().unwrap_or_default(),
                words: all.collect(),
                block,
            };
            if directive.name == "include" {
                directives.extend(self.included(&directive, depth)?);
            } else {
                directives.push(directive);
            }
        }
        if words.is_empty() {
            Ok((directives, false))
        } else {
            Err(wrong(file, first, "this directive has no end"))
        }
    }

    fn included(&self, include: &Directive, depth: usize) -> Result<Vec<Directive>, SyntaxError> {
        let Directive { file, line, .. } = include;
        let pattern = include.word(0);
        // Types of files are no matter of a proxy, and the file is not always at hand.
        if pattern.ends_with("mime.types") {
            return Ok(Vec::new());
        }
        if depth >= DEEPEST {
            return Err(wrong(file, *line, "files include each other too deep"));
        }
        let path = match self.base {
            base if base.is_empty() || pattern.starts_with('/') => pattern.to_owned(),
            base => format!("{base}/{pattern}"),
        };
        let failed = |told: String| wrong(file, *line, &told);
        let is_glob = pattern.contains(['*', '?']);
        let found = match self.files.glob(&path) {
            Ok(found) => found,
            // What matches nothing is no error, and neither is a folder that is not there.
            Err(told) if is_glob && told.contains("No such file or directory") => Vec::new(),
            Err(told) => return Err(failed(format!("cannot include `{path}`: {told}"))),
        };
        if found.is_empty() && !is_glob {
            return Err(failed(format!("there is no file `{path}`")));
        }
        let mut directives = Vec::new();
        for name in found {
            let text = self.files.read(&name);
            let text = text.map_err(|told| failed(format!("cannot read `{name}`: {told}")))?;
            directives.extend(self.file(&name, &text, depth + 1)?);
        }
        Ok(directives)
    }
}

fn wrong(file: &str, line: usize, message: &str) -> SyntaxError {
    SyntaxError {
        file: file.to_owned(),
        line,
        message: message.to_owned(),
    }
}

/// Words, braces and semicolons, each with its line.
fn tokens(file: &str, text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let token = match character {
            '\n' => {
                line += 1;
                continue;
            }
            _ if character.is_whitespace() => continue,
            '#' => {
                while characters.next_if(|next| *next != '\n').is_some() {}
                continue;
            }
            ';' => Token::End,
            '{' => Token::Open,
            '}' => Token::Close,
            '"' | '\'' => {
                let start = line;
                let word = quoted(character, &mut characters, &mut line);
                let word = word.ok_or_else(|| wrong(file, start, "a quote is not closed"))?;
                tokens.push((start, Token::Word(word)));
                continue;
            }
            _ => Token::Word(bare(character, &mut characters)),
        };
        tokens.push((line, token));
    }
    Ok(tokens)
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn quoted(quote: char, characters: &mut Characters<'_>, line: &mut usize) -> Option<String> {
    let mut word = String::new();
    loop {
        match characters.next()? {
            end if end == quote => return Some(word),
            // Before anything else it is a part of an expression.
            '\\' => match characters.next()? {
                'n' => word.push('\n'),
                't' => word.push('\t'),
                'r' => word.push('\r'),
                next if next == quote || next == '\\' => word.push(next),
                next => word.extend(['\\', next]),
            },
            next => {
                *line += usize::from(next == '\n');
                word.push(next);
            }
        }
    }
}

/// A word ends at a blank, a semicolon or a brace, but for those of `${name}` and of quantifiers in it.
fn bare(first: char, characters: &mut Characters<'_>) -> String {
    let mut word = String::from(first);
    let mut last = first;
    while let Some(next) = characters.peek().copied() {
        if next.is_whitespace() || next == ';' || (next == '{' && last != '$') {
            break;
        }
        characters.next();
        word.push(next);
        if next == '{' {
            for inside in characters.by_ref() {
                word.push(inside);
                if inside == '}' {
                    break;
                }
            }
        }
        last = next;
    }
    word
}
