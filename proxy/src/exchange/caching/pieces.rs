//! The bytes of an answer out of slices, as they come.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use openclaw_core::caching::slices::{self, Version};

use super::slicing::Slicing;
use crate::cache::{Object, Reader};
use crate::exchange::error::Error;

/// What is sent, one slice after another.
pub(super) struct Pieces<'s, 'a> {
    slicing: &'s Slicing<'a>,
    version: &'s Version,
    /// What is left.
    range: Range<u64>,
    /// Of the slice of that number.
    reader: Option<(u64, Reader)>,
    coming: Option<Coming<'s>>,
    /// Of what begins there, once a slice could not be had.
    rest: Option<(u64, Reader)>,
}

type Coming<'s> = Pin<Box<dyn Future<Output = Option<Arc<Object>>> + 's>>;

impl<'s, 'a> Pieces<'s, 'a> {
    pub(super) fn new(slicing: &'s Slicing<'a>, version: &'s Version, range: Range<u64>) -> Self {
        Self {
            slicing,
            version,
            range,
            reader: None,
            coming: None,
            rest: None,
        }
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        if self.range.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let next = match &self.rest {
            None => ready!(self.poll_slice(cx)),
            Some(_) => None,
        };
        let next = match next {
            Some(bytes) => bytes,
            None => ready!(self.poll_rest(cx))?,
        };
        self.range.start += next.len() as u64;
        Poll::Ready(Ok(Some(next)))
    }

    /// What is next in the slice that has it; `None` if that slice cannot be had, or not all of it.
    fn poll_slice(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let size = self.slicing.size;
        let number = self.range.start / size;
        let begin = number * size;
        let range = self.range.start - begin..self.range.end.saturating_sub(begin).min(size);
        let reader = match self.reader.take() {
            Some((of, reader)) if of == number => Some(reader),
            Some(_) | None => ready!(self.poll_reader(cx, number, range.start)),
        };
        let Some(reader) = reader else {
            return Poll::Ready(None);
        };
        let next = reader.poll(&range, cx);
        self.reader = Some((number, reader));
        Poll::Ready(
            ready!(next)
                .ok()
                .flatten()
                .filter(|bytes| !bytes.is_empty()),
        )
    }

    fn poll_reader(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        from: u64,
    ) -> Poll<Option<Reader>> {
        let (slicing, version) = (self.slicing, self.version);
        let coming = self
            .coming
            .get_or_insert_with(|| Box::pin(slicing.slice(number, Some(version))));
        let slice = ready!(coming.as_mut().poll(cx));
        self.coming = None;
        let slice = slice.filter(|slice| {
            let part = slices::part_of(&slice.view());
            slice.status == 206 && part.is_some_and(|(of, _)| of == *version)
        });
        Poll::Ready(slice.and_then(|slice| slice.body.read(from)))
    }

    /// What is next in all that is left, which comes past the store.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        if self.rest.is_none() {
            self.reader = None;
            let reader = self.slicing.rest(self.version, self.range.clone());
            self.rest = reader.map(|reader| (self.range.start, reader));
        }
        let Some((begin, reader)) = &self.rest else {
            return Poll::Ready(Err(Error::Truncated));
        };
        let range = self.range.start - begin..self.range.end - begin;
        let next = ready!(reader.poll(&range, cx)).map_err(|_broken| Error::Truncated)?;
        Poll::Ready(next.ok_or(Error::Truncated))
    }
}
