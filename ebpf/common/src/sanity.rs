//! Packets that no honest host sends, and fragments: decided by the headers alone.

use crate::abi::{Config, checks};
use crate::packet::{Address, Flow, Header, TCP, Transport, UDP};
use crate::verdict::Reason;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// A packet that says it comes from where it goes to. What the host says to itself is not asked; with the shield on the loopback
/// interface, user space leaves the check out.
#[inline(always)]
pub fn land(config: &Config, flow: &Flow) -> Option<Reason> {
    if config.checks & checks::LAND != 0 && is_land(flow) && !flow.source.is_loopback() {
        Some(Reason::Land)
    } else {
        None
    }
}

/// Headers that contradict themselves: TCP flags and header length (RFC 9293 §3.1), port 0.
#[inline(always)]
pub fn invalid(config: &Config, flow: &Flow) -> Option<Reason> {
    if config.checks & checks::INVALID == 0 {
        return None;
    }
    let Transport {
        header,
        source,
        destination,
        words,
        flags,
        ..
    } = flow.transport;
    if header == Header::Tcp && (words < 5 || !is_possible(flags)) {
        return Some(Reason::BadFlags);
    }
    if matches!(header, Header::Tcp | Header::Udp) && (source == 0 || destination == 0) {
        return Some(Reason::ZeroPort);
    }
    None
}

/// A fragment of a protocol that has protected ports. Later fragments have no port, so the protocol decides for all of them; the first
/// without the others would only fill the host's reassembly queue.
#[inline(always)]
pub fn fragment(config: &Config, flow: &Flow) -> Option<Reason> {
    if !flow.fragment {
        return None;
    }
    let bit = match flow.protocol {
        TCP => checks::FRAGMENTS_TCP,
        UDP => checks::FRAGMENTS_UDP,
        _ => return None,
    };
    if config.checks & bit == 0 {
        None
    } else {
        Some(Reason::Fragment)
    }
}

#[inline(always)]
fn is_possible(flags: u8) -> bool {
    // Every segment but the first and a reset acknowledges something (RFC 9293 §3.10.7.4).
    if flags & (SYN | ACK | RST) == 0 {
        return false;
    }
    flags & SYN == 0 || flags & (FIN | RST) == 0
}

#[inline(always)]
fn is_land(flow: &Flow) -> bool {
    match (flow.source, flow.destination) {
        (Address::V4(source), Address::V4(destination)) => {
            u32::from_ne_bytes(source) == u32::from_ne_bytes(destination)
        }
        (Address::V6(source), Address::V6(destination)) => {
            u128::from_ne_bytes(source) == u128::from_ne_bytes(destination)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address::V4([192, 0, 2, 1]);
    const B: Address = Address::V4([198, 51, 100, 1]);
    const A6: Address = Address::V6([0x20; 16]);

    fn flow(transport: Transport) -> Flow {
        Flow {
            source: A,
            destination: B,
            protocol: TCP,
            hop_limit: 64,
            fragment: false,
            network: 14,
            offset: 34,
            transport,
        }
    }

    fn tcp(source: u16, destination: u16, words: u8, flags: u8) -> Transport {
        Transport {
            words,
            ..Transport::tcp(source, destination, flags)
        }
    }

    fn udp(source: u16, destination: u16) -> Transport {
        Transport::udp(source, destination, 100)
    }

    const fn with(checks: u32) -> Config {
        Config {
            checks,
            ..Config::OFF
        }
    }

    #[test]
    fn headers_that_contradict_themselves_are_named() {
        let check = |flow: &Flow, expected| {
            assert_eq!(invalid(&with(checks::INVALID), flow), expected, "{flow:?}");
            assert_eq!(invalid(&Config::OFF, flow), None, "{flow:?}");
        };
        for flags in 0..=u8::MAX {
            let contradicts = flags & 0x16 == 0 || (flags & 2 != 0 && flags & 5 != 0);
            let expected = contradicts.then_some(Reason::BadFlags);
            check(&flow(tcp(4000, 443, 5, flags)), expected);
        }
        for words in 0..16 {
            let expected = (words < 5).then_some(Reason::BadFlags);
            check(&flow(tcp(4000, 443, words, SYN)), expected);
        }
        for transport in [
            tcp(0, 443, 5, SYN),
            tcp(9, 0, 5, SYN),
            udp(0, 53),
            udp(53, 0),
        ] {
            check(&flow(transport), Some(Reason::ZeroPort));
        }
        for transport in [
            udp(53, 53),
            Transport::OPAQUE,
            Transport::BROKEN,
            Transport::icmp6(128),
        ] {
            check(&flow(transport), None);
            for (address, expected) in [
                (A, Some(Reason::Land)),
                (A6, Some(Reason::Land)),
                (Address::V4([127, 0, 0, 2]), None),
            ] {
                let to_itself = Flow {
                    source: address,
                    destination: address,
                    ..flow(transport)
                };
                assert_eq!(land(&with(checks::LAND), &to_itself), expected);
                assert_eq!(land(&with(!checks::LAND), &to_itself), None);
                check(&to_itself, None);
            }
        }
        assert_eq!(land(&with(checks::LAND), &flow(udp(53, 53))), None);
    }

    #[test]
    fn fragments_are_dropped_where_their_protocol_is_protected() {
        for (protocol, bit) in [(TCP, checks::FRAGMENTS_TCP), (UDP, checks::FRAGMENTS_UDP)] {
            for (is_fragment, config, expected) in [
                (true, with(bit), Some(Reason::Fragment)),
                (false, with(bit), None),
                (true, with(!bit), None),
            ] {
                for transport in [Transport::OPAQUE, Transport::BROKEN, udp(4000, 443)] {
                    let flow = Flow {
                        protocol,
                        fragment: is_fragment,
                        ..flow(transport)
                    };
                    assert_eq!(fragment(&config, &flow), expected, "{flow:?}");
                }
            }
        }
        let gre = Flow {
            protocol: 47,
            fragment: true,
            ..flow(Transport::OPAQUE)
        };
        assert_eq!(fragment(&with(u32::MAX), &gre), None);
    }
}
