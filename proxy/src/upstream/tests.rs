//! Idle connections over reloads.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use super::*;

fn config(keepalive: usize) -> config::Upstream {
    let text = format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\nkeepalive = {keepalive}\n[[route]]\nto = \"app\"\n"
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

fn upstream(keepalive: usize, addresses: &[SocketAddr], former: Option<&Upstream>) -> Upstream {
    let endpoints = addresses.iter().map(|address| ResolvedEndpoint {
        address: *address,
        weight: 1,
        label: address.to_string().into(),
        origin: openclaw_core::overlay::Origin::File(0),
        is_draining: false,
        standing: Arc::default(),
    });
    let setup = UpstreamSetup {
        endpoints: endpoints.collect(),
        ..UpstreamSetup::default()
    };
    Upstream::new(&config(keepalive), &setup, 0, &[], former, (0, 1))
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
            let connection = endpoint.connect().await.unwrap();
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
        let under_way = before.endpoints[0].connect().await.unwrap();
        for endpoint in &before.endpoints {
            before.keep(endpoint.connect().await.unwrap(), now);
        }
        before.retire();
        let after = upstream(8, &[stays], Some(&before));
        before.close_retired();
        assert_eq!(after.kept.get(), 1);
        before.keep(under_way, now);
        assert_eq!(after.kept.get(), 1, "an old exchange leaves nothing behind");
        assert!(before.endpoints[0].idle_connection().is_none());
        let still = before.endpoints[1].connect().await.unwrap();
        before.keep(still, now);
        assert_eq!(
            after.kept.get(),
            2,
            "what both have is kept for the new one"
        );
        assert!(after.endpoints[0].idle_connection().is_some());
    });
}
