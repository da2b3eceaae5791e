//! Slow start: what has come back gets its share bit by bit, so that cold caches and pools are not overrun.

use std::time::Duration;

use crate::balance::WHOLE;

/// The share to begin with: a tenth.
const LEAST: u32 = WHOLE / 10;

/// The share of the weight, `age` after an endpoint came or came back, where it takes `whole` until it has all of it.
pub fn ramp(age: Duration, whole: Duration) -> u32 {
    if age >= whole {
        return WHOLE;
    }
    let rest = u128::from(WHOLE - LEAST) * age.as_micros() / whole.as_micros().max(1);
    LEAST + u32::try_from(rest).unwrap_or(WHOLE - LEAST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ramp;
    use crate::balance::WHOLE;

    #[test]
    fn the_share_grows_from_a_tenth_to_the_whole() {
        let whole = Duration::from_secs(30);
        let at = |seconds| ramp(Duration::from_secs(seconds), whole);
        assert_eq!(at(0), WHOLE / 10);
        assert!(at(15).abs_diff(WHOLE * 55 / 100) < 5, "{}", at(15));
        assert_eq!(at(30), WHOLE);
        assert_eq!(at(10_000), WHOLE);
        assert!((0..40).all(|second| at(second) <= at(second + 1)));
        assert_eq!(ramp(Duration::ZERO, Duration::ZERO), WHOLE);
    }
}
