//! Who may say with which status a request ends: `exchange/error.rs`, and `core::message` for what breaks HTTP itself.

use super::Source;

const PROXY: &str = "proxy/src/";
const ROOM: &str = "proxy/src/exchange/error.rs";

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let elsewhere = sources
        .iter()
        .filter(|source| source.name.starts_with(PROXY) && source.name != ROOM);
    let lines = elsewhere.flat_map(|source| {
        let lines = source.code.lines().enumerate();
        lines.map(|(index, line)| (&source.name, index + 1, line))
    });
    lines
        .filter(|(_, _, line)| makes_fault(line))
        .map(|(name, number, _)| {
            format!("{name}:{number}: makes a Fault; only {ROOM} turns an error into a status")
        })
        .collect()
}

fn makes_fault(line: &str) -> bool {
    line.match_indices("Fault {").any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        // Part of a longer name, or a type that is followed by a body.
        let is_name = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        !is_name && !before.trim_end().ends_with("->") && !before.ends_with("for ")
    })
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::check;

    #[test]
    fn a_fault_is_made_in_one_room() {
        let found = |name: &str, code: &str| {
            check(&[Source {
                name: name.to_owned(),
                code: code.to_owned(),
            }])
            .len()
        };
        let made = "let fault = Fault {\n reason,\n};\n";
        assert_eq!(found("proxy/src/serve/h1/mod.rs", made), 1);
        assert_eq!(found("proxy/src/exchange/error.rs", made), 0);
        assert_eq!(found("proxy/core/src/message/h1.rs", made), 0);
        let others = "fn fault(self) -> Fault {\nimpl From<X> for Fault {\nWireFault { x }\n";
        assert_eq!(found("proxy/src/serve/h1/mod.rs", others), 0);
    }
}
