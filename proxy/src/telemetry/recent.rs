//! A mean that forgets: what was measured lately counts, what was long ago does not.

use std::time::Duration;

/// Each new value has so much weight.
const WEIGHT: f32 = 1.0 / 8.0;

/// Of times; nothing until the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    seconds: f32,
    /// How many means are in it; one, but for the sum over workers.
    of: f32,
}

impl Recent {
    pub fn observe(&mut self, time: Duration) {
        let time = time.as_secs_f32();
        if self.of == 0.0 {
            *self = Self {
                seconds: time,
                of: 1.0,
            };
        } else {
            self.seconds += (time - self.seconds) * WEIGHT;
        }
    }

    /// The mean of both.
    pub fn add(&mut self, other: Self) {
        let of = self.of + other.of;
        if of > 0.0 {
            self.seconds = (self.seconds * self.of + other.seconds * other.of) / of;
            self.of = of;
        }
    }

    pub fn seconds(self) -> Option<f32> {
        (self.of > 0.0).then_some(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_is_measured_and_joins_workers() {
        let mut one = Recent::default();
        assert!(one.seconds().is_none());
        one.observe(Duration::from_secs(8));
        for _ in 0..100 {
            one.observe(Duration::from_secs(2));
        }
        let seconds = one.seconds().unwrap_or_default();
        assert!((2.0..2.01).contains(&seconds), "{seconds}");
        let mut other = Recent::default();
        other.add(Recent::default());
        assert!(other.seconds().is_none());
        other.observe(Duration::from_secs(4));
        one.add(other);
        let seconds = one.seconds().unwrap_or_default();
        assert!((3.0..3.01).contains(&seconds), "{seconds}");
    }
}
