//! The tables as text: what a row is, and how it is read.
//!
//! A line `# 9112 §5.1` says which clause the rows under it are about. A row is a few lines, each with a word in front,
//! and an empty line ends it:
//!
//! - `rule`: the clause in our own words;
//! - `send`: bytes of the client, all such lines in one; `eof`: then the client ends its direction;
//! - `list NAME: VALUE`, `data BYTES`, `last NAME: VALUE`: a request of HTTP/2 and HTTP/3 instead: fields, body, trailers;
//! - `frame TYPE BYTES`: one more frame of HTTP/3 at that place of the request, its type in hexadecimal; `tail BYTES`: what ends the
//!   stream; `settings BYTES`, `control TYPE BYTES`: the payload of SETTINGS, and frames behind it; `silent`: no control stream;
//!   `uni BYTES`, `uni-end BYTES`: a stream of one direction, that stays open or ends;
//! - `only h2`: a request of HTTP/2 and of no other version;
//! - `reply`: what the origin answers, in place of a short 200; `reply-end`: the same, and closes;
//! - `got`, `gone`: text that the request has, or has not, when it reaches the origin, in any case of letters;
//! - `sees`, `never`: text that the client's answer has or has not;
//! - `refused STATUS REASON`: the answer is this refusal, and the origin has heard nothing;
//! - `reset CODE`: so is the stream of HTTP/2 or HTTP/3; `cut`: the client sees that its answer is not whole, or gets a refusal;
//! - `closed CODE`: the connection of HTTP/3 is closed;
//! - `served N`: so many requests of the row reach the origin;
//! - `test FILE NAME`: nothing of the above: that test holds the clause.
//!
//! In bytes `↵` is CRLF, `\r \n \t \0 \\ \xHH` are as in Rust, `{id}` is a name of the row's own by which its requests are
//! known, and `{N*TEXT}` is TEXT so many times.

/// One row.
#[derive(Debug, Default)]
pub struct Row {
    pub clause: &'static str,
    pub rule: &'static str,
    pub line: usize,
    pub send: Vec<u8>,
    pub eof: bool,
    pub list: Vec<(Vec<u8>, Vec<u8>)>,
    /// Frames between the two lists: DATA, and others.
    pub data: Vec<(u64, Vec<u8>)>,
    pub last: Vec<(Vec<u8>, Vec<u8>)>,
    /// Frames around all that.
    pub before: Vec<(u64, Vec<u8>)>,
    pub after: Vec<(u64, Vec<u8>)>,
    pub tail: Vec<u8>,
    pub settings: Vec<u8>,
    pub control: Vec<(u64, Vec<u8>)>,
    pub is_silent: bool,
    /// The one version that the list is for.
    pub only: Option<&'static str>,
    /// Each with whether it ends.
    pub uni: Vec<(Vec<u8>, bool)>,
    pub reply: Option<(Vec<u8>, bool)>,
    pub got: Vec<Vec<u8>>,
    pub gone: Vec<Vec<u8>>,
    pub sees: Vec<Vec<u8>>,
    pub never: Vec<Vec<u8>>,
    pub refused: Option<(u16, &'static str)>,
    pub reset: Option<u64>,
    pub closed: Option<u64>,
    pub cut: bool,
    pub served: Option<usize>,
    pub test: Option<(&'static str, &'static str)>,
}

impl Row {
    /// The name in `{id}`, such that none is the beginning of another.
    pub fn id(&self) -> String {
        format!("row{}x", self.line)
    }

    /// Whether this is about streams and frames that HTTP/3 alone has.
    fn has_frames(&self) -> bool {
        let frames = [&self.before, &self.after, &self.control];
        let is_other = |(kind, _): &(u64, Vec<u8>)| *kind != 0;
        frames.into_iter().any(|frames| !frames.is_empty())
            || self.data.iter().any(is_other)
            || !(self.tail.is_empty() && self.settings.is_empty() && self.uni.is_empty())
    }

    pub fn is_for_http2(&self) -> bool {
        let is_other = self.has_frames() || self.clause.starts_with("9114");
        !self.list.is_empty() && !is_other
    }

    pub fn is_for_http3(&self) -> bool {
        (!self.list.is_empty() && self.only.is_none()) || self.has_frames()
    }
}

/// Reads a table.
pub fn rows(table: &'static str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut clause = "";
    let mut row: Option<Row> = None;
    for (number, line) in table.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("# ") {
            clause = heading;
        } else if line.is_empty() {
            rows.extend(row.take());
        } else {
            let row = row.get_or_insert_with(|| Row {
                clause,
                line: number + 1,
                ..Row::default()
            });
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            note(row, word, rest);
        }
    }
    rows.extend(row);
    for row in &rows {
        assert!(!row.clause.is_empty() && !row.rule.is_empty(), "{row:?}");
    }
    rows
}

