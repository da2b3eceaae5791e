//! Streams that only the client sends on: its control stream, the two of QPACK, and whatever else it opens (RFC 9114 §6.2).

use std::rc::Rc;

use quinn_proto::{Dir, ReadError, Side, StreamId};

use super::code::{Code, Violation};
use super::connection::State;
use super::control::Update;
use super::qpack::{DecoderStream, is_capacity_of_none};
use super::varint;

const CONTROL: u64 = 0x0;
const PUSH: u64 = 0x1;
const QPACK_ENCODER: u64 = 0x2;
const QPACK_DECODER: u64 = 0x3;

/// What is read of one of them at a time.
const PIECE: usize = 16 * 1024;

/// One of them.
#[derive(Debug)]
pub(super) struct Unidirectional {
    id: StreamId,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// Its type has not come whole.
    Untold {
        partial: [u8; 8],
        held: usize,
    },
    Control,
    Encoder,
    Decoder(DecoderStream),
    /// None that we know: it is not read.
    Other,
}

impl Unidirectional {
    pub(super) fn new(id: StreamId) -> Self {
        Self {
            id,
            role: Role::Untold {
                partial: [0; 8],
                held: 0,
            },
        }
    }

    /// Takes octets of the type. Some: it is known now.
    fn told(&mut self, input: &mut &[u8]) -> Option<u64> {
        let Role::Untold { partial, held } = &mut self.role else {
            return None;
        };
        loop {
            if let Some((kind, _)) = varint::read(partial.get(..*held)?) {
                return Some(kind);
            }
            let (octet, rest) = input.split_first()?;
            *partial.get_mut(*held)? = *octet;
            *held += 1;
            *input = rest;
        }
    }
}

impl State {
    /// Reads what one of them has.
    pub(super) fn read_unidirectional(&mut self, id: StreamId) -> Result<(), Violation> {
        let Some(at) = self.unidirectional.iter().position(|one| one.id == id) else {
            return Ok(());
        };
        let mut one = self.unidirectional.swap_remove(at);
        let mut updates = Vec::new();
        let ended = self.read_one(&mut one, &mut updates)?;
        for update in updates {
            self.update(update);
        }
        match one.role {
            Role::Control | Role::Encoder | Role::Decoder(_) if ended => {
                return Err(Violation::new(
                    Code::ClosedCriticalStream,
                    "the client has closed its control stream or one of QPACK's",
                ));
            }
            Role::Other => {
                // It may have ended by itself, which is as good.
                let code = Code::StreamCreationError.into();
                let _ = self.quic.borrow_mut().recv_stream(id).stop(code);
                return Ok(self.budget.glitch(1)?);
            }
            Role::Untold { .. } if ended => return Ok(self.budget.glitch(1)?),
            Role::Untold { .. } | Role::Control | Role::Encoder | Role::Decoder(_) => {}
        }
        self.unidirectional.push(one);
        Ok(())
    }

    /// Whether it has ended. Collects what touches other streams.
    fn read_one(
        &mut self,
        one: &mut Unidirectional,
        updates: &mut Vec<Update>,
    ) -> Result<bool, Violation> {
        let quic = Rc::clone(&self.quic);
        let mut quic = quic.borrow_mut();
        let mut stream = quic.recv_stream(one.id);
        let Ok(mut chunks) = stream.read(true) else {
            return Ok(true);
        };
        loop {
            match chunks.next(PIECE) {
                Ok(Some(chunk)) => self.take_one(one, &chunk.bytes, updates)?,
                Ok(None) | Err(ReadError::Reset(_)) => return Ok(true),
                Err(ReadError::Blocked) => return Ok(false),
            }
            if matches!(one.role, Role::Other) {
                return Ok(false);
            }
        }
    }

    fn take_one(
        &mut self,
        one: &mut Unidirectional,
        mut input: &[u8],
        updates: &mut Vec<Update>,
    ) -> Result<(), Violation> {
        if let Some(kind) = one.told(&mut input) {
            one.role = self.role(kind)?;
        }
        match &mut one.role {
            Role::Control => {
                let streams = self.streams_to_come();
                self.control
                    .take(input, streams, &mut self.budget, updates)?;
            }
            Role::Encoder => {
                for octet in input {
                    if !is_capacity_of_none(*octet) {
                        return Err(Violation::new(
                            Code::QpackEncoderStreamError,
                            "an instruction for a dynamic table, which has no room",
                        ));
                    }
                    self.budget.glitch(1)?;
                }
            }
            Role::Decoder(decoder) => {
                for octet in input {
                    match decoder.take(*octet) {
                        Some(true) => self.budget.glitch(1)?,
                        Some(false) => {}
                        None => {
                            return Err(Violation::new(
                                Code::QpackDecoderStreamError,
                                "an acknowledgement of what was not sent",
                            ));
                        }
                    }
                }
            }
            Role::Untold { .. } | Role::Other => {}
        }
        Ok(())
    }

    /// There may be one of each of those that we know, and clients do not push.
    fn role(&mut self, kind: u64) -> Result<Role, Violation> {
        let (role, seen) = match kind {
            CONTROL => (Role::Control, 1),
            QPACK_ENCODER => (Role::Encoder, 2),
            QPACK_DECODER => (Role::Decoder(DecoderStream::default()), 4),
            PUSH => {
                return Err(Violation::new(
                    Code::StreamCreationError,
                    "a push stream from a client",
                ));
            }
            _ => return Ok(Role::Other),
        };
        if self.roles & seen != 0 {
            return Err(Violation::new(
                Code::StreamCreationError,
                "a control stream or one of QPACK's twice",
            ));
        }
        self.roles |= seen;
        Ok(role)
    }

    /// The id from which on the client can have no request stream yet.
    fn streams_to_come(&self) -> u64 {
        self.accepted + 4 * self.limits.max_streams as u64
    }

    fn update(&mut self, update: Update) {
        let Update { stream, priority } = update;
        // Which of the client's streams it is: ids of requests are multiples of four.
        let id = StreamId::new(Side::Client, Dir::Bi, stream / 4);
        match self.streams.slot(id) {
            Some(slot) => {
                self.priorities.known();
                self.prioritise(slot, priority);
            }
            None if stream >= self.accepted => self.priorities.announce(stream, priority),
            // It is over.
            None => {}
        }
    }
}
