//! What goes into a block, before it is known how either wire writes it.

use openclaw_core::message::Field;

/// Appends fields by `append`. Those that speak about a connection have no place on a stream (RFC 9113 §8.2.2, RFC 9114 §4.2).
pub(in crate::serve) fn fields(
    out: &mut Vec<u8>,
    fields: &[Field<'_>],
    append: impl Fn(&mut Vec<u8>, &[u8], &[u8]),
) {
    for field in fields {
        if !field.kind.is_hop_by_hop() {
            append(out, field.name, field.value);
        }
    }
}
