//! `openclaw upgrade`: another program takes over, and no request is lost.

use std::path::PathBuf;

use clap::Args;
use hyper::body::Bytes;
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use super::reload::taken;
use crate::control::admin::table::encode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The program that takes over; else what is now where the running one was started
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

pub(super) fn upgrade(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    let target = match &arguments.binary {
        Some(path) => {
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let Some(whole) = whole.to_str() else {
                let message = "--binary takes a path in UTF-8".to_owned();
                return Err(CliError::Usage { message });
            };
            format!("/upgrade?binary={}", encode(whole))
        }
        None => "/upgrade".to_owned(),
    };
    let json = taken(&context.call("POST", &target, &Bytes::new())?)?;
    let number = |pointer: &str| {
        let number = json.pointer(pointer).and_then(Value::as_u64);
        number.unwrap_or_default()
    };
    let version = json.get("version").and_then(Value::as_str);
    let text = format!(
        "upgraded: process {} ({}) serves, process {} finishes what it has\n",
        number("/pid"),
        version.unwrap_or("?"),
        number("/draining/pid"),
    );
    Ok(Outcome::new(text, json))
}
