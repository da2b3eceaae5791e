//! Via: whom a message has been through (RFC 9110 §7.6.3).

use super::field::members;
use super::{Field, Kind, Version};

/// This hop's own entry in Via: the version that was received, and a name that says nothing of the inside (RFC 9110 §7.6.3).
pub const fn entry(version: Version) -> &'static [u8] {
    match version {
        Version::H10 => b"1.0 openclaw",
        Version::H11 => b"1.1 openclaw",
        Version::H2 => b"2.0 openclaw",
        Version::H3 => b"3.0 openclaw",
    }
}

/// How often a message has been through a proxy of this kind, as Via has it: one that goes round in circles passes us again and
/// again (RFC 9110 §7.6).
pub fn passes(fields: &[Field<'_>]) -> usize {
    fields
        .iter()
        .filter(|field| field.kind == Kind::Via)
        .flat_map(|field| members(field.value))
        .filter(|member| {
            let mut words = member.split(|byte| matches!(byte, b' ' | b'\t'));
            words.nth(1) == Some(b"openclaw")
        })
        .count()
}
