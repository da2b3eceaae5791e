//! Programs for measuring alone: they are in the object, but nothing loads them except the bench. One packet over and over would
//! measure warm caches, so each run gets a random source: eight bytes of the frame are a base and a mask, and the source address (in IPv6
//! its last four bytes, or in `2001:db8::/32` the next four) becomes `base | random & mask`. They are the last of the frame.
//!
//! A SYN is made into its answer in place, and the kernel hands the frame of one run to the next. So a SYN brings a copy of itself:
//! base, mask and copy come first, are copied over what follows, and are outside the frame while the shield runs.
#![expect(unsafe_code, reason = "the frame is written to")]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_PASS},
    helpers::generated::{
        bpf_get_prandom_u32, bpf_xdp_adjust_head, bpf_xdp_load_bytes, bpf_xdp_store_bytes,
    },
    macros::xdp,
    programs::XdpContext,
};

use crate::frame::at;

/// Where the bench puts base and mask: behind Ethernet, IPv4 or IPv6, and TCP.
const PARAMETERS4: usize = 14 + 20 + 20;
const PARAMETERS6: usize = 14 + 40 + 20;

/// The shield on a random source.
#[xdp(frags)]
pub(crate) fn measure(ctx: XdpContext) -> u32 {
    if randomise(&ctx).is_none() {
        return XDP_ABORTED;
    }
    crate::run(&ctx)
}

/// What [`measure`] does besides the shield.
#[xdp(frags)]
pub(crate) fn measure_floor(ctx: XdpContext) -> u32 {
    if randomise(&ctx).is_none() {
        return XDP_ABORTED;
    }
    XDP_PASS
}

/// Bytes of base and mask before the copy of a SYN.
const BEFORE: u32 = 8;
/// Bytes of a SYN with twenty bytes of options, over IPv4 and IPv6.
const SYN4: u32 = 14 + 20 + 40;
const SYN6: u32 = 14 + 40 + 40;
/// Where its source is; in IPv6 the last four bytes.
const SOURCE4: usize = 26;
const SOURCE6: usize = 34;
/// Where the source over IPv6 begins, and the end of its /64: that is what is random of the addresses for documentation.
const NETWORK6: usize = 22;
const SUBNET6: usize = 26;

/// The shield on a SYN that it has not seen.
#[xdp(frags)]
pub(crate) fn measure_syn(ctx: XdpContext) -> u32 {
    let copy = restore(&ctx);
    if copy == 0 || !skip(&ctx, copy) {
        return XDP_ABORTED;
    }
    let action = crate::run(&ctx);
    if skip(&ctx, -copy) {
        action
    } else {
        XDP_ABORTED
    }
}

/// What [`measure_syn`] does besides the shield.
#[xdp(frags)]
pub(crate) fn measure_syn_floor(ctx: XdpContext) -> u32 {
    let copy = restore(&ctx);
    if copy == 0 || !skip(&ctx, copy) || !skip(&ctx, -copy) {
        return XDP_ABORTED;
    }
    XDP_PASS
}

/// Moves the start of the frame.
#[inline(always)]
pub(crate) fn skip(ctx: &XdpContext, bytes: i32) -> bool {
    // SAFETY: the context of this very run; nobody holds a pointer into the frame.
    unsafe { bpf_xdp_adjust_head(ctx.ctx, bytes) == 0 }
}

/// Makes the SYN what its copy is, from another source; how many bytes come before it, 0 for a frame of another kind. Out of line:
/// its buffer is off the stack when the shield runs.
#[inline(never)]
pub(crate) fn restore(ctx: &XdpContext) -> i32 {
    let Some(ethertype) = at::<[u8; 2]>(ctx, BEFORE as usize + 12) else {
        return 0;
    };
    // SAFETY: `at` has compared its end with the frame's.
    if unsafe { *ethertype } == [0x86, 0xdd] {
        copy::<SYN6, SOURCE6>(ctx)
    } else {
        copy::<SYN4, SOURCE4>(ctx)
    }
}

#[inline(always)]
fn copy<const BYTES: u32, const SOURCE: usize>(ctx: &XdpContext) -> i32 {
    let mut syn = [0_u64; 12];
    let place: *mut u64 = syn.as_mut_ptr();
    // SAFETY: the buffer is longer; the helper checks the frame's bounds.
    if unsafe { bpf_xdp_load_bytes(ctx.ctx, BEFORE, place.cast(), BYTES) } != 0 {
        return 0;
    }
    let Some(parameters) = at::<[[u8; 4]; 2]>(ctx, 0) else {
        return 0;
    };
    // SAFETY: `at` has compared its end with the frame's.
    let source = chosen(unsafe { *parameters });
    // SAFETY: inside the buffer.
    let to = unsafe { place.cast::<u8>().add(SOURCE) };
    // SAFETY: as above; bytes have no alignment.
    unsafe { to.cast::<[u8; 4]>().write(source) };
    // SAFETY: the buffer is longer; the helper checks the frame's bounds.
    if unsafe { bpf_xdp_store_bytes(ctx.ctx, BEFORE + BYTES, place.cast(), BYTES) } != 0 {
        return 0;
    }
    (BEFORE + BYTES).cast_signed()
}

#[inline(always)]
fn chosen([base, mask]: [[u8; 4]; 2]) -> [u8; 4] {
    // SAFETY: the helper has no preconditions.
    let random = unsafe { bpf_get_prandom_u32() };
    let address = u32::from_be_bytes(base) | random & u32::from_be_bytes(mask);
    address.to_be_bytes()
}

#[inline(always)]
fn randomise(ctx: &XdpContext) -> Option<()> {
    let ethertype = at::<[u8; 2]>(ctx, 12)?;
    // SAFETY: `at` has compared its end with the frame's.
    let is_ipv6 = unsafe { *ethertype } == [0x86, 0xdd];
    let (parameters, source) = if is_ipv6 {
        let network = at::<[u8; 4]>(ctx, NETWORK6)?;
        // SAFETY: `at` has compared its end with the frame's.
        let is_subnet = unsafe { *network } == [0x20, 0x01, 0x0d, 0xb8];
        (PARAMETERS6, if is_subnet { SUBNET6 } else { SOURCE6 })
    } else {
        (PARAMETERS4, SOURCE4)
    };
    let parameters = at::<[[u8; 4]; 2]>(ctx, parameters)?;
    let source = at::<[u8; 4]>(ctx, source)?;
    // SAFETY: `at` has compared its end with the frame's.
    let address = chosen(unsafe { *parameters });
    // SAFETY: as above.
    unsafe { *source = address };
    Some(())
}
