//! One body on its way out of the coding that its endpoint has put it into, whatever library does it.

use std::fmt;

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::{Decompress, FlushDecompress, Status};
use openclaw_core::coding::Coding;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::encoder::{Broken, STEP, Step, Until};

/// The largest window of gzip.
const GZIP_WINDOW_BITS: u8 = 15;
/// The largest window of zstd that everybody has to take (RFC 8878 §3.1.1.1.2), as a power of two.
const ZSTD_WINDOW_BITS: u32 = 23;
/// How every member of gzip begins (RFC 1952 §2.3.1).
const GZIP_FIRST: u8 = 0x1f;

pub(super) struct Decoder {
    library: Library,
    /// Something has come.
    has_begun: bool,
    /// What has come is whole.
    is_over: bool,
}

enum Library {
    Br(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(DCtx<'static>),
    Gzip(Decompress),
}

impl fmt::Debug for Decoder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Decoder")
    }
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Result<Self, Broken> {
        let library = match coding {
            Coding::Br => {
                let alloc = StandardAlloc::default;
                let state = BrotliState::new_strict(alloc(), alloc(), alloc());
                Library::Br(Box::new(state))
            }
            Coding::Zstd => {
                let mut context = DCtx::try_create().ok_or(Broken)?;
                let most = DParameter::WindowLogMax(ZSTD_WINDOW_BITS);
                context.set_parameter(most).map_err(|_code| Broken)?;
                Library::Zstd(context)
            }
            Coding::Gzip => Library::Gzip(Decompress::new_gzip(GZIP_WINDOW_BITS)),
        };
        Ok(Self {
            library,
            has_begun: false,
            is_over: true,
        })
    }

    /// What it may take of memory, in the places of an encoder: its window is what somebody else chose.
    pub(super) const fn weight(coding: Coding) -> usize {
        match coding {
            Coding::Br => 16,
            Coding::Zstd => 8,
            Coding::Gzip => 1,
        }
    }

    /// Takes input and appends to `out`, within its capacity.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        until: Until,
        out: &mut Vec<u8>,
    ) -> Result<Step, Broken> {
        if let Some(first) = input.first().filter(|_| self.is_over) {
            if self.has_begun && !self.goes_on_with(*first) {
                // What stands behind the end is nobody's.
                let taken = input.len();
                return Ok(Step {
                    taken,
                    is_done: true,
                });
            }
            (self.has_begun, self.is_over) = (true, false);
        }
        let before = out.len();
        let taken = if self.is_over {
            0
        } else {
            self.take(input, out)?
        };
        let has_room = out.len() < out.capacity();
        let is_stuck = taken == 0 && out.len() == before && has_room;
        let is_done = match until {
            Until::Later => taken == input.len(),
            Until::Flushed => taken == input.len() && has_room,
            Until::Finished if is_stuck && !self.is_over => return Err(Broken),
            Until::Finished => self.is_over,
        };
        Ok(Step { taken, is_done })
    }

    /// Whether more may come behind an end: gzip has members, zstd frames.
    fn goes_on_with(&mut self, first: u8) -> bool {
        match &mut self.library {
            Library::Br(_) => false,
            Library::Zstd(_) => true,
            Library::Gzip(inflate) => {
                let is_member = first == GZIP_FIRST;
                if is_member {
                    *inflate = Decompress::new_gzip(GZIP_WINDOW_BITS);
                }
                is_member
            }
        }
    }

    /// How much of the input was taken.
    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Broken> {
        match &mut self.library {
            Library::Br(state) => {
                let start = out.len();
                out.resize(out.capacity().min(start + STEP), 0);
                let room = out.get_mut(start..).unwrap_or_default();
                let (mut left, mut taken) = (input.len(), 0);
                let (mut free, mut written, mut total) = (room.len(), 0, 0);
                let result = BrotliDecompressStream(
                    &mut left,
                    &mut taken,
                    input,
                    &mut free,
                    &mut written,
                    room,
                    &mut total,
                    state,
                );
                out.truncate(start + written);
                match result {
                    BrotliResult::ResultSuccess => self.is_over = true,
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
                    BrotliResult::ResultFailure => return Err(Broken),
                }
                Ok(taken)
            }
            Library::Zstd(context) => {
                let end = out.len();
                let mut room = OutBuffer::around_pos(out, end);
                let mut taken = InBuffer::around(input);
                let hint = context.decompress_stream(&mut room, &mut taken);
                self.is_over = hint.map_err(|_code| Broken)? == 0;
                Ok(taken.pos())
            }
            Library::Gzip(inflate) => {
                let before = inflate.total_in();
                let status = inflate.decompress_vec(input, out, FlushDecompress::None);
                self.is_over = status.map_err(|_error| Broken)? == Status::StreamEnd;
                usize::try_from(inflate.total_in() - before).map_err(|_error| Broken)
            }
        }
    }
}
