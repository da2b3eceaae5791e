//! Which route takes a request.

use std::net::IpAddr;

use crate::config::Route;

/// What the router looks at.
pub trait Request {
    /// The authority without its port; any case.
    fn host(&self) -> &[u8];
    fn path(&self) -> &[u8];
    fn query(&self) -> &[u8];
    fn method(&self) -> &[u8];
    /// The first value of a field, by its lower-case name.
    fn header(&self, name: &str) -> Option<&[u8]>;
    fn client(&self) -> IpAddr;
}

/// All routes, compiled.
#[derive(Debug, Default)]
pub struct Router {}

impl Router {
    pub fn new(_routes: &[Route]) -> Self {
        Self::default()
    }

    /// The index of the route in `Config::routes`.
    pub fn find(&self, _request: &impl Request) -> Option<usize> {
        None
    }
}

/// Which of several weighted targets a random number picks.
pub fn pick_target(_targets: &[crate::config::Target], _random: u32) -> usize {
    0
}
