//! Messages with open descriptors between two processes of this program (`unix(7)`, `SCM_RIGHTS`). A message arrives whole or not at
//! all, and the end of the other process is seen.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

/// The largest message: more than a datagram with its facts, or the names of a group of sockets.
pub const LARGEST: usize = 128 << 10;
/// Descriptors of one message; the kernel takes no more (`SCM_MAX_FD`).
pub const MOST: usize = 250;

/// One end.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// Both ends.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(one), Self(other)))
    }

    /// Makes room for what waits to be read, as far as the system allows.
    pub fn widen(&self, bytes: usize) {
        // Less costs datagrams in a burst.
        let _ = set_socket_recv_buffer_size(&self.0, bytes);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.0, bytes);
    }

    /// Gives a wait for a message an end; `None`: it has none.
    ///
    /// # Errors
    /// It is no socket.
    pub fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        Ok(set_socket_timeout(&self.0, Timeout::Recv, patience)?)
    }

    /// Sends a message; waits until there is room.
    ///
    /// # Errors
    /// The other end is closed.
    pub fn send(&self, text: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors for one message"));
        }
        let text = [IoSlice::new(text)];
        retry_on_intr(|| sendmsg(&self.0, &text, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Sends a message of two parts, if there is room for it now.
    ///
    /// # Errors
    /// There is none, or the other end is closed.
    pub fn try_send(&self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let mut control = SendAncillaryBuffer::default();
        let parts = [IoSlice::new(head), IoSlice::new(body)];
        let flags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
        sendmsg(&self.0, &parts, &mut control, flags)?;
        Ok(())
    }

    /// Waits for a message. `None`: the other end is closed.
    ///
    /// # Errors
    /// None came in time, or something was cut off.
    pub fn receive<'a>(
        &self,
        buffer: &'a mut [u8],
    ) -> io::Result<Option<(&'a [u8], Vec<OwnedFd>)>> {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        // A signal ends a wait that has an end.
        let received = retry_on_intr(|| {
            recvmsg(
                &self.0,
                &mut [IoSliceMut::new(buffer)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        })?;
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                descriptors.extend(fds);
            }
        }
        let cut = ReturnFlags::TRUNC.union(ReturnFlags::CTRUNC);
        if received.flags.intersects(cut) {
            return Err(io::Error::other("a message was cut off"));
        }
        let text = buffer.get(..received.bytes).unwrap_or_default();
        Ok((!text.is_empty()).then_some((text, descriptors)))
    }
}

impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use std::net::TcpListener;

    use super::*;

    #[test]
    fn descriptors_arrive_with_their_message_and_an_end_is_seen() {
        let (one, other) = Channel::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        one.send(b"sockets", &[listener.as_fd(), listener.as_fd()])
            .unwrap();
        one.try_send(b"two ", b"parts").unwrap();
        drop(one);
        let mut buffer = vec![0; LARGEST];
        let (text, mut descriptors) = other.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((text, descriptors.len()), (&b"sockets"[..], 2));
        let again = TcpListener::from(descriptors.remove(0));
        assert_eq!(again.local_addr().unwrap(), listener.local_addr().unwrap());
        let (text, descriptors) = other.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((text, descriptors.len()), (&b"two parts"[..], 0));
        assert!(other.receive(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn a_full_channel_does_not_wait_and_a_silent_one_not_for_ever() {
        let (one, other) = Channel::pair().unwrap();
        let full = (0..100_000).find_map(|_| one.try_send(b"head", &[7; 1200]).err());
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
        one.set_patience(Some(Duration::from_millis(1))).unwrap();
        let late = one.receive(&mut [0; 10]).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
        drop(other);
    }
}
