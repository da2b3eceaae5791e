//! The monotonic clock, asked once a tick: a call of it costs 36 ns and waits for every load before it, as much as the rest of a drop.
#![expect(unsafe_code, reason = "memory that the CPUs share")]

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns};

/// A reading of the clock and the tick that it was taken in.
static mut READING: [u64; 2] = [0; 2];

/// The clock as it was when first asked in this tick of the kernel, 1 to 10 ms ago at most.
#[inline(always)]
pub(crate) fn tick_ns() -> u64 {
    let reading = (&raw mut READING).cast::<u64>();
    // SAFETY: the helper has no preconditions; the verifier makes a single load of it.
    let tick = unsafe { bpf_jiffies64() };
    // SAFETY: the second of two words.
    let taken = unsafe { reading.add(1) };
    // SAFETY: a word of the program's own memory.
    if unsafe { read_volatile(taken) } == tick {
        // SAFETY: as above.
        return unsafe { read_volatile(reading) };
    }
    // SAFETY: the helper has no preconditions.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    // The tick last: another CPU that sees it must not see an older clock. Two that write at once write readings of one tick.
    // SAFETY: as above.
    unsafe { write_volatile(reading, now_ns) };
    // SAFETY: as above.
    unsafe { write_volatile(taken, tick) };
    now_ns
}
