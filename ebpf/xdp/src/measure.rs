//! Programs for measuring alone: they are in the object, but nothing loads them except the bench. One packet over and over would
//! measure warm caches, so each run gets a random source: the last eight bytes of the frame are a base and a mask, and the source
//! address (its last four bytes in IPv6) becomes `base | random & mask`.
#![expect(unsafe_code, reason = "the frame is written to")]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_PASS},
    helpers::generated::bpf_get_prandom_u32,
    macros::xdp,
    programs::XdpContext,
};

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

#[inline(always)]
fn randomise(ctx: &XdpContext) -> Option<()> {
    let ethertype = at::<[u8; 2]>(ctx, 12)?;
    // SAFETY: `at` has compared its end with the frame's.
    let is_ipv6 = unsafe { *ethertype } == [0x86, 0xdd];
    let (parameters, source) = if is_ipv6 {
        (PARAMETERS6, 34)
    } else {
        (PARAMETERS4, 26)
    };
    let parameters = at::<[[u8; 4]; 2]>(ctx, parameters)?;
    let source = at::<[u8; 4]>(ctx, source)?;
    // SAFETY: `at` has compared its end with the frame's.
    let [base, mask] = unsafe { *parameters };
    // SAFETY: the helper has no preconditions.
    let random = unsafe { bpf_get_prandom_u32() };
    let address = u32::from_be_bytes(base) | random & u32::from_be_bytes(mask);
    // SAFETY: `at` has compared its end with the frame's.
    unsafe { *source = address.to_be_bytes() };
    Some(())
}

#[inline(always)]
fn at<T>(ctx: &XdpContext, offset: usize) -> Option<*mut T> {
    let start = ctx.data() + offset;
    if start + size_of::<T>() > ctx.data_end() {
        None
    } else {
        Some(start as *mut T)
    }
}
