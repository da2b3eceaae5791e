//! `openclaw tail`: requests as they end, from the running proxy itself and not from a log.

use std::ops::ControlFlow;

use clap::Args;
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::{Format, Outcome, error_line, harmless, print_on};
use crate::control::admin::client::Followed;
use crate::control::admin::table::encode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only refusals and failures for this reason, such as limit.rate, or upstream for all that begin so
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only requests of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only what came to this listener
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Only what went to this upstream
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Only requests for this host, as the client wrote it
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Only answers with this status: 502, 5xx or 400-499
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only clients with this address, or from this range
    #[arg(long, value_name = "CIDR")]
    client: Option<String>,
    /// Only what took at least so long, such as 500ms
    #[arg(long, value_name = "TIME")]
    slow: Option<String>,
    /// Only what was refused, failed, or answered with 5xx
    #[arg(long)]
    errors: bool,
    /// End after so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

impl Arguments {
    fn target(&self) -> String {
        let named = [
            ("reason", &self.reason),
            ("route", &self.route),
            ("listener", &self.listener),
            ("upstream", &self.upstream),
            ("host", &self.host),
            ("status", &self.status),
            ("client", &self.client),
            ("slow", &self.slow),
        ];
        let pairs = named.iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some(format!("{name}={}", encode(value)))
        });
        let errors = self.errors.then(|| "errors=1".to_owned());
        let pairs: Vec<String> = pairs.chain(errors).collect();
        format!("/exchanges/follow?{}", pairs.join("&"))
    }
}

pub(super) fn run(
    context: &Context,
    arguments: &Arguments,
    format: Format,
) -> Result<Outcome, CliError> {
    let mut left = arguments.limit;
    let mut take = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let value = serde_json::from_str(&line).unwrap_or_default();
        let is_note = value_of(&value, "lost").is_some();
        let printed = match format {
            Format::Json => print_on(&line),
            Format::Text => print_on(&row(&value)),
        };
        if !is_note {
            left = left.map(|left| left.saturating_sub(1));
        }
        if left == Some(0) {
            return ControlFlow::Break(());
        }
        printed
    };
    match context.follow(&arguments.target(), &mut take)? {
        Followed::Refused(reply) if reply.status == 400 => Err(CliError::Usage {
            message: reply.error(),
        }),
        Followed::Refused(reply) => Err(CliError::Answer {
            message: reply.error(),
        }),
        Followed::Ended => {
            error_line("the proxy has ended");
            Ok(Outcome::new(String::new(), Value::Null))
        }
        Followed::Enough => Ok(Outcome::new(String::new(), Value::Null)),
    }
}

fn value_of<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    line.get(name).filter(|value| !value.is_null())
}

fn row(line: &Value) -> String {
    if let Some(lost) = value_of(line, "lost") {
        return format!("... {lost} more were not told: they came too fast\n");
    }
    let word = |name: &str| match value_of(line, name) {
        None => String::new(),
        Some(Value::String(text)) => harmless(text).into_owned(),
        Some(other) => other.to_string(),
    };
    let or_dash = |name: &str| {
        Some(word(name))
            .filter(|word| !word.is_empty())
            .unwrap_or_else(|| "-".to_owned())
    };
    let way = ["listener", "route", "upstream", "endpoint"].map(word);
    let way: Vec<&str> = way
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    let mut row = format!(
        "{} {:>3} {} {}{} {} ms from {} by {}",
        word("time"),
        or_dash("status"),
        or_dash("method"),
        word("host"),
        or_dash("path"),
        or_dash("duration_ms"),
        or_dash("client"),
        way.join(" > "),
    );
    for (before, name) in [
        (" ", "reason"),
        (": ", "detail"),
        (", cache ", "cache"),
        (", id ", "id"),
    ] {
        let word = word(name);
        if !word.is_empty() {
            row.push_str(before);
            row.push_str(&word);
        }
    }
    row + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::row;

    #[test]
    fn a_row_says_what_there_is_and_steers_no_terminal() {
        let line = json!({
            "time": "2026-11-22T14:13:53.042Z", "id": "4f1c", "listener": "web", "route": "app", "client": "192.0.2.7",
            "method": "GET", "host": "a.test", "path": "/\u{1b}[31m", "status": 502, "reason": "upstream.reset",
            "detail": "the endpoint closed", "duration_ms": 1.5, "upstream": "app", "endpoint": "127.0.0.1:9001", "cache": null,
        });
        assert_eq!(
            row(&line),
            "2026-11-22T14:13:53.042Z 502 GET a.test/\u{fffd}[31m 1.5 ms from 192.0.2.7 by web > app > app > 127.0.0.1:9001 \
             upstream.reset: the endpoint closed, id 4f1c\n"
        );
        let connection = json!({ "time": "t", "client": "192.0.2.7", "status": null, "listener": "web", "reason": "limit.connections", "duration_ms": 0.1 });
        assert_eq!(
            row(&connection),
            "t   - - - 0.1 ms from 192.0.2.7 by web limit.connections\n"
        );
        assert!(row(&json!({ "lost": 7 })).contains(" 7 more were not told"));
    }
}
