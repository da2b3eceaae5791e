//! IPv4 and IPv6 as the helpers for sockets and cookies tell them apart. A family is a type, so that the verifier never meets the
//! header of one with the helper of the other.
#![expect(unsafe_code, reason = "helpers")]

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{bpf_sock, tcphdr},
    helpers::generated::{
        bpf_sk_release, bpf_skc_lookup_tcp, bpf_tcp_raw_check_syncookie_ipv4,
        bpf_tcp_raw_check_syncookie_ipv6, bpf_tcp_raw_gen_syncookie_ipv4,
        bpf_tcp_raw_gen_syncookie_ipv6,
    },
    programs::XdpContext,
};
use openclaw_common::{abi::Cookies, cookie, cookie::Segment};

/// State of a socket that listens, as the kernel numbers it.
const LISTEN: u32 = 10;
/// `BPF_F_CURRENT_NETNS`: the namespace of the interface.
const CURRENT_NAMESPACE: u64 = u64::MAX;

/// A family of addresses.
pub(crate) trait Family {
    /// Words of a header, as they came, and one more for the two ports: from the addresses on that is what the lookup of a socket
    /// takes.
    type Head: Copy;
    const EMPTY: Self::Head;
    /// Bytes of the header alone.
    const BYTES: u32;
    /// Where its addresses start.
    const ADDRESSES: usize;
    /// Header and longest segment of an answer.
    type Reply;

    fn set_ports(head: &mut Self::Head, ports: u32);
    /// Sum of the words of both addresses.
    fn sum(head: &Self::Head) -> u64;
    /// The MSS to announce.
    fn mss(config: &Cookies) -> u16;
    fn reply(config: &Cookies, head: &Self::Head, segment: &Segment) -> Self::Reply;
    /// # Safety
    /// The header is whole, and `tcp` has `length` bytes.
    unsafe fn raw_cookie(head: *mut Self::Head, tcp: *mut tcphdr, length: u32) -> i64;
    /// # Safety
    /// Both headers are whole.
    unsafe fn raw_check(head: *mut Self::Head, tcp: *mut tcphdr) -> i64;
}

pub(crate) struct V4;

impl Family for V4 {
    type Head = [u32; 6];
    const EMPTY: [u32; 6] = [0; 6];
    const BYTES: u32 = 20;
    const ADDRESSES: usize = 12;
    type Reply = [u32; 15];

    #[inline(always)]
    fn set_ports([.., last]: &mut [u32; 6], ports: u32) {
        *last = ports;
    }

    #[inline(always)]
    fn sum([.., source, destination, _]: &[u32; 6]) -> u64 {
        u64::from(*source) + u64::from(*destination)
    }

    #[inline(always)]
    fn mss(config: &Cookies) -> u16 {
        config.mss4
    }

    #[inline(always)]
    #[expect(clippy::many_single_char_names, reason = "words in their order")]
    fn reply(
        config: &Cookies,
        [.., source, destination, _]: &[u32; 6],
        segment: &Segment,
    ) -> [u32; 15] {
        let [a, b, c, d, e] = cookie::ipv4(config, *destination, *source, segment.bytes());
        let [f, g, h, i, j, k, l, m, n, o] = segment.words;
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o]
    }

    #[inline(always)]
    unsafe fn raw_cookie(head: *mut [u32; 6], tcp: *mut tcphdr, length: u32) -> i64 {
        // SAFETY: by the contract of this function.
        unsafe { bpf_tcp_raw_gen_syncookie_ipv4(head.cast(), tcp, length) }
    }

    #[inline(always)]
    unsafe fn raw_check(head: *mut [u32; 6], tcp: *mut tcphdr) -> i64 {
        // SAFETY: by the contract of this function.
        unsafe { bpf_tcp_raw_check_syncookie_ipv4(head.cast(), tcp) }
    }
}

pub(crate) struct V6;

impl Family for V6 {
    type Head = [u32; 11];
    const EMPTY: [u32; 11] = [0; 11];
    const BYTES: u32 = 40;
    const ADDRESSES: usize = 8;
    type Reply = [u32; 20];

    #[inline(always)]
    fn set_ports([.., last]: &mut [u32; 11], ports: u32) {
        *last = ports;
    }

    #[inline(always)]
    #[expect(clippy::many_single_char_names, reason = "words in their order")]
    fn sum([_, _, a, b, c, d, e, f, g, h, _]: &[u32; 11]) -> u64 {
        let source = u64::from(*a) + u64::from(*b) + u64::from(*c) + u64::from(*d);
        source + u64::from(*e) + u64::from(*f) + u64::from(*g) + u64::from(*h)
    }

    #[inline(always)]
    fn mss(config: &Cookies) -> u16 {
        config.mss6
    }

    #[inline(always)]
    #[expect(clippy::many_single_char_names, reason = "words in their order")]
    fn reply(
        config: &Cookies,
        [_, _, a, b, c, d, e, f, g, h, _]: &[u32; 11],
        segment: &Segment,
    ) -> [u32; 20] {
        let (to, from) = ([*a, *b, *c, *d], [*e, *f, *g, *h]);
        let [a, b, c, d, e, f, g, h, i, j] = cookie::ipv6(config, from, to, segment.bytes());
        let [k, l, m, n, o, p, q, r, s, t] = segment.words;
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]
    }

    #[inline(always)]
    unsafe fn raw_cookie(head: *mut [u32; 11], tcp: *mut tcphdr, length: u32) -> i64 {
        // SAFETY: by the contract of this function.
        unsafe { bpf_tcp_raw_gen_syncookie_ipv6(head.cast(), tcp, length) }
    }

    #[inline(always)]
    unsafe fn raw_check(head: *mut [u32; 11], tcp: *mut tcphdr) -> i64 {
        // SAFETY: by the contract of this function.
        unsafe { bpf_tcp_raw_check_syncookie_ipv6(head.cast(), tcp) }
    }
}

/// A socket, released when dropped.
pub(crate) struct Socket(*mut bpf_sock);

impl Socket {
    /// The socket that a packet with this header and these ports would reach.
    #[inline(always)]
    pub(crate) fn of<F: Family>(ctx: &XdpContext, head: &mut F::Head) -> Option<Self> {
        let head: *mut F::Head = head;
        // SAFETY: the addresses are inside the header.
        let tuple = unsafe { head.cast::<u8>().add(F::ADDRESSES) };
        // Both addresses and the ports.
        let length = F::BYTES - F::ADDRESSES as u32 + 4;
        let context: *mut c_void = ctx.ctx.cast();
        // SAFETY: the tuple of the family, whose length says which it is.
        let socket =
            unsafe { bpf_skc_lookup_tcp(context, tuple.cast(), length, CURRENT_NAMESPACE, 0) };
        if socket.is_null() {
            None
        } else {
            Some(Self(socket))
        }
    }

    #[inline(always)]
    pub(crate) fn is_listening(&self) -> bool {
        // SAFETY: the lookup returned it, non-null.
        unsafe { (*self.0).state == LISTEN }
    }

    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0.cast()
    }
}

impl Drop for Socket {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the lookup took a reference, which is given back once.
        unsafe { bpf_sk_release(self.0.cast()) };
    }
}
