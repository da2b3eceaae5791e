//! Finds the bracket or quote that a broken text forgets to close. A parser notices that only where the next thing makes no sense,
//! and then complains about line after line; this looks at nothing but what opens and what closes.

use super::problem::Complaint;

/// What is open, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opening {
    at: usize,
    kind: Kind,
    /// In a table: the key that begins a line although no comma ended the one before, most likely the next setting.
    stranger: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `[table]`, which ends on its line.
    Header,
    List,
    Table,
    /// A string with the quotes that open and close it.
    Text(&'static str),
}

/// An opening without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclosed {
    pub(super) start: usize,
    pub(super) end: usize,
    kind: Kind,
    /// Where it became clear; `None`: the text ends first.
    noticed: Option<usize>,
}

impl Unclosed {
    pub(super) fn complaint(&self, text: &str) -> Complaint {
        let (opening, closing) = match self.kind {
            Kind::Header | Kind::List => ("[", "]"),
            Kind::Table => ("{", "}"),
            Kind::Text(quotes) => (quotes, quotes),
        };
        let where_to = match (self.kind, self.noticed) {
            (Kind::Header | Kind::Text("\"" | "'"), _) => "on this line".to_owned(),
            (_, None) => "before the end of the file".to_owned(),
            (_, Some(at)) => {
                let before = text.as_bytes().iter().take(at);
                let line = before.filter(|byte| **byte == b'\n').count() + 1;
                format!("before what begins on line {line}")
            }
        };
        Complaint::new(format!("this `{opening}` is not closed"))
            .hint(format!("write `{closing}` {where_to}"))
    }
}

/// The first opening that nothing closes.
pub(super) fn find(text: &str) -> Option<Unclosed> {
    let mut scan = Scan {
        text,
        at: 0,
        open: Vec::new(),
        line: Line::Empty,
    };
    while let Some(byte) = scan.peek() {
        if let Some(unclosed) = scan.step(byte) {
            return Some(unclosed);
        }
    }
    let last = scan.open.pop()?;
    Some(last.unclosed(None))
}

impl Opening {
    fn unclosed(self, noticed: Option<usize>) -> Unclosed {
        let width = match self.kind {
            Kind::Header | Kind::List | Kind::Table => 1,
            Kind::Text(quotes) => quotes.len(),
        };
        Unclosed {
            start: self.at,
            end: self.at + width,
            kind: self.kind,
            noticed: self.stranger.or(noticed),
        }
    }

    const fn new(at: usize, kind: Kind) -> Self {
        Self {
            at,
            kind,
            stranger: None,
        }
    }
}

