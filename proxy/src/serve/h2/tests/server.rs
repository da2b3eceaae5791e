//! A server whose exchanges do what the path says, on a pipe in memory.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use openclaw_core::message::{Fault, Field, Request, RequestLine, ResponseBody, ResponseHead};
use openclaw_core::reason::Reason;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::task::LocalSet;

use crate::exchange::wire::{BodyPart, Wire, WireError};
use crate::serve::h2::{Driver, End, Exchanges, Limits, Socket};

/// A pipe as a socket.
#[derive(Debug)]
pub(super) struct Pipe(pub DuplexStream);

impl Socket for Pipe {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let mut room = [0; 8192];
        let mut read = tokio::io::ReadBuf::new(&mut room);
        std::task::ready!(Pin::new(&mut self.0).poll_read(cx, &mut read))?;
        buffer.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What the exchanges of one connection have seen, on whatever wire.
#[derive(Debug, Default)]
pub(in crate::serve) struct Log {
    /// Target and, for a refused request, its fault.
    pub started: RefCell<Vec<(Vec<u8>, Option<Fault>)>>,
    pub refused: RefCell<Vec<Fault>>,
    pub body_errors: RefCell<Vec<WireError>>,
    /// Exchanges that were not dropped yet.
    pub alive: Cell<usize>,
    /// The most of them at one time.
    pub most: Cell<usize>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::serve) struct Site(pub Rc<Log>);

struct Guard(Rc<Log>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.alive.set(self.0.alive.get() - 1);
    }
}

/// An exchange that does what its path says.
pub(in crate::serve) type Scripted = Pin<Box<dyn Future<Output = ()>>>;

impl Exchanges for Site {
    type Exchange = Scripted;

    fn start<W: Wire + 'static>(
        &self,
        request: Result<&Request<'_>, (Fault, RequestLine<'_>)>,
        wire: W,
    ) -> Scripted {
        let target = request
            .map(|request| request.target.to_vec())
            .unwrap_or_default();
        self.0
            .started
            .borrow_mut()
            .push((target.clone(), request.err().map(|(fault, _)| fault)));
        self.0.alive.set(self.0.alive.get() + 1);
        self.0.most.set(self.0.most.get().max(self.0.alive.get()));
        let guard = Guard(Rc::clone(&self.0));
        let fault = request.err().map(|(fault, _)| fault);
        Box::pin(async move {
            let log = Rc::clone(&guard.0);
            exchange(&target, fault, wire, &log).await;
            drop(guard);
        })
    }

    fn refused(&self, fault: Fault, _asked: RequestLine<'_>) {
        self.0.refused.borrow_mut().push(fault);
    }
}

fn head(status: u16, body: ResponseBody) -> ResponseHead<'static> {
    ResponseHead {
        status,
        phrase: b"",
        fields: &[],
        source: b"",
        body,
    }
}

/// The number at the end of a path.
fn number(target: &[u8]) -> usize {
    let text = str::from_utf8(target).unwrap();
    text.rsplit('/').next().unwrap().parse().unwrap()
}

