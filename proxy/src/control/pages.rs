//! Reads the error pages of listeners and routes.

use std::fmt;
use std::io;
use std::sync::Arc;

use openclaw_core::config::{ErrorPage, Listener, Route};

use super::error::Trouble;
use crate::files;
use crate::snapshot::{Page, Pages};

/// The largest page.
const MAX: u64 = 128 << 10;

/// Whose pages clients read: a listener's, or those of a route with its place in the file.
#[derive(Clone, Debug)]
pub enum Refusing {
    Listener(Arc<str>),
    Route(usize, Arc<str>),
}

impl fmt::Display for Refusing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name) => write!(out, "listener {name}"),
            Self::Route(_, name) => write!(out, "route {name}"),
        }
    }
}

/// All that can be read; what cannot is told.
pub(super) fn of_listener(listener: &Listener, troubles: &mut Vec<Trouble>) -> Pages {
    let of = Refusing::Listener(Arc::clone(&listener.name));
    pages(&of, &listener.error_pages, troubles)
}

/// The same of each route.
pub(super) fn of_routes(routes: &[Route], troubles: &mut Vec<Trouble>) -> Vec<Pages> {
    let routes = routes.iter().enumerate();
    let of_route = |(index, route): (usize, &Route)| {
        let of = Refusing::Route(index, Arc::clone(&route.name));
        pages(&of, &route.error_pages, troubles)
    };
    routes.map(of_route).collect()
}

fn pages(of: &Refusing, pages: &[ErrorPage], troubles: &mut Vec<Trouble>) -> Pages {
    let read = pages.iter().filter_map(|page| {
        let told = |source| Trouble::ErrorPage {
            of: of.clone(),
            statuses: page.statuses,
            path: page.path.clone(),
            source,
        };
        let body = read(page).map_err(told);
        let body = body.map_err(|trouble| troubles.push(trouble)).ok()?;
        Some(Page {
            statuses: page.statuses,
            body,
            content_type: page.content_type,
        })
    });
    Pages::new(read.collect())
}

fn read(page: &ErrorPage) -> io::Result<Vec<u8>> {
    files::read(&page.path, MAX)
}
