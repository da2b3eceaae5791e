//! Values with a unit or a shape of their own: durations, sizes, rates, addresses and prefixes.
//!
//! The command line reads its arguments with the same functions.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use super::Prefix;
use super::problem::Complaint;

/// Reads `"10s"`; units are ms, s, m, h and d.
pub fn duration(text: &str) -> Result<Duration, Complaint> {
    let hint = "write a number and one of ms, s, m, h, d, such as \"10s\"";
    let wrong = || Complaint::new(format!("`{text}` is not a duration")).hint(hint);
    let (number, unit) = split_number(text).ok_or_else(wrong)?;
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(millis_per_unit)
        // A hundred years: far enough, and no later sum of two can overflow.
        .filter(|millis| *millis <= 100 * 366 * 86_400_000)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Complaint::new(format!("`{text}` is too long a time")).hint("the longest is 36600d")
        })
}

/// Reads `"20%"`, from 0 to 100.
pub fn percent(text: &str) -> Result<u32, Complaint> {
    let wrong = || {
        Complaint::new(format!("`{text}` is not a share"))
            .hint("write a number from 0 to 100 and a percent sign, such as \"20%\"")
    };
    let (number, unit) = split_number(text).ok_or_else(wrong)?;
    // What is too large for a number is too large for a share, and is told as such.
    let share = u32::try_from(number).ok();
    share
        .filter(|share| *share <= 100 && unit == "%")
        .ok_or_else(wrong)
}

/// Reads `"64k"`, `"10m"`, `"10g"` or a plain number of bytes; k is 1024.
pub fn size(text: &str) -> Result<u64, Complaint> {
    let hint = "write a number of bytes, or one with k, m or g, such as \"64k\"";
    let wrong = || Complaint::new(format!("`{text}` is not a size")).hint(hint);
    let (number, unit) = split_number(text).ok_or_else(wrong)?;
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(1 << shift)
        // TOML and JSON integers end here.
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| {
            Complaint::new(format!("`{text}` is too large a size"))
                .hint("the largest is \"8388607t\"")
        })
}

/// So many in a period, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u64,
    /// A second, a minute, an hour or a day.
    pub period: Duration,
}

impl Rate {
    /// The time from one to the next, at least a nanosecond.
    pub fn interval_ns(&self) -> u64 {
        let period = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        period.checked_div(self.count).unwrap_or(period).max(1)
    }

    /// How many in a second.
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.period.as_secs_f64()
    }
}

/// Reads `"100/s"`, `"20k/s"`, `"10/min"`; k is 1,000, m a million.
pub fn rate(text: &str) -> Result<Rate, Complaint> {
    let hint = "write a number and a period of s, min, h or d, such as \"100/s\" or \"10/min\"";
    let wrong = || Complaint::new(format!("`{text}` is not a rate")).hint(hint);
    let (count, period) = text.split_once('/').ok_or_else(wrong)?;
    let (number, unit) = split_number(count).ok_or_else(wrong)?;
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "m" | "M" => 1_000_000,
        _ => return Err(wrong()),
    };
    let seconds = match period {
        "s" => 1,
        "min" | "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count = number
        .checked_mul(factor)
        // One a nanosecond, even by the second: no clock of ours tells more apart.
        .filter(|count| *count <= 1_000_000_000)
        .ok_or_else(|| {
            Complaint::new(format!("`{text}` is too high a rate"))
                .hint("the highest count is 1000m")
        })?;
    if count == 0 {
        return Err(Complaint::new("a rate must be more than zero")
            .hint("write \"1/s\" or more, or leave the limit out"));
    }
    Ok(Rate {
        count,
        period: Duration::from_secs(seconds),
    })
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

/// Reads `"10.0.0.0/8"`, `"2001:db8::/32"` or one address.
pub fn prefix(text: &str) -> Result<Prefix, Complaint> {
    let wrong = || {
        Complaint::new(format!("`{text}` is not an address or prefix"))
            .hint("write \"10.0.0.0/8\", \"2001:db8::/32\" or one address")
    };
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok().ok_or_else(wrong)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => longest,
        Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(wrong());
        }
        Some(digits) => digits.parse().unwrap_or(u8::MAX),
    };
    if length > longest {
        return Err(
            Complaint::new(format!("the prefix length of `{text}` is over {longest}")).hint(
                format!("write a length from 0 to {longest}, or \"{address}\" for one address"),
            ),
        );
    }
    let masked = Prefix {
        address: mask(address, length),
        length,
    };
    if masked.address != address {
        return Err(
            Complaint::new(format!("`{text}` has bits set behind its prefix length"))
                .hint(format!("did you mean \"{masked}\"?")),
        );
    }
    Ok(masked)
}

