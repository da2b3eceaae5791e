//! Octets on their way to the client: one buffer for all streams, so that a turn ends in one write.

use crate::serve::multiplexed::spare;

/// No exchange adds payload beyond this; what the protocol itself answers is bounded by what one read can hold.
pub(super) const CAP: usize = 128 * 1024;
/// Room smaller than this is no room, so that payload does not leave in crumbs.
const CRUMB: usize = 1024;
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
    /// Octets written in all.
    total: u64,
}

impl Output {
    /// Where frames are appended.
    pub(super) fn frames(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = spare::output();
        }
        &mut self.bytes
    }

    /// What the socket should take next.
    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// How much payload may be added now.
    pub(super) fn room(&self) -> usize {
        match CAP.saturating_sub(self.waiting().len()) {
            0..CRUMB => 0,
            room => room,
        }
    }

    pub(super) fn wrote(&mut self, count: usize) {
        self.sent += count;
        self.total += count as u64;
        if self.sent >= self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        } else if self.sent >= CAP {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Where in all that is sent the next frame begins.
    pub(super) fn position(&self) -> u64 {
        self.total + self.waiting().len() as u64
    }

    /// Drops what is queued from a position on; false: some of that is written.
    pub(super) fn cut_back(&mut self, position: u64) -> bool {
        let kept = position.checked_sub(self.total);
        let Some(kept) = kept.and_then(|kept| usize::try_from(kept).ok()) else {
            return false;
        };
        self.bytes.truncate(self.sent + kept);
        if self.sent >= self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
        true
    }

    /// Gives the buffer back that an idle connection does not need.
    pub(super) fn release(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > 0 {
            spare::give_output(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
impl Output {
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::{CAP, Output};

    #[test]
    fn a_reader_slower_than_the_writer_does_not_make_the_buffer_grow() {
        let mut output = Output::default();
        output.frames().extend_from_slice(&[0; 1000]);
        for _ in 0..10_000 {
            output.frames().extend_from_slice(&[1; 500]);
            output.wrote(500);
            assert_eq!(output.waiting().len(), 1000);
        }
        assert!(output.bytes.capacity() <= 4 * CAP);
        assert_eq!(output.total(), 5_000_000);
    }

    #[test]
    fn what_is_written_is_not_cut_back() {
        let mut output = Output::default();
        output.frames().extend_from_slice(&[0; 10]);
        let begin = output.position();
        output.frames().extend_from_slice(&[1; 10]);
        output.wrote(4);
        assert!(output.cut_back(begin));
        assert_eq!(output.waiting(), [0; 6]);
        output.frames().extend_from_slice(&[1; 10]);
        output.wrote(7);
        assert!(!output.cut_back(begin));
        assert_eq!(output.waiting(), [1; 9]);
    }

    #[test]
    fn crumbs_of_room_are_no_room() {
        let mut output = Output::default();
        output.frames().resize(CAP - 1000, 0);
        assert_eq!(output.room(), 0);
        output.wrote(24);
        assert_eq!(output.room(), 1024);
    }
}
