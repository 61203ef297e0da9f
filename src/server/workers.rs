//! The data-plane threads.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::proxy::admission::Admission;
use crate::proxy::worker::{self, WorkerSettings};
use crate::registry::Registry;
use crate::runtime::{self, BufferPool, Executor, Features, ListeningSockets, Ring};
use crate::server::RunError;
use crate::server::publisher::Publisher;
use crate::telemetry::FlightRecorder;

/// Receive buffers of one core at the most: 256 MiB. Address space only, until they are used.
const BUFFERS: u16 = 16 * 1024;

/// How long a thread waits at its end for operations in flight.
const PATIENCE: Duration = Duration::from_secs(1);

/// Environment variable that gives each core fewer, to see what comes of a shortage.
const FEWER_BUFFERS: &str = "ELBOW_BUFFERS";

/// Environment variable that switches splicing off, to measure what it gains.
const SPLICE: &str = "ELBOW_SPLICE";

/// The running threads.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts one thread on each CPU and waits until all of them accept. When one cannot, the others go with the process.
    pub(super) fn start(
        registry: &Registry,
        cpus: &[usize],
        publisher: &Publisher,
        recorder: &Arc<FlightRecorder>,
    ) -> Result<Workers, RunError> {
        let (started, starting) = mpsc::channel();
        let mut threads = Vec::new();
        for (number, cpu) in cpus.iter().copied().enumerate() {
            let worker = Worker {
                number,
                cpu,
                registry: registry.clone(),
                admission: publisher.admission().clone(),
                sockets: publisher.sockets().clone(),
                recorder: recorder.clone(),
            };
            let started = started.clone();
            let thread = Builder::new().name(format!("elbow-{number}")).spawn(move || worker.run(&started));
            threads.push(thread.map_err(|error| RunError::Start(format!("data-plane thread: {error}")))?);
        }
        drop(started);
        for _ in cpus {
            match starting.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(RunError::Start(error.to_string())),
                Err(_gone) => return Err(RunError::Start("a data-plane thread ended while starting".to_owned())),
            }
        }
        Ok(Workers { threads })
    }

    /// Waits until every thread has ended.
    pub(super) async fn wait(&self, interval: Duration) {
        while !self.threads.iter().all(JoinHandle::is_finished) {
            tokio::time::sleep(interval).await;
        }
    }
}

/// What one thread is made from.
struct Worker {
    number: usize,
    cpu: usize,
    registry: Registry,
    admission: Arc<Admission>,
    sockets: Arc<ListeningSockets>,
    recorder: Arc<FlightRecorder>,
}

impl Worker {
    fn run(self, started: &mpsc::Sender<io::Result<()>>) {
        let number = self.number;
        if let Err(error) = self.serve(started) {
            tracing::error!(core = number, %error, "a data-plane thread has ended");
            // Nobody listens any more if the thread had started well.
            let _ = started.send(Err(error));
        }
    }

    fn serve(self, started: &mpsc::Sender<io::Result<()>>) -> io::Result<()> {
        runtime::pin_to(self.cpu)?;
        let buffers = BufferPool::new(buffers())?;
        let ring = Ring::new(&buffers).map_err(|error| io::Error::other(Features::explain(&error)))?;
        let mut executor = Executor::new(Box::new(ring), buffers)?;
        let io = executor.io().clone();
        let settings = WorkerSettings {
            number: self.number,
            may_splice: std::env::var_os(SPLICE).is_none_or(|value| value != "off"),
            reader: self.registry.reader(),
            admission: self.admission,
            recorder: self.recorder,
            sockets: self.sockets,
        };
        let started = started.clone();
        executor.run(worker::run(io.clone(), settings, move |opened| {
            let _ = started.send(opened);
        }))?;
        executor.close(PATIENCE);
        let panics = io.counts().panics;
        if panics > 0 {
            tracing::error!(core = self.number, panics, "flows ended by a panic; each is a bug");
        }
        Ok(())
    }
}

fn buffers() -> u16 {
    let fewer = std::env::var(FEWER_BUFFERS).ok().and_then(|text| text.parse().ok());
    fewer.filter(|fewer| (1..BUFFERS).contains(fewer)).unwrap_or(BUFFERS)
}

/// Makes a ring and lets it go: what the kernel lacks shows before anything else is built.
pub(super) fn probe_ring() -> Result<Features, RunError> {
    let explained = |error: io::Error| RunError::Start(Features::explain(&error));
    let buffers = BufferPool::new(1).map_err(explained)?;
    let ring = Ring::new(&buffers).map_err(explained)?;
    Ok(ring.features().clone())
}
