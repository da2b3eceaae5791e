//! The XDP program: fetches the configuration, asks [`openclaw_common::decide`] about the frame, counts the reason, and turns
//! the verdict into an XDP action. Every decision is in `openclaw-common`; here are only memory access ([`frame`]), map access
//! ([`maps`], [`tables`]), the log and, for `cargo xtask bench`, programs that measure.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![allow(
    internal_features,
    reason = "atomic read-modify-write is to be had on this target through intrinsics alone"
)]
#![allow(
    clippy::inline_always,
    reason = "a call costs stack on the BPF target, whose frames share 512 bytes, and hides bounds from the verifier"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "`#[xdp]` hands the context of an entry point over by value"
)]

mod arrival;
mod clock;
mod events;
mod family;
mod frame;
mod handshake;
mod listeners;
mod maps;
mod measure;
mod report;
mod steps;
mod storm;
mod tables;

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX},
    macros::xdp,
    programs::XdpContext,
};
use openclaw_common::{
    abi::{Config, flags},
    judgement::Judgement,
    packet::Packet as _,
    verdict::{Reason, Verdict},
};

use crate::{
    frame::{Frame, is_untagged6},
    steps::{ASK, FlowWords, NOTE, decide, decide6, note, read, sight, weigh},
};

/// The shield. It declares that it takes frames in several buffers: otherwise an interface with a large MTU refuses native mode.
#[xdp(frags)]
pub(crate) fn openclaw(ctx: XdpContext) -> u32 {
    run(&ctx)
}

#[inline(always)]
fn run(ctx: &XdpContext) -> u32 {
    // Each family in a function of its own: together their flows are too much for the stack.
    let word = if is_untagged6(ctx) {
        decide6(ctx.ctx)
    } else {
        decide(ctx.ctx)
    };
    match word {
        ASK => ask(ctx),
        word if word & NOTE != 0 => noted(ctx, &Judgement::unpacked(word & !NOTE)),
        action => action,
    }
}

/// A packet that is decided about and of which note is to be taken.
#[inline(always)]
fn noted(ctx: &XdpContext, judgement: &Judgement) -> u32 {
    let Some(config) = maps::CONFIG.get(0) else {
        return XDP_PASS;
    };
    let reason = judgement.reason;
    if is_told(config, judgement) {
        let mut flow = FlowWords::EMPTY;
        if read(ctx, config, &mut flow).is_none() {
            note(
                ctx.ctx,
                &raw mut flow,
                reason as u32,
                u32::from(judgement.country),
            );
        }
    }
    conclude(ctx, config, reason, Frame::new(ctx).len())
}

/// Whether a note says anything to anybody: asked before the call, which every drop would pay.
#[inline(always)]
fn is_told(config: &Config, judgement: &Judgement) -> bool {
    config.flags & flags::EVENTS != 0 || judgement.country != 0
}

/// A packet about which lists and headers do not say all.
#[inline(always)]
fn ask(ctx: &XdpContext) -> u32 {
    let Some(config) = maps::CONFIG.get(0) else {
        return XDP_PASS;
    };
    // An answer is of another length.
    let bytes = Frame::new(ctx).len();
    let mut flow = FlowWords::EMPTY;
    let reason = match read(ctx, config, &mut flow) {
        None => {
            let sighting = sight(&raw mut flow);
            let judgement = Judgement::unpacked(weigh(ctx.ctx, &raw mut flow, sighting));
            let reason = handshake::run(ctx, config, flow.as_flow(), &judgement);
            if judgement.is_notable(reason) && is_told(config, &judgement) {
                note(
                    ctx.ctx,
                    &raw mut flow,
                    reason as u32,
                    u32::from(judgement.country),
                );
            }
            reason
        }
        Some(reason) => reason,
    };
    conclude(ctx, config, reason, bytes)
}

/// What is done with a frame of `bytes` bytes, now that the reason is known.
#[inline(always)]
fn conclude(ctx: &XdpContext, config: &Config, reason: Reason, bytes: usize) -> u32 {
    maps::count(ctx, reason, bytes);
    if config.flags & flags::DEBUG != 0 {
        report::log(ctx, bytes, reason);
    }
    match reason.verdict() {
        Verdict::Pass => XDP_PASS,
        Verdict::Drop => XDP_DROP,
        Verdict::Tx => XDP_TX,
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects a loop that it can reach, so no panic is left in a program that loads.
    loop {}
}

/// The kernel lets only programs under a licence that it counts as GPL-compatible call some helpers.
#[expect(unsafe_code, reason = "the loader looks for this section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
