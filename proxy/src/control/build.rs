//! From a valid configuration to a snapshot: names resolved, certificates loaded, routes compiled. What is wrong is
//! collected, so that an operator repairs it in one go.

use std::collections::HashMap;
use std::hash::RandomState;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use openclaw_core::config::{self, Config, Places, Severity};
use openclaw_core::limit::Table;
use openclaw_core::route::Router;

use super::demo;
use super::discover::{Ask, Discovery};
use super::endpoints::{Beside, Standings};
use super::error::Trouble;
use super::pages;
use super::secured::{Certificates, Shown};
use super::sticky::Stickies;
use crate::cache::{self, Disk, Store};
use crate::listener::quic;
use crate::snapshot::{
    ClientTls, LimitSetup, ListenerSetup, Pages, Permits, Queue, Sessions, UpstreamSetup,
};
use crate::tls::{ClientKeeper, Keeper, Validity};

/// What builds need again and again.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) keeper: Keeper,
    pub(super) clients: ClientKeeper,
    pub(super) quic: quic::Settings,
    demo: Option<SocketAddr>,
    /// By listener: connections that go on under a new snapshot keep their places.
    permits: HashMap<Arc<str>, Arc<Permits>>,
    /// By listener, too: forwarded connections of QUIC keep their endpoints.
    sessions: HashMap<Arc<str>, Arc<Sessions>>,
    /// By what routes last under.
    limits: Lasting<HashMap<Arc<str>, LimitSetup>>,
    store: Option<Arc<Store>>,
    /// What the store is to have; nothing where no route has a cache.
    cache: Lasting<Option<config::Cache>>,
    pub(super) discovery: Discovery,
    pub(super) stickies: Stickies,
    pub(super) standings: Lasting<Standings>,
    /// By upstream.
    pub(super) queues: Lasting<HashMap<Arc<str>, Arc<Queue>>>,
}

/// What goes on from snapshot to snapshot: that of the one that serves, and that of the one that was built last, which may never
/// serve.
#[derive(Debug, Default)]
pub(super) struct Lasting<T> {
    pub(super) serving: T,
    pub(super) built: Option<T>,
}

impl<T> Lasting<T> {
    fn take(&mut self) {
        if let Some(built) = self.built.take() {
            self.serving = built;
        }
    }

    fn forget(&mut self) {
        self.built = None;
    }
}

/// All of a snapshot that does not depend on the sockets.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) router: Router,
    pub(super) listeners: Vec<ListenerSetup>,
    pub(super) upstreams: Vec<UpstreamSetup>,
    pub(super) secured: Vec<Option<ClientTls>>,
    pub(super) pages: Vec<Pages>,
    pub(super) limits: Vec<Option<LimitSetup>>,
    pub(super) cache: Option<Arc<Store>>,
    pub(super) certificates: Certificates,
    /// Names that have no address now.
    pub(super) unresolved: Vec<Trouble>,
}

impl Built {
    /// What works and is probably not meant: certificates that clients will not accept, names without an address.
    pub(super) fn warnings(&self, places: &Places) -> Vec<String> {
        let now = SystemTime::now();
        let certificates = self.certificates.iter();
        let dates = certificates.filter_map(|(listener, facts)| {
            let what = match facts.validity(now) {
                Validity::Valid => return None,
                Validity::NotYet => "is not valid yet",
                Validity::Expired => "has expired",
            };
            let label = &facts.label;
            Some(format!(
                "listener {listener}: the certificate in {label} {what}"
            ))
        });
        let names = self.unresolved.iter();
        let names = names.map(|trouble| trouble.told(Severity::Warning, places));
        dates.chain(names).collect()
    }
}

