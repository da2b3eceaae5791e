//! A configuration as it is laid out: statements and values with the comments around them.

use std::iter::Peekable;
use std::vec::IntoIter;

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

pub(super) enum Statement<'a> {
    /// One blank line or more.
    Blank,
    /// On a line of its own.
    Comment(&'a str),
    /// `[table]` or `[[table]]`.
    Header {
        text: String,
        comment: Option<&'a str>,
    },
    Setting {
        key: String,
        value: Value<'a>,
        comment: Option<&'a str>,
    },
}

pub(super) enum Value<'a> {
    /// As it is written.
    Plain(&'a str),
    /// Behind the last item there may be more comments.
    List {
        items: Vec<Item<'a>>,
        tail: Vec<&'a str>,
    },
    Table {
        items: Vec<Item<'a>>,
        tail: Vec<&'a str>,
    },
}

pub(super) struct Item<'a> {
    /// Comments on lines of their own.
    pub(super) before: Vec<&'a str>,
    /// A blank line stands before it and them.
    pub(super) is_apart: bool,
    /// In a table.
    pub(super) key: Option<String>,
    pub(super) value: Value<'a>,
    /// On its line.
    pub(super) after: Option<&'a str>,
}

/// Of a text that parses.
pub(super) fn statements(text: &str) -> Vec<Statement<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tokens: Vec<Token> = Source::new(text).lex().collect();
    let mut reader = Reader {
        text,
        tokens: tokens.into_iter().peekable(),
    };
    let mut statements = Vec::new();
    while let Some(kind) = reader.kind() {
        match kind {
            TokenKind::Whitespace => reader.skip(),
            TokenKind::Newline => {
                reader.skip();
                statements.push(Statement::Blank);
            }
            TokenKind::Comment => {
                let comment = reader.comment();
                reader.end_line();
                statements.push(Statement::Comment(comment));
            }
            TokenKind::LeftSquareBracket => {
                let text = reader.joined(|kind| !ends_line(kind));
                let comment = reader.end_line();
                statements.push(Statement::Header { text, comment });
            }
            TokenKind::Eof => break,
            TokenKind::Dot
            | TokenKind::Equals
            | TokenKind::Comma
            | TokenKind::RightSquareBracket
            | TokenKind::LeftCurlyBracket
            | TokenKind::RightCurlyBracket
            | TokenKind::LiteralString
            | TokenKind::BasicString
            | TokenKind::MlLiteralString
            | TokenKind::MlBasicString
            | TokenKind::Atom => {
                let key = reader.key();
                let value = reader.value();
                let comment = reader.end_line();
                statements.push(Statement::Setting {
                    key,
                    value,
                    comment,
                });
            }
        }
    }
    statements
}

fn ends_line(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Comment | TokenKind::Newline | TokenKind::Eof
    )
}

fn ends_plain(kind: TokenKind) -> bool {
    let closes = [
        TokenKind::Comma,
        TokenKind::RightSquareBracket,
        TokenKind::RightCurlyBracket,
    ];
    ends_line(kind) || closes.contains(&kind)
}

struct Reader<'a> {
    text: &'a str,
    tokens: Peekable<IntoIter<Token>>,
}

/// What stands between two values of a list or table.
#[derive(Default)]
struct Between<'a> {
    /// Before the first line break.
    same_line: Option<&'a str>,
    own_lines: Vec<&'a str>,
    is_apart: bool,
}

impl<'a> Reader<'a> {
    fn kind(&mut self) -> Option<TokenKind> {
        self.tokens.peek().map(Token::kind)
    }

    fn skip(&mut self) {
        self.tokens.next();
    }

    fn skip_one(&mut self, wanted: TokenKind) {
        self.tokens.next_if(|token| token.kind() == wanted);
    }

