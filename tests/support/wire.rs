//! Bytes on a connection, read with a deadline, and HTTP/1 messages in them. This is a witness for the tests: it
//! reads what is there, strictly, and repairs nothing.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A connection of whatever kind.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// One HTTP/1 message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The request or status line.
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Every byte of it, framing included.
    pub raw: Vec<u8>,
}

impl Message {
    /// The first field of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The status of a response.
    pub fn status(&self) -> u16 {
        let code = self.start.split(' ').nth(1).unwrap_or_default();
        code.parse()
            .unwrap_or_else(|_| panic!("no status in {:?}", self.start))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How the body of a message is delimited (RFC 9112, section 6.3).
enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

pub struct Wire {
    stream: Box<dyn Stream>,
    /// The same connection, to set its timeouts.
    socket: TcpStream,
    /// Read from the stream, not yet asked for.
    ahead: Vec<u8>,
    /// Every byte ever read.
    pub seen: Vec<u8>,
    pub limit: Duration,
}

impl Wire {
    pub fn new(stream: Box<dyn Stream>, socket: TcpStream) -> Self {
        Self {
            stream,
            socket,
            ahead: Vec::new(),
            seen: Vec::new(),
            limit: PATIENCE,
        }
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.set_write_timeout(Some(self.limit))?;
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads some more; `false` at the end of the stream.
    fn fill(&mut self, end: Instant) -> io::Result<bool> {
        let left = end
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
            .ok_or(io::ErrorKind::TimedOut)?;
        self.socket.set_read_timeout(Some(left))?;
        let mut chunk = vec![0; 64 * 1024];
        let count = match self.stream.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        };
        self.ahead.extend_from_slice(&chunk[..count]);
        self.seen.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }

    fn end(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// Reads until `pattern` has come, and gives everything up to its end.
    pub fn read_until(&mut self, pattern: &[u8]) -> io::Result<Vec<u8>> {
        let end = self.end();
        loop {
            let found = self
                .ahead
                .windows(pattern.len())
                .position(|window| window == pattern);
            if let Some(at) = found {
                return Ok(self.ahead.drain(..at + pattern.len()).collect());
            }
            if !self.fill(end)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub fn read_exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let end = self.end();
        while self.ahead.len() < count {
            if !self.fill(end)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// What has come, at least one byte; nothing at the end.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        if self.ahead.is_empty() {
            self.fill(self.end())?;
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let end = self.end();
        while self.fill(end)? {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// A request with its body; none if the stream ends before its first byte.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let end = self.end();
        while self.ahead.is_empty() {
            if !self.fill(end)? {
                return Ok(None);
            }
        }
        let head = self.head()?;
        let framing = match framing(&head) {
            Framing::UntilClose => Framing::None,
            known @ (Framing::None | Framing::Length(_) | Framing::Chunked) => known,
        };
        self.body(head, &framing).map(Some)
    }

    /// A response with its body; `method` is the one it answers.
    pub fn response(&mut self, method: &str) -> io::Result<Message> {
        let head = self.head()?;
        let framing = match head.status() {
            100..200 | 204 | 304 => Framing::None,
            _ if method == "HEAD" => Framing::None,
            _ => framing(&head),
        };
        self.body(head, &framing)
    }

    fn head(&mut self) -> io::Result<Message> {
        let raw = self.read_until(b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&raw);
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("no field: {line:?}"))
            })?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Message {
            start,
            headers,
            body: Vec::new(),
            raw,
        })
    }

    fn body(&mut self, mut message: Message, framing: &Framing) -> io::Result<Message> {
        match framing {
            Framing::None => {}
            Framing::Length(length) => message.body = self.read_exact(*length)?,
            Framing::UntilClose => message.body = self.read_to_end()?,
            Framing::Chunked => {
                self.chunks(&mut message)?;
                return Ok(message);
            }
        }
        message.raw.extend_from_slice(&message.body);
        Ok(message)
    }

    fn chunks(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let line = self.read_until(b"\r\n")?;
            message.raw.extend_from_slice(&line);
            let text = String::from_utf8_lossy(&line);
            let digits = text.split([';', '\r']).next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if size == 0 {
                break;
            }
            let chunk = self.read_exact(size + 2)?;
            message.raw.extend_from_slice(&chunk);
            message.body.extend_from_slice(&chunk[..size]);
        }
        // Trailers, if any, then an empty line.
        loop {
            let line = self.read_until(b"\r\n")?;
            message.raw.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok(());
            }
        }
    }
}

fn framing(head: &Message) -> Framing {
    if head.header("transfer-encoding").is_some() {
        return Framing::Chunked;
    }
    match head.header("content-length") {
        Some(length) => Framing::Length(
            length
                .parse()
                .unwrap_or_else(|_| panic!("no length: {length:?}")),
        ),
        None => Framing::UntilClose,
    }
}
