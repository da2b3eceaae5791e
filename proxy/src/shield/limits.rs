//! What counts a source: packets in the kernel, connections at listeners, requests on routes.

use std::net::IpAddr;

use openclaw_common::abi::Limit;
use openclaw_common::packet::Address;
use openclaw_common::verdict::Reason;
use openclaw_core::config::units::Rate;
use openclaw_core::config::{LimitKey, Route};

use super::explain::LimitView;
use super::kernel::{KernelError, Maps};
use super::state::State;

impl State {
    /// What counts packets and connections of the source. Who is allowed is not counted by the kernel program.
    pub(super) fn limits(&self, ip: IpAddr, reason: Reason, now_ns: u64) -> Vec<LimitView> {
        let config = self.kernel_config();
        let shield = &self.config.shield;
        let mut limits = Vec::new();
        if reason != Reason::Allow {
            let arrivals = self.maps.as_deref().map(|maps| arrivals(maps, ip));
            let arrivals = arrivals.and_then(Result::ok);
            let used = |limit: &Limit, state_ns: Option<u64>| {
                let ahead_ns = state_ns?.saturating_sub(now_ns);
                Some(ahead_ns.div_ceil(limit.cost_ns.max(1)))
            };
            let (syn_ns, udp_ns) = arrivals.unzip();
            let view = |name: &str, rate: Rate, burst: u32, used| LimitView {
                name: name.into(),
                limit: format!(
                    "{} in {} s, {burst} at once",
                    rate.count,
                    rate.period.as_secs()
                ),
                used,
                burst: Some(burst.into()),
            };
            limits.push(view(
                "shield.syn",
                shield.syn.per_source,
                shield.syn.burst,
                used(&config.syn, syn_ns),
            ));
            limits.push(view(
                "shield.udp",
                shield.udp.per_source,
                shield.udp.burst,
                used(&config.udp, udp_ns),
            ));
        }
        limits.extend(self.config.listeners.iter().map(|listener| LimitView {
            name: format!("listener.{}.max_connections_per_ip", listener.name),
            limit: format!("{} connections", listener.max_connections_per_ip),
            used: None,
            burst: None,
        }));
        limits.extend(self.config.routes.iter().filter_map(of_route));
        limits
    }
}

/// How the limit of a route is called among those of a source.
pub fn route_limit(route: &str) -> String {
    format!("route.{route}.limit")
}

/// The limit of a route that counts clients by their addresses. Only who serves the route knows what is used up of it.
fn of_route(route: &Route) -> Option<LimitView> {
    let limit = route.limit.as_ref()?;
    let by = match &limit.key {
        LimitKey::ClientIp => "client_ip".to_owned(),
        LimitKey::Header(name) => format!("client_ip where the header `{name}` is missing"),
        LimitKey::Cookie(name) => format!("client_ip where the cookie `{name}` is missing"),
        LimitKey::Route => return None,
    };
    let (allowance, window) = (limit.quota.allowance(), limit.quota.window());
    Some(LimitView {
        name: route_limit(&route.name),
        limit: format!("{allowance} in {window} s by {by}"),
        used: None,
        burst: Some(allowance),
    })
}

/// What the source has sent, for SYNs and for UDP; 0 for nothing.
fn arrivals(maps: &Maps, ip: IpAddr) -> Result<(u64, u64), KernelError> {
    let arrivals = match Address::from(ip) {
        Address::V4(address) => maps.rate4.get(&address)?,
        Address::V6(address) => match address.first_chunk() {
            Some(subnet) => maps.rate6.get(subnet)?,
            None => None,
        },
    };
    let arrivals = arrivals.unwrap_or_default();
    Ok((arrivals.syn_ns, arrivals.udp_ns))
}
