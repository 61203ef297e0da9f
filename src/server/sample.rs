//! Small back ends for `elbow demo`: each says who it is and what it was asked.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Starts a back end called `name` on a free loopback port, on a thread of its own that lives as long as the process.
///
/// # Errors
/// When no port can be bound or no thread started.
pub fn start(name: &'static str) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, name).await,
                Err(error) => tracing::error!(%error, name, "the sample back end could not start"),
            }
        });
    })?;
    Ok(address)
}

async fn serve(listener: TcpListener, name: &'static str) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: the balancer's own pause is as long.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let answer = service_fn(move |request| async move { Ok::<_, Infallible>(answer(name, &request)) });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        // A client that goes away in the middle is its own affair.
        tokio::spawn(async { drop(connection.await) });
    }
}

fn answer(name: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let field = |name: &str| {
        let value = request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        value.unwrap_or_else(|| "-".to_owned())
    };
    let body = format!(
        "Hello from {name}.\n  {} {}\n  Host: {}\n  X-Forwarded-For: {}\n  X-Forwarded-Proto: {}\n  X-Forwarded-Port: {}\n",
        request.method(),
        request.uri(),
        field("host"),
        field("x-forwarded-for"),
        field("x-forwarded-proto"),
        field("x-forwarded-port"),
    );
    Response::new(Full::new(Bytes::from(body)))
}
