//! Workers' sockets on a port of their own, and an application that gives back what streams bring.

use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use openclaw_core::config::{self, NoFiles, Protocols, Source};
use openclaw_core::route::Router;
use quinn_proto::{Dir, StreamEvent, StreamId};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Builder, LocalOptions};

use super::super::connection::NO_ERROR;
use super::super::{Application, End, Quic, Settings, attach, seats, serve};
use crate::exchange::context::{Downstream, Local};
use crate::listener::{Listening, Terms, Transport};
use crate::shield::PeerFilter;
use crate::shield::autoban::Queue;
use crate::snapshot::{ListenerSetup, Permits, Snapshot, TlsSetup};
use crate::telemetry::Recorder;
use crate::tls::Keeper;

thread_local! {
    /// Connections that came as far as the application.
    static STARTED: Cell<usize> = const { Cell::new(0) };
    /// Where clients were seen to be after the address they came from.
    static MOVED: RefCell<Vec<SocketAddr>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn started() -> usize {
    STARTED.get()
}

pub(super) fn moved() -> Vec<SocketAddr> {
    MOVED.with_borrow(Clone::clone)
}

pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default());
    runtime.unwrap().block_on(test);
}

pub(super) struct Stage {
    pub(super) address: SocketAddr,
    pub(super) local: Rc<Local>,
    pub(super) listenings: Vec<Rc<Listening>>,
}

impl Stage {
    /// As the proxy has it.
    pub(super) fn new(workers: usize) -> Self {
        Self::with(workers, true, |_| {})
    }

    /// `steers`: whether the kernel looks at connection ids.
    pub(super) fn with(
        workers: usize,
        steers: bool,
        change: impl FnOnce(&mut config::Listener),
    ) -> Self {
        let mut settings = Settings::default();
        let source = Source {
            name: "test",
            text: config::DEFAULT,
            files: &NoFiles,
            variable: &|_| None,
        };
        let mut config = config::load(&source).unwrap().config;
        config.server.shutdown_grace = Duration::from_secs(1);
        let mut listener = config
            .listeners
            .iter()
            .find(|one| one.tls.is_some())
            .unwrap()
            .clone();
        listener.protocols = Protocols {
            h1: true,
            h2: true,
            h3: true,
        };
        change(&mut listener);
        let snapshot = Arc::new(Snapshot {
            generation: 1,
            router: Router::new(&config.routes),
            config,
            listeners: Vec::new(),
            upstreams: Vec::new(),
            secured: Vec::new(),
            pages: Vec::new(),
            limits: Vec::new(),
            cache: None,
        });
        let local = Rc::new(Local::new(
            snapshot,
            Recorder::new(None),
            PeerFilter::default(),
            Queue::default().informer(),
            tokio::sync::mpsc::unbounded_channel().0,
            (0, 1),
        ));
        let mut keeper = Keeper::default();
        let tls = listener.tls.clone().unwrap();
        let ready = keeper.prepare(&listener, &tls).unwrap();
        let setup = ListenerSetup {
            tls: Some(TlsSetup {
                config: ready.config,
                names: ready.names,
            }),
            quic: Some(settings.serving(&listener, ready.quic.unwrap())),
            permits: Arc::<Permits>::default(),
            sessions: Arc::default(),
            pages: Arc::default(),
        };
        let terms = Terms {
            config: Rc::new(listener),
            slot: 0,
            setup,
        };
        let sockets = bind(workers, steers.then_some(&settings));
        let address = sockets[0].local_addr().unwrap();
        let listenings = seats(&settings, 0, sockets).0.into_iter().map(|seat| {
            let listening = Listening::new(address, Transport::Quic, terms.clone());
            tokio::task::spawn_local(serve::<Echo>(local.clone(), listening.clone(), seat));
            listening
        });
        Self {
            address,
            listenings: listenings.collect(),
            local,
        }
    }

    pub(super) fn close(&self) {
        self.listenings.iter().for_each(|one| one.close());
    }
}

fn bind(workers: usize, steered: Option<&Settings>) -> Vec<UdpSocket> {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = |_| {
        let socket =
            Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP)).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        address = socket.local_addr().unwrap().as_socket().unwrap();
        socket
    };
    let sockets: Vec<Socket> = (0..workers).map(bound).collect();
    if let Some(settings) = steered {
        attach(&sockets[0], settings.ids).unwrap();
    }
    sockets.into_iter().map(UdpSocket::from).collect()
}

/// See the module.
#[derive(Debug)]
pub(super) struct Echo {
    quic: Quic,
    streams: Vec<Stream>,
    is_draining: bool,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    pending: Vec<u8>,
    is_read: bool,
    is_answered: bool,
}

impl Application for Echo {
    fn new(_: Rc<Local>, _: Rc<Downstream>, quic: Quic) -> Self {
        STARTED.set(STARTED.get() + 1);
        Self {
            quic,
            streams: Vec::new(),
            is_draining: false,
        }
    }

    fn event(&mut self, event: &StreamEvent) {
        match *event {
            StreamEvent::Opened { dir: Dir::Bi } => {
                let mut quic = self.quic.borrow_mut();
                while let Some(id) = quic.streams().accept(Dir::Bi) {
                    self.streams.push(Stream {
                        id,
                        pending: Vec::new(),
                        is_read: false,
                        is_answered: false,
                    });
                }
            }
            StreamEvent::Finished { id } => self.streams.retain(|stream| stream.id != id),
            StreamEvent::Opened { .. }
            | StreamEvent::Readable { .. }
            | StreamEvent::Writable { .. }
            | StreamEvent::Stopped { .. }
            | StreamEvent::Available { .. } => {}
        }
    }

    fn lost(&mut self, _: &mut Context<'_>) {
        self.streams.clear();
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<End> {
        let mut quic = self.quic.borrow_mut();
        for stream in &mut self.streams {
            if !stream.is_read {
                let mut input = quic.recv_stream(stream.id);
                let mut chunks = input.read(true).unwrap();
                loop {
                    match chunks.next(usize::MAX) {
                        Ok(Some(chunk)) => stream.pending.extend_from_slice(&chunk.bytes),
                        Ok(None) => {
                            stream.is_read = true;
                            break;
                        }
                        Err(_) => break,
                    }
                }
                let _ = chunks.finalize();
            }
            let mut output = quic.send_stream(stream.id);
            if let Ok(count) = output.write(&stream.pending) {
                stream.pending.drain(..count);
            }
            if stream.is_read && stream.pending.is_empty() && !stream.is_answered {
                output.finish().unwrap();
                stream.is_answered = true;
            }
        }
        if self.is_draining && self.streams.is_empty() {
            let (code, detail) = (NO_ERROR, "");
            return Poll::Ready(End { code, detail });
        }
        Poll::Pending
    }

    fn moved(&mut self, downstream: Rc<Downstream>) {
        MOVED.with_borrow_mut(|moved| moved.push(downstream.peer));
    }

    fn drain(&mut self) {
        self.is_draining = true;
    }
}
