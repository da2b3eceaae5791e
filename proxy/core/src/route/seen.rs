//! The router's view of a request.

use std::net::IpAddr;

use crate::message::{Kind, Request, authority};

/// What routes and limits look at.
#[derive(Debug)]
pub struct Seen<'a> {
    /// As it came.
    pub request: &'a Request<'a>,
    /// In its one form, see [`crate::message::path::normalised`].
    pub path: &'a [u8],
    /// Whose it is.
    pub client: IpAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
}

impl super::Request for Seen<'_> {
    fn host(&self) -> &[u8] {
        authority::host(self.request.authority)
    }

    fn path(&self) -> &[u8] {
        self.path
    }

    fn query(&self) -> &[u8] {
        self.request.query()
    }

    fn method(&self) -> &[u8] {
        self.request.method
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.request.field(name.as_bytes())
    }

    fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        let fields = self.request.fields.iter();
        fields
            .filter(|field| field.kind == Kind::Cookie)
            .map(|field| field.value)
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn scheme(&self) -> &'static str {
        self.scheme
    }
}
