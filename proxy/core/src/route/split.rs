//! Which of a route's upstreams takes a request. A client stays with one of them: each upstream draws a number from who it
//! is, and the highest one, by weight, has it. So the shares are right over many clients, one whose weight grows takes
//! clients from all others and moves nobody else, and routes that split among the same upstreams agree.

use std::net::IpAddr;

use crate::balance::Key;
use crate::config::{SplitBy, Target};
use crate::limit::cookie;

use super::Request;

/// The upstream of a request, as an index into `Config::upstreams`. `random` is 64 fresh bits. Whoever lacks the header or
/// cookie goes by address.
pub fn pick(targets: &[Target], by: &SplitBy, request: &impl Request, random: u64) -> usize {
    if let [only] = targets {
        return only.upstream;
    }
    let value = match by {
        SplitBy::Random => return among(targets, Key::of_bytes(&random.to_le_bytes())),
        SplitBy::ClientIp => None,
        SplitBy::Header(name) => request.header(name),
        SplitBy::Cookie(name) => request
            .cookies()
            .find_map(|text| cookie(text, name.as_bytes())),
    };
    let value = value.filter(|value| !value.is_empty());
    among(
        targets,
        value.map_or_else(|| Key::of_client(request.client()), Key::of_bytes),
    )
}

/// The same for a connection, of which nothing is known but its client.
pub fn pick_for_client(targets: &[Target], client: IpAddr) -> usize {
    match targets {
        [only] => only.upstream,
        several => among(several, Key::of_client(client)),
    }
}

fn among(targets: &[Target], key: Key) -> usize {
    let ranked = targets.iter().filter(|target| target.weight > 0);
    let ranked = ranked.map(|target| (key.rank(target.name, target.weight.into()), target));
    ranked
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map_or(0, |(_, target)| target.upstream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::Asked;

    fn client(number: u32) -> Asked {
        Asked::parse(&format!("GET / @{}", std::net::Ipv4Addr::from_bits(number)))
    }

    fn targets(weights: &[u32]) -> Vec<Target> {
        let numbered = weights.iter().enumerate();
        let target = |(upstream, weight): (usize, &u32)| Target {
            upstream,
            weight: *weight,
            name: Key::of_bytes(format!("v{upstream}").as_bytes()),
        };
        numbered.map(target).collect()
    }

    fn variants(weights: &[u32]) -> Vec<usize> {
        let targets = targets(weights);
        let clients = 0x0a00_0000..0x0a00_0000 + 20_000;
        clients
            .map(|number| pick(&targets, &SplitBy::ClientIp, &client(number), 0))
            .collect()
    }

    fn share(variants: &[usize], of: usize) -> usize {
        variants.iter().filter(|variant| **variant == of).count()
    }

    #[test]
    fn shares_are_by_weight_over_many_clients_and_a_client_stays() {
        let split = variants(&[95, 5, 0]);
        assert_eq!(split, variants(&[95, 5, 0]));
        assert!(
            share(&split, 1).abs_diff(1000) < 120,
            "{}",
            share(&split, 1)
        );
        assert_eq!(share(&split, 2), 0);
    }

    #[test]
    fn a_weight_that_grows_moves_its_share_and_nobody_else() {
        let before = variants(&[60, 30, 10]);
        let after = variants(&[60, 30, 40]);
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(one, other)| one != other);
        let moved: Vec<_> = moved.collect();
        assert!(moved.iter().all(|(_, now)| **now == 2));
        let gained = share(&after, 2) - share(&before, 2);
        assert_eq!(moved.len(), gained);
        // From a tenth to four in thirteen.
        assert!(gained.abs_diff(4154) < 300, "{gained}");
    }

    #[test]
    fn a_split_goes_by_what_it_is_told_to() {
        let targets = targets(&[1, 1]);
        let header = SplitBy::Header("x-user".to_owned());
        let cookie = SplitBy::Cookie("user".to_owned());
        let choose = |by: &SplitBy, words: &str, random| {
            let asked = Asked::parse(&format!("GET / {words}"));
            pick(&targets, by, &asked, random)
        };
        let by_value = choose(&header, "x-user:ann", 0);
        for number in 0..50 {
            let one = format!("x-user:ann cookie:a=b;+user=ann @192.0.2.{number}");
            assert_eq!(choose(&header, &one, number), by_value);
            assert_eq!(choose(&cookie, &one, number), by_value);
            let none = format!("x-user: cookie:user= @192.0.2.{number}");
            let by_address = choose(&SplitBy::ClientIp, &none, 0);
            assert_eq!(choose(&header, &none, 1), by_address);
            assert_eq!(choose(&cookie, &none, 2), by_address);
        }
        let drawn = (0..1000).map(|number| choose(&SplitBy::Random, "@192.0.2.1", number));
        let first = drawn.filter(|variant| *variant == 0).count();
        assert!(first.abs_diff(500) < 80, "{first}");
    }
}
