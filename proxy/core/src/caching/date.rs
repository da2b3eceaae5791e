//! Dates of HTTP (RFC 9110 §5.6.7), in seconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Reads any of the three forms, in letters of either case; none for what is no date or before 1970. The day of the week says nothing
/// that the date does not say: a wrong one makes no difference.
pub(super) fn parse(value: &[u8]) -> Option<u64> {
    let mut text = String::with_capacity(value.len());
    let mut before = b' ';
    for byte in value {
        // Names are written `Sun` and `Nov`, zones `GMT`: the only part of a date behind its time that is no number.
        let is_later = before.is_ascii_alphabetic();
        text.push(char::from(if is_later {
            byte.to_ascii_lowercase()
        } else {
            byte.to_ascii_uppercase()
        }));
        before = *byte;
    }
    if let Some(start) = text.strip_suffix("Gmt") {
        text = [start, "GMT"].concat();
    }
    // What it cannot read may have the wrong day of the week; what is no date at all then has no value.
    let written = httpdate::parse_http_date(&text).ok();
    let time = written.or_else(|| on_another_day(&text))?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// The forms with a short name of the day, with each of the others in its place.
fn on_another_day(text: &str) -> Option<SystemTime> {
    let (day, rest) = text.split_at_checked(3)?;
    if !DAYS.contains(&day) {
        return None;
    }
    let mut others = DAYS.iter();
    others.find_map(|day| httpdate::parse_http_date(&[day, rest].concat()).ok())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dates_are_read_in_all_forms_and_letters() {
        let check = |text: &str, expected| assert_eq!(parse(text.as_bytes()), expected, "{text}");
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777));
        check("Sun Nov  6 08:49:37 1994", Some(784_111_777));
        check("SUN, 06 nov 1994 08:49:37 gmt", Some(784_111_777));
        check("Tue, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Thu Nov  6 08:49:37 1994", Some(784_111_777));
        for wrong in [
            "Day, 06 Nov 1994 08:49:37 GMT",
            "Tue, 31 Nov 1994 08:49:37 GMT",
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 31 Feb 1960 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            check(wrong, None);
        }
    }
}
