//! A stored response as the answer to a request: whole, in part, or as the word that the client has it.

use std::ops::Range;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use openclaw_core::caching::{Answer, is_told_again};
use openclaw_core::message::h1::Asked;
use openclaw_core::message::{Fault, Field, Fields, Response, ResponseBody};

use super::look::Stored;
use crate::cache::Reader;
use crate::exchange::context::{Downstream, Local};
use crate::exchange::error::Error;
use crate::exchange::wire::Wire;
use crate::exchange::{Edits, Story, answer, head};
use crate::time::Deadline;

/// How a stored response is sent.
pub(super) struct Sending<'a> {
    pub local: &'a Local,
    pub downstream: &'a Downstream,
    pub edits: Edits<'a>,
    pub is_head: bool,
    /// How long the next bytes of something that is on its way may take.
    pub patience: Duration,
    pub deadline: &'a Deadline,
}

impl Sending<'_> {
    /// Sends it.
    pub(super) async fn send<W: Wire>(
        &self,
        stored: &Stored,
        wire: &mut W,
        story: &mut Story,
    ) -> Option<Fault> {
        let (status, range) = queue(self.local, self.edits, stored, self.is_head, wire);
        story.passage.status = status;
        let sent = match (stored.object.body.part(range.clone()), &stored.reader) {
            (Some(parts), _) => answer::send(parts, wire, self.deadline, self.downstream).await,
            // Boxed, so that those who need not wait need not have room for it.
            (None, Some(reader)) => Box::pin(self.follow(reader, range, wire)).await,
            (None, None) => Err(Error::Truncated),
        };
        story.passage.bytes_out = *sent.as_ref().unwrap_or(&0);
        sent.err().map(Error::fault)
    }

    /// Sends what comes as it comes. Returns how much it was.
    async fn follow<W: Wire>(
        &self,
        reader: &Reader,
        mut range: Range<u64>,
        wire: &mut W,
    ) -> Result<u64, Error> {
        let next = |cx: &mut Context<'_>| {
            if range.is_empty() {
                return Poll::Ready(Ok(None));
            }
            let next = ready!(reader.poll(&range, cx)).map_err(|_broken| Error::Truncated);
            Poll::Ready(next.inspect(|next| {
                range.start += next.as_ref().map_or(0, |bytes| bytes.len() as u64);
            }))
        };
        let place = (self.deadline, self.downstream);
        answer::send_as_it_comes(next, self.patience, wire, place).await
    }
}

/// Queues the head; returns its status, and which bytes go behind it. Not part of the future, which would have to hold the fields.
pub(super) fn queue<W: Wire>(
    local: &Local,
    edits: Edits<'_>,
    stored: &Stored,
    is_head: bool,
    wire: &mut W,
) -> (u16, Range<u64>) {
    let object = &stored.object;
    let length = object.body.length();
    let age = object.age(Instant::now()).0.to_string();
    let told = stored.status.text();
    let (status, range, content_range) = match &stored.answer {
        Answer::Whole => (object.status, 0..length.unwrap_or(u64::MAX), None),
        Answer::NotModified => (304, 0..0, None),
        Answer::Part(range) => {
            let (first, last) = (range.start, range.end - 1);
            let text = format!("bytes {first}-{last}/{}", length.unwrap_or_default());
            (206, range.clone(), Some(text))
        }
        Answer::NoSuchPart => {
            let text = format!("bytes */{}", length.unwrap_or_default());
            (416, 0..0, Some(text))
        }
    };
    let mut fields = Fields::new();
    let kept = object
        .fields
        .iter()
        .map(|(name, value)| Field::new(name, value));
    for field in kept.filter(|field| status != 304 || is_told_again(field)) {
        // What was stored came in a list of this size; what is added below is left out where that was full.
        let _ = fields.try_push(field);
    }
    if let Some(text) = &content_range {
        let _ = fields.try_push(Field::new(b"Content-Range", text.as_bytes()));
    }
    let _ = fields.try_push(Field::new(b"Age", age.as_bytes()));
    let _ = fields.try_push(Field::new(b"Cache-Status", told.as_bytes()));
    let size = (range.end != u64::MAX).then(|| range.end - range.start);
    let body = match (status, size) {
        (204 | 304, _) => ResponseBody::None { declared: None },
        _ if is_head => ResponseBody::None { declared: size },
        (_, Some(size)) => ResponseBody::Length(size),
        (_, None) => ResponseBody::Chunked,
    };
    let asked = Asked {
        head: is_head,
        ..Asked::default()
    };
    let response = Response {
        status,
        phrase: b"",
        fields: &fields,
        head: &[],
        body,
        keep_alive: true,
    };
    head::pass_on(local, edits, &response, asked, false, wire);
    match body {
        ResponseBody::None { .. } => (status, 0..0),
        ResponseBody::Length(_)
        | ResponseBody::Chunked
        | ResponseBody::UntilClose
        | ResponseBody::Tunnel => (status, range),
    }
}
