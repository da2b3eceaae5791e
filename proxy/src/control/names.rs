//! Names of endpoints: asked for when a configuration is loaded, all at once. One that has no answer is no reason not to serve: it keeps
//! the addresses that it had, and is asked for again while the proxy runs.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use openclaw_core::config::EndpointAddress;
use tokio::net::lookup_host;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::state::Control;

/// A resolver that does not answer must not hold a start up for minutes.
const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
/// How long a name without an answer rests.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Host and port.
type Name = (String, u16);
type Answer = io::Result<Vec<SocketAddr>>;
/// Names without an answer, and why.
pub(super) type Failures = HashMap<Name, io::Error>;

/// Which names are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    All,
    /// Those that have no address: nobody waits for a name server because something else has changed.
    Unknown,
}

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of the configuration that serves: a refused one must not cost it its addresses.
    serving: HashMap<Name, Vec<SocketAddr>>,
    /// Of the one that was asked for last.
    latest: HashMap<Name, Vec<SocketAddr>>,
}

impl Names {
    /// Asks for the names among the addresses of endpoints; gives back those that have no answer.
    pub(super) async fn ask<'a>(
        &mut self,
        addresses: impl Iterator<Item = &'a EndpointAddress>,
        ask: Ask,
    ) -> Failures {
        let names: BTreeSet<Name> = addresses
            .filter_map(|address| match address {
                EndpointAddress::Name { host, port } => Some((host.clone(), *port)),
                EndpointAddress::Ip(_) | EndpointAddress::Demo => None,
            })
            .collect();
        let (known, names): (Vec<Name>, Vec<Name>) = names
            .into_iter()
            .partition(|name| ask == Ask::Unknown && self.serving.contains_key(name));
        let mut asked = JoinSet::new();
        for name in names {
            asked.spawn(async move {
                let answer = resolve(&name.0, name.1).await;
                (name, answer)
            });
        }
        let failures = self.learn(asked.join_all().await);
        for name in known {
            if let Some(addresses) = self.serving.get(&name) {
                self.latest.insert(name, addresses.clone());
            }
        }
        failures
    }

    /// Takes what came of names that are wanted; gives back the failures.
    fn learn(&mut self, answers: Vec<(Name, Answer)>) -> Failures {
        self.latest.clear();
        let mut failures = HashMap::new();
        for (name, answer) in answers {
            match answer {
                Ok(addresses) => {
                    self.latest.insert(name, addresses);
                }
                Err(error) => {
                    if let Some(addresses) = self.serving.get(&name) {
                        self.latest.insert(name.clone(), addresses.clone());
                    }
                    failures.insert(name, error);
                }
            }
        }
        failures
    }

    /// The addresses of the last answer.
    pub(super) fn addresses(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        let answer = self.latest.get(&(host.to_owned(), port));
        answer.cloned().unwrap_or_default()
    }

    /// What was asked for last serves from now.
    pub(super) fn take(&mut self) {
        self.serving = std::mem::take(&mut self.latest);
    }
}

async fn resolve(host: &str, port: u16) -> Answer {
    let found = timeout(RESOLVE_WITHIN, lookup_host((host, port))).await??;
    // Resolvers name an address once per socket type.
    let addresses: BTreeSet<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(addresses.into_iter().collect())
}

/// Asks again for names that had no answer, for as long as the proxy runs.
pub(super) fn attend(control: &Rc<Control>) {
    let control = Rc::clone(control);
    spawn_local(async move {
        loop {
            sleep(ASK_AGAIN).await;
            if control.unresolved.get() {
                control.resolve_again().await;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn name(host: &str) -> Name {
        (host.to_owned(), 80)
    }

    fn unknown() -> Answer {
        Err(io::ErrorKind::NotFound.into())
    }

    const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 80);

    #[test]
    fn a_name_without_an_answer_keeps_its_addresses_and_one_that_is_not_wanted_is_forgotten() {
        let mut names = Names::default();
        let failures = names.learn(vec![
            (name("a"), Ok(vec![ADDRESS])),
            (name("b"), Ok(vec![ADDRESS])),
            (name("c"), unknown()),
        ]);
        assert_eq!(failures.into_keys().collect::<Vec<_>>(), [name("c")]);
        names.take();
        let failures = names.learn(vec![(name("a"), unknown()), (name("c"), unknown())]);
        assert_eq!(failures.len(), 2);
        assert_eq!(names.addresses("a", 80), [ADDRESS]);
        assert_eq!(names.addresses("b", 80), []);
        assert_eq!(names.addresses("c", 80), []);
        names.take();
        assert!(names.learn(vec![(name("c"), Ok(vec![ADDRESS]))]).is_empty());
        assert_eq!(names.addresses("c", 80), [ADDRESS]);
        names.take();
        names.learn(vec![(name("a"), unknown())]);
        assert_eq!(names.addresses("a", 80), []);
    }

    #[test]
    fn a_configuration_that_is_refused_takes_no_addresses_from_the_one_that_serves() {
        let mut names = Names::default();
        names.learn(vec![(name("a"), Ok(vec![ADDRESS]))]);
        names.take();
        names.learn(vec![(name("b"), Ok(vec![ADDRESS]))]);
        names.learn(vec![(name("a"), unknown())]);
        assert_eq!(names.addresses("a", 80), [ADDRESS]);
    }
}
