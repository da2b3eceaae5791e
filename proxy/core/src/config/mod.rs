//! The configuration: from text to values that are ready to use and cannot be wrong.
//!
//! `load` reads a file whole and tells every mistake with its place. Files and variables come through `Source`, so
//! nothing here touches the file system. One section a file: its type, its keys with their defaults, its reader.

mod admin;
mod assay;
mod autoban;
mod caching;
mod cdn;
mod circles;
mod compress;
mod discover;
mod document;
mod doubts;
mod endpoint;
mod error_pages;
mod format;
mod geo;
mod headers;
mod health;
mod hedge;
mod instead;
pub mod keys;
mod lenient;
mod limit;
mod listener;
mod lists;
mod load;
mod log;
mod matcher;
mod mentioned;
mod mirror;
mod names;
mod places;
mod plain;
mod problem;
mod reader;
mod redirect;
mod reference;
mod relay;
mod respond;
mod rewrite;
mod route;
mod schema;
mod server;
mod shield;
mod split;
mod sticky;
mod syn;
mod tls;
mod trace;
mod tree;
mod udp;
mod unclosed;
pub mod units;
mod upstream;
mod upstream_tls;
mod upstream_words;
mod values;
mod variables;

pub use admin::{Admin, Token};
pub use assay::{Asks, Expect, Test};
pub use autoban::{Autoban, Thresholds};
pub use caching::{Cache, CacheDisk};
pub use cdn::Cdn;
pub use discover::{Consul, Discover, Kubernetes, Registry};
pub use endpoint::{Endpoint, EndpointAddress, endpoint_address, zone_name};
pub use error_pages::{ErrorPage, Statuses};
pub use format::format;
pub use geo::{Geo, GeoRule};
pub use headers::{HOST, HeaderEdit, HeaderEdits};
pub use health::{GrpcQuestion, Health, HttpQuestion, Question};
pub use hedge::{After, Hedge};
pub use lenient::named_socket;
pub use limit::{Limit, LimitKey};
pub use listener::{Listener, Protocols};
pub use lists::{ApiKey, ListSource, ShieldList};
pub use load::{Loaded, has_key, load, syntax};
pub use log::{AccessFormat, AccessLog, AccessTarget, Level, Log, SecurityLog};
pub use matcher::{HostPattern, Matcher, PathPattern, Wanted};
pub use mirror::Mirror;
pub use places::Places;
pub use plain::{Field, Plain, Scalar};
pub use problem::{Complaint, Location, Problem, Problems, Severity};
pub use redirect::Redirect;
pub use reference::reference;
pub use relay::{Mode, NameTarget, ServerNames};
pub use respond::{Respond, WELCOME};
pub use rewrite::Rewrite;
pub use route::{Action, Route, Target};
pub use schema::schema;
pub use server::Server;
pub use shield::{OnExit, PacketAction, Prefix, Shield, ShieldAction, ShieldMode};
pub use split::SplitBy;
pub use sticky::{Secret, Sticky};
pub use syn::{Syn, SynMode, SynVariant};
pub use tls::{Certificate, Tls, TlsVersion};
pub use trace::{Share, Trace};
pub use udp::Udp;
pub use upstream::Upstream;
pub use upstream_tls::UpstreamTls;
pub use upstream_words::{Balance, Forwarded, RetryOn, UpstreamProtocol};

/// What is served when there is no file.
pub const DEFAULT: &str = include_str!("../../../../config/default.toml");

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub admin: Admin,
    pub log: Log,
    pub trace: Trace,
    pub shield: Shield,
    pub autoban: Autoban,
    pub cache: Cache,
    pub listeners: Vec<Listener>,
    pub upstreams: Vec<Upstream>,
    /// In file order; `route::Router` compiles them.
    pub routes: Vec<Route>,
    /// Not served: `openclaw test` asks them.
    pub tests: Vec<Test>,
}

/// Where a configuration comes from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The main file as the operator named it; relative paths inside start at its directory.
    pub name: &'a str,
    pub text: &'a str,
    pub files: &'a dyn Files,
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The file system as far as `include` needs it; errors are sentences for the operator.
pub trait Files {
    /// The files that match a pattern, which is already joined to the directory of the main file, under names that `read` takes and problems show.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String>;
    fn read(&self, name: &str) -> Result<String, String>;
}

/// For a configuration that includes nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Err("files cannot be included here".to_owned())
    }

    fn read(&self, _: &str) -> Result<String, String> {
        Err("files cannot be included here".to_owned())
    }
}

#[cfg(test)]
mod tests;
