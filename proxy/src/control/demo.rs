//! The demo origin behind `builtin:demo`: whatever is asked, it answers with what it saw of the request, as JSON. It has a
//! thread of its own, so that trying the proxy out under load does not slow the control plane.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, json};
use tokio::runtime;

/// Starts it and says where it listens: on loopback, at a port of the kernel's choice.
pub(super) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("demo-origin".into())
        .spawn(move || runtime.block_on(serve(listener)))?;
    Ok(address)
}

async fn serve(listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the demo origin does not listen");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let service =
                    service_fn(|request| async move { Ok::<_, Infallible>(echo(&request)) });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // How it ends matters to the proxy, which is its only client.
                tokio::spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "the demo origin cannot accept");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

fn echo(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let lines = request.headers().get_all(name).iter();
        let lines: Vec<_> = lines
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        headers.insert(name.to_string(), lines.join(", ").into());
    }
    let body = json!({
        "origin": "openclaw demo",
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": headers,
    });
    let mut response = Response::new(Full::from(format!("{body:#}\n")));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
