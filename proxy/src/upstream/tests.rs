//! Idle connections over reloads, and who is chosen.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use openclaw_core::balance::Key;

use super::*;

fn config(keys: &str) -> config::Upstream {
    let text = format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\n{keys}\n[[route]]\nto = \"app\"\n"
    );
    let source = config::Source {
        name: "test.toml",
        text: &text,
        variable: &|_| None,
        files: &config::NoFiles,
    };
    let mut config = config::load(&source).unwrap().config;
    config.upstreams.remove(0)
}

fn upstream(keepalive: usize, addresses: &[SocketAddr], former: Option<&Upstream>) -> Rc<Upstream> {
    upstream_with(&format!("keepalive = {keepalive}"), addresses, former)
}

fn upstream_with(keys: &str, addresses: &[SocketAddr], former: Option<&Upstream>) -> Rc<Upstream> {
    let known = |address: &SocketAddr| {
        let mut known = former?.endpoints.iter();
        let known = known.find(|known| known.address == *address)?;
        Some(Arc::clone(&known.standing))
    };
    let standings = addresses
        .iter()
        .map(|address| known(address).unwrap_or_default());
    upstream_of(keys, addresses.iter().copied().zip(standings), former)
}

fn upstream_of(
    keys: &str,
    endpoints: impl Iterator<Item = (SocketAddr, Arc<Standing>)>,
    former: Option<&Upstream>,
) -> Rc<Upstream> {
    let endpoints = endpoints.map(|(address, standing)| ResolvedEndpoint {
        address,
        weight: 1,
        zone: None,
        label: address.to_string().into(),
        origin: openclaw_core::overlay::Origin::File(0),
        is_draining: false,
        standing,
    });
    let setup = UpstreamSetup {
        endpoints: endpoints.collect(),
        ..UpstreamSetup::default()
    };
    Upstream::new(&config(keys), (&setup, None), 0, &[], former, (0, 1))
}

#[test]
fn an_endpoint_that_went_and_came_back_is_another() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let before = upstream(8, &[address], None);
    // A drain had ended what ran there.
    before.endpoints[0].standing.set_cut(true);
    before.retire();
    let again = std::iter::once((address, Arc::default()));
    let after = upstream_of("keepalive = 8", again, Some(&before));
    assert!(!after.endpoints[0].busy().is_cut());
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work);
}

async fn origin() -> (tokio::net::TcpListener, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn the_bound_holds_for_all_endpoints_together_and_places_come_back() {
    run(async {
        let ((_one, first), (_other, second)) = (origin().await, origin().await);
        let upstream = upstream(2, &[first, second], None);
        let now = Instant::now();
        let [a, b] = [&upstream.endpoints[0], &upstream.endpoints[1]];
        for endpoint in [a, b, a, b] {
            let connection = endpoint.connect(None).await.unwrap();
            upstream.keep(connection, now);
        }
        assert_eq!(upstream.kept.get(), 2);
        let taken = a.idle_connection().unwrap();
        assert_eq!(upstream.kept.get(), 1);
        assert!(a.idle_connection().is_none());
        upstream.keep(taken, now);
        upstream.sweep(now + MAX_IDLE);
        assert_eq!(upstream.kept.get(), 0);
        assert!(b.idle_connection().is_none());
    });
}

#[test]
fn what_a_reload_leaves_out_is_closed_and_kept_no_more() {
    run(async {
        let ((_one, gone), (_other, stays)) = (origin().await, origin().await);
        let before = upstream(8, &[gone, stays], None);
        let now = Instant::now();
        let under_way = before.endpoints[0].connect(None).await.unwrap();
        for endpoint in &before.endpoints {
            before.keep(endpoint.connect(None).await.unwrap(), now);
        }
        before.retire();
        let after = upstream(8, &[stays], Some(&before));
        before.close_retired();
        assert_eq!(after.kept.get(), 1);
        before.keep(under_way, now);
        assert_eq!(after.kept.get(), 1, "an old exchange leaves nothing behind");
        assert!(before.endpoints[0].idle_connection().is_none());
        let still = before.endpoints[1].connect(None).await.unwrap();
        before.keep(still, now);
        assert_eq!(
            after.kept.get(),
            2,
            "what both have is kept for the new one"
        );
        assert!(after.endpoints[0].idle_connection().is_some());
    });
}

const BALANCES: [&str; 7] = [
    "round_robin",
    "least_connections",
    "least_time",
    "random",
    "ip_hash",
    "url_hash",
    "maglev",
];

/// How many of 1,100 requests, all under way at once, go to the first endpoint.
fn share(upstream: &Upstream, now: Instant) -> usize {
    let chosen: Vec<Chosen> = (0..1_100_u64)
        .map(|number| {
            let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let key = Key::of_bytes(&number.to_le_bytes());
            let choice = upstream.choose(&[], (key, random), now);
            let Choice::Endpoint(chosen) = choice else {
                unreachable!("an endpoint is well")
            };
            chosen
        })
        .collect();
    let first = upstream.endpoints[0].address;
    let at_first = chosen.iter().filter(|one| one.endpoint.address == first);
    at_first.count()
}

#[test]
fn what_comes_back_begins_with_a_tenth_and_grows_whatever_the_balance() {
    let addresses = [1, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    for balance in BALANCES {
        let keys = format!("balance = \"{balance}\"\nslow_start = \"100s\"");
        let upstream = upstream_with(&keys, &addresses, None);
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        let is = |now, expected: usize| {
            let share = share(&upstream, now);
            assert!(
                share.abs_diff(expected) <= 60,
                "{balance}: {share} of {expected}"
            );
        };
        // Both are new, so neither has more than the other.
        is(at(1), 550);
        is(at(1_000), 550);
        let standing = &upstream.endpoints[0].standing;
        standing.set_well(false, at(1_000));
        is(at(1_000), 0);
        standing.set_well(true, at(1_000));
        // The table gives what one does not take to the other; the others divide by weight.
        let [tenth, half] = match balance {
            "maglev" => [55, 302],
            _ => [100, 390],
        };
        is(at(1_000), tenth);
        is(at(1_050), half);
        is(at(1_100), 550);
        standing.set_well(true, at(1_200));
        is(at(1_200), 550);
        // The same after a drain, which takes its weight away meanwhile.
        standing.set_draining(false, at(1_200));
        is(at(1_200), 550);
        standing.set_draining(true, at(1_300));
        standing.set_draining(false, at(1_300));
        is(at(1_300), tenth);
    }
}

#[test]
fn what_runs_somewhere_goes_on_there_and_counts_even_where_there_is_no_room() {
    let address = SocketAddr::from(([192, 0, 2, 1], 1));
    let upstream = upstream_with("max_connections = 1", &[address], None);
    let choose = || upstream.choose(&[], (Key::default(), 0), Instant::now());
    let first = choose();
    assert!(matches!(first, Choice::Endpoint(_)), "{first:?}");
    let moved = upstream.known(address).unwrap();
    drop(first);
    assert!(matches!(choose(), Choice::Full), "it has taken the place");
    drop(moved);
    let first = choose();
    assert!(matches!(first, Choice::Endpoint(_)), "{first:?}");
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 2));
    assert!(upstream.known(elsewhere).is_none());
    upstream.endpoints[0].standing.set_cut(true);
    assert!(upstream.known(address).is_none(), "what runs is to end");
}

