//! What a load counted, and the line that says so.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinHandle;

/// No single request may take longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that fails this often is given up.
const MOST_ERRORS: u64 = 100;

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    requests: u64,
    errors: u64,
}

impl Tally {
    /// Waits for one request, counts how it ended, and says whether the loop may go on.
    pub(crate) async fn count(&mut self, request: impl Future<Output = io::Result<()>>) -> bool {
        self.count_as(1, request).await
    }

    /// The same with what stands for so many requests.
    pub(crate) async fn count_as(
        &mut self,
        many: u64,
        work: impl Future<Output = io::Result<()>>,
    ) -> bool {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(())) => self.requests += many,
            Ok(Err(_)) | Err(_) => self.errors += 1,
        }
        self.errors < MOST_ERRORS
    }
}

/// Waits for all connections of a load and prints their sum.
pub(crate) async fn report(start: Instant, connections: Vec<JoinHandle<Tally>>) -> Result<()> {
    let mut all = Tally::default();
    for connection in connections {
        let one = connection.await?;
        all.requests += one.requests;
        all.errors += one.errors;
    }
    println!(
        "requests {} errors {} seconds {:.4}",
        all.requests,
        all.errors,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
