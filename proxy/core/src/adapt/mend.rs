//! What the reader of configurations refuses is left out, and told: whatever is written can be read.

use super::route::{Edit, Route};
use super::upstream::Upstream;
use super::{Note, Notes};
use crate::config::{NoFiles, Problem, Source, load};

/// How often something is left out before there is nothing to be made of it.
const ROUNDS: usize = 16;

/// A configuration before it is known to be one.
#[derive(Debug)]
pub(super) struct Draft {
    /// All that is neither upstream nor route.
    pub(super) head: String,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) routes: Vec<Route>,
}

impl Draft {
    /// The text, when nothing is wrong with it any more. `Err`: what stays wrong.
    pub(super) fn mend(&mut self, file: &str, notes: &mut Notes) -> Result<String, String> {
        let mut last = String::new();
        for _ in 0..ROUNDS {
            let text = self.text();
            let source = Source {
                name: "openclaw.toml",
                text: &text,
                files: &NoFiles,
                variable: &|_| None,
            };
            let Err(problems) = load(&source) else {
                return Ok(text);
            };
            for problem in &problems.0 {
                if !self.leave_out(problem, file, notes) {
                    return Err(format!("cannot be converted: {}", problem.message));
                }
                last.clone_from(&problem.message);
            }
            self.settle();
        }
        Err(format!("cannot be converted: {last}"))
    }

    fn text(&self) -> String {
        let mut text = self.head.clone();
        for upstream in &self.upstreams {
            upstream.write(&mut text);
        }
        for route in &self.routes {
            route.write(&mut text);
        }
        text
    }

    /// Whether there was something to leave out.
    fn leave_out(&mut self, problem: &Problem, file: &str, notes: &mut Notes) -> bool {
        let Problem { key, message, .. } = problem;
        if let Some(rest) = key.strip_prefix("route[") {
            let (index, key) = rest.split_once(']').unwrap_or((rest, ""));
            let Ok(index) = index.parse::<usize>() else {
                return false;
            };
            let Some(route) = self.routes.get_mut(index) else {
                return false;
            };
            let key = key.trim_start_matches('.');
            // Whom it keeps out would come in elsewhere.
            if key.starts_with("match") && !key.contains("host") && is_guarded(route) {
                return false;
            }
            let what = of_route(route, key);
            tell(route.origin.as_ref(), what, message, notes);
            return true;
        }
        if let Some(rest) = key.strip_prefix("upstream.") {
            let (name, key) = rest.split_once('.').unwrap_or((rest, ""));
            let upstream = self.upstreams.iter_mut().find(|it| it.name == name);
            let Some(upstream) = upstream else {
                return false;
            };
            upstream.leave_out(key);
            tell(upstream.origin.as_ref(), key, message, notes);
            return true;
        }
        // Where clients connect is not left out by halves.
        let is_needed = ["bind", "tls", "protocols"]
            .iter()
            .any(|it| key.contains(it));
        let line = problem.location.line.checked_sub(1);
        let written = line.and_then(|line| self.head.lines().nth(line));
        let Some(written) = written.filter(|it| !it.is_empty() && !is_needed) else {
            return false;
        };
        let place = Note {
            file: file.to_owned(),
            line: 1,
            directive: written.to_owned(),
            why: String::new(),
        };
        tell(Some(&place), "", message, notes);
        let lines = self.head.lines().enumerate();
        // Empty and not gone, so that others are found where they stand.
        let lines = lines.map(|(at, text)| if Some(at) == line { "" } else { text });
        self.head = lines.fold(String::new(), |all, text| all + text + "\n");
        true
    }

    fn settle(&mut self) {
        self.routes.retain(|it| !it.is_left_out);
        self.upstreams.retain(|it| !it.is_left_out);
        for upstream in &mut self.upstreams {
            upstream.settle();
        }
    }
}

fn is_guarded(route: &Route) -> bool {
    let mut matcher = route.matcher.iter();
    let mut keys = route.keys.iter();
    matcher.any(|(key, _)| *key == "client")
        || keys.any(|(_, value)| value.starts_with("{ status = 403"))
}

/// Takes away what is wrong with a route, and says what becomes of it.
fn of_route<'a>(route: &mut Route, key: &'a str) -> &'a str {
    let first = key.split(['.', '[']).next().unwrap_or(key);
    if first == "headers" {
        let edits = [&mut route.request, &mut route.response];
        let before = edits.each_ref().map(|it| it.len());
        let [request, response] = edits;
        let edit = if key.contains(".request.") {
            request
        } else {
            response
        };
        edit.leave_out(key);
        if before != [&route.request, &route.response].map(Edit::len) {
            return key;
        }
    }
    let needed = [
        "to",
        "respond",
        "redirect",
        "rewrite",
        "strip_prefix",
        "add_prefix",
    ];
    let before = route.keys.len();
    if !needed.contains(&first) {
        route.keys.retain(|(known, _)| *known != first);
        if route.keys.len() < before {
            return first;
        }
    }
    let is_shut = route
        .keys
        .iter()
        .any(|(_, value)| value == "{ status = 404 }");
    if first == "match" || is_shut {
        route.is_left_out = true;
        return "its requests go to another location";
    }
    route.keys.clear();
    route.request = Edit::default();
    route.set("respond", "{ status = 404 }");
    "it is answered with 404"
}

fn tell(place: Option<&Note>, what: &str, message: &str, notes: &mut Notes) {
    if let Some(place) = place {
        let what = if what.is_empty() {
            String::new()
        } else {
            format!(" ({what})")
        };
        notes.add_at(place, format!("is left out{what}: {message}"));
    }
}
