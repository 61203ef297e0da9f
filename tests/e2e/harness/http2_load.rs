//! Clients over HTTP/2 that keep asking, and connect again when they are told to go elsewhere.
//!
//! h2load counts a request as failed that it had queued and not sent when a GOAWAY came (RFC 9113 section 6.8); these
//! count what was sent.

use h2::client::SendRequest;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Streams of a client at once.
const STREAMS: usize = 8;

/// Running clients.
pub struct Http2Load {
    stopping: Arc<AtomicBool>,
    clients: JoinHandle<Http2Report>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Http2Report {
    /// Answered with 200, to the end of the body.
    pub good: usize,
    /// Every other end of a request that had been sent, and of an attempt to connect.
    pub failures: Vec<String>,
    /// Connections there were.
    pub connections: usize,
}

impl Http2Load {
    /// Starts this many clients.
    pub fn start(address: SocketAddr, clients: usize) -> Http2Load {
        let stopping: Arc<AtomicBool> = Arc::default();
        let seen = stopping.clone();
        let clients = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let running: Vec<_> = (0..clients)
                    .map(|_| {
                        let stopping = seen.clone();
                        tokio::task::spawn_local(async move { run_client(address, &stopping).await })
                    })
                    .collect();
                let mut total = Http2Report::default();
                for client in running {
                    total.add(client.await.expect("a client that does not panic"));
                }
                total
            })
        });
        Http2Load { stopping, clients }
    }

    /// Lets every client finish the requests it is at.
    pub fn stop(self) -> Http2Report {
        self.stopping.store(true, Ordering::SeqCst);
        self.clients.join().expect("clients that do not panic")
    }
}

impl Http2Report {
    fn add(&mut self, other: Http2Report) {
        self.good += other.good;
        self.failures.extend(other.failures);
        self.connections += other.connections;
    }
}

async fn run_client(address: SocketAddr, stopping: &Arc<AtomicBool>) -> Http2Report {
    let mut report = Http2Report::default();
    while !stopping.load(Ordering::SeqCst) {
        report.connections += 1;
        let begun =
            async { h2::client::handshake(TcpStream::connect(address).await?).await.map_err(std::io::Error::other) };
        let (client, connection) = match begun.await {
            Ok(begun) => begun,
            Err(error) => {
                report.failures.push(format!("no connection: {error}"));
                continue;
            }
        };
        let driving = tokio::task::spawn_local(connection);
        let url = Rc::new(format!("http://{address}/"));
        let streams: Vec<_> = (0..STREAMS)
            .map(|_| {
                let (client, url, stopping) = (client.clone(), url.clone(), stopping.clone());
                tokio::task::spawn_local(async move { ask_on(client, &url, &stopping).await })
            })
            .collect();
        drop(client);
        for stream in streams {
            report.add(stream.await.expect("a stream that does not panic"));
        }
        // How it ended shows in its streams.
        let _ = driving.await;
    }
    report
}

/// One request after the other, until the connection takes no more.
async fn ask_on(client: SendRequest<bytes::Bytes>, url: &str, stopping: &AtomicBool) -> Http2Report {
    let mut report = Http2Report::default();
    while !stopping.load(Ordering::SeqCst) {
        let request = http::Request::get(url).body(()).expect("a request");
        // Refused here, it has not been sent.
        let Ok(mut client) = client.clone().ready().await else { break };
        let Ok((response, _)) = client.send_request(request, true) else { break };
        let answered = async {
            let response = response.await?;
            let (head, mut body) = response.into_parts();
            while let Some(piece) = body.data().await {
                let length = piece?.len();
                body.flow_control().release_capacity(length)?;
            }
            Ok::<_, h2::Error>(head.status.as_u16())
        };
        match answered.await {
            Ok(200) => report.good += 1,
            Ok(status) => report.failures.push(format!("status {status}")),
            Err(error) => {
                report.failures.push(error.to_string());
                break;
            }
        }
    }
    report
}
