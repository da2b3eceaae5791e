//! Verdicts and their reasons. A [`Reason`] is also the index of its counter and a label on the metrics page, so its number and code
//! never change. The `would_` twin of a number is 32 higher. Numbers 8–11, 14, 15 and 18 are taken by checks to come (SYN cookies).

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The network stack gets it.
    Pass,
    /// It ends here.
    Drop,
}

/// Why it happens.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No list, ban or rule knows the source.
    Pass = 0,
    /// The source is allowed.
    Allow = 1,
    /// The source is banned.
    Ban = 2,
    /// The source is on a block list.
    Block = 3,
    /// The source's country is not admitted.
    Geo = 4,
    /// More SYNs came from the source than its rate allows.
    RateSyn = 5,
    /// A fragment for a protocol whose ports are protected.
    Fragment = 6,
    /// A header is cut short, impossible, or one too many.
    Malformed = 7,
    /// TCP flags that contradict each other, none at all, or a header length below five words.
    BadFlags = 12,
    /// Neither IPv4 nor IPv6.
    NonIp = 13,
    /// More UDP packets came from the source than its rate allows.
    RateUdp = 16,
    /// A QUIC Initial in a datagram of less than 1,200 bytes.
    QuicShort = 17,
    /// The kill switch is on.
    Off = 20,
    /// Source and destination are the same address.
    Land = 21,
    /// TCP or UDP from or to port 0.
    ZeroPort = 22,
    /// Monitor mode: would be [`Self::Ban`].
    WouldBan = 34,
    /// Monitor mode: would be [`Self::Block`].
    WouldBlock = 35,
    /// Monitor mode: would be [`Self::Geo`].
    WouldGeo = 36,
    /// Monitor mode: would be [`Self::RateSyn`].
    WouldRateSyn = 37,
    /// Monitor mode: would be [`Self::Fragment`].
    WouldFragment = 38,
    /// Monitor mode: would be [`Self::BadFlags`].
    WouldBadFlags = 44,
    /// Monitor mode: would be [`Self::RateUdp`].
    WouldRateUdp = 48,
    /// Monitor mode: would be [`Self::QuicShort`].
    WouldQuicShort = 49,
    /// Monitor mode: would be [`Self::Land`].
    WouldLand = 53,
    /// Monitor mode: would be [`Self::ZeroPort`].
    WouldZeroPort = 54,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 25] = [
        Self::Pass,
        Self::Allow,
        Self::Ban,
        Self::Block,
        Self::Geo,
        Self::RateSyn,
        Self::Fragment,
        Self::Malformed,
        Self::BadFlags,
        Self::NonIp,
        Self::RateUdp,
        Self::QuicShort,
        Self::Off,
        Self::Land,
        Self::ZeroPort,
        Self::WouldBan,
        Self::WouldBlock,
        Self::WouldGeo,
        Self::WouldRateSyn,
        Self::WouldFragment,
        Self::WouldBadFlags,
        Self::WouldRateUdp,
        Self::WouldQuicShort,
        Self::WouldLand,
        Self::WouldZeroPort,
    ];

    /// The dotted code of logs, metrics and `openclaw reasons`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pass => "shield.pass",
            Self::Allow => "shield.allow",
            Self::Ban => "shield.ban",
            Self::Block => "shield.block",
            Self::Geo => "shield.geo",
            Self::Malformed => "shield.malformed",
            Self::NonIp => "shield.non_ip",
            Self::RateSyn => "shield.rate_syn",
            Self::Fragment => "shield.fragment",
            Self::BadFlags => "shield.bad_flags",
            Self::RateUdp => "shield.rate_udp",
            Self::QuicShort => "shield.quic_short",
            Self::Land => "shield.land",
            Self::ZeroPort => "shield.zero_port",
            Self::Off => "shield.off",
            Self::WouldBan => "shield.would_ban",
            Self::WouldBlock => "shield.would_block",
            Self::WouldGeo => "shield.would_geo",
            Self::WouldRateSyn => "shield.would_rate_syn",
            Self::WouldFragment => "shield.would_fragment",
            Self::WouldBadFlags => "shield.would_bad_flags",
            Self::WouldRateUdp => "shield.would_rate_udp",
            Self::WouldQuicShort => "shield.would_quic_short",
            Self::WouldLand => "shield.would_land",
            Self::WouldZeroPort => "shield.would_zero_port",
        }
    }

    /// One sentence for people.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Pass => "No list, ban or rule of the shield knows the source; the packet passed.",
            Self::Allow => {
                "The source is on an allow list, which beats every other list; the packet passed."
            }
            Self::Ban => "The source is banned for a time or for good; the packet was dropped.",
            Self::Block => "The source is on a block list; the packet was dropped.",
            Self::Geo => "The country of the source is not admitted; the packet was dropped.",
            Self::Malformed => {
                "A header is cut short, impossible or one too many, and no list knows the source; the packet passed, for the kernel to judge."
            }
            Self::NonIp => "Neither IPv4 nor IPv6, for instance ARP; the packet passed.",
            Self::RateSyn => {
                "More SYNs came from the source than `shield.syn` allows; the packet was dropped."
            }
            Self::Fragment => {
                "A fragment of a protocol that has protected ports (`shield.fragments`); the packet was dropped."
            }
            Self::BadFlags => {
                "TCP flags that contradict each other, none at all, or an impossible header length; the packet was dropped."
            }
            Self::RateUdp => {
                "More UDP packets came from the source than `shield.udp` allows; the packet was dropped."
            }
            Self::QuicShort => {
                "A QUIC Initial in a datagram of less than 1,200 bytes, which every server discards; the packet was dropped."
            }
            Self::Land => "Source and destination are the same address; the packet was dropped.",
            Self::ZeroPort => "TCP or UDP from or to port 0; the packet was dropped.",
            Self::Off => "The shield was switched off; the packet passed unseen.",
            Self::WouldBan => {
                "Monitor mode: the source is banned and the packet would have been dropped; it passed."
            }
            Self::WouldBlock => {
                "Monitor mode: the source is on a block list and the packet would have been dropped; it passed."
            }
            Self::WouldGeo => {
                "Monitor mode: the country of the source is not admitted and the packet would have been dropped; it passed."
            }
            Self::WouldRateSyn => {
                "Monitor mode: more SYNs came from the source than `shield.syn` allows and the packet would have been dropped; it passed."
            }
            Self::WouldFragment => {
                "Monitor mode: a fragment of a protocol that has protected ports (`shield.fragments`) and the packet would have been dropped; it passed."
            }
            Self::WouldBadFlags => {
                "Monitor mode: TCP flags that contradict each other, none at all, or an impossible header length and the packet would have been dropped; it passed."
            }
            Self::WouldRateUdp => {
                "Monitor mode: more UDP packets came from the source than `shield.udp` allows and the packet would have been dropped; it passed."
            }
            Self::WouldQuicShort => {
                "Monitor mode: a QUIC Initial in a datagram of less than 1,200 bytes, which every server discards and the packet would have been dropped; it passed."
            }
            Self::WouldLand => {
                "Monitor mode: source and destination are the same address and the packet would have been dropped; it passed."
            }
            Self::WouldZeroPort => {
                "Monitor mode: TCP or UDP from or to port 0 and the packet would have been dropped; it passed."
            }
        }
    }

    /// What happens for this reason.
    #[inline(always)]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Ban
            | Self::Block
            | Self::Geo
            | Self::RateSyn
            | Self::Fragment
            | Self::BadFlags
            | Self::RateUdp
            | Self::QuicShort
            | Self::Land
            | Self::ZeroPort => Verdict::Drop,
            Self::Pass
            | Self::Allow
            | Self::Malformed
            | Self::NonIp
            | Self::Off
            | Self::WouldBan
            | Self::WouldBlock
            | Self::WouldGeo
            | Self::WouldRateSyn
            | Self::WouldFragment
            | Self::WouldBadFlags
            | Self::WouldRateUdp
            | Self::WouldQuicShort
            | Self::WouldLand
            | Self::WouldZeroPort => Verdict::Pass,
        }
    }

    /// The reason that stands in monitor mode where this one stands otherwise.
    #[inline(always)]
    #[must_use]
    pub const fn monitored(self) -> Self {
        match self {
            Self::Ban => Self::WouldBan,
            Self::Block => Self::WouldBlock,
            Self::Geo => Self::WouldGeo,
            Self::RateSyn => Self::WouldRateSyn,
            Self::Fragment => Self::WouldFragment,
            Self::BadFlags => Self::WouldBadFlags,
            Self::RateUdp => Self::WouldRateUdp,
            Self::QuicShort => Self::WouldQuicShort,
            Self::Land => Self::WouldLand,
            Self::ZeroPort => Self::WouldZeroPort,
            Self::Pass
            | Self::Allow
            | Self::Malformed
            | Self::NonIp
            | Self::Off
            | Self::WouldBan
            | Self::WouldBlock
            | Self::WouldGeo
            | Self::WouldRateSyn
            | Self::WouldFragment
            | Self::WouldBadFlags
            | Self::WouldRateUdp
            | Self::WouldQuicShort
            | Self::WouldLand
            | Self::WouldZeroPort => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::REASONS;

    #[test]
    fn numbers_ascend_and_no_code_is_given_twice() {
        for (earlier, later) in Reason::ALL.iter().zip(Reason::ALL.iter().skip(1)) {
            assert!((*earlier as u8) < *later as u8);
        }
        for reason in Reason::ALL {
            let same = |other: &Reason| other.code() == reason.code();
            assert_eq!(Reason::ALL.into_iter().find(same), Some(reason));
            assert!(u32::from(reason as u8) < REASONS);
            assert!(reason.summary().ends_with('.'));
        }
    }

    #[test]
    fn nothing_is_dropped_in_monitor_mode() {
        for reason in Reason::ALL {
            assert_eq!(reason.monitored().verdict(), Verdict::Pass);
            assert_eq!(
                reason.monitored() == reason,
                reason.verdict() == Verdict::Pass
            );
        }
    }
}
