//! Whether a configuration could be served, told without serving it.

use openclaw_core::config::Config;

use super::build::Builder;
use super::error::{Refused, Trouble};
use super::load::{Origin, load};
use crate::shield;
use crate::telemetry::chain;

/// A configuration that could be served.
#[derive(Debug)]
pub struct Checked {
    pub config: Config,
    /// What is probably not meant, and what this machine cannot tell.
    pub warnings: Vec<String>,
}

/// Reads the text and what it includes.
///
/// # Errors
/// Every mistake in it.
pub fn check_text(origin: &Origin) -> Result<Checked, Refused> {
    let loaded = load(origin)?;
    Ok(Checked {
        config: loaded.config,
        warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
    })
}

/// Reads the text, the certificates and keys the database of countries and the files of lists, and asks for the addresses of names. A name that this machine does not know
/// is a warning: it may not be the one that serves.
///
/// # Errors
/// Everything that is wrong.
pub async fn check(origin: &Origin) -> Result<Checked, Refused> {
    let mut checked = check_text(origin)?;
    let doubts = shield::missing_interfaces(&checked.config).into_iter();
    let doubts = doubts.chain(shield::pointless_blocks(&checked.config));
    let doubts = doubts.map(|text| format!("warning: {text}"));
    checked.warnings.extend(doubts);
    let geo = checked.config.shield.geo.as_ref();
    let geo = geo.and_then(|geo| shield::check_database(geo).err());
    let geo = geo.map(|source| Trouble::Geo { source });
    let lists = checked.config.shield.lists.iter();
    let lists = lists.filter_map(|list| {
        let why = shield::check_list(list).err()?;
        let name = list.name.clone();
        Some(Trouble::List { name, why })
    });
    let files: Vec<Trouble> = geo.into_iter().chain(lists).collect();
    match Builder::default().build(&checked.config).await {
        Ok(built) => {
            let more = built.warnings().into_iter();
            checked
                .warnings
                .extend(more.map(|text| format!("warning: {text}")));
            if !files.is_empty() {
                return Err(Refused(files));
            }
        }
        Err(troubles) => {
            let (names, others): (Vec<Trouble>, Vec<Trouble>) = troubles
                .into_iter()
                .chain(files)
                .partition(|trouble| matches!(trouble, Trouble::Resolve { .. }));
            if !others.is_empty() {
                return Err(Refused(others.into_iter().chain(names).collect()));
            }
            let names = names.iter().map(|trouble| chain(trouble));
            checked
                .warnings
                .extend(names.map(|text| format!("warning: {text}")));
        }
    }
    Ok(checked)
}
