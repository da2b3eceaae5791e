//! The instructions on the two streams of QPACK (RFC 9204 §4.3, §4.4), of which next to nothing is left without a dynamic table.

/// On the encoder stream: Set Dynamic Table Capacity, 0. Nothing else fits into a table of no size.
pub(in super::super) fn is_capacity_of_none(instruction: u8) -> bool {
    instruction == 0x20
}

/// On the decoder stream: how far an instruction is that cancels a stream.
#[derive(Debug, Default)]
pub(in super::super) struct DecoderStream {
    /// Octets of a number that have come; `None`: an instruction begins.
    number: Option<u8>,
}

impl DecoderStream {
    /// Takes the next octet. True: an instruction is complete. None: nothing that we sent can be acknowledged so
    /// (`QPACK_DECODER_STREAM_ERROR`).
    pub(in super::super) fn take(&mut self, octet: u8) -> Option<bool> {
        match self.number {
            // Stream Cancellation; the number of the stream does not matter.
            None if octet & 0xc0 == 0x40 => {
                let is_complete = octet & 0x3f != 0x3f;
                self.number = (!is_complete).then_some(0);
                Some(is_complete)
            }
            // Section Acknowledgment, Insert Count Increment; and a number has 62 bits at most (RFC 9204 §4.1.1).
            None | Some(9) => None,
            Some(_) if octet & 0x80 == 0 => {
                self.number = None;
                Some(true)
            }
            Some(octets) => {
                self.number = Some(octets + 1);
                Some(false)
            }
        }
    }
}
