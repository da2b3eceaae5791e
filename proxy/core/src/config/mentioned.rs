//! Names in a `[[test]]` that mean something else of the configuration, or a reason: a slip of the pen makes a test that cannot hold. The
//! proxy serves with it; `openclaw check` and `openclaw test` fail.

use openclaw_common::verdict::Reason as Kernel;

use super::keys::did_you_mean;
use super::problem::{Complaint, Problem, Severity};
use super::{Asks, Config, Places, Test};
use crate::reason::ALL;

pub(super) fn find(config: &Config, places: &Places) -> Vec<Problem> {
    let tests = config.tests.iter().enumerate();
    let wrong = tests.flat_map(|(index, test)| {
        let wrong = of_test(config, test).into_iter();
        wrong.map(move |(steps, complaint)| {
            let start = ["test".to_owned(), index.to_string()].into_iter();
            let path: Vec<String> = start.chain(steps.iter().map(ToString::to_string)).collect();
            (path, complaint)
        })
    });
    wrong
        .filter_map(|(path, complaint)| places.problem(Severity::Warning, &path, complaint))
        .collect()
}

/// Where it stands below the test, and what is to be said of it.
type Wrong = (&'static [&'static str], Complaint);

fn of_test(config: &Config, test: &Test) -> Vec<Wrong> {
    let listeners = config.listeners.iter().map(|one| &*one.name).collect();
    let routes = config.routes.iter().map(|one| &*one.name).collect();
    let upstreams = config.upstreams.iter().map(|one| &*one.name).collect();
    let kernel = Kernel::ALL.iter().map(|reason| reason.code());
    let reasons = ALL.iter().map(|entry| entry.code).chain(kernel).collect();
    let listener = match &test.asks {
        Asks::Request(asked) => asked.listener.as_deref(),
        Asks::Packet(_) => None,
    };
    let expect = &test.expect;
    let named: [(&'static [&'static str], Option<&str>, Vec<&str>); 4] = [
        (&["listener"], listener, listeners),
        (&["expect", "route"], expect.route.as_deref(), routes),
        (
            &["expect", "upstream"],
            expect.upstream.as_deref(),
            upstreams,
        ),
        (&["expect", "reason"], expect.reason.as_deref(), reasons),
    ];
    let named = named.into_iter();
    let wrong = named.filter_map(|(steps, name, known)| {
        let name = name.filter(|name| !known.contains(name))?;
        let what = steps.last().copied().unwrap_or_default();
        let complaint = Complaint::new(format!("there is no {what} `{name}`"));
        let hint = did_you_mean(name, known);
        let reasons = (what == "reason").then(|| "`openclaw reasons` lists them".to_owned());
        Some((
            steps,
            match hint.or(reasons) {
                Some(hint) => complaint.hint(hint),
                None => complaint.hint("write the name of one that this configuration has"),
            },
        ))
    });
    wrong.collect()
}
