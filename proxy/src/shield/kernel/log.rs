//! The kernel program's own log, carried into `tracing` at debug level. The program writes it only while
//! [`openclaw_common::abi::flags::DEBUG`] is set.
#![expect(unsafe_code, reason = "the runtime watches a raw descriptor")]

use std::{
    fmt, io,
    os::fd::{AsRawFd, RawFd},
};

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::{Interest, unix::AsyncFd};

use super::KernelError;

/// Reads the log. Either put [`Self::forward`] on a runtime, or call [`Self::flush`] whenever the descriptor is readable.
pub struct LogReader(EbpfLogger<ToTracing>);

impl LogReader {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        EbpfLogger::init_with_logger(ebpf, ToTracing)
            .map(Self)
            .map_err(|error| KernelError::Log(Box::new(error)))
    }

    /// Forwards what has come in since the last call.
    pub fn flush(&mut self) {
        self.0.flush();
    }

    /// Forwards records as they come, until dropped.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch the descriptor.
    pub async fn forward(self) -> io::Result<()> {
        // SAFETY: the reader owns the descriptor of its ring buffer and gives the same one for as long as it lives.
        let registered = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        let mut readable = registered?;
        loop {
            let mut guard = readable.readable_mut().await?;
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    }
}

impl AsRawFd for LogReader {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").finish_non_exhaustive()
    }
}

struct ToTracing;

impl log::Log for ToTracing {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        tracing::enabled!(tracing::Level::DEBUG)
    }

    fn log(&self, record: &log::Record<'_>) {
        tracing::debug!(target: "openclaw::xdp", "{}", record.args());
    }

    fn flush(&self) {}
}
