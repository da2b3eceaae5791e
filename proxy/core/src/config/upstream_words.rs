//! The words of `[upstream.NAME]`, and what they stand for.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastConnections,
    LeastTime,
    Random,
    IpHash,
    UrlHash,
    Maglev,
}

/// What another endpoint may do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// No connection came to be.
    Connect,
    /// The endpoint closed, reset or refused before its answer had begun.
    Reset,
    /// What it answered is no HTTP.
    BadResponse,
    /// Its answer did not begin in time.
    Timeout,
    /// It answered that it cannot serve: 502, 503 or 504 (RFC 9110 §15.6.3 to §15.6.5).
    Status(u16),
}

pub(super) const RETRY_ON: [(&str, RetryOn); 7] = [
    ("connect", RetryOn::Connect),
    ("reset", RetryOn::Reset),
    ("bad_response", RetryOn::BadResponse),
    ("timeout", RetryOn::Timeout),
    ("http_502", RetryOn::Status(502)),
    ("http_503", RetryOn::Status(503)),
    ("http_504", RetryOn::Status(504)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    H1,
    H2,
}

pub(super) const PROTOCOLS: [(&str, UpstreamProtocol); 2] =
    [("h1", UpstreamProtocol::H1), ("h2", UpstreamProtocol::H2)];

/// The fields that tell endpoints of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    X,
    Rfc7239,
    Both,
}

pub(super) const FORWARDED: [(&str, Forwarded); 3] = [
    ("x", Forwarded::X),
    ("rfc7239", Forwarded::Rfc7239),
    ("both", Forwarded::Both),
];

pub(super) const BALANCES: [(&str, Balance); 7] = [
    ("round_robin", Balance::RoundRobin),
    ("least_connections", Balance::LeastConnections),
    ("least_time", Balance::LeastTime),
    ("random", Balance::Random),
    ("ip_hash", Balance::IpHash),
    ("url_hash", Balance::UrlHash),
    ("maglev", Balance::Maglev),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{BALANCES, RETRY_ON};
    use crate::config::upstream::KEYS;

    fn check<'a>(name: &str, words: impl IntoIterator<Item = &'a str>) {
        let key = KEYS.keys.iter().find(|key| key.name == name).unwrap();
        for word in words {
            assert!(key.doc.contains(word), "{word}");
        }
    }

    #[test]
    fn every_word_is_told() {
        check("balance", BALANCES.map(|(word, _)| word));
        check("retry_on", RETRY_ON.map(|(word, _)| word));
    }
}