impl Builder {
    pub(super) async fn build(
        &mut self,
        config: &Config,
        beside: &Beside,
    ) -> Result<Built, Vec<Trouble>> {
        let mut troubles = Vec::new();
        let (shown, certificates) = self.shown(&config.listeners, &mut troubles);
        let listeners = config.listeners.iter().zip(shown).map(|(listener, shown)| {
            let Shown { tls, quic } = shown;
            ListenerSetup {
                tls,
                quic,
                permits: self.permits(&listener.name),
                sessions: self.sessions(&listener.name),
                pages: Arc::new(pages::of_listener(listener, &mut troubles)),
            }
        });
        let listeners = listeners.collect();
        let pages = pages::of_routes(&config.routes, &mut troubles);
        self.stickies
            .prepare(&config.upstreams, &config.server.state_dir);
        let resolved = self.upstreams(&config.upstreams, beside, Ask::All).await;
        troubles.extend(resolved.troubles);
        let secured = self.secured(&config.upstreams, &mut troubles);
        if let Some(disk) = &config.cache.disk
            && let Err(source) = cache::examine(&disk.path)
        {
            troubles.push(Trouble::CacheDisk { source });
        }
        if !troubles.is_empty() {
            return Err(troubles);
        }
        Ok(Built {
            router: Router::new(&config.routes),
            listeners,
            limits: self.limits(config),
            cache: self.cache(config),
            upstreams: resolved.upstreams,
            secured,
            pages,
            certificates,
            unresolved: resolved.unresolved,
        })
    }

    /// What was built last serves from now, with these upstreams, so the next one that fails goes back to it.
    pub(super) fn taken(&mut self, upstreams: &[UpstreamSetup]) {
        self.discovery.take();
        self.stickies.keep();
        self.standings.take();
        self.queues.take();
        self.limits.take();
        self.cache.take();
        let now = Instant::now();
        for endpoint in upstreams.iter().flat_map(|upstream| &upstream.endpoints) {
            endpoint.standing.set_draining(endpoint.is_draining, now);
        }
        self.open_store();
    }

    /// What was built last will never serve: the next that serves, a mere change of endpoints too, takes nothing of it.
    pub(super) fn refused(&mut self) {
        self.discovery.forget();
        self.standings.forget();
        self.queues.forget();
        self.limits.forget();
        self.cache.forget();
    }

    fn sessions(&mut self, listener: &Arc<str>) -> Arc<Sessions> {
        let known = self.sessions.entry(Arc::clone(listener));
        Arc::clone(known.or_default())
    }

    fn permits(&mut self, listener: &Arc<str>) -> Arc<Permits> {
        Arc::clone(self.permits.entry(Arc::clone(listener)).or_default())
    }

    /// The store is made for the first route that has a cache, and kept for good.
    fn cache(&mut self, config: &Config) -> Option<Arc<Store>> {
        let is_wanted = config.routes.iter().any(|route| route.cache.is_some());
        let wanted = is_wanted.then(|| config.cache.clone());
        let store = wanted.as_ref().map(|cache| {
            let store = &mut self.store;
            Arc::clone(store.get_or_insert_with(|| Arc::new(Store::new(cache.memory))))
        });
        self.cache.built = Some(wanted);
        store
    }

    /// As large as what serves now wants it, and with its disk. What lies there is found in the background.
    fn open_store(&mut self) {
        let Some(store) = &self.store else { return };
        let cache = self.cache.serving.as_ref();
        if let Some(cache) = cache {
            store.resize(cache.memory);
        }
        let disk = cache.and_then(|cache| cache.disk.as_ref());
        let disk = disk.and_then(|config| {
            if let Some(disk) = store.disk().filter(|disk| disk.is_at(&config.path)) {
                disk.resize(config);
                return Some(disk);
            }
            Disk::start(config)
                .inspect_err(|error| {
                    let path = config.path.display();
                    tracing::warn!(%path, %error, "no threads for the disk of the cache: it is not used");
                })
                .ok()
        });
        store.set_disk(disk);
    }

    /// The table is made for the first limit, and kept as long as there is one.
    fn limits(&mut self, config: &Config) -> Vec<Option<LimitSetup>> {
        let before = &self.limits.serving;
        let mut shared = before.values().next().cloned();
        let mut built = HashMap::new();
        let mut setups = Vec::with_capacity(config.routes.len());
        for route in &config.routes {
            setups.push(route.limit.as_ref().map(|_| {
                let first = shared.get_or_insert_with(|| LimitSetup {
                    table: Arc::new(Table::new(config.server.limit_keys, RandomState::new())),
                    began: Instant::now(),
                    salt: Arc::default(),
                });
                let known = before.get(&route.lasting).cloned();
                let setup = known.unwrap_or_else(|| LimitSetup {
                    salt: Arc::new(fastrand::u64(..).into()),
                    ..first.clone()
                });
                built.insert(Arc::clone(&route.lasting), setup.clone());
                setup
            }));
        }
        self.limits.built = Some(built);
        setups
    }

