//! A flood of SYNs from forged sources, to measure what stands it, and its other end: in the object, but nothing loads them except the
//! tests and benches of floods.
//!
//! The kernel hands frames that have been sent to the program again, as whoever received them has left them. So a SYN brings a copy of
//! itself, as those of [`crate::measure`] do.
#![expect(unsafe_code, reason = "the frame is written to")]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX},
    helpers::generated::bpf_get_prandom_u32,
    macros::xdp,
    programs::XdpContext,
};

use crate::{
    frame::at,
    measure::{restore, skip},
};

/// 198.18.0.0/16, of the addresses that are there for benchmarks (RFC 2544).
const FORGED: [u8; 2] = [198, 18];
/// Where IPv4 has its identification, its source and its destination, and TCP its source port and its sequence number.
const IDENTIFICATION: usize = 14 + 4;
const SOURCE: usize = 14 + 12;
const DESTINATION: usize = 14 + 16;
const PORT: usize = 14 + 20;
const SEQUENCE: usize = 14 + 20 + 4;

/// Sends a SYN back to where it came from, each time from another address of its /16 and another port.
#[xdp(frags)]
pub(crate) fn storm(ctx: XdpContext) -> u32 {
    let copy = restore(&ctx);
    if copy == 0 || !skip(&ctx, copy) || vary(&ctx).is_none() {
        return XDP_ABORTED;
    }
    XDP_TX
}

/// The checksums of the first SYN stay right: each word that changes has another that makes up for it.
#[inline(always)]
fn vary(ctx: &XdpContext) -> Option<()> {
    // SAFETY: the helper has no preconditions.
    let random = unsafe { bpf_get_prandom_u32() };
    let (address, port) = ((random >> 16) as u16, random as u16);
    for (offset, word) in [
        (SOURCE + 2, address),
        (IDENTIFICATION, !address),
        (SEQUENCE, !address),
        (PORT, port),
        (SEQUENCE + 2, !port),
    ] {
        let place = at::<[u8; 2]>(ctx, offset)?;
        // SAFETY: `at` has compared its end with the frame's.
        unsafe { *place = word.to_be_bytes() };
    }
    Some(())
}

/// Takes the answers to forged sources off the cable; everything else passes.
#[xdp(frags)]
pub(crate) fn lee(ctx: XdpContext) -> u32 {
    let Some(destination) = at::<[u8; 2]>(&ctx, DESTINATION) else {
        return XDP_PASS;
    };
    // SAFETY: `at` has compared its end with the frame's.
    if unsafe { *destination } == FORGED {
        XDP_DROP
    } else {
        XDP_PASS
    }
}