fn note(row: &mut Row, word: &str, rest: &'static str) {
    let id = row.id();
    let bytes = || bytes(rest, &id);
    match word {
        "rule" => row.rule = rest,
        "send" => row.send.extend(bytes()),
        "eof" => row.eof = true,
        "list" => row.list.push(field(&bytes())),
        "data" => row.data.push((0, bytes())),
        "frame" => {
            let frame = frame(rest, &id);
            let place = match (row.list.is_empty(), row.last.is_empty()) {
                (true, _) => &mut row.before,
                (false, true) => &mut row.data,
                (false, false) => &mut row.after,
            };
            place.push(frame);
        }
        "tail" => row.tail = bytes(),
        "settings" => row.settings = bytes(),
        "control" => row.control.push(frame(rest, &id)),
        "only" => row.only = Some(rest),
        "silent" => row.is_silent = true,
        "uni" => row.uni.push((bytes(), false)),
        "uni-end" => row.uni.push((bytes(), true)),
        "last" => row.last.push(field(&bytes())),
        "reply" => row.reply = Some((bytes(), false)),
        "reply-end" => row.reply = Some((bytes(), true)),
        "got" => row.got.push(bytes()),
        "gone" => row.gone.push(bytes()),
        "sees" => row.sees.push(bytes()),
        "never" => row.never.push(bytes()),
        "refused" => {
            let (status, reason) = rest.split_once(' ').expect("a status and a reason");
            row.refused = Some((status.parse().expect("a status"), reason));
        }
        "reset" => row.reset = Some(code(rest)),
        "closed" => row.closed = Some(code(rest)),
        "cut" => row.cut = true,
        "served" => row.served = Some(rest.parse().expect("a number")),
        "test" => row.test = rest.split_once(' '),
        other => panic!("line {} and on: no word {other:?}", row.line),
    }
}

/// A type in hexadecimal, then a payload.
fn frame(text: &str, id: &str) -> (u64, Vec<u8>) {
    let (kind, payload) = text.split_once(' ').unwrap_or((text, ""));
    let kind = u64::from_str_radix(kind, 16).expect("a type");
    (kind, bytes(payload, id))
}

/// An error code: its number, or its name in HTTP/3 and QPACK.
pub fn code(text: &str) -> u64 {
    let names = CODES.iter().find(|(name, _)| *name == text);
    names.map_or_else(
        || text.parse().unwrap_or_else(|_| panic!("no code {text}")),
        |(_, code)| *code,
    )
}

const CODES: [(&str, u64); 15] = [
    ("H3_NO_ERROR", 0x100),
    ("H3_STREAM_CREATION_ERROR", 0x103),
    ("H3_CLOSED_CRITICAL_STREAM", 0x104),
    ("H3_FRAME_UNEXPECTED", 0x105),
    ("H3_FRAME_ERROR", 0x106),
    ("H3_EXCESSIVE_LOAD", 0x107),
    ("H3_ID_ERROR", 0x108),
    ("H3_SETTINGS_ERROR", 0x109),
    ("H3_MISSING_SETTINGS", 0x10a),
    ("H3_REQUEST_CANCELLED", 0x10c),
    ("H3_REQUEST_INCOMPLETE", 0x10d),
    ("H3_MESSAGE_ERROR", 0x10e),
    ("QPACK_DECOMPRESSION_FAILED", 0x200),
    ("QPACK_ENCODER_STREAM_ERROR", 0x201),
    ("QPACK_DECODER_STREAM_ERROR", 0x202),
];

/// `NAME: VALUE`; the colon of a pseudo-header field belongs to its name.
fn field(line: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let at = line.windows(2).position(|pair| pair == b": ");
    let at = at.unwrap_or_else(|| panic!("no field: {:?}", String::from_utf8_lossy(line)));
    (line[..at].to_vec(), line[at + 2..].to_vec())
}

fn bytes(text: &str, id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match char {
            '↵' => out.extend_from_slice(b"\r\n"),
            '\\' => rest = escape(rest, &mut out),
            '{' => {
                let (inside, after) = rest.split_once('}').expect("a closing brace");
                rest = after;
                match inside.split_once('*') {
                    Some((count, text)) => {
                        let count = count.parse().expect("a count");
                        out.extend(bytes(text, id).repeat(count));
                    }
                    None => out.extend_from_slice(id.as_bytes()),
                }
            }
            plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// What stands behind a backslash; returns the rest.
fn escape<'a>(text: &'a str, out: &mut Vec<u8>) -> &'a str {
    let byte = match &text[..1] {
        "r" => b'\r',
        "n" => b'\n',
        "t" => b'\t',
        "0" => 0,
        "\\" => b'\\',
        "x" => {
            out.push(u8::from_str_radix(&text[1..3], 16).expect("two digits"));
            return &text[3..];
        }
        other => panic!("no escape: \\{other}"),
    };
    out.push(byte);
    &text[1..]
}

#[test]
fn a_table_is_read_as_it_says() {
    let rows = rows(
        "# 1 §2\nrule a\nsend G\\x00\\t{id}{3*ab}↵\nsend E\nrefused 400 x.y\n\nrule b\nlist :path: /\neof\n",
    );
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].send, b"G\0\trow2xababab\r\nE");
    assert_eq!(rows[0].refused, Some((400, "x.y")));
    assert_eq!((rows[1].clause, rows[1].rule), ("1 §2", "b"));
    assert_eq!(rows[1].list, [(b":path".to_vec(), b"/".to_vec())]);
    assert!(rows[1].eof && !rows[0].eof);
}
