//! Verdicts and their reasons. A [`Reason`] is also the index of its counter and a label on the metrics page, so its number and code
//! never change. The `would_` twin of a number is 32 higher.

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The network stack gets it.
    Pass,
    /// It ends here.
    Drop,
    /// It goes back to where it came from, made into an answer.
    Tx,
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
    /// A SYN, answered with a cookie.
    SynCookie = 8,
    /// No cookie could be made for a SYN.
    CookieError = 9,
    /// Under attack: an ACK without a connection or cookie.
    BadAck = 10,
    /// Under attack: a SYN that keeps its listener looking at cookies.
    SynKeep = 11,
    /// TCP flags that contradict each other, none at all, or a header length below five words.
    BadFlags = 12,
    /// Neither IPv4 nor IPv6.
    NonIp = 13,
    /// Under attack: an ACK with a cookie.
    CookieAck = 14,
    /// Under attack: a packet for a port on which nobody listens any more.
    NoListener = 15,
    /// More UDP packets came from the source than its rate allows.
    RateUdp = 16,
    /// A QUIC Initial in a datagram of less than 1,200 bytes.
    QuicShort = 17,
    /// A SYN beyond the most answers.
    SynCapped = 18,
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
    /// Monitor mode: would be [`Self::SynCookie`].
    WouldSynCookie = 40,
    /// Monitor mode: would be [`Self::CookieError`].
    WouldCookieError = 41,
    /// Monitor mode: would be [`Self::BadAck`].
    WouldBadAck = 42,
    /// Monitor mode: would be [`Self::BadFlags`].
    WouldBadFlags = 44,
    /// Monitor mode: would be [`Self::NoListener`].
    WouldNoListener = 47,
    /// Monitor mode: would be [`Self::RateUdp`].
    WouldRateUdp = 48,
    /// Monitor mode: would be [`Self::QuicShort`].
    WouldQuicShort = 49,
    /// Monitor mode: would be [`Self::SynCapped`].
    WouldSynCapped = 50,
    /// Monitor mode: would be [`Self::Land`].
    WouldLand = 53,
    /// Monitor mode: would be [`Self::ZeroPort`].
    WouldZeroPort = 54,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 37] = [
        Self::Pass,
        Self::Allow,
        Self::Ban,
        Self::Block,
        Self::Geo,
        Self::RateSyn,
        Self::Fragment,
        Self::Malformed,
        Self::SynCookie,
        Self::CookieError,
        Self::BadAck,
        Self::SynKeep,
        Self::BadFlags,
        Self::NonIp,
        Self::CookieAck,
        Self::NoListener,
        Self::RateUdp,
        Self::QuicShort,
        Self::SynCapped,
        Self::Off,
        Self::Land,
        Self::ZeroPort,
        Self::WouldBan,
        Self::WouldBlock,
        Self::WouldGeo,
        Self::WouldRateSyn,
        Self::WouldFragment,
        Self::WouldSynCookie,
        Self::WouldCookieError,
        Self::WouldBadAck,
        Self::WouldBadFlags,
        Self::WouldNoListener,
        Self::WouldRateUdp,
        Self::WouldQuicShort,
        Self::WouldSynCapped,
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
            Self::SynCookie => "shield.syn_cookie",
            Self::CookieError => "shield.cookie_error",
            Self::BadAck => "shield.bad_ack",
            Self::SynKeep => "shield.syn_keep",
            Self::NonIp => "shield.non_ip",
            Self::CookieAck => "shield.cookie_ack",
            Self::NoListener => "shield.no_listener",
            Self::RateSyn => "shield.rate_syn",
            Self::Fragment => "shield.fragment",
            Self::BadFlags => "shield.bad_flags",
            Self::RateUdp => "shield.rate_udp",
            Self::QuicShort => "shield.quic_short",
            Self::SynCapped => "shield.syn_capped",
            Self::Land => "shield.land",
            Self::ZeroPort => "shield.zero_port",
            Self::Off => "shield.off",
            Self::WouldBan => "shield.would_ban",
            Self::WouldBlock => "shield.would_block",
            Self::WouldGeo => "shield.would_geo",
            Self::WouldRateSyn => "shield.would_rate_syn",
            Self::WouldFragment => "shield.would_fragment",
            Self::WouldSynCookie => "shield.would_syn_cookie",
            Self::WouldCookieError => "shield.would_cookie_error",
            Self::WouldBadAck => "shield.would_bad_ack",
            Self::WouldBadFlags => "shield.would_bad_flags",
            Self::WouldNoListener => "shield.would_no_listener",
            Self::WouldRateUdp => "shield.would_rate_udp",
            Self::WouldQuicShort => "shield.would_quic_short",
            Self::WouldSynCapped => "shield.would_syn_capped",
            Self::WouldLand => "shield.would_land",
            Self::WouldZeroPort => "shield.would_zero_port",
        }
    }

    /// By its number; what has none is [`Self::Pass`].
    #[inline(always)]
    pub const fn of(number: u32) -> Self {
        match number {
            1 => Self::Allow,
            2 => Self::Ban,
            3 => Self::Block,
            4 => Self::Geo,
            5 => Self::RateSyn,
            6 => Self::Fragment,
            7 => Self::Malformed,
            8 => Self::SynCookie,
            9 => Self::CookieError,
            10 => Self::BadAck,
            11 => Self::SynKeep,
            12 => Self::BadFlags,
            13 => Self::NonIp,
            14 => Self::CookieAck,
            15 => Self::NoListener,
            16 => Self::RateUdp,
            17 => Self::QuicShort,
            18 => Self::SynCapped,
            20 => Self::Off,
            21 => Self::Land,
            22 => Self::ZeroPort,
            34 => Self::WouldBan,
            35 => Self::WouldBlock,
            36 => Self::WouldGeo,
            37 => Self::WouldRateSyn,
            38 => Self::WouldFragment,
            40 => Self::WouldSynCookie,
            41 => Self::WouldCookieError,
            42 => Self::WouldBadAck,
            44 => Self::WouldBadFlags,
            47 => Self::WouldNoListener,
            48 => Self::WouldRateUdp,
            49 => Self::WouldQuicShort,
            50 => Self::WouldSynCapped,
            53 => Self::WouldLand,
            54 => Self::WouldZeroPort,
            _ => Self::Pass,
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
            | Self::ZeroPort
            | Self::CookieError
            | Self::BadAck
            | Self::NoListener
            | Self::SynCapped => Verdict::Drop,
            Self::SynCookie => Verdict::Tx,
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
            | Self::WouldZeroPort
            | Self::WouldSynCookie
            | Self::WouldCookieError
            | Self::WouldBadAck
            | Self::SynKeep
            | Self::CookieAck
            | Self::WouldNoListener
            | Self::WouldSynCapped => Verdict::Pass,
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
            Self::SynCapped => Self::WouldSynCapped,
            Self::NoListener => Self::WouldNoListener,
            Self::BadAck => Self::WouldBadAck,
            Self::CookieError => Self::WouldCookieError,
            Self::SynCookie => Self::WouldSynCookie,
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
            | Self::WouldZeroPort
            | Self::WouldSynCookie
            | Self::WouldCookieError
            | Self::WouldBadAck
            | Self::SynKeep
            | Self::CookieAck
            | Self::WouldNoListener
            | Self::WouldSynCapped => self,
        }
    }
}

mod words;

#[cfg(test)]
mod tests;
