//! The orders that come by the page: few, each of which the admin API knows as well.

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;

use crate::control::admin::table::encode;
use crate::control::http::Answer;
use crate::shield::{Kind, Request};

/// See the module.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Order {
    Drain {
        upstream: String,
        endpoint: String,
    },
    Enable {
        upstream: String,
        endpoint: String,
    },
    Block {
        address: String,
        ttl: Option<String>,
        reason: Option<String>,
    },
    Unblock {
        address: String,
        list: Option<String>,
    },
    PurgeUrl {
        url: String,
        #[serde(default)]
        soft: bool,
    },
    PurgePrefix {
        url: String,
        #[serde(default)]
        soft: bool,
    },
    PurgeTag {
        tag: String,
        #[serde(default)]
        soft: bool,
    },
    PurgeAll {},
}

impl Order {
    /// From JSON that says that it is JSON, as no form of another site can.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Answer> {
        let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if kind != Some(b"application/json") {
            return Err(Answer::error(415, "an order is application/json"));
        }
        let no_order = |error| Answer::error(400, &format!("this is no order: {error}"));
        serde_json::from_slice(body).map_err(no_order)
    }

    /// The path, query and body of the same call of the admin API.
    pub(super) fn call(&self) -> (&'static str, String, Bytes) {
        let endpoint = |verb: &str, upstream: &str, endpoint: &str| {
            let (upstream, endpoint) = (encode(upstream), encode(endpoint));
            let query = format!("upstream={upstream}&endpoint={endpoint}&verb={verb}");
            ("/upstreams/change", query, Bytes::new())
        };
        let shield = |request: &Request| {
            let body = serde_json::to_vec(request).unwrap_or_default();
            ("/shield", String::new(), body.into())
        };
        let purge = |by: &str, what: &str, soft: bool| {
            let soft = if soft { "&soft=1" } else { "" };
            let query = format!("{by}={}{soft}", encode(what));
            ("/cache/purge", query, Bytes::new())
        };
        match self {
            Self::Drain {
                upstream,
                endpoint: label,
            } => endpoint("drain", upstream, label),
            Self::Enable {
                upstream,
                endpoint: label,
            } => endpoint("enable", upstream, label),
            Self::Block {
                address,
                ttl,
                reason,
            } => shield(&Request::Add {
                kind: Kind::Block,
                addresses: vec![address.clone()],
                ttl: ttl.clone(),
                reason: reason.clone(),
                list: None,
                confirm: None,
            }),
            Self::Unblock { address, list } => shield(&Request::Del {
                kind: Kind::Block,
                addresses: vec![address.clone()],
                list: list.clone(),
                spare: None,
            }),
            Self::PurgeUrl { url, soft } => purge("url", url, *soft),
            Self::PurgePrefix { url, soft } => purge("prefix", url, *soft),
            Self::PurgeTag { tag, soft } => purge("tag", tag, *soft),
            Self::PurgeAll {} => ("/cache/purge", "all=1".to_owned(), Bytes::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::control::admin::table::find;

    fn read(text: &str) -> Option<Order> {
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        Order::read(&headers, text.as_bytes()).ok()
    }

    #[test]
    fn an_order_becomes_a_call_that_the_admin_api_knows() {
        for (text, path, query, body) in [
            (
                r#"{"verb":"drain","upstream":"a&b","endpoint":"127.0.0.1:1"}"#,
                "/upstreams/change",
                "upstream=a%26b&endpoint=127.0.0.1%3A1&verb=drain",
                "",
            ),
            (
                r#"{"verb":"enable","upstream":"a","endpoint":"b&verb=del"}"#,
                "/upstreams/change",
                "upstream=a&endpoint=b%26verb%3Ddel&verb=enable",
                "",
            ),
            (
                r#"{"verb":"block","address":"192.0.2.1","ttl":"1h"}"#,
                "/shield",
                "",
                r#"{"verb":"add","kind":"block","addresses":["192.0.2.1"],"ttl":"1h","reason":null,"list":null,"confirm":null}"#,
            ),
            (
                r#"{"verb":"unblock","address":"192.0.2.1"}"#,
                "/shield",
                "",
                r#"{"verb":"del","kind":"block","addresses":["192.0.2.1"],"list":null,"spare":null}"#,
            ),
            (
                r#"{"verb":"purge_url","url":"http://a/b?c"}"#,
                "/cache/purge",
                "url=http%3A%2F%2Fa%2Fb%3Fc",
                "",
            ),
            (
                r#"{"verb":"purge_prefix","url":"http://a/b/","soft":true}"#,
                "/cache/purge",
                "prefix=http%3A%2F%2Fa%2Fb%2F&soft=1",
                "",
            ),
            (
                r#"{"verb":"purge_tag","tag":"a&all=1"}"#,
                "/cache/purge",
                "tag=a%26all%3D1",
                "",
            ),
            (r#"{"verb":"purge_all"}"#, "/cache/purge", "all=1", ""),
        ] {
            let call = read(text).unwrap().call();
            assert_eq!(
                call,
                (path, query.to_owned(), body.to_owned().into()),
                "{text}"
            );
            assert!(find("POST", path).is_some(), "{path}");
        }
    }

    #[test]
    fn nothing_else_is_an_order() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"verb":"del","upstream":"a","endpoint":"b"}"#,
            r#"{"verb":"drain","upstream":"a"}"#,
            r#"{"verb":"drain","upstream":"a","endpoint":"b","fast":true}"#,
            r#"{"verb":"purge_all","tag":"x"}"#,
            r#"{"verb":"flush"}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let plain = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
        assert!(Order::read(&plain, br#"{"verb":"purge_all"}"#).is_err());
    }
}
