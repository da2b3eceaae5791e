//! How much was compressed, and what it saved.

use openclaw_core::coding::Coding;

use super::metrics::{self, MetricsText};

/// Beside [`Coding::ALL`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coded([Row; Coding::ALL.len()]);

/// Responses in one coding, and their bytes before and after.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    count: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Coded {
    pub(super) fn count(&mut self, coding: Coding, taken: u64, made: u64) {
        if let Some(row) = self.0.get_mut(coding as usize) {
            row.count += 1;
            row.bytes_in += taken;
            row.bytes_out += made;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (row, more) in self.0.iter_mut().zip(&other.0) {
            row.count += more.count;
            row.bytes_in += more.bytes_in;
            row.bytes_out += more.bytes_out;
        }
    }

    /// Only of what there was.
    pub(super) fn render(&self, text: &mut MetricsText) {
        let rows = Coding::ALL.into_iter().zip(&self.0);
        let rows = rows.filter(|(_, row)| row.count > 0);
        for (coding, row) in rows.clone() {
            text.sample(&metrics::CODED_TOTAL, &[coding.name()], row.count);
        }
        for (coding, row) in rows {
            for (way, bytes) in [("in", row.bytes_in), ("out", row.bytes_out)] {
                text.sample(&metrics::CODED_BYTES, &[coding.name(), way], bytes);
            }
        }
    }
}
