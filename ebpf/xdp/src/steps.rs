//! The steps of a decision, out of line, so that the buffers of one are off the stack before those of the next.
//!
//! A symbol of its own makes a function global: the verifier follows it once, for any arguments, and not once more for every way that
//! leads to it; together these would be too many instructions.
#![expect(unsafe_code, reason = "a flow is handed over as words")]

use core::ptr;

use aya_ebpf::{
    bindings::{xdp_action::XDP_PASS, xdp_md},
    programs::XdpContext,
};
use openclaw_common::{
    abi::{Config, flags},
    decide::{self, Tables as _},
    judgement::{Judgement, Sighting},
    packet::{self, Flow, Packet as _},
    verdict::Reason,
};

use crate::{conclude, frame::Frame, listeners::KernelListeners, maps, tables::KernelTables};

/// A flow as words of any value, for functions that the verifier follows by themselves.
#[repr(C)]
pub(crate) struct FlowWords {
    words: [u64; FLOW_WORDS],
}

const FLOW_WORDS: usize = size_of::<Flow>().div_ceil(8);

impl FlowWords {
    pub(crate) const EMPTY: Self = Self {
        words: [0; FLOW_WORDS],
    };

    #[inline(always)]
    fn set(&mut self, flow: Flow) {
        let place: *mut u64 = self.words.as_mut_ptr();
        // SAFETY: the words are as long as a flow and aligned more strictly.
        unsafe { place.cast::<Flow>().write(flow) };
    }

    /// Only after [`Self::set`].
    #[inline(always)]
    pub(crate) fn as_flow(&self) -> &Flow {
        let place: *const u64 = self.words.as_ptr();
        // SAFETY: `read` has set it before anybody else sees it.
        unsafe { &*place.cast::<Flow>() }
    }
}

/// The steps below must look at it: [`decide`] has done nothing.
pub(crate) const ASK: u32 = u32::MAX;
/// Set in a packed judgement of which note is to be taken before it is carried out: the record of an event needs the stack.
pub(crate) const NOTE: u32 = 1 << 31;

/// Nearly every IPv4 packet: decides by lists and headers alone, carries it out, and returns the action, or [`ASK`]. With the parser
/// inline and no flow to hand over this takes 60 ns less than the steps below.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn decide(ctx: *mut xdp_md) -> u32 {
    at_once(ctx, |frame| packet::parse_plain4(frame))
}

/// The same for nearly every IPv6 packet: it takes half as long as the steps below.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn decide6(ctx: *mut xdp_md) -> u32 {
    at_once(ctx, |frame| packet::parse_plain6(frame))
}

#[inline(always)]
fn at_once(ctx: *mut xdp_md, parse: impl Fn(&Frame<'_>) -> Option<Flow>) -> u32 {
    let Some(config) = maps::CONFIG.get(0) else {
        return XDP_PASS;
    };
    let ctx = &XdpContext::new(ctx);
    let frame = Frame::new(ctx);
    if config.flags & flags::ENABLED == 0 {
        return conclude(ctx, config, Reason::Off, frame.len());
    }
    match parse(&frame) {
        Some(flow) => plain(ctx, config, &flow),
        None => ASK,
    }
}

/// Carries out what lists and headers decide, if nobody else has to be asked.
#[inline(always)]
fn plain(ctx: &XdpContext, config: &Config, flow: &Flow) -> u32 {
    if decide::is_involved(config, flow) {
        return ASK;
    }
    let tables = KernelTables::new(ctx, config);
    let judgement = decide::weigh_plain(config, flow, &tables);
    if judgement.is_notable(judgement.reason) {
        return NOTE | judgement.packed();
    }
    conclude(ctx, config, judgement.reason, Frame::new(ctx).len())
}

/// Reads the frame; a reason if there is nothing to decide about it.
#[inline(never)]
pub(crate) fn read(ctx: &XdpContext, config: &Config, words: &mut FlowWords) -> Option<Reason> {
    match decide::read(config, &Frame::new(ctx)) {
        Ok(flow) => {
            words.set(flow);
            None
        }
        Err(reason) => Some(reason),
    }
}

/// [`decide::sight`], packed. It is not given the frame: the compiler would leave out an argument that is not used, and the verifier
/// refuse the call without it.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn sight(flow: *mut FlowWords) -> u32 {
    let nothing = Sighting {
        ended: Some(Reason::Pass),
        would: None,
        country: 0,
    };
    if flow.is_null() {
        return nothing.packed();
    }
    let Some(config) = maps::CONFIG.get(0) else {
        return nothing.packed();
    };
    let ctx = XdpContext::new(ptr::null_mut());
    // SAFETY: not null, and `read` has set it.
    let flow = unsafe { &*flow }.as_flow();
    decide::sight(config, flow, &KernelTables::new(&ctx, config)).packed()
}

/// [`decide::weigh`], packed.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn weigh(ctx: *mut xdp_md, flow: *mut FlowWords, sighting: u32) -> u32 {
    let nothing = Judgement::from(Reason::Pass).packed();
    if flow.is_null() {
        return nothing;
    }
    let Some(config) = maps::CONFIG.get(0) else {
        return nothing;
    };
    let ctx = XdpContext::new(ctx);
    // SAFETY: not null, and `read` has set it.
    let flow = unsafe { &*flow }.as_flow();
    let tables = KernelTables::new(&ctx, config);
    let sighting = Sighting::unpacked(sighting);
    decide::weigh(
        config,
        flow,
        &Frame::new(&ctx),
        &tables,
        &KernelListeners,
        &sighting,
    )
    .packed()
}

/// Takes note of a packet that was dropped or would be.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn note(
    ctx: *mut xdp_md,
    flow: *mut FlowWords,
    reason: u32,
    country: u32,
) -> u32 {
    if flow.is_null() {
        return 0;
    }
    let Some(config) = maps::CONFIG.get(0) else {
        return 0;
    };
    let ctx = XdpContext::new(ctx);
    // SAFETY: not null, and `read` has set it.
    let flow = unsafe { &*flow }.as_flow();
    let tables = KernelTables::new(&ctx, config);
    tables.note(config, flow, Reason::of(reason), country as u8);
    0
}