async fn exchange(target: &[u8], fault: Option<Fault>, mut wire: impl Wire, log: &Log) {
    if let Some(fault) = fault {
        wire.respond(&head(fault.status, ResponseBody::Length(0)));
        wire.finish(&[]);
        return;
    }
    match target {
        b"/echo" => echo(&mut wire, log).await,
        b"/early" => {
            wire.respond(&head(413, ResponseBody::Length(0)));
            wire.finish(&[]);
        }
        b"/hold" => {
            let never: Result<(), WireError> = poll_fn(|_| Poll::Pending).await;
            log.body_errors.borrow_mut().extend(never.err());
        }
        b"/take" => take(&mut wire).await,
        b"/abort" => {
            wire.respond(&head(200, ResponseBody::Length(100)));
            send(&mut wire, b"part").await.unwrap();
            wire.abort(Reason::UpstreamReset);
        }
        b"/tunnel" => {
            wire.respond(&head(200, ResponseBody::Tunnel));
            wire.finish(&[]);
            let body = poll_fn(|cx| wire.poll_body(cx)).await;
            log.body_errors.borrow_mut().extend(body.err());
        }
        b"/torn" => {
            wire.respond(&head(200, ResponseBody::Tunnel));
            wire.abort(Reason::UpstreamReset);
        }
        b"/short" => {
            wire.respond(&head(200, ResponseBody::Length(100)));
            wire.finish(&[]);
        }
        b"/long" => {
            wire.respond(&head(200, ResponseBody::Length(3)));
            assert_eq!(send(&mut wire, b"four").await, Err(WireError::Gone));
        }
        b"/drop" => {}
        b"/none" => {
            wire.inform(&head(103, ResponseBody::None { declared: None }));
            assert!(wire.can_respond());
            wire.respond(&head(304, ResponseBody::None { declared: Some(7) }));
            assert!(!wire.can_respond());
            wire.finish(&[]);
        }
        b"/fields" => {
            let long = vec![b'x'; 20_000];
            let fields = [
                Field::new(b"Content-Type", b"text/plain"),
                Field::new(b"Connection", b"close"),
                Field::new(b"X-Long", &long),
                Field::new(b"x-long", &long),
            ];
            wire.respond(&ResponseHead {
                fields: &fields,
                ..head(200, ResponseBody::Length(0))
            });
            wire.finish(&[]);
        }
        _ if target.starts_with(b"/length/") => {
            let size = number(target);
            // What the endpoint says of its urgency may stand between.
            let said = target.get(8..target.len() - size.to_string().len() - 1);
            let fields = [Field::new(b"Priority", said.unwrap_or_default())];
            wire.respond(&ResponseHead {
                fields: &fields[..usize::from(said.is_some())],
                ..head(200, ResponseBody::Length(size as u64))
            });
            if send(&mut wire, &vec![b'.'; size]).await.is_ok() {
                wire.finish(&[]);
            }
        }
        _ => {
            wire.respond(&head(200, ResponseBody::Length(5)));
            if send(&mut wire, b"hello").await.is_ok() {
                wire.finish(&[]);
            }
        }
    }
}

/// Reads the body and does nothing with it.
async fn take(wire: &mut impl Wire) {
    while let Ok(BodyPart::Data) = poll_fn(|cx| wire.poll_body(cx)).await {
        let count = wire.body().len();
        wire.consume(count);
    }
    wire.respond(&head(200, ResponseBody::Length(0)));
    wire.finish(&[]);
}

/// Sends the body back as it comes, trailers at the end.
async fn echo(wire: &mut impl Wire, log: &Log) {
    wire.respond(&head(200, ResponseBody::Chunked));
    loop {
        let part = poll_fn(|cx| {
            wire.poll_body(cx).map_ok(|part| match part {
                BodyPart::Data => Some(wire.body().to_vec()),
                BodyPart::End => None,
            })
        });
        match part.await {
            Ok(Some(data)) => {
                assert!(!data.is_empty() && data.len() <= 65535);
                if send(wire, &data).await.is_err() {
                    return;
                }
                wire.consume(data.len());
            }
            Ok(None) => break,
            Err(error) => return log.body_errors.borrow_mut().push(error),
        }
    }
    let lines = wire.trailers().to_vec();
    let fields: Vec<_> = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some(Field::new(&line[..colon], &line[colon + 2..]))
        })
        .collect();
    wire.finish(&fields);
}

async fn send(wire: &mut impl Wire, mut payload: &[u8]) -> Result<(), WireError> {
    while !payload.is_empty() {
        let sent = poll_fn(|cx| wire.poll_send(cx, payload)).await?;
        assert!(sent > 0);
        payload = &payload[sent..];
    }
    poll_fn(|cx| wire.poll_flush(cx)).await
}

/// A connection that is being served, and the other end of its pipe.
pub(super) struct Served {
    pub log: Rc<Log>,
    pub end: tokio::task::JoinHandle<End>,
    pub pipe: DuplexStream,
}

pub(super) const MAX_HEADER: usize = 16384;

/// Serves one connection; its pipe holds 64 KiB.
pub(super) fn serve() -> Served {
    let (ours, pipe) = tokio::io::duplex(65536);
    let site = Site::default();
    let log = Rc::clone(&site.0);
    let driver = Driver::new(Pipe(ours), site, Limits::new(MAX_HEADER), b"");
    let end = tokio::task::spawn_local(driver);
    Served { log, end, pipe }
}

/// Runs a test on one thread, with a deadline.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = LocalSet::new();
    let limit = std::time::Duration::from_secs(20);
    runtime.block_on(local.run_until(async {
        tokio::time::timeout(limit, test)
            .await
            .expect("the test hangs")
    }))
}
