//! How long an entry lasts, as people and feeds write it.

use std::time::Duration;

use super::super::prefix::shorten;

/// A hundred years: longer is forever, for which the TTL is left out.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// A text that is no time to live.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time to live, such as 90s, 15m, 4h, 7d or a number of seconds")]
pub(in super::super) struct TtlError(String);

/// Reads `4h`, `1h30m` or a number of seconds; zero is refused.
pub(in super::super) fn parse(text: &str) -> Result<Duration, TtlError> {
    let wrong = || TtlError(shorten(text));
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds))
            .filter(is_sensible)
            .ok_or_else(wrong);
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at_checked(letters).ok_or_else(wrong)?;
        let number: u64 = number.parse().ok().ok_or_else(wrong)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number
            .checked_mul(millis)
            .map(Duration::from_millis)
            .ok_or_else(wrong)?;
        sum = sum.checked_add(part).ok_or_else(wrong)?;
        rest = behind;
    }
    Some(sum).filter(is_sensible).ok_or_else(wrong)
}

fn is_sensible(ttl: &Duration) -> bool {
    !ttl.is_zero() && *ttl <= LONGEST
}

/// Writes a time so that [`parse`] reads the same.
pub(in super::super) fn exact(seconds: u64) -> String {
    format!("{seconds}s")
}

/// Writes a time in its two largest units.
pub fn show(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut shown = String::new();
    for (unit, size) in units
        .into_iter()
        .skip_while(|(_, size)| *size > seconds)
        .take(2)
    {
        if rest / size > 0 {
            shown.push_str(&(rest / size).to_string());
            shown.push_str(unit);
        }
        rest %= size;
    }
    if shown.is_empty() { "0s".into() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("4h", Some(14_400_000)),
            ("90s", Some(90_000)),
            ("90", Some(90_000)),
            ("250ms", Some(250)),
            ("1h30m", Some(5_400_000)),
            ("2w", Some(1_209_600_000)),
            ("0", None),
            ("0s", None),
            ("", None),
            ("4", Some(4_000)),
            ("-4h", None),
            ("4 h", None),
            ("h", None),
            ("4x", None),
            ("99999999999999999999d", None),
            ("200000d", None),
        ] {
            assert_eq!(
                parse(text).ok().map(|ttl| ttl.as_millis()),
                millis,
                "{text}"
            );
        }
    }

    #[test]
    fn times_are_shown_in_two_units() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m1s"),
            (3_600, "1h"),
            (3_661, "1h1m"),
            (90_061, "1d1h"),
            (864_000, "10d"),
        ] {
            assert_eq!(show(seconds), shown);
        }
    }
}
