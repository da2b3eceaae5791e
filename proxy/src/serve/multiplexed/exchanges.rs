//! What makes exchanges of a connection's requests: the worker's in the product, another in tests.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use openclaw_core::message::{Fault, Request, RequestLine, Version};
use openclaw_core::reason::Reason;

use crate::exchange;
use crate::exchange::context::{Downstream, Local};
use crate::exchange::wire::Wire;
use crate::telemetry::LogFields;
use crate::time::Deadline;

/// What a listener allows a client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The decoded size of a header list.
    pub max_header: usize,
    /// Streams at one time.
    pub max_streams: usize,
}

impl Limits {
    /// The usual number of streams.
    pub const fn new(max_header: usize) -> Self {
        Self {
            max_header,
            max_streams: 128,
        }
    }
}

/// Makes exchanges of the requests of one connection.
pub trait Exchanges {
    /// Runs until the response is finished. After the client is gone it is polled once more and then dropped, unless it has left its
    /// wire.
    type Exchange: Future<Output = ()> + Unpin + 'static;

    /// Begins with a request, or with the answer to one that is refused.
    fn start<W: Wire + 'static>(
        &self,
        request: Result<&Request<'_>, (Fault, RequestLine<'_>)>,
        wire: W,
    ) -> Self::Exchange;

    /// A malformed request was answered with a reset of its stream.
    fn refused(&self, fault: Fault, asked: RequestLine<'_>);
}

/// Exchanges of a worker.
#[derive(Clone)]
pub(in crate::serve) struct Requests {
    pub local: Rc<Local>,
    pub downstream: Rc<Downstream>,
    pub version: Version,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Requests {
    /// Counts and logs a connection that was ended as a whole; its exchanges have lines of their own.
    pub(in crate::serve) fn connection_refused(&self, reason: Reason, detail: &'static str) {
        let downstream = &self.downstream;
        let fields = || LogFields {
            listener: downstream.listener.name.to_string(),
            client: downstream.peer_text.clone(),
            protocol: exchange::protocol(self.version).into(),
            tls: downstream.tls.as_ref().map_or("", |tls| tls.version),
            detail,
            ..LogFields::default()
        };
        self.local.recorder.refused_connection(
            downstream.listener_slot,
            reason,
            downstream.accepted,
            fields,
        );
    }
}

impl Exchanges for Requests {
    type Exchange = Pin<Box<dyn Future<Output = ()>>>;

    fn start<W: Wire + 'static>(
        &self,
        request: Result<&Request<'_>, (Fault, RequestLine<'_>)>,
        mut wire: W,
    ) -> Self::Exchange {
        let (local, downstream) = (self.local.clone(), self.downstream.clone());
        let prepared = match request {
            Ok(request) => exchange::prepare(&local, &downstream, request),
            Err(fault) => {
                exchange::refuse(&local, &downstream, fault, self.version, Instant::now())
            }
        };
        Box::pin(async move {
            let deadline = Deadline::new(&local.wheel);
            exchange::run(&local, &downstream, prepared, &mut wire, &deadline).await;
        })
    }

    fn refused(&self, fault: Fault, asked: RequestLine<'_>) {
        let (local, downstream) = (&self.local, &self.downstream);
        let said = (fault, asked);
        let prepared = exchange::refuse(local, downstream, said, self.version, Instant::now());
        exchange::record_refused(local, downstream, prepared, fault);
    }
}
