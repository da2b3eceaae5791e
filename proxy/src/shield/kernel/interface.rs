//! Asking the kernel which XDP program an interface runs, and how (`RTM_GETLINK`, `IFLA_XDP`).

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::{KernelError, sys};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLA_F_NESTED: u16 = 0x8000;
const NLMSG_ERROR: u16 = 2;
/// `struct nlmsghdr` and `struct ifinfomsg`, both 16 bytes.
const HEADER: usize = 16;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_PROG_ID: u16 = 4;
const XDP_FLAGS_SKB_MODE: u32 = 2;
const XDP_FLAGS_DRV_MODE: u32 = 4;
/// The two upper bits of an attribute's type say how it is encoded.
const TYPE_MASK: u16 = 0x3fff;

/// Where on its way a packet meets the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedMode {
    /// In the driver, before the kernel spends memory on the packet.
    Native,
    /// In the network stack: works with every driver, at several times the cost.
    Generic,
}

impl AttachedMode {
    /// `native` or `generic`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// The program of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct XdpState {
    pub(super) mode: AttachedMode,
    pub(super) program: u32,
}

pub(super) fn index(interface: &str) -> Result<u32, KernelError> {
    sys::interface_index(interface).ok_or_else(|| KernelError::NoInterface {
        interface: interface.into(),
    })
}

/// The XDP program that the interface runs, if any.
pub(super) fn xdp(interface: &str, index: u32) -> Result<Option<XdpState>, KernelError> {
    let failed = |source| KernelError::Netlink {
        interface: interface.into(),
        source,
    };
    let reply = ask(index).map_err(failed)?;
    Ok(state(&reply))
}

/// Puts a program on an interface without a link, or takes off what is there without one.
pub(super) fn set_xdp(
    index: u32,
    program: Option<BorrowedFd<'_>>,
    mode: AttachedMode,
) -> io::Result<()> {
    let flags = match mode {
        AttachedMode::Native => XDP_FLAGS_DRV_MODE,
        AttachedMode::Generic => XDP_FLAGS_SKB_MODE,
    };
    // A descriptor of -1 is no program.
    let descriptor = program.map_or(-1, |program| program.as_raw_fd());
    let nested = [
        attribute_of(IFLA_XDP_FD, &descriptor.to_ne_bytes()),
        attribute_of(IFLA_XDP_FLAGS, &flags.to_ne_bytes()),
    ]
    .concat();
    let attributes = attribute_of(IFLA_XDP | NLA_F_NESTED, &nested);
    exchange(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, index, &attributes).map(drop)
}

fn attribute_of(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + payload.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn ask(index: u32) -> io::Result<Vec<u8>> {
    exchange(RTM_GETLINK, NLM_F_REQUEST, index, &[])
}

/// Sends one message about an interface; gives back the attributes of the answer, none for a bare consent.
fn exchange(kind: u16, flags: u16, index: u32, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW,
        Some(Protocol::from(libc::NETLINK_ROUTE)),
    )?;
    let length = 2 * HEADER + attributes.len();
    let mut request = Vec::with_capacity(length);
    request.extend_from_slice(&(length as u32).to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&flags.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    // ifinfomsg: family and type unspecified, then the index, then flags and change mask.
    request.extend_from_slice(&[0; 4]);
    request.extend_from_slice(&index.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(attributes);
    socket.write_all(&request)?;
    let mut reply = vec![0; 64 * 1024];
    let length = socket.read(&mut reply)?;
    reply.truncate(length);
    match u16_at(&reply, 4) {
        Some(RTM_NEWLINK) => Ok(reply.split_off(2 * HEADER)),
        Some(NLMSG_ERROR) => {
            let code = reply
                .get(HEADER..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |code| i32::from_ne_bytes(*code));
            match code {
                0 => Ok(Vec::new()),
                code => Err(io::Error::from_raw_os_error(-code)),
            }
        }
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no answer to RTM_GETLINK",
        )),
    }
}

/// Reads the attributes of an interface.
fn state(attributes: &[u8]) -> Option<XdpState> {
    let nested = attribute(attributes, IFLA_XDP)?;
    let mode = match attribute(nested, IFLA_XDP_ATTACHED)?.first()? {
        // XDP_ATTACHED_NONE; 2 is SKB; the rest are the driver and the hardware.
        0 => return None,
        2 => AttachedMode::Generic,
        _ => AttachedMode::Native,
    };
    let program = attribute(nested, IFLA_XDP_PROG_ID)?.first_chunk()?;
    Some(XdpState {
        mode,
        program: u32::from_ne_bytes(*program),
    })
}

/// The payload of the first attribute of that type.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)? & TYPE_MASK;
        let payload = attributes.get(4..length)?;
        if kind == wanted {
            return Some(payload);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|bytes| u16::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_program_are_found_behind_other_attributes() {
        let nested = [
            attribute_of(IFLA_XDP_ATTACHED, &[1]),
            attribute_of(IFLA_XDP_PROG_ID, &77_u32.to_ne_bytes()),
        ]
        .concat();
        let reply = [
            attribute_of(3, b"veth0\0"),
            attribute_of(IFLA_XDP | 0x8000, &nested),
        ]
        .concat();
        assert_eq!(
            state(&reply),
            Some(XdpState {
                mode: AttachedMode::Native,
                program: 77
            })
        );
    }

    #[test]
    fn a_cut_reply_is_no_program() {
        let nested = [
            attribute_of(IFLA_XDP_ATTACHED, &[2]),
            attribute_of(IFLA_XDP_PROG_ID, &77_u32.to_ne_bytes()),
        ]
        .concat();
        let reply = [attribute_of(3, b"veth0\0"), attribute_of(IFLA_XDP, &nested)].concat();
        for length in 0..reply.len() {
            assert_eq!(
                state(reply.get(..length).unwrap_or_default()),
                None,
                "{length} bytes"
            );
        }
    }

    #[test]
    fn the_loopback_interface_answers() {
        let index = index("lo").map_err(|error| error.to_string());
        assert!(index.is_ok_and(|index| xdp("lo", index).is_ok()));
    }
}
