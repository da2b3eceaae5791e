//! What a client says that it takes (RFC 9110 §12.5.3).

use super::{Coding, Rule};
use crate::message::field::members;
use crate::message::{Field, Fields};

const NAME: &[u8] = b"Accept-Encoding";

/// What a client gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The coding; `None`: it gets the response as it is.
    pub coding: Option<Coding>,
    /// It does not take the response as it is.
    pub refuses_plain: bool,
}

/// Weights in thousandths, of what was named.
#[derive(Default)]
struct Weights {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    /// Of everything that is not named.
    rest: Option<u16>,
}

/// Chooses what the client likes best; of equals what comes first in `offered`. A client that says nothing gets the response as it is:
/// it may take any coding, but those who cannot say so cannot read one either.
pub fn choose(request: &[Field<'_>], offered: &[Coding]) -> Choice {
    let mut lines = request.iter().filter(|field| field.is(NAME)).peekable();
    if lines.peek().is_none() {
        return Choice::default();
    }
    let mut weights = Weights::default();
    for member in lines.flat_map(|field| members(field.value)) {
        weights.take(member);
    }
    let mut best = None;
    for coding in offered {
        let weight = weights.of(*coding);
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((*coding, weight));
        }
    }
    // Only who names it likes it better.
    let plain = weights.identity.unwrap_or_default();
    Choice {
        coding: best
            .filter(|(_, weight)| *weight >= plain)
            .map(|(coding, _)| coding),
        refuses_plain: weights.identity.or(weights.rest) == Some(0),
    }
}

/// Which codings a client says that it takes, in the order of [`Coding::ALL`].
pub(super) fn taken(request: &[Field<'_>]) -> [bool; Coding::ALL.len()] {
    let mut weights = Weights::default();
    for line in request.iter().filter(|field| field.is(NAME)) {
        members(line.value).for_each(|member| weights.take(member));
    }
    Coding::ALL.map(|coding| weights.of(coding) > 0)
}

/// The fields of a request with what its client gets as the only thing that it takes: all who get the same ask for the same. Who wants
/// a part gets one of the response as it is. `None`: it stays as it was written.
pub fn settled<'a>(request: &[Field<'a>], rule: &Rule) -> Option<Fields<'a>> {
    let choice = choose(request, &rule.codings);
    let wants_part = request.iter().any(|field| field.is(b"Range"));
    let name = match choice.coding {
        _ if wants_part && !choice.refuses_plain => "identity",
        Some(coding) => coding.name(),
        None if choice.refuses_plain => return None,
        None => "identity",
    };
    let others = request.iter().filter(|field| !field.is(NAME)).copied();
    let mut fields: Fields<'a> = others.collect();
    let settled = Field::new(NAME, name.as_bytes());
    fields.try_push(settled).is_ok().then_some(fields)
}

impl Weights {
    /// A member that breaks the grammar says nothing.
    fn take(&mut self, member: &[u8]) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let Some(weight) = parts.next().map_or(Some(1000), weight) else {
            return;
        };
        if name == b"*" {
            self.rest = Some(weight);
        } else if name.eq_ignore_ascii_case(b"identity") {
            self.identity = Some(weight);
        } else if let Some(slot) =
            Coding::of(name).and_then(|coding| self.codings.get_mut(coding as usize))
        {
            *slot = Some(weight);
        }
    }

    fn of(&self, coding: Coding) -> u16 {
        let named = self.codings.get(coding as usize).copied().flatten();
        named.or(self.rest).unwrap_or_default()
    }
}

