//! A response on its way into the store.

use std::sync::Arc;

use openclaw_core::caching::{Chosen, Freshness};
use openclaw_core::message::HeaderList;

use crate::cache::{Body, Store};

/// Pieces are gathered up to this.
const PIECE: usize = 64 * 1024;

/// A response that is coming.
pub(super) struct Draft {
    pub(super) status: u16,
    pub(super) fields: HeaderList,
    pub(super) freshness: Freshness,
    pub(super) chosen: Chosen,
    pub(super) body: Body,
    pub(super) piece: Vec<u8>,
    pub(super) length: Option<u64>,
    pub(super) room: Room,
}

/// Bytes that are taken of what may be on its way.
pub(super) struct Room {
    pub(super) store: Arc<Store>,
    pub(super) bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.store.release(self.bytes);
    }
}

impl Draft {
    /// Takes payload; false if it is more than is stored.
    pub(super) fn take(&mut self, payload: &[u8], most: u64) -> bool {
        let after = self.body.length() + (self.piece.len() + payload.len()) as u64;
        if after > most || !self.room.store.reserve(payload.len()) {
            return false;
        }
        self.room.bytes += payload.len() as u64;
        self.piece.extend_from_slice(payload);
        if self.piece.len() >= PIECE {
            self.cut();
        }
        true
    }

    pub(super) fn cut(&mut self) {
        if !self.piece.is_empty() {
            self.body.push(&self.piece);
            self.piece.clear();
        }
    }
}