#[test]
fn who_is_left_while_the_near_ones_drain_does_not_carry_all_of_it() {
    let endpoint = |number: u16, is_draining| ResolvedEndpoint {
        address: SocketAddr::from(([192, 0, 2, 1], number)),
        weight: 1,
        zone: Some(if number <= 10 { "a" } else { "b" }.into()),
        label: number.to_string().into(),
        origin: openclaw_core::overlay::Origin::File(0),
        is_draining,
        standing: Arc::default(),
    };
    for balance in BALANCES {
        let mut config = config(&format!("balance = \"{balance}\""));
        config.zone = Some("a".into());
        let share_of_the_first = |draining: u16| {
            let endpoints = (1..=20).map(|number| {
                let drains = (2..2 + draining).contains(&number);
                endpoint(number, drains)
            });
            let setup = UpstreamSetup {
                endpoints: endpoints.collect(),
                ..UpstreamSetup::default()
            };
            let upstream = Upstream::new(&config, (&setup, None), 0, &[], None, (0, 1));
            share(&upstream, Instant::now())
        };
        assert!(share_of_the_first(0).abs_diff(110) <= 40, "{balance}");
        // One of ten is left, and seven are to be there (`spill_below`): it keeps a seventh.
        let left = share_of_the_first(9);
        assert!(left.abs_diff(157) <= 40, "{balance}: {left}");
    }
}

#[test]
fn another_one_may_be_asked_for_a_connection_within_the_bounds_and_for_nothing_where_it_is_fit() {
    let addresses = [1, 2, 3].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    let upstream = |keys: &str| upstream_with(keys, &addresses, None);
    let may = |upstream: &Upstream, tried: usize, counted| {
        let endpoint = &upstream.endpoints[tried];
        upstream.may_connect_elsewhere(&addresses[..tried], endpoint, counted)
    };
    let one = upstream("retries = 1");
    assert_eq!(may(&one, 0, 1), Some(0));
    assert_eq!(may(&one, 2, 0), Some(1), "nobody is left");
    assert_eq!(may(&one, 2, 1), None);
    one.endpoints[1].failed(Instant::now(), "it took no connection");
    one.endpoints[2].failed(Instant::now(), "it took no connection");
    assert_eq!(may(&one, 0, 0), Some(1), "those who are left are as bad");
    assert_eq!(may(&upstream("retries = 0"), 0, 0), None);
    assert_eq!(may(&upstream("retry_on = [\"reset\"]"), 0, 0), None);
    let poor = upstream("retry_budget = \"0%\"");
    let granted = (0..100).filter(|_| may(&poor, 0, 0).is_some()).count();
    // Longer than a second it has more.
    assert!((10..100).contains(&granted), "{granted}");
}

#[test]
fn when_all_are_unwell_all_are_used() {
    let addresses = [1, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    for balance in BALANCES {
        let upstream = upstream_with(&format!("balance = \"{balance}\""), &addresses, None);
        for endpoint in &upstream.endpoints {
            endpoint.standing.set_well(false, Instant::now());
        }
        let share = share(&upstream, Instant::now());
        assert!(share.abs_diff(550) <= 60, "{balance}: {share}");
    }
}