/// What of the line at hand has been seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Empty,
    /// What may be a key, and where it began.
    Key(usize),
    /// An `=` came last.
    Assigned,
    Other,
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    open: Vec<Opening>,
    line: Line,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes past what begins here.
    fn step(&mut self, byte: u8) -> Option<Unclosed> {
        let at = self.at;
        self.at += 1;
        match byte {
            b' ' | b'\t' | b'\r' => None,
            b'\n' => self.end_line(),
            b'#' => {
                self.skip_to_line_end();
                None
            }
            b'"' | b'\'' => self.string(at),
            b'[' => self.open_list(at),
            b'{' => {
                self.push(at, Kind::Table);
                None
            }
            b']' | b'}' => self.close(at, byte),
            b'=' => self.assign(),
            b',' => {
                self.line = Line::Other;
                None
            }
            _ => {
                self.key(at);
                None
            }
        }
    }

    fn key(&mut self, at: usize) {
        self.line = match self.line {
            Line::Empty => Line::Key(at),
            Line::Key(start) => Line::Key(start),
            Line::Assigned | Line::Other => Line::Other,
        };
    }

    fn push(&mut self, at: usize, kind: Kind) {
        self.open.push(Opening::new(at, kind));
        self.line = Line::Other;
    }

    fn end_line(&mut self) -> Option<Unclosed> {
        self.line = Line::Empty;
        let header = self.open.last().filter(|top| top.kind == Kind::Header)?;
        Some(header.unclosed(Some(self.at)))
    }

    fn open_list(&mut self, at: usize) -> Option<Unclosed> {
        let top = self.open.last().copied();
        let begins = self.line == Line::Empty;
        let kind = match top.map(|top| top.kind) {
            None if begins => Kind::Header,
            Some(Kind::Header) => Kind::Header,
            // In a table a list stands behind a key; this is the header of the next section.
            Some(Kind::Table) if begins => return top.map(|top| top.unclosed(Some(at))),
            None | Some(Kind::Table | Kind::List | Kind::Text(_)) => Kind::List,
        };
        self.push(at, kind);
        None
    }

    fn close(&mut self, at: usize, byte: u8) -> Option<Unclosed> {
        self.line = Line::Other;
        let top = self.open.pop()?;
        let is_its_own = (top.kind == Kind::Table) == (byte == b'}');
        (!is_its_own).then(|| top.unclosed(Some(at)))
    }

    /// A list holds no keys: one that begins a line is that of the next setting.
    fn assign(&mut self) -> Option<Unclosed> {
        let line = std::mem::replace(&mut self.line, Line::Assigned);
        let Line::Key(start) = line else { return None };
        let top = self.open.last_mut()?;
        if top.kind == Kind::List {
            return Some(top.unclosed(Some(start)));
        }
        let before = self.text.get(..start).unwrap_or_default();
        if !before.trim_end().ends_with([',', '{']) {
            top.stranger.get_or_insert(start);
        }
        None
    }

    fn string(&mut self, at: usize) -> Option<Unclosed> {
        self.key(at);
        let rest = self.text.get(at..).unwrap_or_default();
        let quotes = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|quotes| rest.starts_with(quotes))?;
        self.at = at + quotes.len();
        let kind = Kind::Text(quotes);
        while let Some(byte) = self.peek() {
            let rest = self.text.get(self.at..).unwrap_or_default();
            if rest.starts_with(quotes) {
                self.at += quotes.len();
                // Up to two quotes may stand before the three that close.
                while quotes.len() == 3 && self.peek() == quotes.bytes().next() {
                    self.at += 1;
                }
                return None;
            }
            match byte {
                b'\n' if quotes.len() == 1 => break,
                b'\\' if quotes.starts_with('"') => self.skip_escaped(quotes.len() == 3),
                _ => self.skip_character(),
            }
        }
        Some(Opening::new(at, kind).unclosed(self.peek().map(|_| self.at)))
    }

    /// An escaped quote closes nothing; a line ends all the same.
    fn skip_escaped(&mut self, spans_lines: bool) {
        self.at += 1;
        if spans_lines || self.peek() != Some(b'\n') {
            self.skip_character();
        }
    }

    fn skip_character(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.chars().next().map_or(1, char::len_utf8);
    }

    fn skip_to_line_end(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    /// The opening is marked by `>` in the text, which is taken out; no mark: everything is closed.
    fn check(marked: &str) {
        let expected = marked.find('>');
        let text = marked.replacen('>', "", 1);
        let found = find(&text).map(|unclosed| unclosed.start);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_opening_is_found_and_what_is_closed_is_not() {
        for text in [
            "",
            "a = [1, [2, 3],\n [4],\n]\nb = { c = [1], d = { e = 2 } }\n[f.g]\n[[h]]\n",
            "a = {\n b = 1\n c = 2\n}\n",
            "a = \"]\" # [\nb = ']{'\nc = \"\"\"\n[ { \\\"\"\"\"\nd = '''\n[''''\n",
            "a = \"\\\"[\"\n",
            ">[a\nb = 1\n",
            ">[[a]\nb = 1\n",
            "a = >[1, 2\nb = 3\n",
            "a = >[\"x\"\n\n[b]\nc = 1\n",
            "a = >[\"x\"\n[[b]]\n",
            "a = >{ b = 1\nc = 2\n[d]\n",
            "a = >{ b = 1\n[[d]]\n",
            "a = >{ b = 1",
            "a = { b = >[1, 2 }\n",
            "a = [{ b = 1 }, >{ c = 2 ]\nd = 1\n",
            "a = [>\"x]\nb = 1\n",
            "a = >'x\nb = 'y'\n",
            "a = >\"\"\"\nb = 1\n",
            "a = >\"x\\\nb = 1\n",
            "a = >\"ä\\",
        ] {
            check(text);
        }
    }
}
