//! A client that sends the frames it is told to, right or wrong.

use openclaw_core::message::HeaderList;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{Served, serve};
use crate::serve::h2::frame::{self, Code};
use crate::serve::h2::hpack::{Decoded, Decoder, encode};
use crate::serve::h2::{End, PREFACE};

/// Type, flags, stream and payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Seen {
    pub(super) fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A frame.
pub(super) fn f(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [
        &frame::head(payload.len(), kind, flags, stream)[..],
        payload,
    ]
    .concat()
}

/// A block of raw literals; names keep their case.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        let start = out.len();
        encode::field(&mut out, name.as_bytes(), value.as_bytes());
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            out[start + 2..start + 2 + name.len()].copy_from_slice(name.as_bytes());
        }
    }
    out
}

pub(super) fn request(method: &str, path: &str) -> Vec<u8> {
    block(&[
        (":method", method),
        (":scheme", "https"),
        (":path", path),
        (":authority", "test"),
    ])
}

/// HEADERS that end block and stream.
pub(super) fn get(stream: u32, path: &str) -> Vec<u8> {
    f(
        frame::HEADERS,
        frame::END_HEADERS | frame::END_STREAM,
        stream,
        &request("GET", path),
    )
}

/// HEADERS that end the block only.
pub(super) fn post(stream: u32, path: &str) -> Vec<u8> {
    f(
        frame::HEADERS,
        frame::END_HEADERS,
        stream,
        &request("POST", path),
    )
}

pub(super) fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::settings_frame(&mut out, entries);
    out
}

pub(super) fn update(stream: u32, increment: u32) -> Vec<u8> {
    f(frame::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(super) fn reset(stream: u32) -> Vec<u8> {
    f(
        frame::RST_STREAM,
        0,
        stream,
        &(Code::Cancel as u32).to_be_bytes(),
    )
}

pub(super) struct Raw {
    pub served: Served,
    input: Vec<u8>,
    decoder: Decoder,
}

impl Raw {
    /// Without the preface.
    pub(super) fn bare() -> Self {
        Self {
            served: serve(),
            input: Vec::new(),
            decoder: Decoder::new(),
        }
    }

    /// After the exchange of SETTINGS.
    pub(super) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    pub(super) async fn open_with(entries: &[(u16, u32)]) -> Self {
        let mut raw = Self::bare();
        raw.send(
            &[
                PREFACE,
                &settings(entries),
                &f(frame::SETTINGS, frame::ACK, 0, b""),
            ]
            .concat(),
        )
        .await;
        let own = raw.next().await.unwrap();
        assert_eq!((own.kind, own.flags), (frame::SETTINGS, 0));
        assert_eq!(raw.next().await.unwrap().kind, frame::WINDOW_UPDATE);
        let ack = raw.next().await.unwrap();
        assert_eq!(
            (ack.kind, ack.flags, ack.payload.len()),
            (frame::SETTINGS, frame::ACK, 0)
        );
        raw
    }

    /// Writes as long as the server reads.
    pub(super) async fn send(&mut self, octets: &[u8]) {
        self.served.pipe.write_all(octets).await.unwrap();
    }

    /// The next frame; `None` when the server has closed its direction.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some((&[a, b, c, kind, flags, s0, s1, s2, s3], rest)) =
                self.input.split_first_chunk::<9>()
            {
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                if let Some(payload) = rest.get(..length) {
                    let stream = u32::from_be_bytes([s0, s1, s2, s3]);
                    let seen = Seen {
                        kind,
                        flags,
                        stream,
                        payload: payload.to_vec(),
                    };
                    self.input.drain(..9 + length);
                    return Some(seen);
                }
            }
            if self.served.pipe.read_buf(&mut self.input).await.unwrap() == 0 {
                assert!(self.input.is_empty(), "the last frame is cut short");
                return None;
            }
        }
    }

    /// Skips frames up to the first of a type.
    pub(super) async fn find(&mut self, kind: u8) -> Seen {
        loop {
            let seen = self
                .next()
                .await
                .unwrap_or_else(|| panic!("closed before a frame of type {kind}"));
            if seen.kind == kind {
                return seen;
            }
        }
    }

    /// The status in a HEADERS frame.
    pub(super) fn status(&mut self, seen: &Seen) -> String {
        assert_eq!(seen.kind, frame::HEADERS);
        let mut list = HeaderList::default();
        assert_eq!(
            self.decoder.decode(&seen.payload, 65536, &mut list),
            Ok(Decoded::Whole)
        );
        let status = list
            .iter()
            .next()
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        status.unwrap()
    }

    /// Asks for `/` and reads the whole answer: the connection works.
    pub(super) async fn works(&mut self, stream: u32) {
        self.send(&get(stream, "/")).await;
        let head = self.find(frame::HEADERS).await;
        assert_eq!(head.stream, stream);
        assert_eq!(self.status(&head), "200");
        let data = self.find(frame::DATA).await;
        assert_eq!(
            (data.stream, data.flags, &*data.payload),
            (stream, frame::END_STREAM, &b"hello"[..])
        );
    }

    /// Reads GOAWAY with this code, then the end, then closes too.
    pub(super) async fn ends_with(mut self, code: Code) -> End {
        let goaway = self.find(frame::GOAWAY).await;
        assert_eq!(goaway.number(4), code as u32, "{goaway:?}");
        while let Some(seen) = self.next().await {
            assert_ne!(seen.kind, frame::HEADERS, "an answer after GOAWAY");
        }
        drop(self.served.pipe);
        self.served.end.await.unwrap()
    }
}
