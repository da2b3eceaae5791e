//! Configurations of proxies, of which a few lines depend on the scenario.
//!
//! A line may begin with a condition: `[tls]` and `[plain]` stand for a listener with and without TLS that sends
//! everything to the origin, `[tcp]` and `[quic]` for one with TLS that is without and with HTTP/3, `[big]` for one without TLS whose
//! answers are long, `[stored]` for one with a cache, `[coded]` for one that compresses, `[relay]` for one that forwards bytes and `[http]` for all others, `[hosts-once]`
//! for one that looks at the host, and a `[hosts]` line is repeated for each host (`\n` breaks it). `{{name}}` is replaced.

/// What a listener of a scenario does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// Without TLS, for answers that are worth splicing.
    Big,
    Tls,
    /// TLS, and HTTP/3 on the same port.
    Quic,
    /// Bytes are forwarded, and nothing is read.
    Relay,
    /// Without TLS, answering out of its cache.
    Stored,
    /// The same with TLS.
    StoredTls,
    /// Without TLS, putting what it sends into gzip.
    Coded,
    /// Routes by this many hosts.
    Hosts(usize),
}

/// The host of a route, counted from 0.
pub(crate) fn host(number: usize) -> String {
    format!("host{number}.test")
}

pub(crate) fn render(template: &str, kind: Kind, values: &[(&str, String)]) -> String {
    let mut text = String::new();
    for line in template.lines() {
        let (times, line) = match condition(line) {
            Some((condition, line)) => (times(condition, kind), line),
            None => (1, line),
        };
        for number in 0..times {
            let line = line.replace("{{host}}", &host(number)).replace("\\n", "\n");
            text.push_str(&line);
            text.push('\n');
        }
    }
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    text
}

fn condition(line: &str) -> Option<(&str, &str)> {
    [
        "[tls]",
        "[tcp]",
        "[quic]",
        "[plain]",
        "[relay]",
        "[http]",
        "[big]",
        "[stored]",
        "[coded]",
        "[hosts-once]",
        "[hosts]",
    ]
    .into_iter()
    .find_map(|condition| Some((condition, line.strip_prefix(condition)?)))
}

/// How often a line of this condition stands in the configuration.
fn times(condition: &str, kind: Kind) -> usize {
    match (condition, kind) {
        ("[tls]", Kind::Tls | Kind::Quic | Kind::StoredTls)
        | ("[tcp]", Kind::Tls | Kind::StoredTls)
        | ("[quic]", Kind::Quic)
        | ("[plain]", Kind::Plain | Kind::Big | Kind::Stored | Kind::Coded)
        | ("[coded]", Kind::Coded)
        | ("[big]", Kind::Big)
        | ("[stored]", Kind::Stored | Kind::StoredTls)
        | ("[relay]", Kind::Relay)
        | (
            "[http]",
            Kind::Plain
            | Kind::Big
            | Kind::Tls
            | Kind::Quic
            | Kind::Stored
            | Kind::StoredTls
            | Kind::Coded
            | Kind::Hosts(_),
        )
        | ("[hosts-once]", Kind::Hosts(_)) => 1,
        ("[hosts]", Kind::Hosts(count)) => count,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, render};

    fn check(template: &str, kind: Kind, expected: &str) {
        let values = [("port", "80".to_owned())];
        assert_eq!(render(template, kind, &values), expected);
    }

    #[test]
    fn a_line_stands_where_its_condition_holds() {
        let template =
            "a {{port}}\n[tls]b {{port}}\n[plain]c\n[hosts-once]d\n[hosts]{{host}}\\n;\n";
        check(template, Kind::Plain, "a 80\nc\n");
        check(template, Kind::Tls, "a 80\nb 80\n");
        check("[tls]a\n[tcp]b\n[quic]c\n", Kind::Tls, "a\nb\n");
        check("[plain]a\n[http]b\n[relay]c\n", Kind::Plain, "a\nb\n");
        check("[plain]a\n[http]b\n[relay]c\n", Kind::Relay, "c\n");
        check("[tls]a\n[tcp]b\n[quic]c\n", Kind::Quic, "a\nc\n");
        check(
            template,
            Kind::Hosts(2),
            "a 80\nd\nhost0.test\n;\nhost1.test\n;\n",
        );
    }

    #[test]
    fn brackets_that_belong_to_the_proxy_are_left_alone() {
        check(
            "[[route]]\n[tls]x\n[server]\n",
            Kind::Plain,
            "[[route]]\n[server]\n",
        );
    }
}
