//! What a directive inherits: of most the innermost counts, and of lists the innermost level that has any.

use super::Notes;
use super::block::Directive;

/// Directives that need nothing here: how the other program uses its machine, and what is so in any case.
const NEEDLESS: &[&str] = &[
    "charset",
    "default_type",
    "events",
    "gzip_comp_level",
    "gzip_disable",
    "gzip_http_version",
    "gzip_min_length",
    "gzip_proxied",
    "gzip_vary",
    "http2",
    "http2_push",
    "keepalive_requests",
    "multi_accept",
    "pcre_jit",
    "pid",
    "proxy_buffer_size",
    "proxy_buffering",
    "proxy_buffers",
    "proxy_busy_buffers_size",
    "proxy_http_version",
    "proxy_redirect",
    "proxy_request_buffering",
    "proxy_ssl_server_name",
    "reset_timedout_connection",
    "resolver",
    "resolver_timeout",
    "root",
    "sendfile",
    "server_names_hash_bucket_size",
    "server_names_hash_max_size",
    "server_tokens",
    "ssl_ciphers",
    "ssl_dhparam",
    "ssl_ecdh_curve",
    "ssl_prefer_server_ciphers",
    "ssl_session_cache",
    "ssl_session_tickets",
    "ssl_session_timeout",
    "tcp_nodelay",
    "tcp_nopush",
    "types",
    "types_hash_bucket_size",
    "types_hash_max_size",
    "user",
    "variables_hash_max_size",
    "worker_connections",
    "worker_rlimit_nofile",
];

/// The levels around a place, the innermost first.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a>(Vec<&'a [Directive]>);

impl<'a> Scope<'a> {
    pub(super) fn new(level: &'a [Directive]) -> Self {
        Self(vec![level])
    }

    pub(super) fn with(&self, level: &'a [Directive]) -> Self {
        let mut levels = vec![level];
        levels.extend(&self.0);
        Self(levels)
    }

    /// The one that counts.
    pub(super) fn last(&self, name: &str) -> Option<&'a Directive> {
        self.all(name).pop()
    }

    /// Those that count.
    pub(super) fn all(&self, name: &str) -> Vec<&'a Directive> {
        let of_level = |level: &&'a [Directive]| -> Vec<&'a Directive> {
            level.iter().filter(|it| it.name == name).collect()
        };
        let mut levels = self.0.iter().map(of_level);
        levels.find(|found| !found.is_empty()).unwrap_or_default()
    }
}

/// Notes what is neither read at this level nor needless.
pub(super) fn note_unread(level: &[Directive], read: &[&str], notes: &mut Notes) {
    for directive in level {
        let name = directive.name.as_str();
        if read.contains(&name) || NEEDLESS.contains(&name) {
            continue;
        }
        let why = match name {
            "if" => "conditions of this kind are not converted; `match` of a route may do",
            "allow" | "deny" | "auth_basic" | "auth_request" | "satisfy" => {
                "WHO MAY COME IN IS NOT CONVERTED: without this, everybody may; see `match.client` and `shield`"
            }
            "stream" => "is not converted; see `mode = \"tcp\"` of listeners",
            "try_files" | "alias" | "index" | "autoindex" | "expires" | "error_page" => {
                "files are not served here"
            }
            _ => "has no like here, or is not converted yet",
        };
        notes.add(directive, why);
    }
}
