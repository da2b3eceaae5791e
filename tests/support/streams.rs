//! An origin that speaks HTTP/2 with prior knowledge: the `h2` crate, which frames and counts as gRPC's own servers do.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use hyper::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A listener on a port of its own; each request runs the script in a task.
pub struct StreamOrigin {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    /// Ends the thread when it is dropped.
    _stop: tokio::sync::oneshot::Sender<()>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<(usize, Request<()>)>,
}

/// One request, for the script.
pub struct Call {
    /// The number of its connection, from 0.
    pub connection: usize,
    pub request: Request<RecvStream>,
    pub respond: SendResponse<Bytes>,
    control: UnboundedSender<Control>,
}

enum Control {
    Leave,
    Cut,
}

impl StreamOrigin {
    pub fn start<W>(script: impl Fn(Call) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        Self::with(&Builder::new(), script)
    }

    /// Over TLS, as this configuration has it.
    pub fn secured<W>(
        config: ServerConfig,
        script: impl Fn(Call) -> W + Send + Sync + 'static,
    ) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let tls = TlsAcceptor::from(Arc::new(config));
        Self::launch(&Builder::new(), Some(tls), script)
    }

    /// With settings of its own.
    pub fn with<W>(builder: &Builder, script: impl Fn(Call) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        Self::launch(builder, None, script)
    }

    fn launch<W>(
        builder: &Builder,
        tls: Option<TlsAcceptor>,
        script: impl Fn(Call) -> W + Send + Sync + 'static,
    ) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(move |call| -> Work { Box::pin(script(call)) });
        let seen = Arc::<Mutex<Seen>>::default();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let std = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = std.local_addr().expect("it is bound");
        std.set_nonblocking(true).expect("a socket");
        let (own, builder) = (seen.clone(), builder.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(std).expect("a listener");
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, (builder, tls), own, script) => {}
                }
            });
        });
        Self {
            address,
            seen,
            _stop: stop,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// The heads of all requests so far, each with the number of its connection.
    pub fn requests(&self) -> Vec<(usize, Request<()>)> {
        self.seen.lock().unwrap().requests.clone()
    }
}

async fn accept(
    listener: TcpListener,
    (builder, tls): (Builder, Option<TlsAcceptor>),
    seen: Arc<Mutex<Seen>>,
    script: Arc<impl Fn(Call) -> Work + Send + Sync + 'static>,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.connections += 1;
            seen.connections - 1
        };
        let (builder, seen, script) = (builder.clone(), seen.clone(), script.clone());
        let tls = tls.clone();
        tokio::spawn(async move {
            match tls {
                None => serve(tcp, number, builder, seen, script).await,
                Some(tls) => {
                    if let Ok(secured) = tls.accept(tcp).await {
                        serve(secured, number, builder, seen, script).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    builder: Builder,
    seen: Arc<Mutex<Seen>>,
    script: Arc<impl Fn(Call) -> Work + Send + Sync + 'static>,
) {
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else {
        return;
    };
    let (control, mut orders) = unbounded_channel();
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            Some(order) = orders.recv() => match order {
                Control::Leave => {
                    connection.graceful_shutdown();
                    continue;
                }
                Control::Cut => return,
            },
        };
        let Some(Ok((request, respond))) = accepted else {
            return;
        };
        let mut head = Request::new(());
        head.method_mut().clone_from(request.method());
        head.uri_mut().clone_from(request.uri());
        head.headers_mut().clone_from(request.headers());
        seen.lock().unwrap().requests.push((number, head));
        tokio::spawn(script(Call {
            connection: number,
            request,
            respond,
            control: control.clone(),
        }));
    }
}

impl Call {
    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// The whole body, and the trailers.
    pub async fn read(&mut self) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
        let body = self.request.body_mut();
        let mut whole = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            whole.extend_from_slice(&data);
            body.flow_control().release_capacity(data.len())?;
        }
        Ok((whole, body.trailers().await?))
    }

    /// Answers with a status and a body. The proxy may be gone: that is what some tests are about.
    pub fn answer(&mut self, status: u16, body: &str) {
        let head = Response::builder().status(status).body(()).unwrap();
        if let Ok(mut stream) = self.respond.send_response(head, body.is_empty())
            && !body.is_empty()
        {
            drop(stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true));
        }
    }

    /// Sends GOAWAY, so that the connection ends with the streams that run.
    pub fn leave(&self) {
        drop(self.control.send(Control::Leave));
    }

    /// Closes the connection at once.
    pub fn cut(&self) {
        drop(self.control.send(Control::Cut));
    }
}