/// `q=0.5` as 500 (RFC 9110 §12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, digits) = match value.split_first()? {
        (whole, []) => (*whole, &[][..]),
        (whole, [b'.', digits @ ..]) => (*whole, digits),
        _ => return None,
    };
    if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = digits.get(place).map_or(0, |digit| digit - b'0');
        thousandths = thousandths * 10 + u16::from(digit);
    }
    match (whole, thousandths) {
        (b'0', thousandths) => Some(thousandths),
        (b'1', 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Levels;
    use super::*;

    const ALL: [Coding; 3] = [Coding::Br, Coding::Zstd, Coding::Gzip];

    #[track_caller]
    fn check(accepted: &[&str], expected: Option<Coding>, refuses_plain: bool) {
        let fields: Vec<Field<'_>> = accepted
            .iter()
            .map(|value| Field::new(b"accept-encoding", value.as_bytes()))
            .collect();
        let expected = Choice {
            coding: expected,
            refuses_plain,
        };
        assert_eq!(choose(&fields, &ALL), expected, "{accepted:?}");
    }

    #[test]
    fn a_client_gets_what_it_likes_best_and_the_route_decides_among_equals() {
        use Coding::{Br, Gzip, Zstd};
        check(&["gzip, deflate, br, zstd"], Some(Br), false);
        check(&["gzip, deflate"], Some(Gzip), false);
        check(&["gzip;q=1.0, br;q=0.5"], Some(Gzip), false);
        check(&["gzip;q=0.5, zstd;q=0.501, br;q=0.5"], Some(Zstd), false);
        check(&["gzip", "br"], Some(Br), false);
        check(&["GZIP"], Some(Gzip), false);
        check(&["x-gzip"], Some(Gzip), false);
        check(&["br ; q=0.8 , gzip; Q=0.9"], Some(Gzip), false);
        assert_eq!(
            choose(&[Field::new(b"Accept-Encoding", b"br, gzip")], &[Gzip, Br]).coding,
            Some(Gzip)
        );
    }

    #[test]
    fn a_star_stands_for_what_is_not_named() {
        use Coding::{Br, Gzip, Zstd};
        check(&["*"], Some(Br), false);
        check(&["*;q=0"], None, true);
        check(&["gzip, *;q=0"], Some(Gzip), true);
        check(&["br;q=0, *"], Some(Zstd), false);
        check(&["*;q=0, identity"], None, false);
        check(&["gzip;q=0.2, *;q=0.1"], Some(Gzip), false);
    }

    #[test]
    fn the_plain_response_is_taken_unless_it_is_refused() {
        use Coding::Gzip;
        check(&[], None, false);
        check(&[""], None, false);
        check(&["identity"], None, false);
        check(&["gzip;q=0"], None, false);
        check(&["gzip;q=0.000"], None, false);
        check(&["identity;q=1, gzip;q=0.5"], None, false);
        check(&["identity;q=0.5, gzip;q=0.5"], Some(Gzip), false);
        check(&["identity;q=0"], None, true);
        check(&["gzip, identity;q=0"], Some(Gzip), true);
        check(&["deflate, compress"], None, false);
    }

    #[test]
    fn all_who_get_the_same_ask_for_the_same() {
        let rule = Rule {
            codings: ALL.to_vec(),
            types: Vec::new(),
            min_size: 0,
            levels: Levels {
                br: 1,
                zstd: 1,
                gzip: 1,
            },
            max_at_once: 1,
        };
        let check = |lines: &[(&str, &str)], expected: Option<&str>| {
            let lines = lines.iter();
            let fields: Vec<Field<'_>> = lines
                .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
                .collect();
            let settled = settled(&fields, &rule);
            let said = settled.as_ref().map(|fields| {
                let mut said = fields.iter().filter(|field| field.is(NAME));
                let first = said.next().map(|field| field.value);
                assert!(said.next().is_none(), "one line");
                first.unwrap_or_default()
            });
            assert_eq!(said, expected.map(str::as_bytes), "{fields:?}");
        };
        let accept = "Accept-Encoding";
        check(&[(accept, "gzip, deflate, br")], Some("br"));
        check(
            &[(accept, "gzip"), ("accept-encoding", "zstd;q=0.1")],
            Some("gzip"),
        );
        check(&[(accept, "deflate")], Some("identity"));
        check(&[("A", "b")], Some("identity"));
        check(&[(accept, "br"), ("Range", "bytes=0-1")], Some("identity"));
        check(
            &[(accept, "br, identity;q=0"), ("Range", "bytes=0-1")],
            Some("br"),
        );
        check(&[(accept, "deflate, identity;q=0")], None);
    }

    #[test]
    fn what_breaks_the_grammar_says_nothing() {
        for bad in [
            "gzip;q=2",
            "gzip;q=1.001",
            "gzip;q=0.1234",
            "gzip;q=",
            "gzip;q=.5",
            "gzip;q=-1",
            "gzip;x=1",
            "gzip;q",
            "gzip;q=0,5x",
            "gz ip",
            ";q=1",
            ";",
            "gzip;q=0.x",
        ] {
            check(&[bad], None, false);
        }
        check(&["gzip;q=abc, br;q=0.1"], Some(Coding::Br), false);
    }
}
