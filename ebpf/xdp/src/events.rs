//! Telling user space of packets that are dropped or would be.
#![expect(unsafe_code, reason = "the clock is a helper")]

use aya_ebpf::{helpers::generated::bpf_ktime_get_ns, programs::XdpContext};
use openclaw_common::{
    abi::Event,
    packet::{Address, Flow, Packet as _},
    verdict::Reason,
};

use crate::{frame::Frame, maps};

/// `BPF_RB_NO_WAKEUP`: the reader looks by itself several times a second, so that a flood does not wake it for every packet.
const NO_WAKEUP: u64 = 1;

/// Tells of the packet if it is its turn. A full ring loses it: user space reads as much as it wants to. Out of line: the record is
/// made on the stack.
#[inline(never)]
pub(crate) fn tell(ctx: &XdpContext, sample_mask: u32, flow: &Flow, reason: Reason, country: u8) {
    if maps::counted(ctx, reason) & u64::from(sample_mask) != 0 {
        return;
    }
    let Some(mut slot) = maps::EVENTS.reserve::<Event>(0) else {
        return;
    };
    let (family, source, destination) = match (flow.source, flow.destination) {
        (Address::V4(source), Address::V4(destination)) => {
            (4, widened(source), widened(destination))
        }
        (Address::V6(source), Address::V6(destination)) => (6, source, destination),
        // The parser reads both from one header.
        _ => (0, [0; 16], [0; 16]),
    };
    slot.write(Event {
        // SAFETY: the helper has no preconditions.
        time_ns: unsafe { bpf_ktime_get_ns() },
        source,
        destination,
        source_port: flow.transport.source,
        destination_port: flow.transport.destination,
        protocol: flow.protocol,
        family,
        reason: reason as u8,
        country,
        interface: ctx.ingress_ifindex() as u32,
        bytes: Frame::new(ctx).len() as u32,
    });
    slot.submit(NO_WAKEUP);
}

#[inline(always)]
fn widened([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}
