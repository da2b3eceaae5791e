//! Countries by number: one byte of a class word of the shield. A number stands in the kernel's tables beyond a restart, so none ever
//! changes; a new country is appended.

/// ISO 3166-1 alpha-2, then what databases say besides: Kosovo, Europe and Asia-Pacific as a whole, and nowhere. The number of a code is
/// one more than its index.
#[rustfmt::skip]
static CODES: [&str; 253] = [
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX",
    "AZ", "BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ",
    "BR", "BS", "BT", "BV", "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK",
    "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM",
    "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR",
    "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS",
    "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN",
    "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN",
    "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV",
    "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ",
    "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI",
    "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM",
    "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC",
    "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST", "SV",
    "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR",
    "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI",
    "VN", "VU", "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW", "XK", "EU", "AP", "ZZ",
];

/// The number of sources whose country is not known.
pub const UNKNOWN: u8 = 0;
/// What an operator writes for them.
pub const UNKNOWN_WORD: &str = "unknown";

/// The number of a code such as `DE`; nothing if there is no such country.
pub fn country_number(code: &str) -> Option<u8> {
    let index = CODES.iter().position(|known| *known == code)?;
    u8::try_from(index + 1).ok()
}

/// The code of a number; nothing for [`UNKNOWN`] and for numbers that stand for no country.
pub fn country_code(number: u8) -> Option<&'static str> {
    let index = usize::from(number).checked_sub(1)?;
    CODES.get(index).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_is_one_country_and_back() {
        let mut codes = BTreeSet::new();
        for number in 1..=u8::MAX {
            let Some(code) = country_code(number) else {
                continue;
            };
            assert_eq!(country_number(code), Some(number), "{code}");
            assert!(code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
            codes.insert(code);
        }
        assert_eq!(codes.len(), CODES.len());
    }

    #[test]
    fn numbers_do_not_move() {
        for (code, number) in [
            ("AD", 1),
            ("DE", 57),
            ("US", 233),
            ("ZW", 249),
            ("XK", 250),
            ("ZZ", 253),
        ] {
            assert_eq!(country_number(code), Some(number), "{code}");
        }
        for text in ["", "UK", "de", "DEU", UNKNOWN_WORD] {
            assert_eq!(country_number(text), None, "{text}");
        }
        assert_eq!(country_code(UNKNOWN), None);
        assert_eq!(country_code(u8::MAX), None);
    }
}
