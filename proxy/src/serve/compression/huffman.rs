//! The Huffman code of HPACK and QPACK (RFC 7541 §5.2, appendix B).
//!
//! The code is canonical, so the lengths alone define it; the compiler makes of them an automaton that eats four bits
//! a step. The shortest code has five bits, so a step yields one symbol at most.

/// Length of the code of each octet in bits, then of EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const EOS: u16 = 256;
/// A tree with 257 leaves has 256 inner nodes; the automaton's state is the inner node it stands on.
const NODES: usize = 256;

/// One step of the automaton.
#[derive(Clone, Copy)]
struct Step {
    next: u8,
    symbol: u8,
    emits: bool,
    fails: bool,
}

/// Codes in the order of [`LENGTHS`], right-aligned.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const CODES: [u32; 257] = {
    let mut codes = [0; 257];
    let (mut code, mut length) = (0u32, 5u8);
    while length <= 30 {
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] == length {
                codes[symbol] = code;
                code += 1;
            }
            symbol += 1;
        }
        code <<= 1;
        length += 1;
    }
    codes
};

/// The children of each inner node: below [`NODES`] another node, from there on a leaf.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const TREE: [[u16; 2]; NODES] = {
    let mut tree = [[0u16; 2]; NODES];
    let (mut symbol, mut used) = (0, 1);
    while symbol < 257 {
        let (mut node, mut bit) = (0usize, LENGTHS[symbol]);
        while bit > 1 {
            bit -= 1;
            let side = (CODES[symbol] >> bit & 1) as usize;
            if tree[node][side] == 0 {
                tree[node][side] = used;
                used += 1;
            }
            node = tree[node][side] as usize;
        }
        tree[node][(CODES[symbol] & 1) as usize] = NODES as u16 + symbol as u16;
        symbol += 1;
    }
    tree
};

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static STEPS: [[Step; 16]; NODES] = {
    let mut steps = [[Step {
        next: 0,
        symbol: 0,
        emits: false,
        fails: false,
    }; 16]; NODES];
    let mut state = 0;
    while state < NODES {
        let mut nibble = 0;
        while nibble < 16 {
            let step = &mut steps[state][nibble];
            let (mut node, mut bit) = (state as u16, 4);
            while bit > 0 {
                bit -= 1;
                node = TREE[node as usize][nibble >> bit & 1];
                if node == NODES as u16 + EOS {
                    step.fails = true;
                    node = 0;
                } else if node >= NODES as u16 {
                    step.emits = true;
                    step.symbol = (node - NODES as u16) as u8;
                    node = 0;
                }
            }
            step.next = node as u8;
            nibble += 1;
        }
        state += 1;
    }
    steps
};

/// Where a string may end: up to seven one bits after the last symbol.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static ENDS: [bool; NODES] = {
    let mut ends = [false; NODES];
    let (mut node, mut depth) = (0, 0);
    while depth <= 7 {
        ends[node as usize] = true;
        node = TREE[node as usize][1];
        depth += 1;
    }
    ends
};

/// Appends the decoded octets to `out`. False: EOS inside the string, or padding that is too long or not all ones.
#[must_use]
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(input.len() * 8 / 5);
    let mut state = 0u8;
    for byte in input {
        for nibble in [byte >> 4, byte & 15] {
            let Some(step) = STEPS
                .get(usize::from(state))
                .and_then(|row| row.get(usize::from(nibble)))
            else {
                return false;
            };
            if step.fails {
                return false;
            }
            if step.emits {
                out.push(step.symbol);
            }
            state = step.next;
        }
    }
    ENDS.get(usize::from(state)).copied().unwrap_or(false)
}

#[cfg(test)]
pub(in crate::serve) mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests may panic")]

    use proptest::prelude::*;

    use super::{CODES, LENGTHS, decode};

    /// The inverse, for tests: responses are sent uncompressed.
    pub(in crate::serve) fn encode(text: &[u8]) -> Vec<u8> {
        let (mut out, mut bits, mut held) = (Vec::new(), 0u64, 0);
        for byte in text {
            let symbol = usize::from(*byte);
            bits = bits << LENGTHS[symbol] | u64::from(CODES[symbol]);
            held += LENGTHS[symbol];
            while held >= 8 {
                held -= 8;
                out.push((bits >> held) as u8);
            }
        }
        if held > 0 {
            out.push((bits << (8 - held)) as u8 | (0xff >> held));
        }
        out
    }

    fn decoded(input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(input, &mut out).then_some(out)
    }

    #[test]
    fn strings_of_the_rfc_decode() {
        let host = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decoded(&host).as_deref(), Some(&b"www.example.com"[..]));
        assert_eq!(
            decoded(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).as_deref(),
            Some(&b"no-cache"[..])
        );
        assert_eq!(decoded(&[]).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn codes_at_the_edges_of_the_table_are_those_of_the_rfc() {
        for (symbol, code, length) in [
            (0, 0x1ff8, 13),
            (48, 0, 5),
            (122, 0x7b, 7),
            (92, 0x7fff0, 19),
            (249, 0x0fff_fffe, 28),
            (256, 0x3fff_ffff, 30),
        ] {
            assert_eq!((CODES[symbol], LENGTHS[symbol]), (code, length), "{symbol}");
        }
    }

    #[test]
    fn wrong_endings_are_refused() {
        // `0` is 00000: padding of zeros, a whole octet of padding, EOS.
        for bad in [
            &[0x00][..],
            &[0x07, 0xff],
            &[0xff],
            &[0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xfc],
        ] {
            assert_eq!(decoded(bad), None, "{bad:x?}");
        }
        assert_eq!(decoded(&[0x07]).as_deref(), Some(&b"0"[..]));
    }

    proptest! {
        #[test]
        fn every_string_survives_the_way_there_and_back(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decoded(&encode(&text)), Some(text));
        }

        #[test]
        fn any_input_ends(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(out) = decoded(&input) {
                prop_assert!(out.len() <= input.len() * 8 / 5);
            }
        }
    }
}
