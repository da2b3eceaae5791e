//! Reads the error pages of a listener.

use std::io;
use std::sync::Arc;

use openclaw_core::config::{ErrorPage, Listener};

use super::error::Trouble;
use crate::files;
use crate::snapshot::{Page, Pages};

/// The largest page.
const MAX: u64 = 128 << 10;

/// All that can be read; what cannot is told.
pub(super) fn pages(listener: &Listener, troubles: &mut Vec<Trouble>) -> Arc<Pages> {
    let read = listener.error_pages.iter().filter_map(|page| {
        let told = |source| Trouble::ErrorPage {
            listener: Arc::clone(&listener.name),
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
    Arc::new(Pages::new(read.collect()))
}

fn read(page: &ErrorPage) -> io::Result<Vec<u8>> {
    files::read(&page.path, MAX)
}
