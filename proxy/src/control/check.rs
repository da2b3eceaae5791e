//! Whether a configuration could be served, told without serving it.

use openclaw_core::config::{Complaint, Config, Loaded, Places, Problem, Problems, Severity};

use super::build::Builder;
use super::endpoints::Beside;
use super::error::{Refused, Trouble};
use super::load::{Origin, load};
use super::logs;
use crate::shield;

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
    if let Some(refused) = broken_tests(&loaded.warnings) {
        return Err(refused);
    }
    Ok(Checked {
        config: loaded.config,
        warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
    })
}

/// Reads the text, the certificates and keys, the database of countries and the files of lists, looks whether logs and cache can be written,
/// and asks for the addresses of names. A
/// name that has none is a warning here as it is when the proxy starts or reloads, which serves without that endpoint and asks again.
///
/// # Errors
/// With the places where they are named.
fn missing_interfaces(config: &Config, places: &Places) -> Vec<String> {
    let missing = shield::missing_interfaces(config).into_iter();
    let told = missing.filter_map(|(index, text)| {
        let index = index.to_string();
        let complaint = Complaint::new(text).hint("`ip link` lists those that there are");
        places.problem(
            Severity::Warning,
            &["shield", "interfaces", &index],
            complaint,
        )
    });
    told.map(|problem| problem.to_string()).collect()
}

/// Everything that is wrong.
pub async fn check(origin: &Origin) -> Result<Checked, Refused> {
    let Loaded {
        config,
        warnings,
        places,
    } = load(origin)?;
    if let Some(refused) = broken_tests(&warnings) {
        return Err(refused);
    }
    let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    warnings.extend(missing_interfaces(&config, &places));
    let doubts = shield::unpinnable(&config).into_iter();
    let doubts = doubts.chain(shield::pointless_blocks(&config));
    warnings.extend(doubts.map(|text| format!("warning: {text}")));
    let built = Builder::default().build(&config, &Beside::default()).await;
    let (doubtful, unwritable): (Vec<_>, Vec<_>) =
        logs::unwritable(&config.log).partition(|(_, is_missing)| *is_missing);
    let doubts = doubtful
        .iter()
        .map(|(trouble, _)| trouble.told(Severity::Warning, &places));
    warnings.extend(doubts);
    let unwritable = unwritable.into_iter().map(|(trouble, _)| trouble);
    let missing: Vec<Trouble> = unusable_files(&config)
        .into_iter()
        .chain(unwritable)
        .collect();
    let built = match built {
        Ok(built) if missing.is_empty() => built,
        Ok(_) => return Err(Refused::placed(missing, &places)),
        Err(troubles) => {
            let troubles = troubles.into_iter().chain(missing).collect();
            return Err(Refused::placed(troubles, &places));
        }
    };
    let more = built.warnings(&places).into_iter();
    // Those with a place say so themselves.
    warnings.extend(more.map(|text| {
        if text.starts_with("warning: ") {
            text
        } else {
            format!("warning: {text}")
        }
    }));
    Ok(Checked { config, warnings })
}

/// Names in tests that nothing has: what serves all the same is no right configuration.
fn broken_tests(warnings: &[Problem]) -> Option<Refused> {
    let wrong = warnings.iter().filter(|it| it.key.starts_with("test["));
    let wrong = wrong.cloned().map(|mut problem| {
        problem.severity = Severity::Error;
        problem
    });
    let wrong: Vec<Problem> = wrong.collect();
    (!wrong.is_empty()).then(|| Refused::from(Problems(wrong)))
}

/// Files of the shield that cannot be used. A proxy that runs warns of them and serves.
fn unusable_files(config: &Config) -> Vec<Trouble> {
    let shield = &config.shield;
    let geo = shield.geo.iter().filter_map(|geo| {
        let source = shield::check_database(geo).err()?;
        Some(Trouble::Geo { source })
    });
    let lists = shield.lists.iter().enumerate().filter_map(|(index, list)| {
        let why = shield::check_list(list).err()?;
        let name = list.name.clone();
        Some(Trouble::List { name, index, why })
    });
    geo.chain(lists).collect()
}