    fn slice(&self, token: &Token) -> &'a str {
        let span = token.span();
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    fn comment(&mut self) -> &'a str {
        let token = self.tokens.next();
        token.map_or("", |token| self.slice(&token).trim_end())
    }

    /// The tokens as long as they are wanted, without the whitespace between them.
    fn joined(&mut self, wanted: impl Fn(TokenKind) -> bool) -> String {
        let mut text = String::new();
        while let Some(token) = self.tokens.next_if(|token| wanted(token.kind())) {
            if token.kind() != TokenKind::Whitespace {
                text.push_str(self.slice(&token));
            }
        }
        text
    }

    fn key(&mut self) -> String {
        let key = self.joined(|kind| kind != TokenKind::Equals && kind != TokenKind::Eof);
        self.skip_one(TokenKind::Equals);
        self.skip_one(TokenKind::Whitespace);
        key
    }

    fn value(&mut self) -> Value<'a> {
        match self.kind() {
            Some(TokenKind::LeftSquareBracket) => {
                let (items, tail) = self.items(TokenKind::RightSquareBracket);
                Value::List { items, tail }
            }
            Some(TokenKind::LeftCurlyBracket) => {
                let (items, tail) = self.items(TokenKind::RightCurlyBracket);
                Value::Table { items, tail }
            }
            // A date and its time may have a space between them.
            Some(_) | None => {
                let start = self.tokens.peek().map_or(0, |token| token.span().start());
                let mut end = start;
                while let Some(token) = self.tokens.next_if(|token| !ends_plain(token.kind())) {
                    end = token.span().end();
                }
                Value::Plain(self.text.get(start..end).unwrap_or_default().trim_end())
            }
        }
    }

    fn items(&mut self, closing: TokenKind) -> (Vec<Item<'a>>, Vec<&'a str>) {
        self.skip();
        let mut items: Vec<Item<'a>> = Vec::new();
        loop {
            let between = self.between();
            // In front of the comma or behind it, it belongs to the item.
            let mut before = Vec::new();
            match items.last_mut() {
                Some(last) if last.after.is_none() => last.after = between.same_line,
                Some(_) | None => before.extend(between.same_line),
            }
            before.extend(between.own_lines);
            match self.kind() {
                Some(kind) if kind == closing => {
                    self.skip();
                    self.skip_one(TokenKind::Whitespace);
                    return (items, before);
                }
                None | Some(TokenKind::Eof) => return (items, before),
                Some(TokenKind::Comma) => {
                    self.skip();
                    // Between an item and its comma there is no line for them.
                    if let Some(last) = items.last_mut() {
                        last.before.extend(before);
                    }
                }
                Some(_) => {
                    let is_table = closing == TokenKind::RightCurlyBracket;
                    let key = is_table.then(|| self.key());
                    items.push(Item {
                        before,
                        is_apart: between.is_apart,
                        key,
                        value: self.value(),
                        after: None,
                    });
                }
            }
        }
    }

    fn between(&mut self) -> Between<'a> {
        let mut between = Between::default();
        let (mut lines, mut was_blank) = (0, false);
        while let Some(kind) = self.kind() {
            match kind {
                TokenKind::Whitespace => self.skip(),
                TokenKind::Newline => {
                    self.skip();
                    lines += 1;
                    // Before the first comment, or they would be torn apart.
                    between.is_apart |= was_blank && between.own_lines.is_empty();
                    was_blank = true;
                }
                TokenKind::Comment if lines == 0 => {
                    between.same_line = Some(self.comment());
                }
                TokenKind::Comment => {
                    let comment = self.comment();
                    between.own_lines.push(comment);
                    was_blank = false;
                }
                TokenKind::Dot
                | TokenKind::Equals
                | TokenKind::Comma
                | TokenKind::LeftSquareBracket
                | TokenKind::RightSquareBracket
                | TokenKind::LeftCurlyBracket
                | TokenKind::RightCurlyBracket
                | TokenKind::LiteralString
                | TokenKind::BasicString
                | TokenKind::MlLiteralString
                | TokenKind::MlBasicString
                | TokenKind::Atom
                | TokenKind::Eof => break,
            }
        }
        between
    }

    /// The comment at the end of a line, and the line's end.
    fn end_line(&mut self) -> Option<&'a str> {
        self.skip_one(TokenKind::Whitespace);
        let has_comment = self.kind() == Some(TokenKind::Comment);
        let comment = has_comment.then(|| self.comment());
        self.skip_one(TokenKind::Newline);
        comment
    }
}
