//! Questions to the network stack about interfaces and connections.
#![expect(unsafe_code, reason = "raw system calls")]

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// MTU of the interface of that name in this network namespace.
pub fn interface_mtu(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let bytes = name.to_bytes_with_nul();
    // SAFETY: integers, an address and arrays of them may all be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    let pointer: *mut libc::ifreq = &raw mut request;
    // SAFETY: the request is one of that call, with a name that ends in a zero byte.
    let failed = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, pointer) };
    if failed != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it filled this field.
    u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok()
}

/// What both ends of a connection agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Bits of the kernel: timestamps 1, SACK 2, window scale 4, ECN 8.
    pub options: u8,
    /// The window scale that the peer announced.
    pub scale: u8,
}

/// Asks a connection what was agreed on (`TCP_INFO`).
pub fn negotiated(connection: BorrowedFd<'_>) -> io::Result<Negotiated> {
    // Five bytes of state, one of options, then both scales in one, the peer's in the lower half.
    let mut info = [0_u8; 8];
    let mut length = size_of::<[u8; 8]>() as libc::socklen_t;
    // SAFETY: buffer and length are of this frame, and the kernel writes at most `length` bytes.
    let failed = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let [_, _, _, _, _, options, scales, _] = info;
    if failed == 0 {
        let scale = scales & 0x0f;
        Ok(Negotiated { options, scale })
    } else {
        Err(io::Error::last_os_error())
    }
}
