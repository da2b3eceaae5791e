//! `openclaw version`.

use serde_json::json;

use super::output::Outcome;

pub(super) fn version() -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let json = json!({
        "name": "openclaw",
        "version": version,
        "target": { "arch": std::env::consts::ARCH, "os": std::env::consts::OS },
        "xdp_object": false,
    });
    let text = format!("openclaw {version}\nxdp object: not built in\n");
    Outcome::new(text, json)
}
