//! System calls that neither std nor aya makes: `bpf(2)` on single elements and batches, links by file descriptor, bpffs, the clock.
#![expect(unsafe_code, reason = "raw system calls")]

use std::{
    ffi::CString,
    io,
    mem::{MaybeUninit, size_of},
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    slice,
};

use openclaw_common::abi::{Arrivals, Config, Counter, Entry, Prefix4, Prefix6, Served};

const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const MAP_DELETE_ELEM: libc::c_int = 3;
const MAP_GET_NEXT_KEY: libc::c_int = 4;
const OBJ_GET: libc::c_int = 7;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const MAP_UPDATE_BATCH: libc::c_int = 26;
const MAP_DELETE_BATCH: libc::c_int = 27;
const LINK_DETACH: libc::c_int = 34;

/// `statfs` type of bpffs; the field is of another type on every architecture.
const BPF_FS_MAGIC: i128 = 0xcafe_4a11;

/// A key or value that the kernel may read and write as bytes.
///
/// # Safety
///
/// The type has no padding, and every pattern of its bytes is a value.
pub unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u16 {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: bytes.
unsafe impl Plain for [u8; 4] {}
// SAFETY: bytes.
unsafe impl Plain for [u8; 16] {}
// SAFETY: bytes.
unsafe impl Plain for [u8; 8] {}
// SAFETY: repr(C) of integers, without padding by its size assert.
unsafe impl Plain for Arrivals {}
// SAFETY: repr(C) of integers, without padding by its size assert.
unsafe impl Plain for Config {}
// SAFETY: repr(C) of integers, without padding by its size assert.
unsafe impl Plain for Entry {}
// SAFETY: repr(C) of integers, without padding by its size assert.
unsafe impl Plain for Prefix4 {}
// SAFETY: repr(C) of integers, without padding by its size assert.
unsafe impl Plain for Prefix6 {}
// SAFETY: repr(C) of integers, without padding by its size assert.
unsafe impl Plain for Counter {}

// SAFETY: repr(C) of integers, without padding by its size assert.
unsafe impl Plain for Served {}

#[repr(C)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[expect(clippy::struct_field_names, reason = "the kernel's names")]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    element_flags: u64,
    flags: u64,
}

#[repr(C)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
struct InfoByFd {
    fd: u32,
    length: u32,
    info: u64,
}

#[repr(C)]
struct Link {
    fd: u32,
}

/// Layout of a map, as far as it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapLayout {
    pub(super) kind: u32,
    pub(super) key: u32,
    pub(super) value: u32,
    pub(super) entries: u32,
}

/// What a link says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkInfo {
    pub(super) program: u32,
    /// 0 if the interface is gone.
    pub(super) interface: u32,
}

fn bpf<A>(command: libc::c_int, attributes: &mut A) -> io::Result<i64> {
    let attributes: *mut A = attributes;
    // SAFETY: `attributes` is of the size given, and what it points to outlives the call by the signatures below.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<A>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn address<T>(value: *const T) -> u64 {
    value.addr() as u64
}

/// The value of a key. `value` has room for what the map keeps: one `V`, or one a possible CPU.
pub(super) fn lookup<K: Plain, V: Plain>(
    map: BorrowedFd<'_>,
    key: &K,
    value: &mut [V],
) -> io::Result<bool> {
    let mut element = Element {
        map_fd: raw(map),
        pad: 0,
        key: address(key),
        value: address(value.as_mut_ptr()),
        flags: 0,
    };
    found(bpf(MAP_LOOKUP_ELEM, &mut element))
}

pub(super) fn update<K: Plain, V: Plain>(
    map: BorrowedFd<'_>,
    key: &K,
    value: &V,
) -> io::Result<()> {
    update_all(map, key, slice::from_ref(value))
}

/// Sets what [`lookup`] reads: one `V`, or one a possible CPU.
pub(super) fn update_all<K: Plain, V: Plain>(
    map: BorrowedFd<'_>,
    key: &K,
    value: &[V],
) -> io::Result<()> {
    let mut element = Element {
        map_fd: raw(map),
        pad: 0,
        key: address(key),
        value: address(value.as_ptr()),
        flags: 0,
    };
    bpf(MAP_UPDATE_ELEM, &mut element).map(|_| ())
}

/// Sets the value of an element of an array, whose size is that of the words.
pub(super) fn update_words(map: BorrowedFd<'_>, key: u32, value: &[u32]) -> io::Result<()> {
    let key = [key];
    let mut element = Element {
        map_fd: raw(map),
        pad: 0,
        key: address(key.as_ptr()),
        value: address(value.as_ptr()),
        flags: 0,
    };
    bpf(MAP_UPDATE_ELEM, &mut element).map(|_| ())
}

/// Whether there was such a key.
pub(super) fn delete<K: Plain>(map: BorrowedFd<'_>, key: &K) -> io::Result<bool> {
    let mut element = Element {
        map_fd: raw(map),
        pad: 0,
        key: address(key),
        value: 0,
        flags: 0,
    };
    found(bpf(MAP_DELETE_ELEM, &mut element))
}

