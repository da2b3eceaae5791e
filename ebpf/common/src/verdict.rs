//! Verdicts and their reasons. A [`Reason`] is also the index of its counter and a label on the metrics page, so its number and code
//! never change. Numbers 5, 6, 8–12, 14–19 and 37–47 are taken by checks to come (rates, fragments, SYN cookies, TCP flags, QUIC).

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
    /// A header is cut short, impossible, or one too many.
    Malformed = 7,
    /// Neither IPv4 nor IPv6.
    NonIp = 13,
    /// The kill switch is on.
    Off = 20,
    /// Monitor mode: would be [`Self::Ban`].
    WouldBan = 34,
    /// Monitor mode: would be [`Self::Block`].
    WouldBlock = 35,
    /// Monitor mode: would be [`Self::Geo`].
    WouldGeo = 36,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Pass,
        Self::Allow,
        Self::Ban,
        Self::Block,
        Self::Geo,
        Self::Malformed,
        Self::NonIp,
        Self::Off,
        Self::WouldBan,
        Self::WouldBlock,
        Self::WouldGeo,
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
            Self::Off => "shield.off",
            Self::WouldBan => "shield.would_ban",
            Self::WouldBlock => "shield.would_block",
            Self::WouldGeo => "shield.would_geo",
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
        }
    }

    /// What happens for this reason.
    #[inline(always)]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Ban | Self::Block | Self::Geo => Verdict::Drop,
            Self::Pass
            | Self::Allow
            | Self::Malformed
            | Self::NonIp
            | Self::Off
            | Self::WouldBan
            | Self::WouldBlock
            | Self::WouldGeo => Verdict::Pass,
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
            Self::Pass
            | Self::Allow
            | Self::Malformed
            | Self::NonIp
            | Self::Off
            | Self::WouldBan
            | Self::WouldBlock
            | Self::WouldGeo => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::STATS_ENTRIES;

    #[test]
    fn numbers_ascend_and_no_code_is_given_twice() {
        for (earlier, later) in Reason::ALL.iter().zip(Reason::ALL.iter().skip(1)) {
            assert!((*earlier as u8) < *later as u8);
        }
        for reason in Reason::ALL {
            let same = |other: &Reason| other.code() == reason.code();
            assert_eq!(Reason::ALL.into_iter().find(same), Some(reason));
            assert!(u32::from(reason as u8) < STATS_ENTRIES);
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
