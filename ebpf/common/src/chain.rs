//! The chain of IPv6 extension headers (RFC 8200 §4).

/// Extension headers of one IPv6 packet; more are malformed (RFC 8504 §5.3 lets a node limit them).
pub const MAX_EXTENSIONS: u32 = 6;

/// Hop-by-hop options, routing, fragment, authentication, destination options: headers that name the next one.
#[inline(always)]
pub(crate) fn is_extension(next: u32) -> bool {
    matches!(next, 0 | 43 | 44 | 51 | 60)
}

/// A walk along IPv6 extension headers, one header a step. Full words, because the kernel program keeps it on the stack across a
/// callback, where the verifier follows words best.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    pub(crate) offset: u32,
    pub(crate) next: u32,
    seen: u32,
    pub(crate) fragment: u32,
    pub(crate) state: u32,
}

impl Chain {
    pub(crate) const OPEN: u32 = 0;
    pub(crate) const LATER_FRAGMENT: u32 = 1;
    const BROKEN: u32 = 2;

    #[inline(always)]
    pub(crate) fn new(next: u8, offset: usize) -> Self {
        Self {
            offset: offset as u32,
            next: u32::from(next),
            seen: 0,
            fragment: 0,
            state: Self::OPEN,
        }
    }

    /// Where the next extension header starts; nothing at the end of the walk.
    #[inline(always)]
    pub fn wants(&mut self) -> Option<u32> {
        if self.state != Self::OPEN || !is_extension(self.next) {
            return None;
        }
        if self.seen >= MAX_EXTENSIONS {
            self.state = Self::BROKEN;
            return None;
        }
        Some(self.offset)
    }

    /// Takes the first eight bytes of the header that [`Self::wants`] asked for, or that the frame ends before them.
    #[inline(always)]
    pub fn advance(&mut self, header: Option<[u8; 8]>) {
        let Some([next, length, fragment_high, fragment_low, ..]) = header else {
            self.state = Self::BROKEN;
            return;
        };
        let length = u32::from(length);
        let step = match self.next {
            44 => {
                self.fragment = 1;
                // RFC 8200 §4.5: behind a later fragment's header comes data, whatever its next-header field says.
                if u16::from_be_bytes([fragment_high, fragment_low]) & 0xfff8 != 0 {
                    self.state = Self::LATER_FRAGMENT;
                }
                8
            }
            // RFC 4302 §2.2: in words of four bytes, minus two.
            51 => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        self.offset += step;
        self.next = u32::from(next);
        self.seen += 1;
    }
}
