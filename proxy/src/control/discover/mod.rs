//! Finds endpoints that are not written down, on the control plane: one task a source, whose last good answer is what serves. Names of
//! endpoints that are written down are followed the same way.
//!
//! A source that fails costs nothing but news: what it said last is kept, over reloads and, in the state directory, over restarts.

mod consul;
mod dns;
mod error;
mod eureka;
mod failure;
mod file;
mod follower;
mod http;
mod kept;
mod kubernetes;
mod source;
mod status;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use openclaw_core::config::{self, Discover, EndpointAddress, Registry, Upstream};
use openclaw_core::discovery::{Endpoint, MAX_ENDPOINTS, Target, in_use};
use openclaw_core::overlay::Discovered;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use self::dns::Resolvers;
pub(super) use self::failure::Failure;
use self::follower::{Followed, Follower, Last};
use self::kept::Kept;
pub(super) use self::source::named;
use self::source::{kind_of, name_within};
use super::state::Control;

/// A start waits so long for its sources.
const WITHIN: Duration = Duration::from_secs(12);
/// A reload and a change wait so long for sources that are new in them: others serve meanwhile.
const SOON: Duration = Duration::from_secs(2);
/// So long it is waited for what a source says now, where it is known what it said last, be it to the process before this one.
const GLANCE: Duration = Duration::from_millis(500);
/// Changes that come closer together are served as one.
const GATHER: Duration = Duration::from_millis(200);
/// How old the times on the disk grow.
const KEEP_EVERY: Duration = Duration::from_mins(1);

/// Everything that is followed. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Discovery(Rc<Hub>);

#[derive(Debug, Default)]
struct Hub {
    followed: RefCell<HashMap<Registry, Followed>>,
    /// What the configuration that serves wants; a refused one must not cost it its endpoints.
    serving: RefCell<HashSet<Registry>>,
    /// Some configuration serves.
    has_served: Cell<bool>,
    /// What was wanted last.
    latest: RefCell<HashSet<Registry>>,
    resolvers: Rc<Resolvers>,
    changed: Rc<Notify>,
    kept: RefCell<Option<Kept>>,
}

/// How eager a load is for news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Names are looked up now, whatever is known of them, and what comes of it is told by the one who asks.
    All,
    /// Only what is not known is asked for.
    Unknown,
}

impl Discovery {
    /// One that follows, and that begins with what an earlier process learnt.
    pub(super) fn open(state_dir: &Path) -> Self {
        Self(Rc::new(Hub {
            kept: RefCell::new(Some(Kept::read(state_dir))),
            ..Hub::default()
        }))
    }

    /// Whether sources are followed; else names are looked up once, and nobody else is asked.
    fn follows(&self) -> bool {
        self.0.kept.borrow().is_some()
    }

    /// Follows these, and waits for what is not known yet. Beside each stands whether the last endpoints serve on when a name server
    /// denies it.
    pub(super) async fn follow(&self, wanted: HashMap<Registry, bool>, ask: Ask) {
        let written: HashSet<Registry> = wanted.keys().cloned().collect();
        if !self.follows() {
            return self.look_up_once(written).await;
        }
        for (source, keeps) in wanted {
            self.follower(&source, ask).set_keeps(keeps);
        }
        let within = match ask {
            Ask::All if !self.0.has_served.get() => WITHIN,
            Ask::All | Ask::Unknown => SOON,
        };
        let each = written.iter().map(|source| async move {
            self.start(source, ask).await;
            let names = self.names_within([source]);
            let each = names.iter().map(|name| async move {
                let follower = self.follower(name, ask);
                if follower.round() == 0 {
                    // Who loads a configuration tells of what stands there.
                    follower.tell();
                }
                self.start(name, ask).await;
            });
            join_all(each).await;
        });
        // What does not answer in time goes on being asked, and changes are served when it does.
        let _ = timeout(within, join_all(each)).await;
        for source in &written {
            let follower = self.follower(source, ask);
            if follower.round() == 0 {
                follower.tell();
            }
        }
        let mut latest = self.names_within(&written);
        latest.extend(written);
        *self.0.latest.borrow_mut() = latest;
    }

