//! What one worker counts of an endpoint.

use std::time::Instant;

use super::histogram::Histogram;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct EndpointCounts {
    /// 1xx to 5xx at 1..=5; 0: no usable answer.
    pub(super) classes: [u64; 6],
    pub(super) connects: u64,
    pub(super) connects_failed: u64,
    /// The snapshot in use has it.
    pub(super) is_configured: bool,
    /// When a connection was last tried, and whether it came to be.
    pub(super) last_connect: Option<(Instant, bool)>,
    pub(super) time: Histogram,
    /// Probes or a breaker say so; known to the control plane alone.
    pub(super) is_unfit: bool,
}

impl EndpointCounts {
    /// It was asked, and answered with this status, or 0.
    pub(super) fn answered(&mut self, status: u16) {
        let class = usize::from(status / 100);
        let class = if class < self.classes.len() { class } else { 0 };
        if let Some(count) = self.classes.get_mut(class) {
            *count += 1;
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        !self.is_unfit && self.last_connect.is_none_or(|(_, success)| success)
    }
}
