//! What HTTP/3 keeps for a stream beside what every wire does: the frames that it is taken apart into, and what QUIC has
//! had no room for.

use bytes::Bytes;
use openclaw_core::message::Priority;
use openclaw_core::turns::Place;

use super::frame::Frames;

/// What of a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Nothing,
    Head,
    /// The trailers, after which there are only frames without meaning.
    Trailers,
}

#[derive(Debug)]
pub(super) struct Own {
    pub part: Part,
    pub frames: Frames,
    /// The type of the frame that is being read.
    pub kind: u64,
    /// A field section of which the rest has not come.
    pub section: Vec<u8>,
    /// It is longer than any that we would decode, and not kept.
    pub oversize: bool,
    /// Frames that go out with the payload that follows them.
    pub staged: Vec<u8>,
    /// Where the response begins in that, while QUIC has nothing of it and it may be taken back.
    pub unsent: Option<usize>,
    /// What QUIC had no room for; it goes before `staged`.
    pub pending: Bytes,
    /// The request is a CONNECT, behind which there is DATA alone (RFC 9114 §4.4).
    pub is_connect: bool,
    /// The one DATA frame of a response of known length has begun.
    pub has_data: bool,
    /// Among the responses of the connection.
    pub place: Place,
    /// QUIC has the whole response and its end.
    pub finished: bool,
}

impl Own {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Nothing,
            frames: Frames::default(),
            kind: 0,
            section: Vec::new(),
            oversize: false,
            staged: Vec::new(),
            unsent: None,
            pending: Bytes::new(),
            is_connect: false,
            has_data: false,
            place: Place::new(Priority::UNSAID, 0),
            finished: false,
        }
    }

    /// What is staged goes out next.
    pub(super) fn stage_to_send(&mut self) {
        self.unsent = None;
        self.pending = Bytes::from(std::mem::take(&mut self.staged));
    }
}
