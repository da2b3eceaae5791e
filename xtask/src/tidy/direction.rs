//! Who may use whom: inside the proxy each module uses those below it, never those above; the core has no I/O and no
//! clock; one module knows aya.

use super::{Source, scan};

/// The modules of the proxy from top to bottom. Modules of one row do not use each other.
const ROWS: [&[&str]; 11] = [
    &["cli"],
    &["control"],
    &["worker"],
    &["listener"],
    &["serve", "relay"],
    &["exchange"],
    &["filter", "upstream"],
    &["tls", "shield"],
    // Everyone counts and logs.
    &["telemetry"],
    // The compiled configuration, which everyone reads; the store goes on with it.
    &["snapshot"],
    &["cache", "coding", "files", "net", "privilege", "time"],
];

/// What a function of bytes and time has no use for.
const IMPURE: [&str; 11] = [
    "hyper",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "tokio",
];

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(check_one).collect()
}

fn check_one(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    let paths = scan::paths(&source.code);
    let place = Place::of(&source.name);
    for (line, path) in &paths {
        let problem = match &place {
            Place::Core => impure(path),
            Place::Proxy(module) => place_problem(module, path).or_else(|| aya(module, path)),
            Place::Elsewhere => None,
        };
        problems.extend(problem.map(|text| format!("{}:{line}: {text}", source.name)));
    }
    problems
}

/// Where a file stands.
enum Place {
    Core,
    /// In the proxy; the path of its module.
    Proxy(Vec<String>),
    Elsewhere,
}

impl Place {
    fn of(name: &str) -> Self {
        if name.starts_with("proxy/core/src/") {
            return Self::Core;
        }
        let Some(below) = name
            .strip_prefix("proxy/src/")
            .and_then(|below| below.strip_suffix(".rs"))
        else {
            return Self::Elsewhere;
        };
        let mut module: Vec<String> = below.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        Self::Proxy(module)
    }
}

fn impure(path: &str) -> Option<String> {
    let found = IMPURE.iter().find(|banned| {
        let short = banned.strip_prefix("std::time::").unwrap_or(banned);
        [**banned, short].iter().any(|name| {
            path.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    })?;
    Some(format!(
        "the core has no {found}: take what it gives as an argument"
    ))
}

/// What is wrong with a module of the proxy naming `path`.
fn place_problem(module: &[String], path: &str) -> Option<String> {
    let own = module.first()?;
    if matches!(own.as_str(), "main" | "lib") {
        return None;
    }
    let Some(from) = row(own) else {
        return Some(format!(
            "module `{own}` has no row in xtask/src/tidy/direction.rs: say what is above and below it"
        ));
    };
    let used = top_level(module, path)?;
    if used == own {
        return None;
    }
    // An item of lib.rs itself is no module.
    let to = row(used)?;
    (to <= from).then(|| format!("`{own}` may not use `{used}`, which is not below it"))
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// The top-level module that `path` leads to from inside `module`, if it is one of this crate.
fn top_level<'p>(module: &[String], path: &'p str) -> Option<&'p str> {
    let mut parts = path.split("::");
    let mut depth = module.len();
    loop {
        match parts.next()? {
            "crate" => return parts.next(),
            "super" => depth = depth.checked_sub(1)?,
            first if depth == 0 => return Some(first),
            _ => return None,
        }
    }
}

fn aya(module: &[String], path: &str) -> Option<String> {
    let first = path.split("::").next()?;
    let own = module.first()?;
    (matches!(first, "aya" | "aya_log" | "aya_obj") && own != "shield")
        .then(|| format!("`{own}` may not use aya: only `shield` knows it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, code: &str) -> usize {
        check(&[Source {
            name: name.to_owned(),
            code: code.to_owned(),
        }])
        .len()
    }

    #[test]
    fn a_module_uses_those_below_it_and_no_others() {
        for (name, code, problems) in [
            ("proxy/src/worker/mod.rs", "use crate::listener::Tcp;", 0),
            ("proxy/src/worker/mod.rs", "use crate::control::Reload;", 1),
            ("proxy/src/worker/a.rs", "use crate::{net, cli::{A, B}};", 2),
            ("proxy/src/worker/a.rs", "use super::super::cli::Verb;", 1),
            ("proxy/src/worker/a.rs", "use super::timer::Wheel;", 0),
            ("proxy/src/serve/h1.rs", "crate::relay::splice()", 1),
            ("proxy/src/tls/mod.rs", "crate::telemetry::count()", 0),
            ("proxy/src/telemetry.rs", "crate::tls::Store::new()", 1),
            ("proxy/src/net.rs", "use crate::snapshot::Snapshot;", 1),
            ("proxy/src/attic.rs", "use crate::net::Any;", 1),
            ("proxy/src/worker.rs", "use crate::VERSION;", 0),
            ("proxy/src/main.rs", "use crate::cli::Verb;", 0),
            ("ebpf/xdp/src/main.rs", "use crate::cli::Verb;", 0),
        ] {
            assert_eq!(count(name, code), problems, "{name}: {code}");
        }
    }

    #[test]
    fn the_core_reaches_for_nothing() {
        for (code, problems) in [
            ("use std::{fs, env::var};", 2),
            ("std::time::Instant::now()", 1),
            ("Instant::now()", 1),
            ("use std::time::Instant;", 0),
            ("use std::net::{IpAddr, TcpStream};", 1),
            ("tokio::spawn(x)", 1),
            ("use std::fmt::Display;", 0),
        ] {
            assert_eq!(count("proxy/core/src/route.rs", code), problems, "{code}");
        }
    }

    #[test]
    fn only_the_shield_knows_aya() {
        assert_eq!(count("proxy/src/shield/load.rs", "use aya::Ebpf;"), 0);
        assert_eq!(count("proxy/src/worker/mod.rs", "use aya::Ebpf;"), 1);
    }
}
