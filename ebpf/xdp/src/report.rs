//! The program's own diagnostics, on when the configuration says so.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::debug;
use openclaw_common::verdict::{Reason, Verdict};

/// Logs what was dropped, or passed without being understood. By number, because strings are copied into each record; out of line,
/// so that the shield's own stack stays small.
#[inline(never)]
pub(crate) fn log(ctx: &XdpContext, bytes: usize, reason: Reason) {
    if matches!(reason, Reason::Malformed) {
        debug!(
            ctx,
            "passed a malformed frame of {} bytes, interface {}",
            bytes,
            ctx.ingress_ifindex()
        );
    } else if matches!(reason.verdict(), Verdict::Drop) || reason as u8 >= Reason::WouldBan as u8 {
        debug!(
            ctx,
            "dropped or would drop {} bytes, reason {}, interface {}",
            bytes,
            reason as u8,
            ctx.ingress_ifindex()
        );
    }
}
