//! Floor 5: builds every part once, in order; shuts down in reverse.

pub mod notify;
pub mod sample;

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use crate::model::{Configuration, Cores};
use crate::proxy::admission::Admission;
use crate::proxy::worker::{self, WorkerSettings};
use crate::registry::{Lifecycle, Registry, compile};
use crate::runtime::{BufferPool, Executor, Features, Ring};

/// TEMPORARY
pub fn run(configuration: Configuration) -> io::Result<()> {
    let limit = crate::runtime::raise_descriptor_limit()?;
    let cpus = match &configuration.node.cores {
        Cores::Auto => crate::runtime::allowed_cpus()?,
        Cores::List(list) => list.as_slice().iter().map(|cpu| usize::from(*cpu)).collect(),
    };
    let registry = Registry::new(compile(&configuration, cpus.len()));
    let admission = Admission::new((limit as usize) / 2);
    let (sender, receiver) = mpsc::channel();
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for (number, cpu) in cpus.iter().copied().enumerate() {
        let (registry, admission, sender) = (registry.clone(), admission.clone(), sender.clone());
        let thread = std::thread::Builder::new().name(format!("elbow-{number}"));
        threads.push(thread.spawn(move || {
            let work = || -> io::Result<()> {
                crate::runtime::pin_to(cpu)?;
                let buffers = BufferPool::new(16384)?;
                let ring = Ring::new(&buffers).map_err(|error| io::Error::other(Features::explain(&error)))?;
                let mut executor = Executor::new(Box::new(ring), buffers)?;
                let io = executor.io().clone();
                let settings = WorkerSettings { number, may_splice: std::env::var_os("ELBOW_SPLICE").is_none_or(|value| value != "off"), reader: registry.reader(), admission };
                executor.run(worker::run(io, settings, move |started| {
                    let _ = sender.send(started);
                }))?;
                executor.close(std::time::Duration::from_secs(1));
                Ok(())
            };
            if let Err(error) = work() {
                eprintln!("worker {number}: {error}");
            }
        })?);
    }
    for _ in &cpus {
        receiver.recv().map_err(io::Error::other)??;
    }
    eprintln!("ready");
    for thread in threads {
        let _ = thread.join();
    }
    let _ = Lifecycle::Serving;
    let _: Arc<Registry> = registry;
    Ok(())
}