fn mask(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let host_bits = 32_u32.saturating_sub(length.into());
            IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(host_bits).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            let host_bits = 128_u32.saturating_sub(length.into());
            IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(host_bits).unwrap_or(0)).into())
        }
    }
}

impl Prefix {
    /// An IPv4 address that came over an IPv6 socket (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && mask(address, self.length) == self.address
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        prefix(text)
    }
}

/// Reads `"0.0.0.0:443"` or `"[::]:443"`: where a socket is bound, so never a name.
pub fn bind_address(text: &str) -> Result<SocketAddr, Complaint> {
    text.parse().ok().ok_or_else(|| {
        let complaint = Complaint::new(format!("`{text}` is not an address with a port"));
        let port = text.rsplit_once(':').map(|(_, port)| port);
        let is_number = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        if port.is_some_and(|port| is_number(port) && port.parse::<u16>().is_err()) {
            complaint.hint("a port is a number from 1 to 65535")
        } else if let Ok(IpAddr::V6(address)) = text.parse() {
            complaint.hint(format!("add a port, such as \"[{address}]:8080\""))
        } else if text.parse::<IpAddr>().is_ok() {
            complaint.hint(format!("add a port, such as \"{text}:8080\""))
        } else if let Some(port) = text.strip_prefix(':').or(text.strip_prefix("*:")) {
            complaint.hint(format!("did you mean \"0.0.0.0:{port}\"?"))
        } else if let Some(port) = text.strip_prefix("localhost:") {
            complaint.hint(format!("did you mean \"127.0.0.1:{port}\"?"))
        } else {
            complaint.hint("write \"0.0.0.0:443\" or \"[::]:443\"")
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::fmt::Debug;
    use std::time::Duration;

    use super::{Rate, bind_address, duration, percent, prefix, rate, size};
    use crate::config::problem::Complaint;

    /// `Err("")` accepts any hint.
    fn check<T: Debug + PartialEq>(
        parse: impl Fn(&str) -> Result<T, Complaint>,
        input: &str,
        expected: Result<T, &str>,
    ) {
        match (parse(input), expected) {
            (Ok(value), Ok(wanted)) => assert_eq!(value, wanted, "{input}"),
            (Err(complaint), Err(wanted)) => {
                let hint = complaint.hint.unwrap_or_default();
                assert!(hint.contains(wanted), "{input}: {hint}");
            }
            (got, wanted) => panic!("{input}: {got:?} instead of {wanted:?}"),
        }
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let millis = |count| Ok(Duration::from_millis(count));
        check(duration, "100ms", millis(100));
        check(duration, "10s", millis(10_000));
        check(duration, "5m", millis(300_000));
        check(duration, "24h", millis(86_400_000));
        check(duration, "1d", millis(86_400_000));
        check(duration, "0s", millis(0));
        for wrong in ["", "s", "10", "10 s", "1.5s", "-1s", "10sec", "1h30m", "١s"] {
            check(duration, wrong, Err("10s"));
        }
        check(duration, "99999999999d", Err("36600d"));
        check(duration, "18446744073709551615d", Err("36600d"));
    }

    #[test]
    fn shares_are_in_hundredths_and_at_most_the_whole() {
        check(percent, "0%", Ok(0));
        check(percent, "20%", Ok(20));
        check(percent, "100%", Ok(100));
        for wrong in ["", "%", "20", "101%", "-1%", "2.5%", "20 %", "20percent"] {
            check(percent, wrong, Err("20%"));
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        check(size, "0", Ok(0));
        check(size, "512", Ok(512));
        check(size, "64k", Ok(65_536));
        check(size, "64K", Ok(65_536));
        check(size, "10m", Ok(10 << 20));
        check(size, "10g", Ok(10 << 30));
        check(size, "1t", Ok(1 << 40));
        for wrong in ["", "k", "64kb", "64 k", "-1", "1.5m", "0x10"] {
            check(size, wrong, Err("64k"));
        }
        check(size, "18446744073709551615", Err(""));
        check(size, "99999999t", Err(""));
    }

    #[test]
    fn rates_are_a_count_and_a_period() {
        let per = |count, seconds| {
            Ok(Rate {
                count,
                period: Duration::from_secs(seconds),
            })
        };
        check(rate, "100/s", per(100, 1));
        check(rate, "20k/s", per(20_000, 1));
        check(rate, "2m/s", per(2_000_000, 1));
        check(rate, "10/min", per(10, 60));
        check(rate, "1/h", per(1, 3_600));
        check(rate, "5/d", per(5, 86_400));
        for wrong in [
            "", "100", "/s", "100/", "100/5s", "1.5/s", "-1/s", "1 /s", "1/year",
        ] {
            check(rate, wrong, Err("100/s"));
        }
        check(rate, "0/s", Err(""));
        check(rate, "9999999999/s", Err(""));
        assert_eq!(rate("20k/s").unwrap().interval_ns(), 50_000);
        assert_eq!(rate("1000m/s").unwrap().interval_ns(), 1);
        assert!((rate("30/min").unwrap().per_second() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn prefixes_have_no_host_bits() {
        for right in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "192.0.2.1/32",
            "2001:db8::/32",
            "::/0",
            "::1/128",
        ] {
            assert_eq!(prefix(right).unwrap().to_string(), right);
        }
        assert_eq!(prefix("192.0.2.1").unwrap().to_string(), "192.0.2.1/32");
        assert_eq!(prefix("::1").unwrap().to_string(), "::1/128");
        check(prefix, "10.1.2.3/8", Err("10.0.0.0/8"));
        check(prefix, "2001:db8::1/32", Err("2001:db8::/32"));
        check(prefix, "10.0.0.1/0", Err("0.0.0.0/0"));
        for wrong in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "host",
        ] {
            check(prefix, wrong, Err(""));
        }
    }

    #[test]
    fn a_prefix_contains_its_addresses_and_their_mapped_form() {
        let contains =
            |range: &str, address: &str| prefix(range).unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(!contains("::/0", "10.0.0.1"));
    }

    #[test]
    fn a_bind_address_has_a_port() {
        check(bind_address, "0.0.0.0:443", Ok(([0, 0, 0, 0], 443).into()));
        check(bind_address, "127.0.0.1:0", Ok(([127, 0, 0, 1], 0).into()));
        check(
            bind_address,
            "[::1]:80",
            Ok(([0, 0, 0, 0, 0, 0, 0, 1], 80).into()),
        );
        check(bind_address, "127.0.0.1", Err("\"127.0.0.1:8080\""));
        check(bind_address, "::1", Err("\"[::1]:8080\""));
        check(bind_address, ":80", Err("\"0.0.0.0:80\""));
        check(bind_address, "*:80", Err("\"0.0.0.0:80\""));
        check(bind_address, "localhost:80", Err("\"127.0.0.1:80\""));
        check(bind_address, "0.0.0.0:99999", Err("from 1 to 65535"));
        check(bind_address, "0.0.0.0:http", Err("0.0.0.0:443"));
    }
}
