//! Which worker's socket a datagram is given to: by its connection id, so that a client that changes its address, or whose address a
//! NAT has changed, stays with the worker that knows its connection.
//!
//! The choice is a classic BPF program of the kernel for the sockets of one port (`SO_ATTACH_REUSEPORT_CBPF`), which needs no
//! privilege and no BPF of the shield's. What it leaves open, such as the first packets of a client, goes by the hash of the addresses.

#![expect(
    unsafe_code,
    reason = "no crate passes this socket option to the kernel"
)]

use std::io;
use std::os::fd::AsRawFd;

use libc::{c_void, sock_filter, sock_fprog, socklen_t};
use socket2::Socket;

use super::ids::{IdKey, LENGTH, SPREAD, WORKER};

// The instructions used, as linux/bpf_common.h composes them.
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_AT_X: u16 = 0x48;
const LOAD_WORD_AT_X: u16 = 0x40;
const X_CONSTANT: u16 = 0x01;
const X_FROM_MEMORY: u16 = 0x61;
const STORE: u16 = 0x02;
const A_TO_X: u16 = 0x07;
const ADD_X: u16 = 0x0c;
const MULTIPLY: u16 = 0x24;
const AND: u16 = 0x54;
const SHIFT_RIGHT: u16 = 0x74;
const XOR: u16 = 0xa4;
const XOR_X: u16 = 0xac;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_SET: u16 = 0x45;
const RETURN_CONSTANT: u16 = 0x06;
const RETURN_A: u16 = 0x16;

/// No socket has this number: the kernel goes by its hash then.
const BY_HASH: u32 = u32::MAX;

const STEPS: usize = 35;

/// Has the kernel spread datagrams over the sockets that are bound to the same port, in the order in which they were bound.
///
/// # Errors
/// The kernel takes no such program.
pub fn attach(socket: &Socket, key: IdKey) -> io::Result<()> {
    let mut code = program(key);
    let program = sock_fprog {
        len: STEPS as u16,
        filter: code.as_mut_ptr(),
    };
    // SAFETY: the kernel copies `len` instructions from `filter`, which is an array of that many and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast::<c_void>(),
            size_of::<sock_fprog>() as socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// [`IdKey::of_datagram`] for the kernel. A load behind the end of the datagram ends the program with 0, which is a worker, too.
fn program(key: IdKey) -> [sock_filter; STEPS] {
    const MASKED: u32 = 0;
    const SECOND: u32 = 1;
    let jump = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let step = |code, k| jump(code, k, 0, 0);
    [
        step(LOAD_BYTE, 0),
        jump(JUMP_IF_SET, 0x80, 2, 0),
        // A short header: the id is behind the first byte.
        step(X_CONSTANT, 1),
        jump(JUMP, 5, 0, 0),
        // A long one: a Handshake packet with an id of our length.
        step(AND, 0x30),
        jump(JUMP_IF_EQUAL, 0x20, 0, 28),
        step(LOAD_BYTE, 5),
        jump(JUMP_IF_EQUAL, LENGTH as u32, 0, 26),
        step(X_CONSTANT, 6),
        // X is where the id begins.
        step(LOAD_HALF_AT_X, 8),
        step(STORE, MASKED),
        step(LOAD_WORD_AT_X, 4),
        step(STORE, SECOND),
        step(LOAD_WORD_AT_X, 0),
        // IdKey::mask.
        step(XOR, key.first),
        step(MULTIPLY, key.first_factor),
        step(A_TO_X, 0),
        step(SHIFT_RIGHT, 15),
        step(XOR_X, 0),
        step(X_FROM_MEMORY, SECOND),
        step(ADD_X, 0),
        step(XOR, key.second),
        step(MULTIPLY, key.second_factor),
        step(A_TO_X, 0),
        step(SHIFT_RIGHT, 16),
        step(XOR_X, 0),
        step(MULTIPLY, SPREAD),
        step(A_TO_X, 0),
        step(SHIFT_RIGHT, 13),
        step(XOR_X, 0),
        step(X_FROM_MEMORY, MASKED),
        step(XOR_X, 0),
        // The process is none of the kernel's business: the sockets are those of all.
        step(AND, WORKER as u32),
        step(RETURN_A, 0),
        step(RETURN_CONSTANT, BY_HASH),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    use quinn_proto::ConnectionIdGenerator;
    use socket2::{Domain, Protocol, Type};

    use super::super::ids::tests::ids;
    use super::*;

    fn group(count: usize, key: IdKey) -> Vec<UdpSocket> {
        let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut sockets = Vec::new();
        for _ in 0..count {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&address.into()).unwrap();
            address = socket.local_addr().unwrap().as_socket().unwrap();
            sockets.push(socket);
        }
        attach(&sockets[0], key).unwrap();
        let sockets = sockets.into_iter().map(UdpSocket::from);
        sockets
            .inspect(|socket| {
                let patience = Some(Duration::from_secs(5));
                socket.set_read_timeout(patience).unwrap();
            })
            .collect()
    }

    #[test]
    fn datagrams_with_an_id_reach_its_worker_from_any_address() {
        let key = IdKey::random();
        let sockets = group(3, key);
        let address = sockets[0].local_addr().unwrap();
        for worker in [2, 0, 1] {
            for _ in 0..20 {
                let id = ids(key, worker, 3).generate_cid();
                let client = UdpSocket::bind("127.0.0.1:0").unwrap();
                let short = [&[0x41][..], &id, b"payload"].concat();
                let handshake = [&[0xe3, 0, 0, 0, 1, LENGTH as u8][..], &id, b"..."].concat();
                for datagram in [short, handshake] {
                    client.send_to(&datagram, address).unwrap();
                    let mut buffer = [0; 100];
                    let socket = &sockets[usize::from(worker)];
                    let (length, from) = socket.recv_from(&mut buffer).unwrap();
                    assert_eq!(&buffer[..length], datagram);
                    assert_eq!(from, client.local_addr().unwrap());
                }
            }
        }
    }

    #[test]
    fn first_packets_are_spread() {
        let sockets = group(2, IdKey::random());
        let address = sockets[0].local_addr().unwrap();
        let clients: Vec<_> = (0..64)
            .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        for client in &clients {
            client
                .send_to(b"\xc3\0\0\0\x01\x0a0123456789", address)
                .unwrap();
        }
        let counts = sockets.iter().map(|socket| {
            socket.set_nonblocking(true).unwrap();
            let mut buffer = [0; 100];
            (0..64)
                .take_while(|_| socket.recv(&mut buffer).is_ok())
                .count()
        });
        let counts: Vec<usize> = counts.collect();
        assert_eq!(counts.iter().sum::<usize>(), clients.len());
        assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    }
}
