//! Whether the country of a source is let in.

use crate::abi::{Config, geo};
use crate::packet::Address;

/// Whether a country is not admitted.
#[inline(always)]
pub fn is_foreign(config: &Config, country: u8, source: Address) -> bool {
    if config.geo_mode == geo::OFF {
        return false;
    }
    let [first, second, third, fourth] = &config.geo_mask;
    let bits = match country >> 6 {
        0 => first,
        1 => second,
        2 => third,
        _ => fourth,
    };
    let is_listed = (*bits >> (country & 63)) & 1 != 0;
    if config.geo_mode == geo::DENY {
        return is_listed;
    }
    !is_listed && (country != 0 || !is_private(source))
}

/// Whether the address is in use in many places, so that it has no country: private, shared or link-local (RFC 1918, 6598, 3927, 4193,
/// 4291).
#[inline(always)]
fn is_private(address: Address) -> bool {
    match address {
        Address::V4(address) => {
            let address = u32::from_be_bytes(address);
            address >> 24 == 10
                || address >> 20 == 0xac1
                || address >> 16 == 0xc0a8
                || address >> 16 == 0xa9fe
                || address >> 22 == 0x191
        }
        Address::V6(address) => {
            let [first, second, ..] = address;
            first & 0xfe == 0xfc || (first == 0xfe && second & 0xc0 == 0x80)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::net::IpAddr;

    use super::*;

    fn config(geo_mode: u32, numbers: &[u8]) -> Config {
        let mut geo_mask = [0; 4];
        for number in numbers {
            for (index, word) in (0_u8..).zip(&mut geo_mask) {
                *word |= u64::from(number >> 6 == index) << (number & 63);
            }
        }
        Config {
            geo_mode,
            geo_mask,
            ..Config::OFF
        }
    }

    #[test]
    fn every_number_has_its_bit() {
        let source = Address::V4([8, 8, 8, 8]);
        for number in 0..=255 {
            for other in [0, 1, 63, 64, 127, 128, 191, 192, 255] {
                let denied = is_foreign(&config(geo::DENY, &[number]), other, source);
                assert_eq!(denied, number == other, "{number} {other}");
                let only = is_foreign(&config(geo::ONLY, &[number]), other, source);
                assert_eq!(only, number != other, "{number} {other}");
                assert!(!is_foreign(&config(geo::OFF, &[number]), other, source));
            }
        }
    }

    #[test]
    fn private_addresses_need_no_country_to_be_let_in() {
        let only = config(geo::ONLY, &[7]);
        for (address, is_let_in) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("11.0.0.0", false),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("169.254.0.1", true),
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.168.0.1", true),
            ("192.169.0.1", false),
            ("fc00::1", true),
            ("fdff::1", true),
            ("fe00::1", false),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", false),
            ("2001:db8::1", false),
        ] {
            let source = Address::from(address.parse::<IpAddr>().unwrap());
            assert_eq!(!is_foreign(&only, 0, source), is_let_in, "{address}");
            // A country that the database gives it counts, and so does a list of those to be kept out.
            assert!(is_foreign(&only, 8, source));
            assert!(is_foreign(&config(geo::DENY, &[0]), 0, source));
        }
    }
}
