//! What the connection has to know of the request at hand.

use openclaw_core::message::{Framing, Request, Version};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestFacts {
    pub(super) version: Version,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
}

impl RequestFacts {
    /// There is no request, or none that is understood.
    pub(super) const NONE: Self = Self {
        version: Version::H11,
        framing: Framing::None,
        keep_alive: false,
    };

    pub(super) fn of(request: &Request<'_>) -> Self {
        Self {
            version: request.version,
            framing: request.framing,
            keep_alive: request.keep_alive,
        }
    }
}
