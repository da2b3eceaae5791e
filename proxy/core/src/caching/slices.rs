//! Parts of something large that are fetched and stored one by one, each as long as the others: which requests are answered so, and
//! what a response has to say to be such a part. Parts belong together by a strong `ETag` alone (RFC 9110 §8.8.3.2, §15.3.7.3).

use std::ops::Range;

use crate::message::Field;

/// What parts have to agree in to be of the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Of all of it, in bytes.
    pub total: u64,
    /// Strong.
    tag: Box<[u8]>,
}

impl Version {
    /// For `If-Range`.
    pub fn tag(&self) -> &[u8] {
        &self.tag
    }
}

/// Where the one part that a request asks for begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// At that byte.
    At(u64),
    /// So many bytes before the end.
    BeforeEnd(u64),
}

impl Beginning {
    /// The first byte, of something of that length; `None` if it is not known, or there is no such byte.
    pub fn of(self, total: Option<u64>) -> Option<u64> {
        let from = match self {
            Self::At(from) => from,
            Self::BeforeEnd(count) => total?.saturating_sub(count),
        };
        total.is_none_or(|total| from < total).then_some(from)
    }
}

/// Where the one part that a request asks for begins; `None` for a request that is not answered in slices.
pub fn begins(request: &[Field<'_>]) -> Option<Beginning> {
    let set = only(request, b"Range")?;
    let (unit, set) = set.split_at_checked(6)?;
    let (from, to) = str::from_utf8(set).ok()?.trim().split_once('-')?;
    let beginning = if from.is_empty() {
        // The last zero bytes of something are none.
        Beginning::BeforeEnd(number(to).filter(|count| *count > 0)?)
    } else {
        let from = number(from)?;
        let is_range = to.is_empty() || number(to).is_some_and(|to| from <= to);
        is_range.then_some(Beginning::At(from))?
    };
    unit.eq_ignore_ascii_case(b"bytes=").then_some(beginning)
}

/// Of what a 206 is a part, and which part it is; `None` unless it says all that has to be known to put it beside others.
pub fn part_of(fields: &[Field<'_>]) -> Option<(Version, Range<u64>)> {
    let tag = only(fields, b"ETag").filter(|tag| tag.starts_with(b"\"") && tag.len() > 2)?;
    let said = str::from_utf8(only(fields, b"Content-Range")?).ok()?;
    let (unit, said) = said.split_once(' ')?;
    let (range, total) = said.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    let is_sound = unit.eq_ignore_ascii_case("bytes") && first <= last && last < total;
    let version = Version {
        total,
        tag: tag.into(),
    };
    is_sound.then(|| (version, first..last + 1))
}

/// The same if it is exactly the slice of that number: as long as the others, or up to the end.
pub fn slice_of(
    (fields, length): (&[Field<'_>], Option<u64>),
    size: u64,
    number: u64,
) -> Option<Version> {
    let (version, range) = part_of(fields)?;
    let start = number.checked_mul(size)?;
    let end = start.saturating_add(size).min(version.total);
    let is_it = range == (start..end) && length == Some(end - start);
    is_it.then_some(version)
}

/// The `Range` by which a slice is asked for.
pub fn wanted(size: u64, number: u64) -> String {
    let start = number.saturating_mul(size);
    format!("bytes={start}-{}", start.saturating_add(size - 1))
}

/// The value of a field that is there once.
fn only<'a>(fields: &[Field<'a>], name: &[u8]) -> Option<&'a [u8]> {
    let mut named = fields.iter().filter(|field| field.is(name));
    let value = named.next()?.value;
    named.next().is_none().then_some(value)
}

fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_with_a_beginning_is_answered_in_slices() {
        let check = |values: &[&str], expected: Option<Beginning>| {
            let fields: Vec<_> = values
                .iter()
                .map(|value| Field::new(b"Range", value.as_bytes()))
                .collect();
            assert_eq!(begins(&fields), expected, "{values:?}");
        };
        check(&["bytes=0-0"], Some(Beginning::At(0)));
        check(&["Bytes=5-"], Some(Beginning::At(5)));
        check(&["bytes=1048576-9999999"], Some(Beginning::At(1_048_576)));
        check(&["bytes=-5"], Some(Beginning::BeforeEnd(5)));
        for none in [
            "bytes=-0",
            "bytes=-",
            "bytes=-a",
            "bytes=--5",
            "bytes=-5,0-1",
            "bytes=0-1,3-4",
            "bytes=5-4",
            "bytes=a-",
            "bytes=+1-2",
            "items=0-1",
            "bytes=99999999999999999999-",
            "bytes=",
            "",
        ] {
            check(&[none], None);
        }
        check(&[], None);
        check(&["bytes=0-", "bytes=0-"], None);
    }

    #[test]
    fn a_part_begins_within_what_is_there() {
        for (beginning, total, expected) in [
            (Beginning::At(5), None, Some(5)),
            (Beginning::At(5), Some(6), Some(5)),
            (Beginning::At(5), Some(5), None),
            (Beginning::BeforeEnd(5), None, None),
            (Beginning::BeforeEnd(5), Some(25), Some(20)),
            (Beginning::BeforeEnd(50), Some(25), Some(0)),
            (Beginning::BeforeEnd(5), Some(0), None),
        ] {
            assert_eq!(beginning.of(total), expected, "{beginning:?} {total:?}");
        }
    }

    #[test]
    fn a_part_says_of_what_it_is_one() {
        let check = |tag: &str, range: &str, length: Option<u64>, number: u64, expected: bool| {
            let fields = [
                Field::new(b"ETag", tag.as_bytes()),
                Field::new(b"Content-Range", range.as_bytes()),
            ];
            let got = slice_of((&fields, length), 10, number);
            assert_eq!(got.is_some(), expected, "{tag} {range} {length:?} {number}");
        };
        check("\"a\"", "bytes 0-9/25", Some(10), 0, true);
        check("\"a\"", "bytes 20-24/25", Some(5), 2, true);
        check("\"a\"", "bytes 0-4/5", Some(5), 0, true);
        // Another part, a shorter one, or one whose body is not that long.
        check("\"a\"", "bytes 0-9/25", Some(10), 1, false);
        check("\"a\"", "bytes 0-8/25", Some(9), 0, false);
        check("\"a\"", "bytes 0-9/25", Some(9), 0, false);
        check("\"a\"", "bytes 0-9/25", None, 0, false);
        // Nothing to know it by again.
        check("W/\"a\"", "bytes 0-9/25", Some(10), 0, false);
        check("\"\"", "bytes 0-9/25", Some(10), 0, false);
        check("\"a\"", "bytes 0-9/*", Some(10), 0, false);
        check("\"a\"", "bytes 9-0/25", Some(10), 0, false);
        check("\"a\"", "bytes 20-29/25", Some(10), 2, false);
        check("\"a\"", "items 0-9/25", Some(10), 0, false);
        check("\"a\"", "", Some(10), 0, false);
    }

    #[test]
    fn parts_of_other_versions_are_told_apart() {
        let version = |tag: &str, range: &str| {
            let fields = [
                Field::new(b"ETag", tag.as_bytes()),
                Field::new(b"Content-Range", range.as_bytes()),
            ];
            part_of(&fields).map(|(version, _)| version)
        };
        let first = version("\"a\"", "bytes 0-9/25");
        assert_eq!(first, version("\"a\"", "bytes 10-19/25"));
        assert_ne!(first, version("\"b\"", "bytes 10-19/25"));
        assert_ne!(first, version("\"a\"", "bytes 10-19/26"));
        assert_eq!(wanted(10, 2), "bytes=20-29");
    }
}
