//! The other side of `cargo xtask bench peers`: the origin, and the loads that wrk and h2load do not give.
//!
//! One thread each. A result is one line of words and numbers on standard output.
#![allow(
    clippy::print_stdout,
    reason = "what it found goes to the program that started it"
)]

// Tests and loads are no part of a crate that they could share.
#[path = "../../tests/support/believer.rs"]
mod believer;
mod files;
mod handshake;
mod http3;
mod idle;
mod origin;
mod resets;
mod sink;
mod site;
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Writes a certificate for localhost and the bodies that the origin answers with
    Files { folder: PathBuf },
    /// Serves on two ports, which it prints, until standard input ends
    Origin,
    /// Serves a site with files, pages and accounts on two ports, which it prints, until standard input ends
    Site,
    /// Goes to such a site with many visitors
    Visit {
        port: u16,
        requests: u32,
        connections: u32,
        seed: u64,
    },
    /// Fetches over connections kept alive, and drops bodies without copying them
    Sink(Load),
    /// Makes a new TLS connection for each request, never resumed
    Handshake(Load),
    /// Opens connections of HTTP/2 one after the other, and resets all that it asks for
    Resets(Load),
    /// Fetches over HTTP/3, on so many streams of each connection at a time
    Http3 {
        #[command(flatten)]
        load: Load,
        streams: usize,
    },
    /// Makes a new QUIC connection for each request, never resumed
    QuicHandshake(Load),
    /// Opens connections, makes one request on each, and holds them until standard input ends
    Idle {
        port: u16,
        path: String,
        connections: usize,
    },
}

/// What a load does, and to whom.
#[derive(Debug, clap::Args)]
struct Load {
    port: u16,
    path: String,
    connections: usize,
    seconds: f64,
}

impl Load {
    fn period(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn request(&self, connection: &str) -> String {
        format!(
            "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n",
            self.path
        )
    }
}

fn main() -> Result<()> {
    let role = Arguments::parse().role;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match role {
        Role::Files { folder } => files::write(&folder),
        Role::Origin => runtime.block_on(origin::serve()),
        Role::Site => runtime.block_on(site::serve()),
        Role::Visit {
            port,
            requests,
            connections,
            seed,
        } => runtime.block_on(site::visit(port, requests, connections, seed)),
        Role::Sink(load) => runtime.block_on(sink::run(&load)),
        Role::Handshake(load) => runtime.block_on(handshake::run(&load)),
        Role::Resets(load) => runtime.block_on(resets::run(&load)),
        Role::Http3 { load, streams } => runtime.block_on(http3::run(&load, streams)),
        Role::QuicHandshake(load) => runtime.block_on(http3::handshakes(&load)),
        Role::Idle {
            port,
            path,
            connections,
        } => idle::run(port, &path, connections),
    }
}