/// The key after `key`, the first one for none; nothing at the end.
pub(super) fn next_key<K: Plain>(map: BorrowedFd<'_>, key: Option<&K>) -> io::Result<Option<K>> {
    let mut next = MaybeUninit::<K>::uninit();
    let key = key.map_or(0, |key| address(key));
    let mut element = Element {
        map_fd: raw(map),
        pad: 0,
        key,
        value: address(next.as_mut_ptr()),
        flags: 0,
    };
    if !found(bpf(MAP_GET_NEXT_KEY, &mut element))? {
        return Ok(None);
    }
    // SAFETY: the call succeeded, so the kernel wrote a whole key, and any bytes are a `K`.
    Ok(Some(unsafe { next.assume_init() }))
}

/// Inserts keys with their values; returns how many went in, and what stopped the rest.
pub(super) fn update_batch<K: Plain, V: Plain>(
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> (usize, io::Result<()>) {
    let count = keys.len().min(values.len());
    batch(
        MAP_UPDATE_BATCH,
        map,
        address(keys.as_ptr()),
        address(values.as_ptr()),
        count,
    )
}

/// Deletes keys; returns how many went, and what stopped the rest.
pub(super) fn delete_batch<K: Plain>(map: BorrowedFd<'_>, keys: &[K]) -> (usize, io::Result<()>) {
    batch(MAP_DELETE_BATCH, map, address(keys.as_ptr()), 0, keys.len())
}

fn batch(
    command: libc::c_int,
    map: BorrowedFd<'_>,
    keys: u64,
    values: u64,
    count: usize,
) -> (usize, io::Result<()>) {
    let mut batch = Batch {
        in_batch: 0,
        out_batch: 0,
        keys,
        values,
        count: count as u32,
        map_fd: raw(map),
        element_flags: 0,
        flags: 0,
    };
    match bpf(command, &mut batch) {
        Ok(_) => (count, Ok(())),
        // Only where an element was refused has the kernel written the count; a command or a map without batches leaves it as it was.
        Err(error)
            if !matches!(
                error.raw_os_error(),
                Some(libc::ENOENT | libc::E2BIG | libc::ENOSPC | libc::ENOMEM | libc::EBUSY)
            ) =>
        {
            (0, Err(error))
        }
        Err(error) => (batch.count as usize, Err(error)),
    }
}

fn found(result: io::Result<i64>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a pinned map or link.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut object = Object {
        path: address(path.as_ptr()),
        fd: 0,
        flags: 0,
    };
    let fd = bpf(OBJ_GET, &mut object)?;
    let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn map_layout(map: BorrowedFd<'_>) -> io::Result<MapLayout> {
    let [kind, _, key, value, entries, ..] = info(map)?;
    Ok(MapLayout {
        kind,
        key,
        value,
        entries,
    })
}

pub(super) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    let [_, _, program, _, interface, ..] = info(link)?;
    Ok(LinkInfo { program, interface })
}

/// The first words of `struct bpf_map_info` or `struct bpf_link_info`.
fn info(object: BorrowedFd<'_>) -> io::Result<[u32; 16]> {
    let mut words = [0_u32; 16];
    let mut query = InfoByFd {
        fd: raw(object),
        length: size_of::<[u32; 16]>() as u32,
        info: address(words.as_mut_ptr()),
    };
    bpf(OBJ_GET_INFO_BY_FD, &mut query)?;
    Ok(words)
}

/// Takes a link off its interface, whoever else holds it.
pub(super) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    bpf(LINK_DETACH, &mut Link { fd: raw(link) }).map(|_| ())
}

pub(super) fn is_bpffs(path: &Path) -> io::Result<bool> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut status = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends in a zero byte and the buffer is of the type that the call fills.
    if unsafe { libc::statfs(path.as_ptr(), status.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the buffer.
    let status = unsafe { status.assume_init() };
    Ok(i128::from(status.f_type) == BPF_FS_MAGIC)
}

pub(super) fn mount_bpffs(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let name = c"bpf".as_ptr();
    // SAFETY: three strings that end in a zero byte; no data follows.
    let result = unsafe { libc::mount(name, path.as_ptr(), name, 0, std::ptr::null()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The clock of [`Entry::until_ns`], `CLOCK_MONOTONIC`, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let pointer: *mut libc::timespec = &raw mut time;
    // SAFETY: the pointer is to a timespec; the clock exists on every Linux, so there is no failure to look at.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, pointer) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// `uname -r`.
pub(super) fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "(unknown)".into(), |release| release.trim().into())
}

/// Number of the interface in this network namespace.
pub fn interface_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: a string that ends in a zero byte.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => None,
        index => Some(index),
    }
}

/// Name of the interface of that number in this network namespace.
pub fn interface_name(index: u32) -> Option<String> {
    let mut name = [0_u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer is as long as the call wants.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    let name = std::ffi::CStr::from_bytes_until_nul(&name).ok()?;
    name.to_str().ok().map(str::to_owned)
}