    /// Started when the first configuration wants it, and kept.
    pub(super) fn demo(&mut self) -> io::Result<SocketAddr> {
        if let Some(address) = self.demo {
            return Ok(address);
        }
        let address = demo::start()?;
        self.demo = Some(address);
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use openclaw_core::config::{NoFiles, Source, load};
    use openclaw_core::overlay::EndpointChange;

    use super::*;

    fn config(upstream: &str, route: &str) -> Config {
        let text = format!(
            "[listener.web]\nbind = \"127.0.0.1:0\"\n[upstream.{upstream}]\nendpoints = \"127.0.0.1:1\"\n\
             [[route]]\nname = \"{route}\"\nlimit = {{ rate = \"1/s\" }}\nto = \"{upstream}\"\n"
        );
        loaded(&text)
    }

    fn loaded(text: &str) -> Config {
        let source = Source {
            name: "test.toml",
            text,
            files: &NoFiles,
            variable: &|_| None,
        };
        load(&source).unwrap().config
    }

    #[test]
    fn what_was_built_and_never_served_costs_nobody_what_is_known() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let mut builder = Builder::default();
            let nothing = Beside::default();
            let serving = config("app", "all");
            let first = builder.build(&serving, &nothing).await.unwrap();
            builder.taken(&first.upstreams);
            let refused = config("other", "others");
            builder.build(&refused, &nothing).await.unwrap();
            builder.refused();
            // A name server has news.
            let upstreams = &serving.upstreams;
            let changed = builder.upstreams(upstreams, &nothing, Ask::Unknown).await;
            builder.taken(&changed.upstreams);
            let again = builder.build(&serving, &nothing).await.unwrap();
            assert!(first.upstreams == again.upstreams, "standings");
            let queues = [&first, &again].map(|built| &built.upstreams[0].queue);
            assert!(Arc::ptr_eq(queues[0], queues[1]));
            let salts = [&first, &again].map(|built| &built.limits[0].as_ref().unwrap().salt);
            assert!(Arc::ptr_eq(salts[0], salts[1]));
        });
    }

    #[test]
    fn a_route_without_a_name_keeps_its_counts_wherever_it_stands() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let limited = |path: &str| {
                format!(
                    "[[route]]\nmatch = {{ path = \"{path}\" }}\nlimit = {{ rate = \"1/s\" }}\nrespond = {{ body = \"\" }}\n"
                )
            };
            let listener = "[listener.web]\nbind = \"127.0.0.1:0\"\n";
            let mut builder = Builder::default();
            let nothing = Beside::default();
            let mut salts = Vec::new();
            for routes in [limited("/a"), limited("/b") + &limited("/a")] {
                let config = loaded(&format!("{listener}{routes}"));
                let built = builder.build(&config, &nothing).await.unwrap();
                builder.taken(&built.upstreams);
                let limits = built.limits.into_iter().flatten();
                salts.push(limits.map(|limit| limit.salt).collect::<Vec<_>>());
            }
            assert!(Arc::ptr_eq(&salts[0][0], &salts[1][1]), "its own");
            assert!(!Arc::ptr_eq(&salts[0][0], &salts[1][0]), "its neighbour's");
        });
    }

    #[test]
    fn what_was_built_and_never_served_ends_no_drain() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let mut builder = Builder::default();
            let config = config("app", "all");
            let draining = EndpointChange {
                draining: Some(true),
                ..EndpointChange::default()
            };
            let mut beside = Beside::default();
            let passing = &mut beside.overlay.passing.endpoints;
            let endpoint = ("127.0.0.1:1".to_owned(), draining);
            passing.insert("app".to_owned(), [endpoint].into());
            let serving = builder.build(&config, &beside).await.unwrap();
            builder.taken(&serving.upstreams);
            let standing = &serving.upstreams[0].endpoints[0].standing;
            standing.set_cut(true);
            // As a reload has it, which clears what is passing.
            let built = builder.build(&config, &Beside::default()).await.unwrap();
            assert!(standing.is_cut(), "nothing has changed before it serves");
            builder.taken(&built.upstreams);
            assert!(!standing.is_cut());
        });
    }
}
