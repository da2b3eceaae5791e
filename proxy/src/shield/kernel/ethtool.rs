//! What a driver says of itself and of its interface.
#![expect(unsafe_code, reason = "ethtool is an ioctl")]

use std::io;
use std::os::fd::AsRawFd as _;

use socket2::{Domain, Socket, Type};

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 3;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GFLAGS: u32 = 0x25;
/// `ETH_SS_STATS`.
const STATISTICS: u32 = 1;
/// Words of `struct ethtool_drvinfo`: the command, then texts of 32 bytes, the driver's name first; its last five words are numbers,
/// the second of them how many statistics there are.
const DRIVER_INFO: usize = 49;
/// Words of a statistic's name.
const NAME_WORDS: usize = 8;
/// `ETH_FLAG_LRO`.
const LRO: u32 = 1 << 15;

/// The driver of an interface.
pub fn driver(name: &str) -> io::Result<String> {
    let mut info = [0_u32; DRIVER_INFO];
    info[0] = ETHTOOL_GDRVINFO;
    ethtool(name, &mut info)?;
    Ok(text(info.get(1..9).unwrap_or_default()))
}

/// What the driver counts, by its own names; nothing for a driver that counts nothing.
pub fn statistics(name: &str) -> io::Result<Vec<(String, u64)>> {
    let mut info = [0_u32; DRIVER_INFO];
    info[0] = ETHTOOL_GDRVINFO;
    ethtool(name, &mut info)?;
    let [.., count, _, _, _] = info;
    let count = count as usize;
    if count == 0 {
        return Ok(Vec::new());
    }
    // `struct ethtool_gstrings`: command, which set of names, how many; then the names.
    let mut names = vec![0_u32; 3 + count * NAME_WORDS];
    names.splice(..3, [ETHTOOL_GSTRINGS, STATISTICS, count as u32]);
    ethtool(name, &mut names)?;
    // `struct ethtool_stats`: command and how many; then the values, each of two words.
    let mut values = vec![0_u32; 2 + count * 2];
    values.splice(..2, [ETHTOOL_GSTATS, count as u32]);
    ethtool(name, &mut values)?;
    let names = names.get(3..).unwrap_or_default().chunks_exact(NAME_WORDS);
    let values = values.get(2..).unwrap_or_default().chunks_exact(2);
    Ok(names.map(text).zip(values.map(number)).collect())
}

/// A number that a driver wrote over two words.
fn number(words: &[u32]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
    let mut number = [0; 8];
    for (to, from) in number.iter_mut().zip(bytes) {
        *to = from;
    }
    u64::from_ne_bytes(number)
}

/// A text that ends with its buffer or a zero.
fn text(words: &[u32]) -> String {
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .take_while(|byte| *byte != 0)
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
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

fn ethtool(name: &str, value: &mut [u32]) -> io::Result<()> {
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