    /// Waits for what the source says, where that is wanted anew or not known yet.
    async fn start(&self, source: &Registry, ask: Ask) {
        let follower = self.follower(source, ask);
        let round = follower.round();
        let again = ask == Ask::All && matches!(source, Registry::Dns { .. });
        if again && round > 0 {
            follower.want();
        }
        if !again && round > 0 {
            return;
        }
        let answered = follower.after(round);
        if follower.last().is_some() {
            // Whether it came in time, there is something to serve from.
            let _ = timeout(GLANCE, answered).await;
        } else {
            answered.await;
        }
    }

    fn follower(&self, source: &Registry, ask: Ask) -> Rc<Follower> {
        let mut followed = self.0.followed.borrow_mut();
        let followed = followed.entry(source.clone()).or_insert_with(|| {
            let kept = self.0.kept.borrow();
            let last = kept.as_ref().and_then(|kept| kept.of(source));
            let follower = Follower::new(source.clone(), last, ask == Ask::All, &self.0.changed);
            let mut followed = Followed::new(follower);
            if self.follows() {
                self.run(&mut followed, source.clone());
            }
            followed
        });
        Rc::clone(&followed.follower)
    }

    fn run(&self, followed: &mut Followed, source: Registry) {
        let resolvers = Rc::clone(&self.0.resolvers);
        match source {
            Registry::Dns {
                host,
                port,
                resolver,
            } => followed
                .run(|follower| dns::follow_name(follower, resolvers, (host, port, resolver))),
            Registry::Srv { name, resolver } => {
                let whom = (name, resolver);
                followed.run(|follower| dns::follow_service(follower, resolvers, whom));
            }
            Registry::File { path } => followed.run(|follower| file::follow(follower, path)),
            Registry::Consul(consul) => followed.run(|follower| consul::follow(follower, consul)),
            Registry::Kubernetes(kubernetes) => {
                followed.run(|follower| kubernetes::follow(follower, kubernetes));
            }
            Registry::Eureka { url, app } => {
                followed.run(|follower| eureka::follow(follower, url, app));
            }
        }
    }

    /// Names are looked up and files are read; nobody else is asked.
    async fn look_up_once(&self, written: HashSet<Registry>) {
        let asked = written.into_iter().map(|source| async move {
            let answer = match &source {
                Registry::Dns {
                    host,
                    port,
                    resolver: None,
                } => {
                    let found = self.0.resolvers.addresses(host, *port, None, &[]).await;
                    found.map(|(answer, _)| answer)
                }
                Registry::File { path } => file::read(path).map(Into::into),
                Registry::Dns { .. }
                | Registry::Srv { .. }
                | Registry::Consul(_)
                | Registry::Kubernetes(_)
                | Registry::Eureka { .. } => return,
            };
            // There is no next time.
            let _ = self.follower(&source, Ask::All).learn(answer);
        });
        join_all(asked).await;
    }

