//! Tasks of handshakes: a SYN made into its answer in place, an ACK looked at. What they mean is decided in
//! [`openclaw_common::syn`]; what the answer holds, in [`openclaw_common::cookie`]. Each function is a symbol of its own, and with that
//! global: the verifier follows it once for any arguments, and its buffers are off the stack of the decision.
#![expect(unsafe_code, reason = "helpers, and the frame is written to")]

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{tcphdr, xdp_md},
    helpers::generated::{
        bpf_loop, bpf_tcp_check_syncookie, bpf_tcp_gen_syncookie, bpf_xdp_adjust_tail,
        bpf_xdp_load_bytes, bpf_xdp_store_bytes,
    },
    programs::XdpContext,
};
use openclaw_common::{
    abi::{Config, cookies},
    cookie::{self, HEADER_WORDS, Options, Segment, Syn},
    judgement::Judgement,
    packet::{Address, Flow, Packet as _},
    syn::{self, Ack, Answered, Task},
    verdict::Reason,
};

use crate::{
    clock,
    family::{Family, Socket, V4, V6},
    frame::{Frame, at},
    maps,
};

/// Set by the loader where the kernel has the helpers for cookies without a socket; elsewhere the verifier must not see them.
#[unsafe(no_mangle)]
static RAW_COOKIES: u32 = 0;

/// `-ENOENT`: the listener has room.
const NOT_NEEDED: i64 = -2;
/// No frame of Ethernet is shorter, its checksum apart.
const SHORTEST: u32 = 60;

