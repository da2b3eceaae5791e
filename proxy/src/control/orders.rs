//! What an operator changes while the proxy runs: endpoints of upstreams and weights of routes. Each change is checked, kept if that
//! is wanted, served by every worker, and only then answered and logged with who asked for it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::{
    Config, EndpointAddress, Upstream, endpoint_address, units, zone_name,
};
use openclaw_core::overlay::{Order, Ordered, Overlay, Refused, Served, Verb, Weighed};
use serde_json::{Map, Value, json};

use super::admin::table::{Call, Route};
use super::build::Builder;
use super::discover::Ask;
use super::http::Answer;
use super::kept;
use super::state::Control;
use crate::snapshot::{ResolvedEndpoint, Snapshot};
use crate::worker::Command;

/// Calls have no body.
const NO_BODY: usize = 0;

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/upstreams/change",
        max_body: NO_BODY,
        run: |control, call| Box::pin(change(control, call)),
    },
    Route {
        method: "POST",
        path: "/routes/change",
        max_body: NO_BODY,
        run: |control, call| Box::pin(weigh(control, call)),
    },
];

/// What was asked for about an endpoint: the parameters `upstream`, `endpoint`, `verb`, and where they belong `weight`, `within`,
/// `zone`, `persist`.
struct Asked {
    upstream: String,
    endpoint: String,
    word: String,
    verb: Verb,
    /// The time to drain, if one was named.
    within: Option<Duration>,
    zone: Option<Arc<str>>,
    persist: bool,
}

impl Asked {
    fn read(call: &Call) -> Result<Self, Answer> {
        let parameter = |name: &str| call.parameter(name).unwrap_or_default();
        let weight = call.parameter("weight").map(|text| text.parse::<u16>());
        let weight = weight
            .transpose()
            .map_err(|_not_a_number| Answer::error(400, "a weight is a number from 0 to 65535"))?;
        let within = call.parameter("within").map(|text| units::duration(&text));
        let within = within
            .transpose()
            .map_err(|complaint| Answer::error(400, &complaint.to_string()))?;
        let zone = call.parameter("zone").map(|text| zone_name(&text));
        let zone = zone
            .transpose()
            .map_err(|complaint| Answer::error(400, &complaint.to_string()))?;
        let word = parameter("verb");
        let weight = weight.map(u32::from);
        let verb = match (&*word, weight) {
            ("add", weight) => Verb::Add(weight),
            ("del", _) => Verb::Delete,
            ("drain", _) => Verb::Drain,
            ("enable", _) => Verb::Enable,
            ("weight", Some(weight)) => Verb::Weigh(weight),
            _ => {
                let message = "verb is not add, del, drain, enable or weight";
                return Err(Answer::error(400, message));
            }
        };
        Ok(Self {
            upstream: parameter("upstream"),
            endpoint: parameter("endpoint"),
            word,
            verb,
            within,
            zone,
            persist: call.parameter("persist").is_some(),
        })
    }

    fn order<'a>(&'a self, config: &Config, addresses: &'a [SocketAddr]) -> Order<'a> {
        let mut upstreams = config.upstreams.iter();
        let upstream = upstreams.find(|one| *one.name == *self.upstream);
        Order {
            upstream: &self.upstream,
            endpoint: &self.endpoint,
            addresses,
            verb: self.verb,
            zone: self.zone.as_ref(),
            persist: self.persist,
            tls: upstream.is_some_and(|one| one.tls.is_some()),
        }
    }
}

