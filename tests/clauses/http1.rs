//! The rows that a client of HTTP/1 sends.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use super::origin::Rows;
use super::table::{self, Row};
use super::{TABLES, compare, run_all};
use crate::control::address;
use crate::support::{Proxy, RawClient};

const PATIENCE: Duration = Duration::from_secs(5);

fn run_table(table: &'static str) {
    let origin = Rows::start();
    let config = format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\nmax_header = \"16k\"\n\
         [upstream.app]\nendpoints = [\"{}\"]\n[[route]]\nname = \"all\"\nto = \"app\"\n",
        origin.origin.address()
    );
    let proxy = Proxy::start(&config);
    let web = address(&proxy, "web");
    let rows = table::rows(table);
    run_all(rows.iter().filter(|row| !row.send.is_empty()), |row| {
        run(row, web, &origin)
    });
}

#[test]
fn semantics() {
    run_table(TABLES[0]);
}

#[test]
fn messages() {
    run_table(TABLES[1]);
}

fn run(row: &Row, web: SocketAddr, origin: &Rows) -> Result<(), String> {
    origin.expect(row);
    let mut client = RawClient::connect(web);
    client.patience(PATIENCE);
    // The proxy may refuse before it has everything.
    drop(client.try_send(&row.send));
    if row.eof {
        client.finish();
    }
    if row.cut {
        return cut(row, &mut client);
    }
    let method = row.send.split(|byte| *byte == b' ').next();
    let method = String::from_utf8_lossy(method.unwrap_or_default()).into_owned();
    let mut seen = Vec::new();
    let last = loop {
        let response = client
            .try_response(method.trim_start())
            .map_err(|error| format!("no whole answer: {error}"))?;
        seen.extend_from_slice(&response.raw);
        if response.status() >= 200 || response.status() == 101 {
            break response;
        }
    };
    if let Some((status, reason)) = row.refused {
        if last.status() != status || !last.text().contains(reason) {
            return Err(format!("not refused so: {:?}", last.start) + &last.text());
        }
        if last.header("connection") != Some("close") && closes(reason) {
            return Err("the connection goes on".to_owned());
        }
        if row.reply.is_none() && !origin.of(row).is_empty() {
            return Err("the origin heard of it".to_owned());
        }
        return compare("the refusal", &seen, &row.sees, &row.never);
    }
    if row.sees.is_empty() && row.reply.is_none() && last.status() != 200 {
        return Err(format!("not answered: {:?} {}", last.start, last.text()));
    }
    origin.check(row)?;
    compare("the answer", &seen, &row.sees, &row.never)
}

/// A message that is not understood ends its connection; one that is understood and refused need not.
fn closes(reason: &str) -> bool {
    !matches!(reason, "http.method" | "http.loop") && reason.starts_with("http.")
}

/// The client reads a head, and then no whole body; or a refusal, where nothing of the answer had been sent yet.
fn cut(row: &Row, client: &mut RawClient) -> Result<(), String> {
    match client.try_response("GET") {
        Ok(refusal) if refusal.status() == 502 => Ok(()),
        Ok(whole) => Err(format!("{}: a whole answer: {whole:?}", row.id())),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err("the client waits".to_owned()),
        Err(_) => Ok(()),
    }
}
