//! `openclaw reasons`: what the codes in logs, metrics and error bodies mean.

use clap::Args;
use openclaw_common::verdict::{Reason as Kernel, Verdict};
use openclaw_core::reason::{ALL, Reason};
use serde_json::{Value, json};

use super::error::CliError;
use super::output::{Outcome, table};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// One code, such as http.smuggling, in detail
    code: Option<String>,
}

/// One code, from user space or the kernel.
struct Row {
    code: &'static str,
    who: &'static str,
    meaning: &'static str,
    advice: &'static str,
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "code": self.code,
            "fault": self.who,
            "meaning": self.meaning,
            "advice": self.advice,
        })
    }
}

fn rows() -> Vec<Row> {
    let rows = ALL.iter().map(|entry| Row {
        code: entry.code,
        who: entry.fault.word(),
        meaning: entry.meaning,
        advice: entry.advice,
    });
    // What both the kernel and user space refuse for is explained once.
    let kernel = Kernel::ALL
        .iter()
        .filter(|reason| Reason::from_code(reason.code()).is_none());
    rows.chain(kernel.map(|reason| Row {
        code: reason.code(),
        who: "policy",
        meaning: reason.summary(),
        advice: match reason.verdict() {
            Verdict::Drop => {
                "`openclaw explain ip ADDR` says which rule and how much of a limit is used."
            }
            Verdict::Pass => "Nothing to do: the packet passed.",
            Verdict::Tx => "Nothing to do: an honest client does not notice.",
        },
    }))
    .collect()
}

pub(super) fn reasons(arguments: &Arguments) -> Result<Outcome, CliError> {
    let rows = rows();
    let Some(code) = &arguments.code else {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| [row.code, row.who, row.meaning].map(str::to_owned).to_vec())
            .collect();
        let json = rows.iter().map(Row::json).collect();
        return Ok(Outcome::new(table(&cells), json));
    };
    let Some(row) = rows.iter().find(|row| row.code == code) else {
        return Err(CliError::UnknownReason {
            code: code.clone(),
            hint: nearest(code, &rows),
        });
    };
    let Row {
        code,
        who,
        meaning,
        advice,
    } = row;
    let text = format!("{code}\n  what   {meaning}\n  whose  {who}\n  do     {advice}\n");
    Ok(Outcome::new(text, row.json()))
}

/// The code that is most likely meant; its last part alone is a good try, too.
fn nearest(code: &str, rows: &[Row]) -> String {
    let likeness = |row: &Row| {
        let (_, last) = row.code.rsplit_once('.').unwrap_or(("", row.code));
        strsim::jaro_winkler(code, row.code).max(strsim::jaro_winkler(code, last))
    };
    let best = rows
        .iter()
        .map(|row| (likeness(row), row.code))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map_or_else(
        || "; `openclaw reasons` lists them".to_owned(),
        |(_, code)| format!("; did you mean `{code}`?"),
    )
}
