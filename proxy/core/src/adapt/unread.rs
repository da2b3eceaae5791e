//! What to say of directives that are not carried over.

use super::block::Directive;
use super::{Notes, guard};

/// Directives that need nothing here: how the other program uses its machine, and what is so in any case.
const NEEDLESS: &[&str] = &[
    "charset",
    "events",
    "http2",
    "http2_push",
    "keepalive_requests",
    "multi_accept",
    "pcre_jit",
    "pid",
    "proxy_buffer_size",
    "proxy_buffers",
    "proxy_busy_buffers_size",
    "proxy_http_version",
    "proxy_ssl_server_name",
    "reset_timedout_connection",
    "resolver",
    "resolver_timeout",
    "sendfile",
    "server_names_hash_bucket_size",
    "server_names_hash_max_size",
    "server_tokens",
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
    "variables_hash_max_size",
    "worker_connections",
    "worker_rlimit_nofile",
];

/// Notes what is not read at this level; of guards their routes tell.
pub(super) fn note_unread(level: &[Directive], read: &[&str], notes: &mut Notes) {
    for directive in level {
        let name = directive.name.as_str();
        if !read.contains(&name) && !guard::is_guard(directive) {
            notes.add(directive, why(directive));
        }
    }
}

fn why(directive: &Directive) -> &'static str {
    match directive.name.as_str() {
        "if" => "conditions are not converted; `match` of a route may do",
        "stream" => "is not converted; see `mode = \"tcp\"` of listeners",
        "error_page" => "is not converted; see `error_pages` of listeners",
        "set_real_ip_from" | "real_ip_header" | "real_ip_recursive" => {
            "is not converted; see `trusted_proxies` of listeners"
        }
        "limit_conn" | "limit_conn_zone" => {
            "is not converted; see `max_connections_per_ip` of listeners"
        }
        "map" if directive.word(0) == "$http_upgrade" => {
            "is not needed: connections are upgraded without it"
        }
        "root" | "alias" => {
            "files are not served here: what would be found in it is answered with 404; have a server of files as an upstream"
        }
        "try_files" => "files are not served here, so none is looked for",
        "index" | "autoindex" | "expires" => "files are not served here",
        "auth_basic_user_file" | "satisfy" => "is not converted, as nothing asks for it here",
        "error_log" => "is not converted: what goes wrong is logged to stderr",
        "access_log" => "is not converted: there is one access log; see [log]",
        "log_format" => "is not converted; see `format` of [log]",
        "user" => "is not converted: the service manager chooses the user",
        "gzip_comp_level" | "gzip_disable" | "gzip_http_version" | "gzip_min_length"
        | "gzip_proxied" | "gzip_types" | "gzip_vary" => {
            "is not converted: what is compressed, and how well, is not chosen this way; see `compress` of routes"
        }
        "ssl_ciphers" => "is not converted: ciphers are those of TLS 1.2 and 1.3 that are safe",
        "proxy_buffering" | "proxy_request_buffering" => {
            "is not converted: bodies are passed on as they come"
        }
        "ssl_client_certificate" | "ssl_verify_client" => {
            "is converted for whole listeners only; see `client_ca` of `tls`"
        }
        name if NEEDLESS.contains(&name) => "is not converted, as nothing here needs it",
        _ => "has no like here, or is not converted yet",
    }
}
