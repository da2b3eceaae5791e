//! The exporter of spans: takes what the workers have recorded, and posts it to the collector. One that fails is asked again for a while;
//! meanwhile spans wait with the workers, and those beyond `trace.queue` are dropped there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use openclaw_core::config::Trace;
use openclaw_core::otlp::{self, Value};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::fetch::{self, FetchError, Reach};
use super::state::Control;
use crate::telemetry::{MetricsText, SpanBatch, SpanQueue, chain, metrics};

/// Batches on their way from the workers.
const INBOX: usize = 8;
/// How long spans are gathered, and how many bytes of them, for one request.
const GATHER: Duration = Duration::from_secs(1);
const MOST_BYTES: usize = 1 << 20;
/// A collector that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(10);
/// Its answer says little.
const MAX_ANSWER: usize = 64 << 10;
/// How often a request is made before its spans are lost, and the rest between the first two; then twice as long each time.
const TRIES: u32 = 5;
const REST: Duration = Duration::from_secs(1);
/// A collector that asks for more rest does not get it.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// What the end of the process waits for the last spans.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Traces {
    inbox: RefCell<Option<Receiver<SpanBatch>>>,
    task: RefCell<Option<JoinHandle<()>>>,
    sent: Cell<u64>,
    failed: Cell<u64>,
    /// It was said that the collector fails.
    is_failing: Cell<bool>,
}

/// Why spans did not arrive.
enum Failure {
    /// The collector will not take them at another time either.
    Final(String),
    /// Once more, after this at least.
    Passing(String, Duration),
}

impl Traces {
    /// With what the workers send to.
    pub(super) fn new() -> (Self, SpanQueue) {
        let (queue, inbox) = mpsc::channel(INBOX);
        let traces = Self {
            inbox: RefCell::new(Some(inbox)),
            task: RefCell::default(),
            sent: Cell::default(),
            failed: Cell::default(),
            is_failing: Cell::default(),
        };
        (traces, queue)
    }

    /// `dropped`: by the workers.
    pub(super) fn collect(&self, dropped: u64, text: &mut MetricsText) {
        for (result, count) in [
            ("sent", self.sent.get()),
            ("failed", self.failed.get()),
            ("dropped", dropped),
        ] {
            text.sample(&metrics::TRACE_SPANS, &[result], count);
        }
    }

    /// Waits for the last spans of workers that have ended.
    pub(super) async fn finish(&self) {
        let Some(task) = self.task.take() else { return };
        if timeout(LAST_WORDS, task).await.is_err() {
            tracing::warn!("the collector of traces does not take the last spans; they are lost");
        }
    }

    fn arrived(&self, count: u64, rejected: u64) {
        let rejected = rejected.min(count);
        self.sent.set(self.sent.get() + count - rejected);
        self.failed.set(self.failed.get() + rejected);
        if self.is_failing.replace(false) {
            tracing::info!("the collector of traces takes spans again");
        }
    }

    /// Said once, not for every request while the collector is away.
    fn failed(&self, why: &str) {
        if !self.is_failing.replace(true) {
            tracing::warn!("the collector of traces takes no spans: {why}");
        }
    }
}

/// Starts the exporter, which ends with the workers.
pub(super) fn attend(control: &Rc<Control>) {
    let Some(mut inbox) = control.traces.inbox.take() else {
        return;
    };
    let exporting = Rc::clone(control);
    let task = spawn_local(async move {
        while let Some(first) = inbox.recv().await {
            let batches = gather(first, &mut inbox).await;
            export(&exporting, &batches, &inbox).await;
        }
    });
    *control.traces.task.borrow_mut() = Some(task);
}

async fn gather(first: SpanBatch, inbox: &mut Receiver<SpanBatch>) -> Vec<SpanBatch> {
    let end = Instant::now() + GATHER;
    let mut bytes = first.bytes.len();
    let mut batches = vec![first];
    while bytes < MOST_BYTES {
        // The time is over, or the workers have ended.
        let Ok(Some(batch)) = timeout_at(end, inbox.recv()).await else {
            break;
        };
        bytes += batch.bytes.len();
        batches.push(batch);
    }
    batches
}

/// Until it is done, or was tried often enough.
async fn export(control: &Control, batches: &[SpanBatch], inbox: &Receiver<SpanBatch>) {
    let traces = &control.traces;
    let count = batches.iter().map(|batch| batch.count).sum();
    let mut rest = REST;
    for number in 1..=TRIES {
        // A reload may have turned to another collector, or to none.
        let trace = control.snapshot().config.trace.clone();
        let Some(collector) = &trace.otlp else { break };
        let posted = post(collector, encode(&trace, batches)).await;
        match posted {
            Ok(rejected) => return traces.arrived(count, rejected),
            Err(Failure::Final(why)) => {
                traces.failed(&why);
                break;
            }
            Err(Failure::Passing(why, wanted)) => {
                traces.failed(&why);
                if number == TRIES || inbox.is_closed() {
                    break;
                }
                sleep(rest.max(wanted).min(LONGEST_REST)).await;
                rest *= 2;
            }
        }
    }
    traces.failed.set(traces.failed.get() + count);
}

fn encode(trace: &Trace, batches: &[SpanBatch]) -> Bytes {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        ("service.name", Value::Text(&trace.service)),
        ("service.version", Value::Text(version)),
        ("process.pid", Value::Number(std::process::id().into())),
    ];
    let spans = batches.iter().map(|batch| &*batch.bytes);
    otlp::request(&resource, ("openclaw", version), spans).into()
}

/// How many spans the collector has not taken of those that came.
async fn post(collector: &str, body: Bytes) -> Result<u64, Failure> {
    let url = format!("{collector}/v1/traces");
    let kind = HeaderValue::from_static("application/x-protobuf");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
    let reach = Reach {
        roots: None,
        life: WITHIN,
    };
    let asked = async {
        let response = fetch::post(&url, headers, body, reach).await?;
        let (head, body) = response.into_parts();
        let answer = fetch::read_bytes(body, MAX_ANSWER).await?;
        Ok::<_, FetchError>((head, answer))
    };
    let again = |why| Failure::Passing(why, Duration::ZERO);
    let (head, answer) = match timeout(WITHIN, asked).await {
        Ok(answered) => answered.map_err(|error| again(chain(&error)))?,
        Err(_) => return Err(again(format!("no answer within {} s", WITHIN.as_secs()))),
    };
    let why = format!("{url} answered {}", head.status);
    match head.status.as_u16() {
        200..=299 => Ok(otlp::rejected(&answer)),
        // As the protocol has it (OTLP 1.x, Failures): these alone are worth another try.
        429 | 502..=504 => {
            let wanted = head.headers.get(RETRY_AFTER);
            let seconds = wanted.and_then(|wanted| wanted.to_str().ok()?.parse().ok());
            let wanted = seconds.map_or(Duration::ZERO, Duration::from_secs);
            Err(Failure::Passing(why, wanted))
        }
        _ => Err(Failure::Final(why)),
    }
}
