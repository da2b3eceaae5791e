//! Datagrams in and out of one worker's UDP socket, many at a call where the kernel can (GRO, GSO).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Once;
use std::task::{Context, Poll, ready};

use quinn_proto::Transmit;
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Reads of one call. More than a few were not seen to help.
const SLOTS: usize = 4;
/// Of one read: what GRO puts together at most.
const SLOT: usize = 65_535;
/// Datagrams that go out in one call: of a full-sized one, as many as fit into 64 KiB.
const SEGMENTS: usize = 44;

#[derive(Debug)]
pub(super) struct Socket {
    inner: UdpSocket,
    state: UdpSocketState,
    buffer: Vec<u8>,
    metas: [RecvMeta; SLOTS],
}

impl Socket {
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        if state.max_gso_segments() == 1 {
            static ONCE: Once = Once::new();
            ONCE.call_once(|| {
                tracing::warn!("the kernel cannot split datagrams (UDP_SEGMENT): large responses over HTTP/3 cost several times the CPU time");
            });
        }
        Ok(Self {
            inner: UdpSocket::from_std(socket)?,
            state,
            buffer: vec![0; SLOTS * SLOT],
            metas: [RecvMeta::default(); SLOTS],
        })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Whether datagrams go out whole or not at all, so that their largest size can be searched for.
    pub(super) fn finds_mtu(&self) -> bool {
        !self.state.may_fragment()
    }

    /// How many datagrams one transmit may hold.
    pub(super) fn segments(&self) -> usize {
        self.state.max_gso_segments().min(SEGMENTS)
    }

    /// Gives `take` what has arrived: the facts of it, and datagrams of `stride` bytes behind each other. `Ready`: there may be more.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&RecvMeta, &[u8]),
    ) -> Poll<io::Result<()>> {
        ready!(self.inner.poll_recv_ready(cx))?;
        let (inner, state, metas) = (&self.inner, &self.state, &mut self.metas);
        let mut chunks = self.buffer.chunks_mut(SLOT);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = inner.try_io(Interest::READABLE, || {
            state.recv(inner.into(), &mut slots, metas)
        });
        let count = match received {
            Ok(count) => count,
            // Readiness has been taken back; the next poll registers.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Ready(Ok(())),
            Err(error) => return Poll::Ready(Err(error)),
        };
        for (meta, slot) in metas.iter().zip(self.buffer.chunks(SLOT)).take(count) {
            take(meta, slot.get(..meta.len).unwrap_or_default());
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a transmit whose bytes begin `bytes`. `Pending`: the socket is full, and the transmit is to be kept.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        transmit: &Transmit,
        bytes: &[u8],
    ) -> Poll<()> {
        loop {
            let sent = self.try_send(transmit, bytes);
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(()) => return Poll::Ready(()),
                // As good as lost on the way, and sent again like all that is: probes for the largest size fail so by design.
                Err(error) => {
                    tracing::debug!(to = %transmit.destination, %error, "a datagram was not sent");
                    return Poll::Ready(());
                }
            }
            match self.inner.poll_send_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Sends now, where it may fail as well: `WouldBlock` if the socket is full.
    pub(super) fn try_send(&self, transmit: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let ecn = transmit.ecn;
        let transmit = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
            contents: bytes.get(..transmit.size).unwrap_or_default(),
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        self.inner.try_io(Interest::WRITABLE, || {
            self.state.try_send((&self.inner).into(), &transmit)
        })
    }
}
