//! Flow control (RFC 9113 §5.2, §6.9), both directions.

/// What a stream may send us before it is credited: the initial value, which nobody has to announce. It may grow (`growth`).
pub(super) const STREAM_WINDOW: u32 = 65535;
/// The same for all streams of a connection together: bounds what one client makes us hold.
pub(super) const CONNECTION_WINDOW: u32 = 1 << 20;
/// No window may be larger (RFC 9113 §6.9.1).
pub(super) const MAX_WINDOW: i64 = 0x7fff_ffff;

/// What the peer may send. Octets are credited when they were consumed, not when they came.
#[derive(Debug)]
pub(super) struct Inbound {
    left: u32,
    owed: u32,
    size: u32,
}

impl Inbound {
    pub(super) fn new(size: u32) -> Self {
        Self {
            left: size,
            owed: 0,
            size,
        }
    }

    /// How much the peer may send ahead of what is consumed.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// Makes room for more, which the peer must be told of.
    pub(super) fn grow(&mut self, count: u32) {
        self.size += count;
        self.left += count;
    }

    /// Counts what came; false: the peer sent more than it may.
    #[must_use]
    pub(super) fn take(&mut self, count: usize) -> bool {
        match self.left.checked_sub(count as u32) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Counts what was consumed; `Some` when it is time to say so: half of the window is owed.
    #[must_use]
    pub(super) fn release(&mut self, count: usize) -> Option<u32> {
        self.owed += count as u32;
        if self.owed < self.size / 2 {
            return None;
        }
        let increment = std::mem::take(&mut self.owed);
        self.left += increment;
        Some(increment)
    }
}

/// What we may send. Below zero after the peer made its initial window smaller.
#[derive(Debug)]
pub(super) struct Outbound(i64);

impl Outbound {
    pub(super) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    pub(super) fn available(&self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    pub(super) fn spend(&mut self, count: usize) {
        self.0 -= i64::try_from(count).unwrap_or(MAX_WINDOW);
    }

    /// Gives back what was spent on payload that is not sent after all.
    pub(super) fn refund(&mut self, count: usize) {
        self.0 += i64::try_from(count).unwrap_or(0);
    }

    /// Moves the window; false: it would become larger than it may be.
    #[must_use]
    pub(super) fn shift(&mut self, delta: i64) -> bool {
        self.0 += delta;
        self.0 <= MAX_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::{Inbound, MAX_WINDOW, Outbound};

    #[test]
    fn credit_is_given_in_halves_and_only_for_what_was_consumed() {
        let mut window = Inbound::new(100);
        assert!(window.take(100));
        assert!(!window.take(1));
        assert_eq!(window.release(49), None);
        assert_eq!(window.release(1), Some(50));
        assert!(window.take(50));
        assert!(!window.take(1));
        window.grow(100);
        assert!(window.take(100));
        assert!(!window.take(1));
        assert_eq!(window.release(99), None);
        assert_eq!(window.release(1), Some(100));
    }

    #[test]
    fn a_window_may_be_negative_but_not_too_large() {
        let mut window = Outbound::new(10);
        window.spend(10);
        assert!(window.shift(-5));
        assert_eq!(window.available(), 0);
        assert!(window.shift(7));
        assert_eq!(window.available(), 2);
        assert!(window.shift(MAX_WINDOW - 2));
        assert!(!window.shift(1));
    }
}
