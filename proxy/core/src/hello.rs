//! The first message of a TLS client (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2), as far as it says where the client wants to go.
//!
//! It is read and not judged: whoever the connection is forwarded to has to agree with the client on all the rest. With Encrypted
//! Client Hello the name is the outer one, which is what the world may see.

/// The largest message; those of today have 0.3 to 2 KiB.
const MAX_MESSAGE: usize = 16 * 1024;
/// RFC 8446 §5.1.
const MAX_RECORD: usize = 1 << 14;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// What the client wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// In lower case (RFC 6066 §3).
    pub server_name: Option<String>,
    /// The protocols it offers, best first (RFC 7301 §3.1).
    pub protocols: Vec<Vec<u8>>,
}

/// These bytes do not begin a TLS connection, or not one whose first message can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotHello(pub &'static str);

/// Puts the message together from records, of which each byte is looked at once however they arrive.
#[derive(Debug, Default)]
pub struct Reader {
    /// How far the input was read.
    at: usize,
    /// Bytes of the record under way that are to come.
    left: usize,
    message: Vec<u8>,
}

impl Reader {
    /// `input` is everything since the connection's beginning; `None`: the message is not whole yet.
    ///
    /// # Errors
    /// When it never will be.
    pub fn read(&mut self, input: &[u8]) -> Result<Option<Hello>, NotHello> {
        loop {
            let fresh = input.get(self.at..).unwrap_or_default();
            if self.left == 0 {
                let Some(length) = record(fresh)? else {
                    return Ok(None);
                };
                self.left = length;
                self.at += 5;
                continue;
            }
            let take = fresh.len().min(self.left);
            if take == 0 {
                return Ok(None);
            }
            self.message
                .extend_from_slice(fresh.get(..take).unwrap_or_default());
            self.at += take;
            self.left -= take;
            if let Some(body) = body(&self.message)? {
                return hello(Bytes(body))
                    .map(Some)
                    .ok_or(NotHello("the client's first TLS message is malformed"));
            }
        }
    }
}

/// The length of the record that begins here, once its head is there.
fn record(bytes: &[u8]) -> Result<Option<usize>, NotHello> {
    const HANDSHAKE: u8 = 22;
    const MAJOR: u8 = 3;
    let strange = match bytes {
        [first, ..] if *first != HANDSHAKE => true,
        [_, second, ..] => *second != MAJOR,
        _ => false,
    };
    if strange {
        return Err(NotHello("what the client sends is not TLS"));
    }
    let [_, _, _, high, low, ..] = bytes else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([*high, *low])) {
        length @ 1..=MAX_RECORD => Ok(Some(length)),
        _ => Err(NotHello(
            "the client's first TLS record has no valid length",
        )),
    }
}

/// What the message holds, once it is whole.
fn body(message: &[u8]) -> Result<Option<&[u8]>, NotHello> {
    const CLIENT_HELLO: u8 = 1;
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(NotHello("the client's first TLS message is no ClientHello"));
    }
    let [_, high, middle, low, rest @ ..] = message else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
    if length > MAX_MESSAGE {
        return Err(NotHello("the client's first TLS message is too long"));
    }
    Ok(rest.get(..length))
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A vector with a length of one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector with a length of two bytes.
    fn long(&mut self) -> Option<Self> {
        let length = self.u16()?;
        self.take(length.into()).map(Self)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn hello(mut body: Bytes<'_>) -> Option<Hello> {
    let _version_and_random = body.take(2 + 32)?;
    let _session = body.short()?;
    let _ciphers = body.long()?;
    let _compression = body.short()?;
    let mut hello = Hello::default();
    // TLS 1.2 knows clients without extensions.
    if body.is_empty() {
        return Some(hello);
    }
    let mut extensions = body.long()?;
    let (mut named, mut offered) = (false, false);
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let extension = extensions.long()?;
        // Twice the same: two readers could see two names.
        match kind {
            SERVER_NAME if named => return None,
            SERVER_NAME => {
                named = true;
                hello.server_name = Some(server_name(extension)?);
            }
            ALPN if offered => return None,
            ALPN => {
                offered = true;
                hello.protocols = protocols(extension)?;
            }
            _ => {}
        }
    }
    body.is_empty().then_some(hello)
}

/// RFC 6066 §3: a list of which only host names are known, and of those one.
fn server_name(mut extension: Bytes<'_>) -> Option<String> {
    const HOST_NAME: u8 = 0;
    let mut list = extension.long()?;
    let (kind, name) = (list.u8()?, list.long()?);
    let is_alone = list.is_empty() && extension.is_empty();
    let is_name = (1..=253).contains(&name.0.len())
        && name
            .0
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if kind != HOST_NAME || !is_alone || !is_name {
        return None;
    }
    let name = std::str::from_utf8(name.0).ok()?;
    Some(name.to_ascii_lowercase())
}

fn protocols(mut extension: Bytes<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = extension.long()?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let name = list.short().filter(|name| !name.is_empty())?;
        protocols.push(name.to_vec());
    }
    extension.is_empty().then_some(protocols)
}

#[cfg(test)]
mod tests;
