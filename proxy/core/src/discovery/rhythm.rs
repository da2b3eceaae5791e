//! When a source is asked next.

use std::time::Duration;

/// No name is asked for more often, whatever its records say.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// A name is asked for at least this often: an operator who shortens a TTL does not want to wait for a day.
pub const LONGEST: Duration = Duration::from_hours(1);
/// The wait after the first failure; it doubles with each more.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait for a source that fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer of this time to live is good.
pub fn good_for(ttl: Duration) -> Duration {
    ttl.clamp(SHORTEST, LONGEST)
}

/// The wait after so many failures one behind the other. `random`, from 0 to 1, keeps proxies that lost a source together from
/// coming back together: the wait is between half and the whole of it.
pub fn back_off(failures: u32, random: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled
        .min(PATIENCE)
        .mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, PATIENCE, SHORTEST, back_off, good_for};
    use std::time::Duration;

    #[test]
    fn a_name_is_asked_for_when_its_time_is_over_within_reason() {
        for (ttl, expected) in [
            (0, SHORTEST),
            (1, Duration::from_secs(1)),
            (300, Duration::from_mins(5)),
            (86_400, LONGEST),
        ] {
            assert_eq!(good_for(Duration::from_secs(ttl)), expected, "{ttl}");
        }
    }

    #[test]
    fn a_source_that_fails_is_asked_less_and_less_often() {
        let waits: Vec<f64> = [1, 2, 3, 5, 6, 1000, u32::MAX]
            .map(|failures| back_off(failures, 1.0).as_secs_f64())
            .to_vec();
        assert_eq!(waits, [1.0, 2.0, 4.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(back_off(9, 0.0), PATIENCE / 2);
        assert_eq!(back_off(0, 0.0), Duration::from_millis(500));
    }
}
