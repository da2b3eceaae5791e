//! Embeds the kernel program: the object that `OPENCLAW_BPF_OBJECT` names, else the one that `cargo xtask ebpf` leaves in the target
//! directory. Without either the binary is built all the same, and says so when asked to load it.

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(openclaw_bpf_object)");
    println!("cargo::rerun-if-env-changed=OPENCLAW_BPF_OBJECT");
    let named = env::var_os("OPENCLAW_BPF_OBJECT").map(PathBuf::from);
    let object = named.clone().unwrap_or_else(|| {
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
            .join("../target/bpf/openclaw-xdp.o")
    });
    println!("cargo::rerun-if-changed={}", object.display());
    if named.is_none() && !object.exists() {
        return Ok(());
    }
    let copy = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("openclaw-xdp.o");
    fs::copy(object, copy)?;
    println!("cargo::rustc-cfg=openclaw_bpf_object");
    Ok(())
}
