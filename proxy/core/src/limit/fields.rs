//! What a client is told of its limit: the three fields that most clients read (`RateLimit-Limit`, `-Remaining`, `-Reset`), the two
//! of the current draft (draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy`, `RateLimit`), and `Retry-After` (RFC 9110
//! §10.2.3) with a refusal. Seconds are rounded up.

use std::io::Write as _;
use std::ops::Range;

use arrayvec::ArrayVec;

use super::{Quota, Standing};
use crate::message::{Field, Fields};

const SECOND: u64 = 1_000_000_000;
/// Nine numbers of at most twenty digits, and words.
const ROOM: usize = 256;

/// The fields as bytes, on the stack.
#[derive(Clone, Debug)]
pub struct Rendered {
    text: ArrayVec<u8, ROOM>,
    fields: ArrayVec<(&'static str, Range<usize>), 6>,
}

impl Rendered {
    /// For an answer.
    pub fn new(quota: &Quota, standing: &Standing) -> Self {
        let mut rendered = Self::empty();
        rendered.add(quota, standing);
        rendered
    }

    /// For a refusal.
    pub fn of_refusal(quota: &Quota, standing: &Standing) -> Self {
        let mut rendered = Self::empty();
        let retry = standing.retry_ns.div_ceil(SECOND).max(1);
        rendered.push("Retry-After", format_args!("{retry}"));
        rendered.add(quota, standing);
        rendered
    }

    fn empty() -> Self {
        Self {
            text: ArrayVec::new(),
            fields: ArrayVec::new(),
        }
    }

    fn add(&mut self, quota: &Quota, standing: &Standing) {
        let remaining = standing.remaining;
        let (allowance, window) = (quota.allowance(), quota.window());
        let reset = standing.reset_ns.div_ceil(SECOND);
        self.push("RateLimit-Limit", format_args!("{allowance}"));
        self.push("RateLimit-Remaining", format_args!("{remaining}"));
        self.push("RateLimit-Reset", format_args!("{reset}"));
        let policy = format_args!("\"default\";q={allowance};w={window}");
        self.push("RateLimit-Policy", policy);
        let state = format_args!("\"default\";r={remaining};t={reset}");
        self.push("RateLimit", state);
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.fields.iter().map(|(name, range)| {
            let value = self.text.get(range.clone()).unwrap_or_default();
            (*name, value)
        })
    }

    /// Adds them to the fields of a response, in place of what an endpoint says of limits of its own: two answers to the same
    /// question are none. What does not fit is left out.
    pub fn put<'a>(&'a self, fields: &mut Fields<'a>) {
        fields.retain(|field| !self.iter().any(|(name, _)| field.is(name.as_bytes())));
        for (name, value) in self.iter() {
            let _ = fields.try_push(Field::new(name.as_bytes(), value));
        }
    }

    fn push(&mut self, name: &'static str, value: std::fmt::Arguments<'_>) {
        let start = self.text.len();
        // The room is enough for the largest numbers, which a test shows.
        if self.text.write_fmt(value).is_ok() {
            let _ = self.fields.try_push((name, start..self.text.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use std::time::Duration;

    use super::*;
    use crate::config::units::Rate;

    fn lines(render: fn(&Quota, &Standing) -> Rendered, standing: Standing) -> Vec<String> {
        let period = Duration::from_mins(1);
        let quota = Quota::new(Rate { count: 10, period }, 5).unwrap();
        let rendered = render(&quota, &standing);
        let line = |(name, value): (&str, &[u8])| format!("{name}: {}", value.escape_ascii());
        rendered.iter().map(line).collect()
    }

    #[test]
    fn fields_say_what_is_left_and_when_there_is_more() {
        let standing = Standing {
            remaining: 3,
            reset_ns: 12 * SECOND + 1,
            retry_ns: 0,
        };
        let expected = [
            "RateLimit-Limit: 15",
            "RateLimit-Remaining: 3",
            "RateLimit-Reset: 13",
            "RateLimit-Policy: \\\"default\\\";q=15;w=60",
            "RateLimit: \\\"default\\\";r=3;t=13",
        ];
        assert_eq!(lines(Rendered::new, standing), expected);
        let refused = Standing {
            remaining: 0,
            reset_ns: 90 * SECOND,
            retry_ns: 1,
        };
        assert_eq!(lines(Rendered::of_refusal, refused)[0], "Retry-After: 1");
        let huge = Standing {
            remaining: u64::MAX,
            reset_ns: u64::MAX,
            retry_ns: u64::MAX,
        };
        assert_eq!(lines(Rendered::of_refusal, huge).len(), 6);
    }
}
