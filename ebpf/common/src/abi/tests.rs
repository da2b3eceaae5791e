//! Keys and values.

use super::*;

#[test]
fn a_prefix_has_no_host_bits() {
    assert_eq!(
        Prefix4::new([203, 0, 113, 77], 28).address,
        [203, 0, 113, 64]
    );
    assert_eq!(Prefix4::new([203, 0, 113, 77], 0).address, [0; 4]);
    assert_eq!(
        Prefix4::new([203, 0, 113, 77], 99),
        Prefix4 {
            length: 32,
            address: [203, 0, 113, 77]
        }
    );
    let all = [0xff; 16];
    assert_eq!(Prefix6::new(all, 64).address[..8], subnet(all));
    assert_eq!(Prefix6::new(all, 128), Prefix6::host(all));
    assert_eq!(
        Prefix6::new(all, 4).address,
        [0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(Prefix6::new(all, 0).address, [0; 16]);
}

#[test]
fn a_class_word_covers_a_24_or_a_32() {
    assert_eq!(class::index4([0, 0, 0, 255]), 0);
    assert_eq!(class::index4([255, 255, 255, 0]), 0x00ff_ffff);
    assert_eq!(
        class::key6([0x20, 1, 0xd, 0xb8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]),
        [0x20, 1, 0xd, 0xb8]
    );
}
