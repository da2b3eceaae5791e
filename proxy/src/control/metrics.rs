//! The metrics page, and the small HTTP server that shows it together with liveness and readiness.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use hyper::body::Incoming;
use hyper::{Method, Request};
use tokio::net::TcpListener;

use super::http::{self, Answer};
use super::slots::Slots;
use super::state::Control;
use crate::snapshot::ResolvedEndpoint;
use crate::telemetry::{MetricsText, Summary, metrics};

/// Everything that is counted, as Prometheus text.
pub(super) async fn page(control: &Control) -> String {
    let reports = control.reports().await;
    let mut text = MetricsText::new();
    let version = env!("CARGO_PKG_VERSION");
    text.sample(&metrics::BUILD_INFO, &[version], 1);
    let started = control
        .started
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    text.sample(&metrics::START_TIME, &[], started.as_secs());
    let refused = control.attempt.borrow().problems.is_some();
    text.sample(&metrics::RELOAD_SUCCESSFUL, &[], u8::from(!refused));
    let generation = control.snapshot.borrow().generation;
    text.sample(&metrics::GENERATION, &[], generation);
    for (listener, facts) in control.certificates.borrow().iter() {
        let labels = [&**listener, facts.label.as_str()];
        text.sample(&metrics::CERT_EXPIRY, &labels, facts.not_after);
    }
    let snapshot = control.snapshot();
    let mut summary = Summary::of(&reports);
    for (upstream, setup) in snapshot.config.upstreams.iter().zip(&snapshot.upstreams) {
        let is_fit = |one: &&ResolvedEndpoint| one.standing.is_well() && one.standing.is_closed();
        let fit = setup.endpoints.iter().filter(is_fit);
        let fit: HashSet<&str> = fit.map(|one| &*one.label).collect();
        for endpoint in &setup.endpoints {
            // A name does not fail with one of its addresses.
            if !fit.contains(&*endpoint.label) {
                summary.call_unfit(&upstream.name, &endpoint.label);
            }
        }
    }
    summary.render(&mut text);
    control.traces.collect(summary.spans_dropped(), &mut text);
    if let Some(cache) = &snapshot.cache {
        let full = cache.fullness();
        text.sample(&metrics::CACHE_BYTES, &[], full.bytes);
        text.sample(&metrics::CACHE_URIS, &[], full.uris);
        text.sample(&metrics::CACHE_EVICTED, &[], full.evicted);
        if let Some(disk) = cache.disk().map(|disk| disk.fullness()) {
            text.sample(&metrics::CACHE_DISK_BYTES, &[], disk.bytes);
            text.sample(&metrics::CACHE_DISK_OBJECTS, &[], disk.objects);
            text.sample(&metrics::CACHE_DISK_EVICTED, &[], disk.evicted);
            text.sample(&metrics::CACHE_DISK_FAILED, &[], disk.failed);
        }
    }
    for (upstream, setup) in snapshot.config.upstreams.iter().zip(&snapshot.upstreams) {
        if upstream.max_connections.is_some() {
            let waiting = setup.queue.waiting();
            text.sample(&metrics::UPSTREAM_WAITING, &[&upstream.name], waiting);
        }
    }
    control
        .discovery
        .collect(&snapshot.config.upstreams, &mut text);
    control.shield.collect(&mut text);
    if let Some(autoban) = &*control.autoban.borrow() {
        autoban.collect(&mut text);
    }
    text.finish()
}

/// Listens for scrapes.
///
/// # Errors
/// The address cannot be used.
pub(super) async fn open(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// The socket of the process before this one.
pub(super) fn inherited(socket: OwnedFd) -> io::Result<TcpListener> {
    let socket = std::net::TcpListener::from(socket);
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Answers scrapes for as long as they are this process's.
pub(super) async fn serve(control: Rc<Control>, listener: TcpListener) {
    let next = async || Ok(listener.accept().await?.0);
    let (who, calls) = ("the metrics address", Slots::default());
    http::accept_all(who, &control, &calls, next, |stream, slot| {
        let control = Rc::clone(&control);
        http::spawn(stream, slot, move |request, slot| {
            slot.working();
            answer(Rc::clone(&control), request)
        });
    })
    .await;
}

async fn answer(control: Rc<Control>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Answer::text(405, "only GET\n");
    }
    match request.uri().path() {
        "/metrics" => Answer::metrics(page(&control).await),
        // Balancers in front stop sending before the listeners close.
        "/readyz" if control.draining.get().is_some() => Answer::text(503, "draining\n"),
        "/healthz" | "/readyz" => Answer::text(200, "ok\n"),
        _ => Answer::text(404, "there are /metrics, /healthz and /readyz\n"),
    }
}
