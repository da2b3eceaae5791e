//! Keys of consistent balancing. The same on every worker, machine and version: an endpoint's cache must find its clients
//! again after a restart. A client can choose whom it is sent to, as it always can where the URL decides.

use std::net::IpAddr;

use crate::limit::network_of;

/// What stays together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// One client: an IPv4 address, or the /64 of an IPv6 address.
    pub fn of_client(address: IpAddr) -> Self {
        match network_of(address) {
            IpAddr::V4(address) => Self::of_bytes(&address.octets()),
            IpAddr::V6(address) => Self::of_bytes(&address.octets()),
        }
    }

    /// A URL, a name, or whatever else.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        // FNV-1a by whole words, then mixed well: ranks and slots are taken from all bits.
        let (words, rest) = bytes.as_chunks::<8>();
        let mut state = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
        for word in words {
            state = mixed(state ^ u64::from_le_bytes(*word));
        }
        for byte in rest {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(mixed(state))
    }

    /// The two together; unlike either.
    pub(super) fn with(self, other: Self) -> u64 {
        mixed(self.0 ^ other.0.rotate_left(32))
    }

    /// What a member of this name and weight bids for the key; the highest bid has it. Shares are exactly by weight when the
    /// rank is the weight over an exponentially distributed number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are as many as fit exactly"
    )]
    pub(crate) fn rank(self, name: Self, weight: f64) -> f64 {
        let unit = ((mixed(self.with(name)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        weight / -unit.ln()
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

/// The finisher of `SplitMix64`: each bit of the input changes about half of the output.
pub(super) fn mixed(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
