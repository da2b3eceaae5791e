//! Looking at the machine without changing it: what runs on an interface, which driver it has, what the kernel offers.
#![expect(unsafe_code, reason = "ethtool is an ioctl")]

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use socket2::{Domain, Socket, Type};

use super::{AttachedMode, KernelError, Pins, interface, program_name, sys};

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 3;
const ETHTOOL_GFLAGS: u32 = 0x25;
/// `ETH_FLAG_LRO`.
const LRO: u32 = 1 << 15;

/// The XDP program of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its name, `?` if it cannot be read.
    pub program: String,
    /// The kernel's id of it.
    pub id: u32,
    /// How it is attached.
    pub mode: AttachedMode,
    /// Whether it is attached by the link of these pins.
    pub is_ours: bool,
}

/// What runs on an interface.
pub fn occupant(pins: &Pins, name: &str) -> Result<Option<Occupant>, KernelError> {
    let index = interface::index(name)?;
    let Some(state) = interface::xdp(name, index)? else {
        return Ok(None);
    };
    let link = pins.link_info(name).ok().flatten();
    Ok(Some(Occupant {
        program: program_name(state.program),
        id: state.program,
        mode: state.mode,
        is_ours: link.is_some_and(|link| link.program == state.program),
    }))
}

/// Whether a path, or what there is of it, is on a BPF file system.
pub fn is_on_bpffs(path: &Path) -> io::Result<bool> {
    let existing = path.ancestors().find(|path| path.exists());
    sys::is_bpffs(existing.unwrap_or(Path::new("/")))
}

/// `uname -r`.
pub fn release() -> String {
    sys::kernel_release()
}

/// The driver of an interface.
pub fn driver(name: &str) -> io::Result<String> {
    // `struct ethtool_drvinfo`: the command, then the driver's name in 32 bytes, then what is of no interest.
    let mut info = [0_u32; 49];
    info[0] = ETHTOOL_GDRVINFO;
    ethtool(name, &mut info)?;
    let bytes: Vec<u8> = info
        .iter()
        .skip(1)
        .take(8)
        .flat_map(|word| word.to_ne_bytes())
        .take_while(|byte| *byte != 0)
        .collect();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether large receive offload is on.
pub fn has_lro(name: &str) -> io::Result<bool> {
    let mut value = [ETHTOOL_GFLAGS, 0];
    ethtool(name, &mut value)?;
    let [_, flags] = value;
    Ok(flags & LRO != 0)
}

/// `struct ifreq` with its pointer.
#[repr(C)]
struct Request {
    name: [u8; libc::IF_NAMESIZE],
    data: *mut u32,
    rest: [u8; 16],
}

fn ethtool<const N: usize>(name: &str, value: &mut [u32; N]) -> io::Result<()> {
    let mut request = Request {
        name: [0; libc::IF_NAMESIZE],
        data: value.as_mut_ptr(),
        rest: [0; 16],
    };
    for (to, from) in request
        .name
        .iter_mut()
        .zip(name.bytes().take(libc::IF_NAMESIZE - 1))
    {
        *to = from;
    }
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let pointer: *mut Request = &raw mut request;
    // SAFETY: the request outlives the call, and the value that it points to is as long as the command in it wants.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, pointer) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
