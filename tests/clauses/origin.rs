//! The origin behind all rows: answers each as the row says, and knows whose requests it got.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::table::Row;
use crate::support::{Message, Origin};

const USUAL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PATIENCE: Duration = Duration::from_secs(5);

type Replies = Arc<Mutex<HashMap<String, (Vec<u8>, bool)>>>;

pub struct Rows {
    pub origin: Origin,
    replies: Replies,
}

impl Rows {
    pub fn start() -> Self {
        let replies = Replies::default();
        let own = Arc::clone(&replies);
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.request()? {
                let reply = own.lock().unwrap().get(&id(&request)).cloned();
                let (bytes, ends) = reply.unwrap_or_else(|| (USUAL.to_vec(), false));
                peer.send(bytes)?;
                if ends {
                    return Ok(());
                }
            }
            Ok(())
        });
        Self { origin, replies }
    }

    /// Prepares the answer for a row.
    pub fn expect(&self, row: &Row) {
        if let Some(reply) = &row.reply {
            let mut replies = self.replies.lock().unwrap();
            replies.insert(row.id(), reply.clone());
        }
    }

    /// The requests of a row that have come so far.
    pub fn of(&self, row: &Row) -> Vec<Message> {
        let mut requests = self.origin.requests();
        requests.retain(|request| id(request) == row.id());
        requests
    }

    /// Compares the first request of a row with what the row says of it.
    pub fn check(&self, row: &Row) -> Result<(), String> {
        if row.got.is_empty() && row.gone.is_empty() && row.served.is_none() {
            return Ok(());
        }
        let wanted = row.served.unwrap_or(1);
        let end = Instant::now() + PATIENCE;
        while self.of(row).len() < wanted && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        let requests = self.of(row);
        if requests.len() != wanted {
            return Err(format!("{} requests, not {wanted}", requests.len()));
        }
        match requests.first() {
            Some(first) => super::compare("the origin's request", &first.raw, &row.got, &row.gone),
            None => Ok(()),
        }
    }
}

/// The row that a request belongs to.
fn id(request: &Message) -> String {
    let text = String::from_utf8_lossy(&request.raw);
    let mut rest = &*text;
    while let Some(at) = rest.find("row") {
        rest = &rest[at..];
        let digits = rest[3..]
            .find(|char: char| !char.is_ascii_digit())
            .unwrap_or(rest.len() - 3);
        if digits > 0 && rest[3 + digits..].starts_with('x') {
            return rest[..digits + 4].to_owned();
        }
        rest = &rest[3..];
    }
    String::new()
}
