//! A stored response as the answer to a request: whole, in part, or as the word that the client has it.

use std::ops::Range;
use std::time::Instant;

use openclaw_core::caching::{Answer, is_told_again};
use openclaw_core::message::h1::Asked;
use openclaw_core::message::{Fault, Field, Fields, Response, ResponseBody};

use super::look::Stored;
use crate::exchange::context::{Downstream, Local};
use crate::exchange::wire::Wire;
use crate::exchange::{Edits, answer, head};
use crate::time::Deadline;

/// What was sent.
pub(super) struct Sent {
    pub status: u16,
    pub bytes: u64,
    pub fault: Option<Fault>,
}

/// Sends it.
pub(super) async fn send<W: Wire>(
    (local, downstream): (&Local, &Downstream),
    edits: Edits<'_>,
    stored: &Stored,
    is_head: bool,
    wire: &mut W,
    deadline: &Deadline,
) -> Sent {
    let (status, range) = queue(local, edits, stored, is_head, wire);
    let parts = stored.object.body.part(range);
    let sent = answer::send(parts, wire, deadline, downstream).await;
    Sent {
        status,
        bytes: *sent.as_ref().unwrap_or(&0),
        fault: sent.err().map(crate::exchange::error::Error::fault),
    }
}

/// Queues the head; returns its status, and which bytes go behind it. Not part of the future, which would have to hold the fields.
fn queue<W: Wire>(
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
        Answer::Whole => (object.status, 0..length, None),
        Answer::NotModified => (304, 0..0, None),
        Answer::Part(range) => {
            let (first, last) = (range.start, range.end - 1);
            let text = format!("bytes {first}-{last}/{length}");
            (206, range.clone(), Some(text))
        }
        Answer::NoSuchPart => (416, 0..0, Some(format!("bytes */{length}"))),
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
    let size = range.end - range.start;
    let body = match status {
        204 | 304 => ResponseBody::None { declared: None },
        _ if is_head => ResponseBody::None {
            declared: Some(size),
        },
        _ => ResponseBody::Length(size),
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
    if matches!(body, ResponseBody::Length(_)) {
        (status, range)
    } else {
        (status, 0..0)
    }
}