    /// The names that the answers of sources consist of.
    fn names_within<'a>(
        &self,
        written: impl IntoIterator<Item = &'a Registry>,
    ) -> HashSet<Registry> {
        let followed = self.0.followed.borrow();
        let mut names = HashSet::new();
        for source in written {
            let last = followed.get(source).and_then(|one| one.follower.last());
            let endpoints = last.iter().flat_map(|last| match &*last.endpoints {
                [] => last.before_empty.iter(),
                some => some.iter(),
            });
            names.extend(endpoints.filter_map(|endpoint| name_within(source, &endpoint.target)));
        }
        names
    }

    /// What was asked for last serves from now: what it does not want is followed no more.
    pub(super) fn take(&self) {
        *self.0.serving.borrow_mut() = self.0.latest.take();
        self.0.has_served.set(true);
        self.forget();
    }

    /// What was asked for last does not serve.
    pub(super) fn forget(&self) {
        let serving = self.0.serving.borrow();
        self.0
            .followed
            .borrow_mut()
            .retain(|source, _| serving.contains(source));
    }

    /// What is known of a name that is written down.
    pub(super) fn name(&self, host: &str, port: u16) -> (Vec<SocketAddr>, Option<Failure>) {
        let source = Registry::Dns {
            host: host.to_owned(),
            port,
            resolver: None,
        };
        let last = self.last(&source);
        let found = last.iter().flat_map(|last| last.endpoints.iter());
        let failure = self.failure(&source, true);
        (found.filter_map(address).collect(), failure)
    }

    /// The endpoints of upstreams that are not written down.
    pub(super) fn discovered(&self, upstreams: &[Upstream]) -> Discovered {
        let mut discovered = Discovered::default();
        for upstream in upstreams {
            if let Some(source) = &upstream.discover {
                let kind = kind_of(&source.registry);
                discovered.set(&upstream.name, &kind.into(), self.found(source));
            }
        }
        discovered
    }

    /// The endpoints that a source has now, with the addresses of their names.
    fn found(&self, discover: &Discover) -> Vec<config::Endpoint> {
        let source = &discover.registry;
        if !discover.keep_on_denial && self.is_denied(source) {
            return Vec::new();
        }
        let Some(mut answer) = self.last(source) else {
            return Vec::new();
        };
        if discover.keep_on_empty && answer.endpoints.is_empty() {
            answer.endpoints = answer.before_empty;
        }
        let resolved = answer.endpoints.iter().flat_map(|endpoint| {
            let addresses = match (&endpoint.target, name_within(source, &endpoint.target)) {
                (Target::Ip(address), _) => vec![*address],
                (Target::Name { .. }, Some(name)) => {
                    let last = self.last(&name);
                    let found = last.iter().flat_map(|last| last.endpoints.iter());
                    found.filter_map(address).collect()
                }
                (Target::Name { .. }, None) => Vec::new(),
            };
            addresses.into_iter().map(|address| {
                let found = config::Endpoint {
                    address: EndpointAddress::Ip(address),
                    weight: endpoint.weight,
                    zone: endpoint.zone.as_deref().map(Into::into),
                };
                (endpoint.priority, found)
            })
        });
        let mut used = in_use(resolved);
        let excess = used.len().saturating_sub(MAX_ENDPOINTS);
        if let Some(followed) = self.0.followed.borrow().get(source) {
            followed.follower.exceed(excess);
        }
        used.truncate(MAX_ENDPOINTS);
        used
    }

    /// Writes what is known to the disk.
    fn keep(&self) {
        let followed = self.0.followed.borrow();
        if let Some(kept) = &mut *self.0.kept.borrow_mut()
            && !followed.is_empty()
        {
            kept.write(followed.values().map(|one| &*one.follower));
        }
    }

    fn last(&self, source: &Registry) -> Option<Last> {
        let followed = self.0.followed.borrow();
        followed.get(source)?.follower.last()
    }

    fn is_denied(&self, source: &Registry) -> bool {
        let followed = self.0.followed.borrow();
        let followed = followed.get(source);
        followed.is_some_and(|followed| followed.follower.is_denied())
    }
}

fn address(endpoint: &Endpoint) -> Option<SocketAddr> {
    match endpoint.target {
        Target::Ip(address) => Some(address),
        Target::Name { .. } => None,
    }
}

/// Serves what is found and keeps it on the disk, for as long as the proxy runs.
pub(super) fn attend(control: &Rc<Control>) {
    let control = Rc::clone(control);
    spawn_local(async move {
        let discovery = control.discovery.clone();
        loop {
            // A set that does not change grows older on the disk only.
            let changed = timeout(KEEP_EVERY, discovery.0.changed.notified()).await;
            if changed.is_ok() {
                control.serve_found().await;
            }
            discovery.keep();
            sleep(GATHER).await;
        }
    });
}
