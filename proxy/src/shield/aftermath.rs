//! What follows a change that nobody ordered just now: a feed, a file, a database of countries, the end of an allow entry, the kill
//! switch thrown on the pins. Peers that are turned away from now on may have connections open, and what an allow entry kept off a
//! feed's list may go on it.

use super::Shield;
use super::lists::Kind;
use super::state::State;

impl Shield {
    /// Whether peers may have come to be turned away since it was asked last: their connections are to be closed.
    pub fn take_tightened(&self) -> bool {
        self.shared.take_tightened()
    }
}

impl State {
    /// Entries of the allow lists.
    pub(super) fn allowed(&self) -> usize {
        let lists = self.store.lists().all();
        let allow = lists.filter(|(_, list)| list.kind == Kind::Allow);
        allow.map(|(_, list)| list.v4 + list.v6).sum()
    }

    /// Allow entries are gone: what they kept off the lists of feeds is read again.
    pub(super) fn has_disallowed(&mut self) {
        self.shared.set_tightened();
        for feed in &mut self.feeds {
            feed.read_again_if_lines_were_left_out();
        }
    }
}
