//! One body on its way into a coding, whatever library does it.

use std::fmt;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter,
    BrotliEncoderStateStruct,
};
use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};
use openclaw_core::coding::Coding;
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

/// What clients have to hold to read it, as a power of two: enough for what pages are made of. A Brotli encoder of the
/// default level takes 3.8 MiB for a large body with it, 3.1 with half of it, and 5.3 at level 6; of zstd it is 1.6.
const WINDOW_BITS: u8 = 18;
/// The largest window of gzip.
const GZIP_WINDOW_BITS: u8 = 15;
/// Of gzip a body that is no longer, and says so, is coded at once when it is whole: it fits a buffer of the pool.
const WHOLE: u64 = 128 * 1024;
/// So much of the output is made room for at a time.
pub(super) const STEP: usize = 32 * 1024;

/// How far an encoder is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// As far as it likes: it may keep bytes to itself.
    Later,
    /// Until all that it was given can be read from what it has made.
    Flushed,
    /// Until the end.
    Finished,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// So much of the input is not needed any more.
    pub taken: usize,
    /// The encoder is as far as it was to go. If not, it needs more room.
    pub is_done: bool,
}

/// The library refused: it has no memory, was asked for something out of order, or what it was to decode is in no such coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encoder or decoder refused a step")]
pub struct Broken;

pub(super) enum Encoder {
    Br(Box<Brotli>),
    Zstd(CCtx<'static>),
    Gzip(Compress),
    Whole(Box<Whole>),
}

impl fmt::Debug for Encoder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Br(_) => "Br",
            Self::Zstd(_) => "Zstd",
            Self::Gzip(_) => "Gzip",
            Self::Whole(_) => "Whole",
        })
    }
}

impl Encoder {
    /// `is_whole`: for bodies that [`Whole`] takes.
    pub(super) fn new(coding: Coding, level: u8, is_whole: bool) -> Result<Self, Broken> {
        match coding {
            Coding::Br => Ok(Self::Br(Box::new(Brotli::new(level)))),
            Coding::Zstd => {
                let mut context = CCtx::try_create().ok_or(Broken)?;
                for parameter in [
                    CParameter::CompressionLevel(level.into()),
                    CParameter::WindowLog(WINDOW_BITS.into()),
                ] {
                    context.set_parameter(parameter).map_err(|_code| Broken)?;
                }
                Ok(Self::Zstd(context))
            }
            Coding::Gzip if is_whole => Ok(Self::Whole(Box::new(Whole::new(level)?))),
            Coding::Gzip => {
                let level = Compression::new(level.into());
                Ok(Self::Gzip(Compress::new_gzip(level, GZIP_WINDOW_BITS)))
            }
        }
    }

    /// Tells how much will come, if that is known: tables are no larger than they have to be. Before the first step.
    pub(super) fn expect(&mut self, length: Option<u64>) -> Result<(), Broken> {
        match self {
            Self::Br(brotli) => brotli.expect(length),
            Self::Zstd(context) => {
                let set = context.set_pledged_src_size(length);
                set.map_err(|_code| Broken)?;
            }
            Self::Gzip(_) | Self::Whole(_) => {}
        }
        Ok(())
    }

    /// Takes input and appends to `out`, within its capacity.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        until: Until,
        out: &mut Vec<u8>,
    ) -> Result<Step, Broken> {
        match self {
            Self::Br(brotli) => brotli.step(input, until, out),
            Self::Zstd(context) => zstd(context, input, until, out),
            Self::Gzip(deflate) => gzip(deflate, input, until, out),
            Self::Whole(whole) => whole.step(input, until, out),
        }
    }

    /// As new, for another body; `None` for what cannot begin again.
    pub(super) fn recycled(self) -> Option<Self> {
        match self {
            Self::Br(_) => None,
            Self::Zstd(mut context) => {
                let reset = context.reset(ResetDirective::SessionOnly);
                reset.is_ok().then_some(Self::Zstd(context))
            }
            Self::Gzip(mut deflate) => {
                deflate.reset();
                Some(Self::Gzip(deflate))
            }
            Self::Whole(mut whole) => {
                whole.clear();
                Some(Self::Whole(whole))
            }
        }
    }
}

fn gzip(
    deflate: &mut Compress,
    input: &[u8],
    until: Until,
    out: &mut Vec<u8>,
) -> Result<Step, Broken> {
    let flush = match until {
        Until::Later => FlushCompress::None,
        Until::Flushed => FlushCompress::Sync,
        Until::Finished => FlushCompress::Finish,
    };
    let before = deflate.total_in();
    let status = deflate.compress_vec(input, out, flush);
    let status = status.map_err(|_error| Broken)?;
    let taken = usize::try_from(deflate.total_in() - before).map_err(|_error| Broken)?;
    // What fills the last byte may have more to come.
    let has_room = out.len() < out.capacity();
    let is_done = match until {
        Until::Later => taken == input.len(),
        Until::Flushed => taken == input.len() && has_room,
        Until::Finished => status == Status::StreamEnd,
    };
    Ok(Step { taken, is_done })
}

