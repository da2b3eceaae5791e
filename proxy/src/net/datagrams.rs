//! Datagrams in and out of a UDP socket, many at a call where the kernel can (GRO, GSO).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};

use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Of one read: what GRO puts together at most.
pub const MOST: usize = 65_535;

/// A UDP socket.
#[derive(Debug)]
pub struct Datagrams {
    inner: UdpSocket,
    state: UdpSocketState,
}

/// Datagrams of one sender that were read at once: all of `stride` bytes but the last, which may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub from: SocketAddr,
    /// The address of ours that they were sent to.
    pub to: Option<IpAddr>,
    pub ecn: Option<EcnCodepoint>,
    pub stride: usize,
    pub bytes: &'a [u8],
}

impl Datagrams {
    pub fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self {
            inner: UdpSocket::from_std(socket)?,
            state,
        })
    }

    /// Reads once into `scratch`, of at least [`MOST`] bytes. `Ready` without a batch: look again.
    pub fn poll_receive<'a>(
        &self,
        cx: &mut Context<'_>,
        scratch: &'a mut [u8],
    ) -> Poll<io::Result<Option<Batch<'a>>>> {
        ready!(self.inner.poll_recv_ready(cx))?;
        Poll::Ready(self.receive(scratch))
    }

    /// Waits until there is something to be read, or to be told: that the other side of a connected socket has refused a datagram makes
    /// it no more readable.
    pub async fn stirred(&self) {
        // A socket that cannot be waited for says why when it is read.
        let _ = self.inner.ready(Interest::READABLE | Interest::ERROR).await;
    }

    /// Reads once after it has stirred; `None`: there is nothing more.
    pub fn receive_stirred<'a>(&self, scratch: &'a mut [u8]) -> io::Result<Option<Batch<'a>>> {
        let told = self.inner.try_io(Interest::ERROR, || {
            let error = SockRef::from(&self.inner).take_error()?;
            Err::<(), _>(error.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
        });
        match told {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => self.receive(scratch),
        }
    }

    fn receive<'a>(&self, scratch: &'a mut [u8]) -> io::Result<Option<Batch<'a>>> {
        let mut metas = [RecvMeta::default()];
        let received = self.inner.try_io(Interest::READABLE, || {
            let mut slots = [IoSliceMut::new(scratch)];
            self.state
                .recv((&self.inner).into(), &mut slots, &mut metas)
        });
        match received {
            Ok(_) => {}
            // Readiness has been taken back; the next look registers.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let [meta] = metas;
        Ok(Some(Batch {
            from: meta.addr,
            to: meta.dst_ip,
            ecn: meta.ecn,
            stride: meta.stride.max(1),
            bytes: scratch.get(..meta.len).unwrap_or_default(),
        }))
    }

    /// Sends a batch on, from `from` where the socket has several addresses. What does not fit is lost, as datagrams may be.
    ///
    /// # Errors
    /// Of the socket; also that an earlier datagram was refused by the other side.
    pub fn send(&self, batch: Batch<'_>, to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        let segments = self.state.max_gso_segments().max(1);
        for contents in batch.bytes.chunks(batch.stride * segments) {
            let transmit = Transmit {
                destination: to,
                ecn: batch.ecn,
                contents,
                segment_size: (contents.len() > batch.stride).then_some(batch.stride),
                src_ip: from,
            };
            // The runtime's readiness is not asked: it knows nothing of a new socket yet, and nobody waits for one that is full.
            match self.state.try_send((&self.inner).into(), &transmit) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        if batch.bytes.is_empty() {
            return self.send_empty(to);
        }
        Ok(())
    }

    /// A datagram without a byte is one, too.
    fn send_empty(&self, to: SocketAddr) -> io::Result<()> {
        SockRef::from(&self.inner)
            .send_to(&[], &to.into())
            .map(drop)
    }
}