/// Carries the task of a judgement out; the reason after it.
#[inline(always)]
pub(crate) fn run(ctx: &XdpContext, config: &Config, flow: &Flow, judgement: &Judgement) -> Reason {
    let Judgement { task, reason, .. } = *judgement;
    let (network, transport) = (flow.network, flow.offset);
    let is_v6 = matches!(flow.source, Address::V6(_));
    match task {
        Task::Nothing => reason,
        Task::Answer | Task::AnswerRaw => {
            let is_raw = u32::from(matches!(task, Task::AnswerRaw));
            let answered = if is_v6 {
                answer6(ctx.ctx, network, transport, is_raw)
            } else {
                answer4(ctx.ctx, network, transport, is_raw)
            };
            syn::after_answer(config, reason, Answered::of(answered))
        }
        Task::Verify | Task::VerifyRaw => {
            let is_raw = u32::from(matches!(task, Task::VerifyRaw));
            let ack = if is_v6 {
                ack6(ctx.ctx, network, transport, is_raw)
            } else {
                ack4(ctx.ctx, network, transport, is_raw)
            };
            syn::after_ack(config, reason, Ack::of(ack))
        }
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn answer4(ctx: *mut xdp_md, network: u32, transport: u32, is_raw: u32) -> u32 {
    answer::<V4>(&XdpContext::new(ctx), network, transport, is_raw != 0) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn answer6(ctx: *mut xdp_md, network: u32, transport: u32, is_raw: u32) -> u32 {
    answer::<V6>(&XdpContext::new(ctx), network, transport, is_raw != 0) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ack4(ctx: *mut xdp_md, network: u32, transport: u32, is_raw: u32) -> u32 {
    ack::<V4>(&XdpContext::new(ctx), network, transport, is_raw != 0) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ack6(ctx: *mut xdp_md, network: u32, transport: u32, is_raw: u32) -> u32 {
    ack::<V6>(&XdpContext::new(ctx), network, transport, is_raw != 0) as u32
}

#[inline(always)]
fn has_raw_cookies() -> bool {
    // SAFETY: the static is initialised; volatile, because the loader changes it before the program runs.
    unsafe { ptr::read_volatile(&raw const RAW_COOKIES) != 0 }
}

/// The header of a SYN and the walk along its options.
#[repr(C)]
struct Scan {
    header: [u64; HEADER_WORDS],
    options: Options,
}

impl Scan {
    /// Reads the options of a header of `length` bytes.
    #[inline(always)]
    fn read(&mut self, length: u32) {
        if let Some(usual) = Options::usual(&self.header, length) {
            self.options = usual;
        } else {
            let state: *mut Self = self;
            // SAFETY: the callback has the signature that bpf_loop calls, and the scan outlives the call.
            unsafe { bpf_loop(cookie::STEPS, step as *mut c_void, state.cast(), 0) };
        }
    }
}

#[inline(always)]
fn answer<F: Family>(ctx: &XdpContext, network: u32, transport: u32, is_raw: bool) -> Answered {
    let Some(config) = maps::CONFIG.get(0) else {
        return Answered::NotNeeded;
    };
    let config = &config.cookies;
    let Some([words, _]) = Frame::new(ctx).load::<2>(transport as usize + 12) else {
        return Answered::NotNeeded;
    };
    let length = u32::from(words >> 4) * 4;
    let mut scan = Scan {
        header: [0; HEADER_WORDS],
        options: Options::new(length),
    };
    // SAFETY: a local. Volatile, so that the comparison below is with the very register that the helper gets.
    let length = unsafe { ptr::read_volatile(&raw const length) };
    if !(20..=60).contains(&length) {
        return Answered::NotNeeded;
    }
    let tcp: *mut u64 = scan.header.as_mut_ptr();
    // SAFETY: the buffer is longer than any header; the helper checks the frame's bounds.
    if unsafe { bpf_xdp_load_bytes(ctx.ctx, transport, tcp.cast(), length) } != 0 {
        return Answered::NotNeeded;
    }
    let [first, ..] = scan.header;
    let Some(mut head) = head::<F>(ctx, network, first as u32) else {
        return Answered::NotNeeded;
    };
    let cookie = make::<F>(ctx, &mut head, tcp.cast(), length, is_raw);
    if cookie == NOT_NEEDED {
        return Answered::NotNeeded;
    }
    if cookie < 0 {
        return Answered::Failed;
    }
    if config.flags & cookies::TIMESTAMPS != 0 {
        scan.read(length);
    }
    // Network byte order, whatever the host's: the first four bytes, then the other four.
    let words: [u32; 2] = if cfg!(target_endian = "little") {
        [first as u32, (first >> 32) as u32]
    } else {
        [(first >> 32) as u32, first as u32]
    };
    let [ports, sequence] = words;
    let syn = Syn {
        addresses: F::sum(&head),
        mss: F::mss(config),
        ports,
        sequence,
    };
    // Behind by a tick at most: the timestamp counts in steps of 64 ms anyway.
    let now_ns = clock::tick_ns();
    // The lower half is the cookie; above it is the MSS that it holds.
    let segment = cookie::segment(
        config,
        &syn,
        cookie.cast_unsigned() as u32,
        &scan.options,
        now_ns,
    );
    let mut reply = F::reply(config, &head, &segment);
    let reply: *mut F::Reply = &raw mut reply;
    // SAFETY: the reply is as long as header and longest segment.
    match unsafe { write(ctx, network, reply.cast(), F::BYTES, &segment) } {
        Some(()) => Answered::Sent,
        None => Answered::Failed,
    }
}

/// One option; 0 asks for another call, 1 ends the loop.
unsafe extern "C" fn step(_index: u32, state: *mut c_void) -> i64 {
    // SAFETY: `answer` passes its own `Scan`, and nothing else refers to it during the loop.
    let scan = unsafe { &mut *state.cast::<Scan>() };
    let Some(at) = scan.options.wants() else {
        return 1;
    };
    // The mask tells the verifier that ten bytes from here are in the buffer of eighty.
    let at = at as usize & 0x3f;
    let header: *const u64 = scan.header.as_ptr();
    // SAFETY: 63 + 10 is less than the length of the buffer.
    let option = unsafe { header.cast::<u8>().add(at) };
    // SAFETY: as above; bytes have no alignment.
    scan.options.advance(unsafe { *option.cast::<[u8; 10]>() });
    0
}

/// The network header and the ports behind it.
#[inline(always)]
fn head<F: Family>(ctx: &XdpContext, network: u32, ports: u32) -> Option<F::Head> {
    let mut head = F::EMPTY;
    let place: *mut F::Head = &raw mut head;
    // SAFETY: the buffer is longer by a word; the helper checks the frame's bounds.
    if unsafe { bpf_xdp_load_bytes(ctx.ctx, network, place.cast(), F::BYTES) } != 0 {
        return None;
    }
    F::set_ports(&mut head, ports);
    Some(head)
}

/// The cookie for a SYN, or a negative error.
#[inline(always)]
fn make<F: Family>(
    ctx: &XdpContext,
    head: &mut F::Head,
    tcp: *mut tcphdr,
    length: u32,
    is_raw: bool,
) -> i64 {
    if is_raw && has_raw_cookies() {
        // SAFETY: a whole header, and one of `length` bytes.
        return unsafe { F::raw_cookie(head, tcp, length) };
    }
    let Some(socket) = Socket::of::<F>(ctx, head) else {
        return NOT_NEEDED;
    };
    if !socket.is_listening() {
        return NOT_NEEDED;
    }
    let head: *mut F::Head = head;
    // SAFETY: a socket that is held until the end of this function; headers as above.
    unsafe { bpf_tcp_gen_syncookie(socket.as_ptr(), head.cast(), F::BYTES, tcp, length) }
}

/// Makes the frame the answer.
///
/// # Safety
/// `reply` is a header of `header` bytes and the segment.
#[inline(always)]
unsafe fn write(
    ctx: &XdpContext,
    network: u32,
    reply: *mut c_void,
    header: u32,
    segment: &Segment,
) -> Option<()> {
    let bytes = header + segment.bytes();
    resize(ctx, network + bytes)?;
    let ethernet = at::<[[u8; 6]; 2]>(ctx, 0)?;
    // SAFETY: `at` has compared its end with the frame's.
    let [to, from] = unsafe { *ethernet };
    // SAFETY: as above.
    unsafe { *ethernet = [from, to] };
    // Constant lengths, or the verifier loses their bounds.
    let failed = if segment.is_long {
        // SAFETY: by the contract of this function.
        unsafe { bpf_xdp_store_bytes(ctx.ctx, network, reply, header + Segment::LONG) }
    } else {
        // SAFETY: by the contract of this function.
        unsafe { bpf_xdp_store_bytes(ctx.ctx, network, reply, header + Segment::SHORT) }
    };
    if failed == 0 { Some(()) } else { None }
}

/// Pointers into the frame are void afterwards.
#[inline(always)]
fn resize(ctx: &XdpContext, bytes: u32) -> Option<()> {
    let wanted = if bytes < SHORTEST { SHORTEST } else { bytes };
    let delta = wanted.cast_signed() - (Frame::new(ctx).len() as u32).cast_signed();
    // SAFETY: the context of this very run.
    if delta != 0 && unsafe { bpf_xdp_adjust_tail(ctx.ctx, delta) } != 0 {
        return None;
    }
    Some(())
}

#[inline(always)]
fn ack<F: Family>(ctx: &XdpContext, network: u32, transport: u32, is_raw: bool) -> Ack {
    let mut tcp = [0_u32; 5];
    let place: *mut u32 = tcp.as_mut_ptr();
    // SAFETY: the buffer is as long as the header; the helper checks the frame's bounds.
    if unsafe { bpf_xdp_load_bytes(ctx.ctx, transport, place.cast(), 20) } != 0 {
        return Ack::Connected;
    }
    let [ports, ..] = tcp;
    let Some(mut head) = head::<F>(ctx, network, ports) else {
        return Ack::Connected;
    };
    let Some(socket) = Socket::of::<F>(ctx, &mut head) else {
        return Ack::Nobody;
    };
    if !socket.is_listening() {
        return Ack::Connected;
    }
    let head: *mut F::Head = &raw mut head;
    let failed = if is_raw && has_raw_cookies() {
        // SAFETY: whole headers.
        unsafe { F::raw_check(head, place.cast()) }
    } else {
        // SAFETY: a socket that is held until the end of this function; whole headers.
        unsafe { bpf_tcp_check_syncookie(socket.as_ptr(), head.cast(), F::BYTES, place.cast(), 20) }
    };
    if failed == 0 { Ack::Cookie } else { Ack::Bogus }
}
