//! [`Packet`] for the frame that XDP hands over: the only pointer arithmetic of the program.
#![expect(
    unsafe_code,
    reason = "direct packet access and the callback of bpf_loop"
)]

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_loop, bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::XdpContext,
};
use openclaw_common::packet::{Chain, ETHERTYPE_IPV6, MAX_EXTENSIONS, Packet};

/// Headers end before this: three tags, IPv6 and six extension headers of at most 2,048 bytes make 12,354. The mask tells the verifier
/// a bound that it would lose over a spilled register.
const OFFSET_MASK: usize = 0x3fff;

/// A frame whose first buffer holds less has no second: drivers fill one before they take another. Asking costs 7 ns, which small
/// frames, the ones that come by the million, need not pay.
const FIRST_BUFFER: usize = 256;

pub(crate) struct Frame<'a> {
    ctx: &'a XdpContext,
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub(crate) fn new(ctx: &'a XdpContext) -> Self {
        Self { ctx }
    }
}

impl Frame<'_> {
    /// What lies beyond the first buffer of a frame in several: jumbo frames, receive offloads, drivers that split headers.
    #[inline(always)]
    fn load_scattered<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        let buffer = bytes.as_mut_ptr().cast();
        // SAFETY: the buffer holds the `N` bytes asked for; the helper checks the frame's bounds.
        let error = unsafe { bpf_xdp_load_bytes(self.ctx.ctx, offset as u32, buffer, N as u32) };
        if error != 0 {
            return None;
        }
        // SAFETY: the helper succeeded, so it filled the buffer.
        Some(unsafe { bytes.assume_init() })
    }
}

impl Packet for Frame<'_> {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let offset = offset & OFFSET_MASK;
        let start = self.ctx.data() + offset;
        if start + N > self.ctx.data_end() {
            return self.load_scattered(offset);
        }
        let bytes = start as *const [u8; N];
        // SAFETY: `start + N <= data_end` was just compared, and an array of bytes has no alignment.
        Some(unsafe { *bytes })
    }

    #[inline(always)]
    fn len(&self) -> usize {
        let first = self.ctx.data_end() - self.ctx.data();
        if first < FIRST_BUFFER {
            return first;
        }
        // SAFETY: the context of this very run.
        unsafe { bpf_xdp_get_buff_len(self.ctx.ctx) as usize }
    }

    /// As a loop this is 285,000 instructions to the verifier, as a callback half of that.
    #[inline(always)]
    fn walk(&self, chain: &mut Chain) {
        let mut walk = Walk {
            ctx: self.ctx.as_ptr(),
            chain: *chain,
        };
        // One step for each header, and one that finds the end.
        let steps = MAX_EXTENSIONS + 1;
        let state: *mut Walk = &raw mut walk;
        // SAFETY: the callback has the signature that bpf_loop calls, and `walk` outlives the call.
        unsafe { bpf_loop(steps, step as *mut c_void, state.cast(), 0) };
        *chain = walk.chain;
    }
}

/// What is at an offset, to be changed in place; nothing where the first buffer ends before it does.
#[inline(always)]
pub(crate) fn at<T>(ctx: &XdpContext, offset: usize) -> Option<*mut T> {
    let start = ctx.data() + offset;
    if start + size_of::<T>() > ctx.data_end() {
        None
    } else {
        Some(start as *mut T)
    }
}

/// Whether the frame is IPv6 without tags. Asks no helper: every frame pays for this.
#[inline(always)]
pub(crate) fn is_untagged6(ctx: &XdpContext) -> bool {
    match at::<[u8; 2]>(ctx, 12) {
        // SAFETY: `at` has compared its end with the frame's.
        Some(ethertype) => unsafe { *ethertype == ETHERTYPE_IPV6 },
        None => false,
    }
}

#[repr(C)]
struct Walk {
    ctx: *mut c_void,
    chain: Chain,
}

/// One extension header; 0 asks for another call, 1 ends the loop.
unsafe extern "C" fn step(_index: u32, state: *mut c_void) -> i64 {
    // SAFETY: `Frame::walk` passes its own `Walk`, and nothing else refers to it during the loop.
    let walk = unsafe { &mut *state.cast::<Walk>() };
    let Some(offset) = walk.chain.wants() else {
        return 1;
    };
    let mut header = 0_u64;
    let buffer: *mut u64 = &raw mut header;
    // SAFETY: `buffer` holds the eight bytes asked for; the helper checks the frame's bounds.
    let failed = unsafe {
        bpf_xdp_load_bytes(
            walk.ctx.cast(),
            offset & OFFSET_MASK as u32,
            buffer.cast(),
            8,
        )
    } != 0;
    walk.chain.advance(if failed {
        None
    } else {
        Some(header.to_ne_bytes())
    });
    0
}
