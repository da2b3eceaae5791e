//! Error codes (RFC 9114 §8.1, RFC 9204 §6) and what ends a connection.

use openclaw_core::reason::Reason;
use quinn_proto::VarInt;

use crate::serve::multiplexed::Spent;

/// What a stream or a connection ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    NoError = 0x100,
    GeneralProtocolError = 0x101,
    InternalError = 0x102,
    StreamCreationError = 0x103,
    ClosedCriticalStream = 0x104,
    FrameUnexpected = 0x105,
    FrameError = 0x106,
    ExcessiveLoad = 0x107,
    IdError = 0x108,
    SettingsError = 0x109,
    MissingSettings = 0x10a,
    RequestRejected = 0x10b,
    RequestCancelled = 0x10c,
    RequestIncomplete = 0x10d,
    MessageError = 0x10e,
    QpackDecompressionFailed = 0x200,
    QpackEncoderStreamError = 0x201,
    QpackDecoderStreamError = 0x202,
}

impl From<Code> for VarInt {
    fn from(code: Code) -> Self {
        Self::from_u32(code as u32)
    }
}

/// A breach that ends the connection (RFC 9114 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    pub code: Code,
    /// What was wrong, for the log and for the client.
    pub detail: &'static str,
}

impl Violation {
    pub(super) const fn new(code: Code, detail: &'static str) -> Self {
        Self { code, detail }
    }

    pub(super) const fn unexpected(detail: &'static str) -> Self {
        Self::new(Code::FrameUnexpected, detail)
    }

    /// The code for logs and metrics.
    pub fn reason(self) -> Reason {
        if self.code == Code::ExcessiveLoad {
            Reason::H3Abuse
        } else {
            Reason::Malformed
        }
    }
}

impl From<Spent> for Violation {
    fn from(Spent(detail): Spent) -> Self {
        Self::new(Code::ExcessiveLoad, detail)
    }
}
