//! Signals, as the control thread waits for them.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that Elbow listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
    second_user: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGTERM and SIGINT: drain and end.
    Stop,
    /// SIGHUP: read the configuration file again.
    Reload,
    /// SIGUSR1: the files of the logs have been moved away.
    ReopenLogs,
    /// SIGUSR2: the binary may have been replaced.
    Upgrade,
}

impl Signals {
    /// Begins to listen; from here on they no longer end the process by themselves.
    pub(super) fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            second_user: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }

    /// Waits for any of them.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.user.recv() => Asked::ReopenLogs,
            _ = self.second_user.recv() => Asked::Upgrade,
        }
    }
}
