//! Memory that a worker's connections lend each other, so that an idle one holds none and a busy one need not ask the
//! allocator.

use std::cell::{Cell, RefCell};

use openclaw_core::message::HeaderList;

const KEPT: usize = 32;
/// Buffers that grew beyond this go back to the allocator.
const LARGEST: usize = 256 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static OUTPUTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static LISTS: RefCell<Vec<HeaderList>> = const { RefCell::new(Vec::new()) };
}

/// Where every connection reads into.
pub(in crate::serve) fn scratch() -> Vec<u8> {
    SCRATCH.take()
}

pub(in crate::serve) fn give_scratch(mut buffer: Vec<u8>) {
    buffer.clear();
    SCRATCH.set(buffer);
}

/// An empty buffer for output.
pub(in crate::serve) fn output() -> Vec<u8> {
    OUTPUTS
        .with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| Vec::with_capacity(4096))
}

pub(in crate::serve) fn give_output(mut buffer: Vec<u8>) {
    buffer.clear();
    if buffer.capacity() <= LARGEST {
        OUTPUTS.with_borrow_mut(|kept| keep(kept, buffer));
    }
}

/// A header list, to be cleared before use.
pub(in crate::serve) fn list() -> HeaderList {
    LISTS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

pub(in crate::serve) fn give_list(list: HeaderList) {
    LISTS.with_borrow_mut(|kept| keep(kept, list));
}

fn keep<T>(kept: &mut Vec<T>, item: T) {
    if kept.len() < KEPT {
        kept.push(item);
    }
}
