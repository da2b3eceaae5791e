//! Who reads a payload while it comes, or from the disk.

use std::cell::RefCell;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::disk::Lying;
use super::{Body, Broken};

/// Somebody who reads a payload as it comes. As long as there is one, it comes although it is not stored any more.
#[derive(Debug)]
pub struct Reader {
    body: Arc<Body>,
    /// What the disk is asked for, and from where on.
    asked: RefCell<Option<(u64, Asked)>>,
}

#[derive(Debug)]
enum Asked {
    Lying(Lying),
    /// It has come, and nobody has taken it yet.
    Here(Bytes),
}

impl Reader {
    /// Counted already.
    pub(super) fn new(body: Arc<Body>) -> Self {
        Self {
            body,
            asked: RefCell::default(),
        }
    }

    /// Ready once it is known that the beginning of a range can be had: it is here, and is what was stored.
    pub fn poll_first(&self, range: &Range<u64>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.body.is_whole() {
            return Poll::Ready(Ok(()));
        }
        let first = ready!(self.poll(range, cx))?;
        if let Some(first) = first {
            *self.asked.borrow_mut() = Some((range.start, Asked::Here(first)));
        }
        Poll::Ready(Ok(()))
    }

    /// What is at the beginning of a range; `None` where nothing comes any more.
    pub fn poll(
        &self,
        range: &Range<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Broken>> {
        if let Some(whole) = self.body.whole.get() {
            return Poll::Ready(Ok(whole.get(range)));
        }
        let asked = self.asked.take();
        let mut lying = match asked.filter(|(at, _)| *at == range.start) {
            Some((_, Asked::Lying(lying))) => lying,
            Some((_, Asked::Here(bytes))) => return Poll::Ready(Ok(Some(bytes))),
            None => return self.poll_coming(range, cx),
        };
        match Pin::new(&mut lying).poll(cx) {
            Poll::Ready(Ok(Ok(bytes))) => Poll::Ready(Ok(Some(bytes))),
            Poll::Ready(Ok(Err(_)) | Err(_)) => Poll::Ready(Err(Broken)),
            Poll::Pending => {
                *self.asked.borrow_mut() = Some((range.start, Asked::Lying(lying)));
                Poll::Pending
            }
        }
    }

    fn poll_coming(
        &self,
        range: &Range<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Broken>> {
        self.body.read_until(range.start);
        let mut state = self.body.state();
        let Some(coming) = &mut *state else {
            // It has become whole meanwhile.
            let whole = self.body.whole.get();
            return Poll::Ready(Ok(whole.and_then(|whole| whole.get(range))));
        };
        if coming.start() > range.start {
            let lying = range.start..range.end.min(coming.lying);
            let Some(source) = coming.source.as_ref().filter(|_| !lying.is_empty()) else {
                return Poll::Ready(Err(Broken));
            };
            let asked = source.read(lying);
            drop(state);
            *self.asked.borrow_mut() = Some((range.start, Asked::Lying(asked)));
            return self.poll(range, cx);
        }
        match (coming.get(range), coming.over) {
            (Some(bytes), _) => Poll::Ready(Ok(Some(bytes))),
            (None, Some(over)) => Poll::Ready(over.map(|()| None)),
            (None, None) => {
                coming.wake_later(cx);
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.body.leave();
    }
}
