//! Frames, byte by byte.

/// An IPv4 source, then protocol and payload; the destination is 198.51.100.1.
#[derive(Clone)]
pub struct Ip4 {
    pub source: [u8; 4],
    pub protocol: u8,
    /// Flags and offset field.
    pub fragment: u16,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Ip4 {
    pub fn new(source: [u8; 4], protocol: u8, payload: Vec<u8>) -> Self {
        Self {
            source,
            protocol,
            fragment: 0x4000,
            options: Vec::new(),
            payload,
        }
    }

    /// A TCP SYN to port 443.
    pub fn tcp(source: [u8; 4]) -> Self {
        Self::new(source, 6, tcp(40000, 443))
    }

    pub fn frame(&self, tags: &[[u8; 2]]) -> Vec<u8> {
        let mut frame = ethernet(tags, [8, 0]);
        let header = 20 + self.options.len();
        frame.extend([0x40 | (header / 4) as u8, 0]);
        frame.extend(((header + self.payload.len()) as u16).to_be_bytes());
        frame.extend([0, 1]);
        frame.extend(self.fragment.to_be_bytes());
        frame.extend([64, self.protocol, 0, 0]);
        frame.extend(self.source);
        frame.extend([198, 51, 100, 1]);
        frame.extend(&self.options);
        frame.extend(&self.payload);
        frame
    }
}

/// An IPv6 source, extension headers (each with its own number), then protocol and payload; the destination is `2001:db8:ffff::1`.
#[derive(Clone)]
pub struct Ip6 {
    pub source: [u8; 16],
    pub hop_limit: u8,
    pub extensions: Vec<(u8, Vec<u8>)>,
    pub protocol: u8,
    pub payload: Vec<u8>,
}

impl Ip6 {
    pub fn new(source: &str, protocol: u8, payload: Vec<u8>) -> Self {
        let source = source.parse::<std::net::Ipv6Addr>().unwrap().octets();
        Self {
            source,
            hop_limit: 64,
            extensions: Vec::new(),
            protocol,
            payload,
        }
    }

    /// A TCP SYN to port 443.
    pub fn tcp(source: &str) -> Self {
        Self::new(source, 6, tcp(40000, 443))
    }

    pub fn with(mut self, extensions: &[(u8, Vec<u8>)]) -> Self {
        self.extensions = extensions.to_vec();
        self
    }

    pub fn frame(&self, tags: &[[u8; 2]]) -> Vec<u8> {
        let mut frame = ethernet(tags, [0x86, 0xdd]);
        let next = |at: usize| {
            self.extensions
                .get(at)
                .map_or(self.protocol, |extension| extension.0)
        };
        let extensions: usize = self
            .extensions
            .iter()
            .map(|extension| extension.1.len())
            .sum();
        frame.extend([0x60, 0, 0, 0]);
        frame.extend(((extensions + self.payload.len()) as u16).to_be_bytes());
        frame.extend([next(0), self.hop_limit]);
        frame.extend(self.source);
        frame.extend(
            "2001:db8:ffff::1"
                .parse::<std::net::Ipv6Addr>()
                .unwrap()
                .octets(),
        );
        for (at, (_, bytes)) in self.extensions.iter().enumerate() {
            frame.push(next(at + 1));
            frame.extend(&bytes[1..]);
        }
        frame.extend(&self.payload);
        frame
    }
}

pub const VLAN: [u8; 2] = [0x81, 0x00];
pub const QINQ: [u8; 2] = [0x88, 0xa8];

pub fn ethernet(tags: &[[u8; 2]], ethertype: [u8; 2]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for tag in tags {
        frame.extend(tag);
        frame.extend([0, 7]);
    }
    frame.extend(ethertype);
    frame
}

pub fn tcp(source: u16, destination: u16) -> Vec<u8> {
    let mut header = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xfa, 0xf0, 0, 0, 0, 0]);
    header
}

pub fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut header = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    header.extend([0, 12, 0, 0, 1, 2, 3, 4]);
    header
}

pub fn icmp6(kind: u8) -> Vec<u8> {
    vec![kind, 0, 0, 0, 0, 0, 0, 0]
}

/// An extension header of `8 * (words + 1)` bytes, with the number that names it.
pub fn extension(number: u8, words: u8) -> (u8, Vec<u8>) {
    let mut bytes = vec![0; 8 * (usize::from(words) + 1)];
    bytes[1] = words;
    (number, bytes)
}

/// An authentication header (RFC 4302) of `4 * (words + 2)` bytes.
pub fn authentication(words: u8) -> (u8, Vec<u8>) {
    let mut bytes = vec![0; 4 * (usize::from(words) + 2)];
    bytes[1] = words;
    (51, bytes)
}

/// A fragment header with that offset field.
pub fn fragment(offset: u16) -> (u8, Vec<u8>) {
    let [high, low] = offset.to_be_bytes();
    (44, vec![0, 0, high, low, 0, 0, 0, 1])
}
