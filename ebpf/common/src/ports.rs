//! Sets of ports as the maps hold them: one bit a port, 64 to a word.

use crate::maps::PORTS_ENTRIES;

/// A set in the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Set {
    /// Protected TCP ports: `PORTS`.
    Tcp,
    /// Protected UDP ports: the first half of `PORTS_UDP`.
    Udp,
    /// Those of them that speak QUIC: the second half of `PORTS_UDP`.
    Quic,
}

/// Number of the word of a port.
#[inline(always)]
pub const fn word(port: u16) -> u32 {
    (port >> 6) as u32
}

/// The bit of a port in its word.
#[inline(always)]
pub const fn bit(port: u16) -> u64 {
    1 << (port & 63)
}

/// All words of a set.
pub fn words(ports: impl IntoIterator<Item = u16>) -> [u64; PORTS_ENTRIES as usize] {
    let mut words = [0; PORTS_ENTRIES as usize];
    for port in ports {
        if let Some(word) = words.get_mut(word(port) as usize) {
            *word |= bit(port);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_one_bit_of_its_own() {
        for port in 0..=u16::MAX {
            let words = words([port]);
            let ones: u32 = words.iter().map(|word| word.count_ones()).sum();
            assert_eq!(ones, 1);
            assert_eq!(words.get(word(port) as usize), Some(&bit(port)));
        }
    }
}
