//! Pages that clients get in place of the proxy's own words, read when the configuration was.

use openclaw_core::config::Statuses;

/// The pages of a listener or a route.
#[derive(Clone, Debug, Default)]
pub struct Pages(Vec<Page>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Page {
    pub statuses: Statuses,
    pub body: Vec<u8>,
    pub content_type: &'static str,
}

impl Pages {
    pub fn new(pages: Vec<Page>) -> Self {
        Self(pages)
    }

    /// The page for a status: its own, or that of its hundred.
    pub fn find(&self, status: u16) -> Option<&Page> {
        let ranked = self.0.iter();
        let ranked = ranked.filter_map(|page| Some((page.statuses.rank(status)?, page)));
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, page)| page)
    }
}
