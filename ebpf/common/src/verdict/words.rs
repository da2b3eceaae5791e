//! What reasons mean, for people.

use super::Reason;

impl Reason {
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
            Self::SynCookie
            | Self::CookieError
            | Self::BadAck
            | Self::SynKeep
            | Self::CookieAck
            | Self::NoListener
            | Self::SynCapped => self.of_handshake(),
            Self::WouldBan
            | Self::WouldBlock
            | Self::WouldGeo
            | Self::WouldRateSyn
            | Self::WouldFragment
            | Self::WouldSynCookie
            | Self::WouldCookieError
            | Self::WouldBadAck
            | Self::WouldBadFlags
            | Self::WouldNoListener
            | Self::WouldRateUdp
            | Self::WouldQuicShort
            | Self::WouldSynCapped
            | Self::WouldLand
            | Self::WouldZeroPort => self.of_monitor(),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`summary` names those that come here"
    )]
    const fn of_handshake(self) -> &'static str {
        match self {
            Self::SynCookie => {
                "A SYN was answered with a cookie: its listener was overrun, or the host is under attack. Only a source that answers reaches the host."
            }
            Self::CookieError => {
                "No cookie could be made for a SYN under attack; the packet was dropped."
            }
            Self::BadAck => {
                "Under attack: an ACK that belongs to no connection and brings no cookie back; the packet was dropped."
            }
            Self::SynKeep => {
                "Under attack: one SYN in ten seconds that keeps its listener accepting cookies; the packet passed."
            }
            Self::CookieAck => {
                "Under attack: an ACK that brought a cookie back; the packet passed."
            }
            Self::NoListener => {
                "Under attack: a packet to a protected port that no socket expects; the packet was dropped."
            }
            Self::SynCapped => {
                "More SYNs came than `shield.syn` answers at most; the packet was dropped."
            }
            _ => "",
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`summary` names those that come here"
    )]
    const fn of_monitor(self) -> &'static str {
        match self {
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
            Self::WouldSynCookie => {
                "Monitor mode: a SYN would have been answered with a cookie; it passed."
            }
            Self::WouldCookieError => {
                "Monitor mode: no cookie could be made for a SYN under attack and the packet would have been dropped; it passed."
            }
            Self::WouldBadAck => {
                "Monitor mode: an ACK that belongs to no connection and brings no cookie back and the packet would have been dropped; it passed."
            }
            Self::WouldBadFlags => {
                "Monitor mode: TCP flags that contradict each other, none at all, or an impossible header length and the packet would have been dropped; it passed."
            }
            Self::WouldNoListener => {
                "Monitor mode: a packet to a protected port that no socket expects and the packet would have been dropped; it passed."
            }
            Self::WouldRateUdp => {
                "Monitor mode: more UDP packets came from the source than `shield.udp` allows and the packet would have been dropped; it passed."
            }
            Self::WouldQuicShort => {
                "Monitor mode: a QUIC Initial in a datagram of less than 1,200 bytes, which every server discards and the packet would have been dropped; it passed."
            }
            Self::WouldSynCapped => {
                "Monitor mode: more SYNs came than `shield.syn` answers at most and the packet would have been dropped; it passed."
            }
            Self::WouldLand => {
                "Monitor mode: source and destination are the same address and the packet would have been dropped; it passed."
            }
            Self::WouldZeroPort => {
                "Monitor mode: TCP or UDP from or to port 0 and the packet would have been dropped; it passed."
            }
            _ => "",
        }
    }
}
