//! A back end with work to do: every answer comes after a delay, so that requests are in flight when a fault strikes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n0123456789";
/// A head longer than this ends the connection.
const HEAD_LIMIT_BYTES: usize = 16 * 1024;

/// Answers requests without a body, one at a time per connection.
#[derive(Args)]
pub struct DelayedHttp {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    delay_ms: u64,
}

impl DelayedHttp {
    /// Serves for ever, on one thread.
    pub fn run(&self) -> io::Result<()> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let listener = TcpListener::bind(self.listen).await?;
            eprintln!("ready {}", listener.local_addr()?);
            loop {
                let (connection, _) = listener.accept().await?;
                tokio::spawn(serve(connection, Duration::from_millis(self.delay_ms)));
            }
        })
    }
}

async fn serve(mut connection: TcpStream, delay: Duration) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut received = Vec::with_capacity(HEAD_LIMIT_BYTES);
    while connection.read_buf(&mut received).await? > 0 && received.len() < HEAD_LIMIT_BYTES {
        while let Some(end) = memmem::find(&received, b"\r\n\r\n") {
            received.drain(..end + 4);
            tokio::time::sleep(delay).await;
            connection.write_all(ANSWER).await?;
        }
    }
    Ok(())
}
