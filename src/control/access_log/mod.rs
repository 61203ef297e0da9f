//! Writes access logs: takes blocks of lines from their queues and appends them to their files, on the control thread's
//! ring.
//!
//! Each log has a task of its own, so that a slow disk holds up nobody else's. A file is put aside when it has grown or
//! grown old, where the configuration says so, and opened anew when the process is told to. What cannot be written is
//! dropped and counted: a log must not take the node's memory, nor its traffic.

mod file;

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::telemetry::{AccessLogQueue, Block};
use file::LogFile;
use tokio::task::JoinHandle;

/// How often the queues are looked into. Cores fill them once a second, or when a block is full.
const INTERVAL: Duration = Duration::from_millis(100);

/// How often a log that cannot be written is complained of.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// For what is left in the queues when the node ends.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// The access logs of a node.
#[derive(Default)]
pub struct AccessLogs {
    shared: Rc<Shared>,
    writers: HashMap<PathBuf, Vec<Running>>,
}

struct Running {
    queue: Arc<AccessLogQueue>,
    writing: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Raised when files are to be opened again.
    generation: Cell<u64>,
    ending: Cell<bool>,
}

impl AccessLogs {
    /// Writes these logs from now on, and no longer those that only this still knows.
    pub fn follow(&mut self, queues: impl IntoIterator<Item = Arc<AccessLogQueue>>) {
        self.writers.values_mut().for_each(|running| running.retain(|one| !one.writing.is_finished()));
        self.writers.retain(|_, running| !running.is_empty());
        for queue in queues {
            let running = self.writers.entry(queue.path().to_owned()).or_default();
            if !running.iter().any(|one| Arc::ptr_eq(&one.queue, &queue)) {
                let writer = Writer::new(self.shared.clone(), queue.clone());
                running.push(Running { queue, writing: tokio::task::spawn_local(writer.run()) });
            }
        }
    }

    /// Opens every file again before its next line, as after a rotation.
    pub fn reopen(&self) {
        self.shared.generation.set(self.shared.generation.get() + 1);
    }

    /// Writes what is left, for two seconds at the most.
    pub async fn finish(self) {
        self.shared.ending.set(true);
        let all = async {
            for one in self.writers.into_values().flatten() {
                // A task that panicked has nothing left to write.
                let _ = one.writing.await;
            }
        };
        if tokio::time::timeout(LAST_WRITES, all).await.is_err() {
            tracing::warn!("the last lines of an access log could not be written in time");
        }
    }
}

/// Writes one log.
struct Writer {
    shared: Rc<Shared>,
    queue: Arc<AccessLogQueue>,
    /// With the generation it was opened in.
    file: Option<(LogFile, u64)>,
    complained: Option<Instant>,
    /// When it could not be put aside last.
    stuck: Option<Instant>,
}

impl Writer {
    fn new(shared: Rc<Shared>, queue: Arc<AccessLogQueue>) -> Writer {
        Writer { shared, queue, file: None, complained: None, stuck: None }
    }

