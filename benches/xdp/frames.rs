//! Frames to measure with.

use crate::Sources;

/// Where frames go to.
pub(crate) const SERVER4: [u8; 4] = [198, 51, 100, 1];
pub(crate) const SERVER6: [u8; 16] = [0x26, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// A TCP packet over IPv4, then the two words from which the program makes its source.
pub(crate) fn v4(sources: Sources) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 48, 0, 1, 0x40, 0, 64, 6, 0, 0]);
    frame.extend([192, 0, 2, 7]);
    frame.extend(SERVER4);
    with_tcp(frame, sources)
}

/// The same over IPv6 from `2600::/32`, the random word in the last four bytes of the source.
pub(crate) fn v6(sources: Sources) -> Vec<u8> {
    ip6([0x26, 0, 0, 0], sources)
}

/// From `2001:db8::/32`: the random word is the end of the /64's number, so that each source is another subnet.
pub(crate) fn banned6(sources: Sources) -> Vec<u8> {
    ip6([0x20, 1, 0xd, 0xb8], sources)
}

fn ip6(network: [u8; 4], sources: Sources) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, 0, 28, 6, 64]);
    frame.extend(network);
    frame.extend([0; 12]);
    frame.extend(SERVER6);
    with_tcp(frame, sources)
}

fn with_tcp(mut frame: Vec<u8>, sources: Sources) -> Vec<u8> {
    frame.extend([
        0x9c, 0x40, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xfa, 0xf0, 0, 0, 0, 0,
    ]);
    frame.extend(sources.parameters());
    frame
}

/// A segment to this host as Linux sends it.
pub(crate) struct Segment {
    pub(crate) is_v6: bool,
    pub(crate) port: u16,
    pub(crate) flags: u8,
    pub(crate) numbers: [u32; 2],
    pub(crate) options: &'static [u8],
}

/// MSS 1460, SACK permitted, timestamps, window scale 7.
pub(crate) const LINUX: [u8; 20] = [
    2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
];

impl Segment {
    /// The frame; its source is `192.0.2.7` or `2600::c000:207`.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let length = 20 + self.options.len() as u8;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if self.is_v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, length, 6, 64]);
            frame.extend([0x26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 7]);
            frame.extend(SERVER6);
        } else {
            frame.extend([8, 0, 0x45, 0, 0, 20 + length, 0, 1, 0x40, 0, 64, 6, 0, 0]);
            frame.extend([192, 0, 2, 7]);
            frame.extend(SERVER4);
        }
        frame.extend([0x9c, 0x40]);
        frame.extend(self.port.to_be_bytes());
        frame.extend(self.numbers.map(u32::to_be_bytes).as_flattened());
        frame.extend([(length / 4) << 4, self.flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        frame.extend(self.options);
        frame
    }
}
