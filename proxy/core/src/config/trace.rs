//! `[trace]`: which exchanges are told to a collector of traces.

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::{lists, values};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Where the collector is, without the path of traces; `None`: nothing is recorded.
    pub otlp: Option<String>,
    pub sample: Share,
    pub service: String,
    /// Spans that a worker keeps while the collector is behind.
    pub queue: usize,
}

/// A part of all, in steps of a thousandth of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    const WHOLE: u32 = 100_000;

    /// Whether a random number is in it.
    pub fn takes(self, random: u32) -> bool {
        let whole = u64::from(Self::WHOLE);
        let drawn = (u64::from(random) * whole) >> 32;
        drawn < u64::from(self.0)
    }
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "trace",
    doc: "Spans of exchanges for a collector of traces (OpenTelemetry).",
    keys: &[
        Key::optional(
            "otlp",
            "URL",
            "\"http://127.0.0.1:4318\"",
            "Where the collector takes OTLP over HTTP; spans go to /v1/traces there, as Protocol Buffers. Absent: nothing is recorded.",
        ),
        Key::default(
            "sample",
            "share",
            "\"1%\"",
            "Which part of the requests is recorded. For a request of a trusted proxy its `traceparent` decides.",
        ),
        Key::default(
            "service",
            "string",
            "\"openclaw\"",
            "The name of the service in the collector.",
        ),
        Key::default(
            "queue",
            "integer",
            "2048",
            "Spans that a worker keeps while the collector is behind or away; more are dropped and counted.",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Trace> {
    let otlp = section.optional("otlp", |node| {
        let url = lists::url(node)?;
        Ok(url.trim_end_matches('/').to_owned())
    });
    let sample = section.value("sample", share);
    let service = section.value("service", values::text);
    let queue = section.value("queue", values::count(16, 65_536));
    Some(Trace {
        otlp: otlp.ok()?,
        sample: sample?,
        service: service?,
        queue: queue? as usize,
    })
}

fn share(node: &Node) -> Result<Share, Unread> {
    let text = values::string(node)?;
    let wrong = || {
        let complaint = Complaint::new(format!("`{text}` is not a share"));
        complaint
            .hint("write a number from 0 to 100 and a percent sign, such as \"1%\" or \"0.1%\"")
    };
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|one| one.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 3 {
        return Err(wrong().into());
    }
    let thousandths: u32 = format!("{part:0<3}").parse().ok().ok_or_else(wrong)?;
    let whole: u32 = whole.parse().ok().ok_or_else(wrong)?;
    let share = whole
        .checked_mul(1000)
        .and_then(|whole| whole.checked_add(thousandths));
    let share = share.filter(|share| *share <= Share::WHOLE);
    Ok(Share(share.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn a_share_of_all_random_numbers_is_taken() {
        for (share, random, expected) in [
            (0, 0, false),
            (1, 0, true),
            (1, u32::MAX, false),
            (Share::WHOLE, u32::MAX, true),
            (Share::WHOLE / 2, u32::MAX / 2, true),
            (Share::WHOLE / 2, u32::MAX / 2 + 1, false),
        ] {
            assert_eq!(Share(share).takes(random), expected, "{share} {random}");
        }
    }
}