    /// Until the node ends, or nobody else knows the queue any more.
    async fn run(mut self) {
        loop {
            // Asked first: what was offered before is then seen.
            let is_last = self.shared.ending.get() || Arc::strong_count(&self.queue) <= 2;
            while let Some(block) = self.queue.take() {
                let lines = block.lines;
                if let Err(error) = self.write(block).await {
                    self.queue.count_dropped(lines);
                    self.file = None;
                    self.complain(&error);
                }
            }
            if is_last {
                return;
            }
            self.rotate_when_due().await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn write(&mut self, block: Block) -> io::Result<()> {
        self.rotate_when_due().await;
        let generation = self.shared.generation.get();
        let file = match &mut self.file {
            Some((file, opened)) if *opened == generation => file,
            _ => &mut self.file.insert((LogFile::open(self.queue.path()).await?, generation)).0,
        };
        file.append(block.bytes).await
    }

    /// Puts the file aside if it is time. One that cannot be is written on, and tried again later.
    async fn rotate_when_due(&mut self) {
        let rotation = self.queue.log().rotation;
        let Some((file, _)) = self.file.as_ref().filter(|(file, _)| file.is_due(&rotation, SystemTime::now())) else {
            return;
        };
        if self.stuck.is_some_and(|last| last.elapsed() < COMPLAINT_INTERVAL) {
            return;
        }
        match file.put_aside(self.queue.path(), rotation.keep.get()).await {
            Ok(()) => self.file = None,
            Err(error) => {
                self.stuck = Some(Instant::now());
                tracing::error!(path = %self.queue.path().display(), %error, "access log cannot be rotated, and grows");
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            self.complained = Some(Instant::now());
            tracing::error!(path = %self.queue.path().display(), %error, "access log lines are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccessLog, AccessLogFormat, Count, Rotation};

    fn queue(path: PathBuf) -> Arc<AccessLogQueue> {
        Arc::new(AccessLogQueue::new(AccessLog::unrotated(path, AccessLogFormat::Elb)))
    }

    fn line(text: &str) -> Block {
        Block { bytes: format!("{text}\n").into_bytes(), lines: 1 }
    }

    #[test]
    fn lines_are_appended_and_a_rotated_file_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, rotated) = (directory.path().join("a.log"), directory.path().join("a.log.1"));
        std::fs::write(&path, "before\n").expect("written");
        tokio_uring::start(async {
            let (queue, mut logs) = (queue(path.clone()), AccessLogs::default());
            logs.follow([queue.clone()]);
            logs.follow([queue.clone()]);
            queue.offer(line("one"));
            while std::fs::read_to_string(&path).expect("there") != "before\none\n" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            std::fs::rename(&path, &rotated).expect("renamed");
            logs.reopen();
            queue.offer(line("two"));
            logs.finish().await;
            assert_eq!(std::fs::read_to_string(&rotated).expect("there"), "before\none\n");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), "two\n");
            assert_eq!(queue.dropped(), 0);
        });
    }

    #[test]
    fn a_log_is_rotated_as_it_grows_and_no_line_is_lost_where_it_cannot_be() {
        for is_stuck in [false, true] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("a.log");
            let aside = directory.path().join("a.log.1");
            let farther = directory.path().join("a.log.2");
            if is_stuck {
                for in_the_way in [&aside, &farther] {
                    std::fs::create_dir_all(in_the_way.join("full")).expect("a folder in the way");
                }
            }
            let rotation = Rotation { size: Some(Count::of(4_096)), keep: Count::of(2), ..Rotation::default() };
            let log = AccessLog { rotation, ..AccessLog::unrotated(path.clone(), AccessLogFormat::Elb) };
            let queue = Arc::new(AccessLogQueue::new(log));
            tokio_uring::start(async {
                let mut logs = AccessLogs::default();
                logs.follow([queue.clone()]);
                for letter in ["a", "b", "c"] {
                    queue.offer(line(&letter.repeat(5_000)));
                }
                logs.finish().await;
            });
            let text = |path: &PathBuf| std::fs::read_to_string(path).expect("there");
            assert_eq!(queue.dropped(), 0);
            match is_stuck {
                true => assert_eq!(text(&path).lines().count(), 3),
                false => {
                    assert!(text(&path).starts_with('c') && text(&aside).starts_with('b'));
                    assert!(text(&farther).starts_with('a'));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        tokio_uring::start(async {
            let (nowhere, full) = (queue("/nonexistent/a.log".into()), queue("/dev/full".into()));
            let mut logs = AccessLogs::default();
            logs.follow([nowhere.clone(), full.clone()]);
            for queue in [&nowhere, &full] {
                queue.offer(line("lost"));
                queue.offer(Block { bytes: b"a\nb\n".to_vec(), lines: 2 });
            }
            logs.finish().await;
            assert_eq!((nowhere.dropped(), full.dropped()), (3, 3));
        });
    }

    #[test]
    fn a_log_that_nobody_knows_any_more_is_let_go() {
        tokio_uring::start(async {
            let directory = tempfile::tempdir().expect("a directory");
            let mut logs = AccessLogs::default();
            let path = directory.path().join("a.log");
            let gone = queue(path.clone());
            logs.follow([gone.clone()]);
            gone.offer(line("last"));
            drop(gone);
            while !logs.writers.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                logs.follow([]);
            }
            assert_eq!(std::fs::read_to_string(&path).expect("there"), "last\n");
        });
    }
}
