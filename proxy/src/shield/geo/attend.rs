//! When the database is read: at the start, at a reload, and when the file has changed. One that cannot be used leaves the old one where
//! it is.

use std::sync::Arc;

use openclaw_core::config::{Geo, GeoRule};
use openclaw_core::country::{UNKNOWN_WORD, country_code};

use super::super::Shield;
use super::super::host::HostTables;
use super::super::look::rfc3339;
use super::super::state::State;
use super::super::status::GeoStatus;
use super::{Countries, GeoError, Stamp, load};
use crate::telemetry::chain;

/// What is known of the file.
#[derive(Debug, Default)]
pub(in super::super) struct Attention {
    /// The file that was read last, whether it could be used or not.
    stamp: Option<Stamp>,
    /// Why it could not be used.
    error: Option<String>,
}

impl State {
    /// Reads the database of the configuration into the lists, before there are tables. What fails is a warning.
    pub(in super::super) fn begin_geo(&mut self) {
        let Some(geo) = self.config.shield.geo.clone() else {
            return;
        };
        self.geo.stamp = Stamp::of(&geo.database);
        match load(&geo) {
            Ok(countries) => self.store.set_countries(Some(Arc::new(countries))),
            Err(error) => {
                let text = chain(&error);
                self.warnings
                    .push(format!("no country is kept out: {text}"));
                self.geo.error = Some(text);
            }
        }
    }

    /// Follows `shield.geo` of a new configuration.
    pub(in super::super) fn reload_geo(&mut self) -> Vec<String> {
        let Some(geo) = self.config.shield.geo.clone() else {
            self.geo = Attention::default();
            return self.change_countries(None);
        };
        let stamp = Stamp::of(&geo.database);
        let loaded = load(&geo);
        self.take_countries(&geo, stamp, loaded)
    }

    /// The configuration's database, if another file than the one that was read has taken its place.
    fn geo_to_read(&self) -> Option<(Geo, Option<Stamp>)> {
        let geo = self.config.shield.geo.as_ref()?;
        let stamp = Stamp::of(&geo.database);
        (stamp != self.geo.stamp).then(|| (geo.clone(), stamp))
    }

    fn take_countries(
        &mut self,
        geo: &Geo,
        stamp: Option<Stamp>,
        loaded: Result<Countries, GeoError>,
    ) -> Vec<String> {
        if self.config.shield.geo.as_ref() != Some(geo) {
            // Reloaded meanwhile: that one has been read.
            return Vec::new();
        }
        self.geo.stamp = stamp;
        match loaded {
            Ok(countries) => {
                self.geo.error = None;
                self.change_countries(Some(Arc::new(countries)))
            }
            Err(error) => {
                let text = chain(&error);
                let kept = if self.store.lists().countries().is_some() {
                    "the countries stay as they were"
                } else {
                    "no country is kept out"
                };
                let warning = format!("{kept}: {text}");
                self.geo.error = Some(text);
                vec![warning]
            }
        }
    }

    /// Compiles everything anew for other countries.
    fn change_countries(&mut self, countries: Option<Arc<Countries>>) -> Vec<String> {
        if self.store.lists().countries() == countries.as_ref() {
            return Vec::new();
        }
        self.shared.set_tightened();
        let is_off = countries.is_none();
        self.store.set_countries(countries);
        let new = HostTables::build(self.store.lists());
        let changes = self.shared.read().change_of_country(&new);
        drop(self.shared.change(|tables| std::mem::replace(tables, new)));
        let mut warnings: Vec<String> = Vec::new();
        // Words without countries must not be read as words of unknown ones.
        if is_off && let Err(error) = self.configure() {
            warnings.push(chain(&error));
        }
        warnings.extend(self.write(&[changes]));
        if !is_off && let Err(error) = self.configure() {
            warnings.push(chain(&error));
        }
        warnings
    }

    pub(in super::super) fn geo_status(&self) -> Option<GeoStatus> {
        let geo = self.config.shield.geo.as_ref()?;
        let countries = self.store.lists().countries();
        let names = geo
            .countries
            .iter()
            .map(|number| country_code(*number).unwrap_or(UNKNOWN_WORD).to_owned());
        Some(GeoStatus {
            database: geo.database.display().to_string(),
            kind: countries.map(|countries| countries.kind.clone()),
            built: countries.map(|countries| rfc3339(countries.built)),
            rule: match geo.rule {
                GeoRule::Deny => "deny".into(),
                GeoRule::Allow => "allow".into(),
            },
            action: geo.action.word().into(),
            countries: names.collect(),
            ranges: countries.map_or(0, |countries| countries.ranges),
            parts: countries.map_or(0, |one| one.parts4.len() + one.parts6.len()),
            coarse: countries.map_or(0, |countries| countries.coarse),
            error: self.geo.error.clone(),
        })
    }
}

impl Shield {
    /// Reads the database of countries again if it has changed; the lists are not locked while it is read.
    pub(in super::super) fn follow_geo(&self) {
        let Some((geo, stamp)) = self.lock().geo_to_read() else {
            return;
        };
        let loaded = load(&geo);
        let is_loaded = loaded.is_ok();
        for warning in self.hold().take_countries(&geo, stamp, loaded) {
            tracing::warn!("{warning}");
        }
        if is_loaded {
            tracing::info!(database = %geo.database.display(), "countries read again");
        }
    }
}