fn zstd(
    context: &mut CCtx<'static>,
    input: &[u8],
    until: Until,
    out: &mut Vec<u8>,
) -> Result<Step, Broken> {
    let directive = match until {
        Until::Later => ZSTD_EndDirective::ZSTD_e_continue,
        Until::Flushed => ZSTD_EndDirective::ZSTD_e_flush,
        Until::Finished => ZSTD_EndDirective::ZSTD_e_end,
    };
    let end = out.len();
    let mut room = OutBuffer::around_pos(out, end);
    let mut taken = InBuffer::around(input);
    let left = context
        .compress_stream2(&mut room, &mut taken, directive)
        .map_err(|_code| Broken)?;
    let taken = taken.pos();
    let is_done = taken == input.len() && (until == Until::Later || left == 0);
    Ok(Step { taken, is_done })
}

/// gzip of a body that is kept until it is whole. Whoever sees all of it at once needs half of the time for a level of gzip, and makes less
/// of it: 32 KiB of JSON take 54 µs at level 1 and 114 at level 5 where zlib-rs takes 76 at level 2 and 199 at level 6 for 3 % more bytes.
pub(super) struct Whole {
    library: Compressor,
    body: Vec<u8>,
    /// Room for what is made of it, kept from one body to the next.
    room: Vec<u8>,
    /// So much of the room is full, if the body is coded already.
    made: Option<usize>,
    /// So much of that has been handed out.
    given: usize,
}

impl Whole {
    /// Whether a body of that length, if it is known, is coded in one piece.
    pub(super) fn takes(coding: Coding, length: Option<u64>) -> bool {
        coding == Coding::Gzip && length.is_some_and(|length| length <= WHOLE)
    }

    fn new(level: u8) -> Result<Self, Broken> {
        let level = CompressionLvl::new(level.into()).map_err(|_error| Broken)?;
        Ok(Self {
            library: Compressor::new(level),
            body: Vec::new(),
            room: Vec::new(),
            made: None,
            given: 0,
        })
    }

    fn clear(&mut self) {
        self.body.clear();
        (self.made, self.given) = (None, 0);
    }

    /// There is nothing to be flushed before the end: only bodies of unknown length are.
    fn step(&mut self, input: &[u8], until: Until, out: &mut Vec<u8>) -> Result<Step, Broken> {
        self.body.extend_from_slice(input);
        let is_done = until != Until::Finished || self.hand_out(out)?;
        Ok(Step {
            taken: input.len(),
            is_done,
        })
    }

    /// Appends to `out`, within its capacity; whether that was the rest.
    fn hand_out(&mut self, out: &mut Vec<u8>) -> Result<bool, Broken> {
        let made = match self.made {
            Some(made) => made,
            None => self.make()?,
        };
        let rest = self.room.get(self.given..made).unwrap_or_default();
        let part = rest.len().min(out.capacity() - out.len());
        out.extend_from_slice(rest.get(..part).unwrap_or_default());
        self.given += part;
        Ok(self.given == made)
    }

    fn make(&mut self) -> Result<usize, Broken> {
        let most = self.library.gzip_compress_bound(self.body.len());
        if self.room.len() < most {
            self.room.resize(most, 0);
        }
        let made = self.library.gzip_compress(&self.body, &mut self.room);
        let made = made.map_err(|_error| Broken)?;
        self.made = Some(made);
        Ok(made)
    }
}

pub(super) struct Brotli(BrotliEncoderStateStruct<StandardAlloc>);

impl Brotli {
    fn new(level: u8) -> Self {
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        for (parameter, value) in [
            (BrotliEncoderParameter::BROTLI_PARAM_QUALITY, level),
            (BrotliEncoderParameter::BROTLI_PARAM_LGWIN, WINDOW_BITS),
        ] {
            // Refused only by one that has begun.
            state.set_parameter(parameter, value.into());
        }
        Self(state)
    }

    fn expect(&mut self, length: Option<u64>) {
        let hint = length.and_then(|length| u32::try_from(length).ok());
        let parameter = BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT;
        self.0.set_parameter(parameter, hint.unwrap_or_default());
    }

    fn step(&mut self, input: &[u8], until: Until, out: &mut Vec<u8>) -> Result<Step, Broken> {
        let operation = match until {
            Until::Later => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
            Until::Flushed => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
            Until::Finished => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        };
        let start = out.len();
        out.resize(out.capacity().min(start + STEP), 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let (mut left, mut taken) = (input.len(), 0);
        let (mut free, mut written) = (room.len(), 0);
        let is_well = self.0.compress_stream(
            operation,
            &mut left,
            input,
            &mut taken,
            &mut free,
            room,
            &mut written,
            &mut None,
            &mut |_, _, _, _| (),
        );
        out.truncate(start + written);
        let is_done = match until {
            Until::Later => left == 0,
            Until::Flushed => left == 0 && !self.0.has_more_output(),
            Until::Finished => self.0.is_finished(),
        };
        is_well.then_some(Step { taken, is_done }).ok_or(Broken)
    }
}

impl Drop for Brotli {
    fn drop(&mut self) {
        BrotliEncoderDestroyInstance(&mut self.0);
    }
}
