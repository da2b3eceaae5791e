//! The operator's own connection: what they order by hand must not cut it off. Who asks over SSH says so; orders that would have their
//! packets dropped are refused, unless they insist.

use std::net::IpAddr;

use openclaw_common::abi::{self, flags};
use openclaw_common::geo::is_foreign;
use openclaw_common::verdict::{Reason, Verdict};
use openclaw_core::config::{Config, ListSource, Prefix, ShieldMode};

use super::api::ApiError;
use super::geo::{self, Countries};
use super::lists::{Kind, Origin};
use super::prefix::AnyNet;
use super::state::State;
use super::store::Found;
use super::{Shield, feeds, policy};

/// What a configuration brings that is not there yet.
#[derive(Debug, Default)]
struct News {
    /// Kinds of lists whose new files name the peer.
    listed: Vec<Kind>,
    countries: Option<Countries>,
}

impl Shield {
    /// Why a peer that gets through now would not with another configuration: the code of the reason. What is at a URL is not known.
    pub fn cut_off_by(&self, config: &Config, peer: IpAddr) -> Option<&'static str> {
        let peer = peer.to_canonical();
        let shield = &config.shield;
        if shield.mode == ShieldMode::Off {
            return None;
        }
        let (lists, geo) = {
            let state = self.lock();
            let known = &state.config.shield;
            (known.lists.clone(), known.geo.clone())
        };
        let mut news = News::default();
        for list in shield.lists.iter().filter(|list| !lists.contains(list)) {
            let ListSource::File(path) = &list.source else {
                continue;
            };
            // One that cannot be read lists nobody.
            let Ok(parsed) = feeds::read_file(path) else {
                continue;
            };
            if parsed.entries.iter().any(|one| one.prefix.contains(peer)) {
                news.listed.push(feeds::kind(list));
            }
        }
        if shield.geo != geo {
            // With one that cannot be read the countries stay as they are.
            news.countries = shield.geo.as_ref().and_then(|geo| geo::load(geo).ok());
        }
        let reason = self.lock().cut_off_by(config, peer, &news)?;
        Some(reason.code())
    }
}

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

    /// Why a peer that gets through now would not with another configuration.
    fn cut_off_by(&self, config: &Config, peer: IpAddr, news: &News) -> Option<Reason> {
        let is_filtered = !self.attached().is_empty() || !config.shield.interfaces.is_empty();
        let now = self.shared.decide(peer, self.now().mono_ns);
        if !self.is_on || !is_filtered || now.verdict == Verdict::Drop {
            return None;
        }
        let net = AnyNet::from(peer);
        let stays = |kind, found: &Found| {
            let list = self.store.lists().list(found.list);
            list.is_some_and(|list| match list.origin {
                Origin::Config => false,
                Origin::Operator | Origin::Protected => true,
                Origin::Feed => {
                    let mut wanted = config.shield.lists.iter();
                    wanted.any(|one| one.name == list.name && feeds::kind(one) == kind)
                }
            })
        };
        let on_lists = |kind, of_config: &[Prefix]| {
            let around = self.store.around(kind, net);
            of_config.iter().any(|prefix| prefix.contains(peer))
                || around.iter().any(|found| stays(kind, found))
                || news.listed.contains(&kind)
        };
        if on_lists(Kind::Allow, &config.shield.allow) {
            return None;
        }
        let monitored = policy::monitored(&config.shield);
        let drops = |reason: Reason| monitored >> reason as u32 & 1 == 0;
        if drops(Reason::Block) && on_lists(Kind::Block, &config.shield.block) {
            return Some(Reason::Block);
        }
        config.shield.geo.as_ref()?;
        let known = self.store.lists().countries().map(|known| &**known);
        let countries = news.countries.as_ref().or(known)?;
        let rule = abi::Config {
            geo_mode: countries.policy.mode,
            geo_mask: countries.policy.mask,
            ..abi::Config::OFF
        };
        let is_kept_out = is_foreign(&rule, countries.country(net), peer.into());
        (is_kept_out && drops(Reason::Geo)).then_some(Reason::Geo)
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
