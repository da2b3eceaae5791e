//! `openclaw version`.

use serde_json::json;

use super::output::Outcome;
use crate::shield::kernel;

pub(super) fn version() -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let built_in = kernel::is_built_in();
    let json = json!({
        "name": "openclaw",
        "version": version,
        "target": { "arch": std::env::consts::ARCH, "os": std::env::consts::OS },
        "xdp_object": built_in,
    });
    let object = if built_in { "built in" } else { "not built in" };
    let text = format!("openclaw {version}\nxdp object: {object}\n");
    Outcome::new(text, json)
}