async fn change(control: Rc<Control>, call: Call) -> Answer {
    let asked = match Asked::read(&call) {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let mut builder = match control.hold().await {
        Ok(builder) => builder,
        Err(gone) => return gone.answer(),
    };
    let before = control.snapshot();
    let mut overlay = control.beside.borrow().overlay.clone();
    let upstreams = before.config.upstreams.iter();
    let names: Vec<&str> = upstreams.map(|one| &*one.name).collect();
    let served = served(&control, &before, &asked.upstream);
    let addresses = match endpoint_address(&asked.endpoint) {
        Ok(EndpointAddress::Name { host, port }) => control.discovery.name(&host, port).0,
        // What is no endpoint is refused with the reason.
        Ok(EndpointAddress::Ip(_) | EndpointAddress::Demo) | Err(_) => Vec::new(),
    };
    let order = asked.order(&before.config, &addresses);
    let Ordered { label, is_last } = match overlay.order(&order, &names, served.as_deref()) {
        Ok(ordered) => ordered,
        Err(refused) => return refuse(&refused),
    };
    let set_aside = match control.take(&mut builder, overlay, asked.persist).await {
        Ok(set_aside) => set_aside,
        Err(answer) => return answer,
    };
    let changed = endpoints(&control.snapshot(), &asked.upstream, &label);
    let addresses: Vec<Value> = changed.iter().map(|one| json!(one.address)).collect();
    let mut reply = json!({
        "upstream": asked.upstream,
        "endpoint": label,
        "verb": asked.word,
        "persisted": asked.persist,
        "addresses": addresses,
        "weight": changed.first().map(|first| first.weight),
        "set_aside": set_aside,
    });
    let more = follow(&control, &asked, &changed).await;
    if let Value::Object(reply) = &mut reply {
        reply.extend(more);
        let warning = is_last.then(|| nobody_left(&asked.upstream));
        reply.extend(warning.map(|warning| ("warning".to_owned(), warning.into())));
    }
    Answer::json(200, &reply)
}

fn nobody_left(upstream: &str) -> String {
    format!(
        "no endpoint is left that serves upstream {upstream}: requests for it get 503 until one is added or enabled"
    )
}

/// What a verb does beyond the snapshot, and what is told of that.
async fn follow(
    control: &Rc<Control>,
    asked: &Asked,
    changed: &[ResolvedEndpoint],
) -> Map<String, Value> {
    let upstream: Arc<str> = asked.upstream.as_str().into();
    let mut told = Map::new();
    match asked.verb {
        Verb::Drain => {
            let grace = control.snapshot().config.server.shutdown_grace;
            let within = asked.within.unwrap_or(grace);
            for endpoint in changed {
                control.end_within(&upstream, endpoint.clone(), within);
            }
            let figures = control.ask_workers(Command::Endpoints).await;
            let of = figures.iter().flatten().filter(|one| {
                let mut changed = changed.iter();
                one.upstream == upstream && changed.any(|it| it.address == one.address)
            });
            let active: usize = of.map(|one| one.active).sum();
            told.insert("active".into(), active.into());
            told.insert("within_seconds".into(), within.as_secs_f64().into());
        }
        Verb::Enable => {
            for endpoint in changed {
                control.end_nothing(&upstream, endpoint);
            }
        }
        Verb::Add(_) | Verb::Delete | Verb::Weigh(_) => {}
    }
    told
}

/// The parameters `route`, and `weights` (`green=100,blue=0`) or `switch` (an upstream), and `persist`.
async fn weigh(control: Rc<Control>, call: Call) -> Answer {
    let route = call.parameter("route").unwrap_or_default();
    let persist = call.parameter("persist").is_some();
    let weights = match call.parameter("weights").map(|text| pairs(&text)) {
        Some(None) => {
            return Answer::error(
                400,
                "weights are written UPSTREAM=N, with N from 0 to 65535",
            );
        }
        Some(Some(weights)) => weights,
        None => Vec::new(),
    };
    let mut builder = match control.hold().await {
        Ok(builder) => builder,
        Err(gone) => return gone.answer(),
    };
    let before = control.snapshot();
    let mut overlay = control.beside.borrow().overlay.clone();
    let weighed = match call.parameter("switch") {
        Some(upstream) => overlay.switch(&before.config, &route, &upstream, persist),
        None => overlay.weigh(&before.config, &route, &weights, persist),
    };
    let Weighed { before, now } = match weighed {
        Ok(weighed) => weighed,
        Err(refused) => return refuse(&refused),
    };
    let set_aside = match control.take(&mut builder, overlay, persist).await {
        Ok(set_aside) => set_aside,
        Err(answer) => return answer,
    };
    let map = |weights: &[(String, u32)]| {
        let pairs = weights.iter();
        let pairs = pairs.map(|(name, weight)| (name.clone(), Value::from(*weight)));
        Value::Object(pairs.collect())
    };
    Answer::json(
        200,
        &json!({
            "route": route, "before": map(&before), "now": map(&now), "persisted": persist,
            "set_aside": set_aside,
        }),
    )
}

impl Control {
    /// Keeps the changes if that is wanted, and has every worker serve them. Gives where a file went that was no use.
    pub(super) async fn take(
        &self,
        builder: &mut Builder,
        overlay: Overlay,
        persist: bool,
    ) -> Result<Option<String>, Answer> {
        let mut set_aside = None;
        if persist {
            let state_dir = self.snapshot().config.server.state_dir.clone();
            let written = kept::write(&state_dir, &overlay.kept);
            set_aside = written.map_err(|error| {
                let place = state_dir.display();
                let message = format!("nothing was changed: it cannot be kept in {place}: {error}");
                Answer::error(409, &message)
            })?;
        }
        self.beside.borrow_mut().overlay = overlay;
        self.serve_changes(builder, Ask::Unknown).await;
        Ok(set_aside)
    }
}

/// The endpoints of an upstream, those whose name has no address as well; `None`: there is no such upstream.
fn served(control: &Control, snapshot: &Snapshot, upstream: &str) -> Option<Vec<Served>> {
    let mut all = snapshot.config.upstreams.iter().zip(&snapshot.upstreams);
    let (config, setup): (&Upstream, _) = all.find(|(config, _)| *config.name == *upstream)?;
    let resolved = setup.endpoints.iter().map(|one| Served {
        label: one.label.to_string(),
        address: Some(one.address),
        origin: one.origin.clone(),
        weight: one.weight,
        is_draining: one.is_draining,
    });
    let mut served: Vec<Served> = resolved.collect();
    let discovered = control.discovery.discovered(&snapshot.config.upstreams);
    let overlay = &control.beside.borrow().overlay;
    for member in overlay.members(config, &discovered) {
        let label = member.endpoint.address.to_string();
        if served.iter().any(|one| one.label == label) {
            continue;
        }
        // Its addresses are there under another name, or deleted one by one; else it has none.
        let leads = match &member.endpoint.address {
            EndpointAddress::Name { host, port } => control.discovery.name(host, *port).0,
            EndpointAddress::Ip(address) => vec![*address],
            EndpointAddress::Demo => Vec::new(),
        };
        let is_there = |it: &SocketAddr| served.iter().any(|one| one.address == Some(*it));
        let leads: Vec<SocketAddr> = leads.into_iter().filter(is_there).collect();
        let places: Vec<Option<SocketAddr>> = match &*leads {
            [] => vec![None],
            leads => leads.iter().copied().map(Some).collect(),
        };
        served.extend(places.into_iter().map(|address| Served {
            label: label.clone(),
            address,
            origin: member.origin.clone(),
            weight: member.endpoint.weight,
            is_draining: false,
        }));
    }
    Some(served)
}

fn endpoints(snapshot: &Snapshot, upstream: &str, label: &str) -> Vec<ResolvedEndpoint> {
    let all = snapshot.config.upstreams.iter().zip(&snapshot.upstreams);
    all.filter(|(config, _)| *config.name == *upstream)
        .flat_map(|(_, setup)| &setup.endpoints)
        .filter(|one| *one.label == *label || one.address.to_string() == *label)
        .cloned()
        .collect()
}

pub(super) fn refuse(refused: &Refused) -> Answer {
    let status = if refused.is_usage() { 400 } else { 409 };
    Answer::error(status, &refused.to_string())
}

/// `green=100,blue=0`.
fn pairs(text: &str) -> Option<Vec<(String, u32)>> {
    let pair = |pair: &str| {
        let (name, weight) = pair.rsplit_once('=')?;
        let weight: u16 = weight.parse().ok()?;
        (!name.is_empty()).then(|| (name.to_owned(), weight.into()))
    };
    text.split(',').map(pair).collect()
}
