//! The operator's own connection: what they order by hand must not cut it off. Who asks over SSH says so; orders that would have their
//! packets dropped are refused, unless they insist.

use std::net::IpAddr;

use openclaw_common::abi::flags;
use openclaw_common::geo::is_foreign;
use openclaw_common::verdict::{Reason, Verdict};
use openclaw_core::config::Prefix;

use super::api::ApiError;
use super::lists::{Kind, Origin};
use super::prefix::AnyNet;
use super::state::State;
use super::store::Found;

impl State {
    /// Whether an interface may be attached.
    pub(super) fn spare_on(&self, interface: &str, peer: IpAddr) -> Result<(), ApiError> {
        let peer = peer.to_canonical();
        let reason = self.shared.decide(peer, self.now().mono_ns).reason;
        if reason.verdict() != Verdict::Drop {
            return Ok(());
        }
        Err(ApiError::failed(&format!(
            "the shield is not attached to {interface}: you are logged in from {peer}, which it would drop ({}); `openclaw explain ip \
             {peer}` says why, --force attaches all the same",
            reason.code()
        )))
    }

    /// Whether these entries, or all, may be taken off an allow list, or off all of the operator's.
    pub(super) fn spare_without(
        &self,
        list: Option<&str>,
        prefixes: Option<&[Prefix]>,
        peer: IpAddr,
    ) -> Result<(), ApiError> {
        let goes = |found: &Found| {
            let of_list = self.store.lists().list(found.list).is_some_and(|known| {
                list.map_or(known.origin == Origin::Operator, |name| known.name == name)
            });
            let mut prefixes = prefixes.map(<[Prefix]>::iter);
            let named = prefixes.as_mut();
            of_list && named.is_none_or(|all| all.any(|one| AnyNet::from(*one) == found.net))
        };
        let peer = peer.to_canonical();
        let around = self.store.around(Kind::Allow, AnyNet::from(peer));
        if around.iter().any(goes) && around.iter().all(goes) && self.keeps_out(peer) {
            return Err(ApiError::failed(&format!(
                "nothing is deleted: you are logged in from {peer}, which would be cut off; --force deletes it all the same"
            )));
        }
        Ok(())
    }

    /// Whether a peer that no list allows is dropped.
    fn keeps_out(&self, peer: IpAddr) -> bool {
        let config = self.kernel_config();
        let drops = |reason: Reason| config.monitored >> reason as u32 & 1 == 0;
        let net = AnyNet::from(peer);
        let is_blocked = !self.store.around(Kind::Block, net).is_empty() && drops(Reason::Block);
        let countries = self.store.lists().countries();
        let country = countries.map_or(0, |countries| countries.country(net));
        let is_kept_out = is_foreign(&config, country, peer.into()) && drops(Reason::Geo);
        config.flags & flags::ENABLED != 0 && (is_blocked || is_kept_out)
    }
}
