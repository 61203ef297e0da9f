//! Takes the configuration file again while the node runs: in process, by difference, all or nothing.
//!
//! Whatever is wrong with the file, or changes only with a start, is found out before it is published. Where the ELB
//! API is on, the file is one of two sources, and it is the API's service that puts both together.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use http::StatusCode;
use tokio::sync::{Mutex, MutexGuard};

use crate::control::admin::command::{Done, Refused};
use crate::control::api::Service;
use crate::control::config::{self, ConfigErrors, Loaded, Report};
use crate::control::difference::Difference;
use crate::model::Configuration;
use crate::server::publisher::Publisher;
use crate::telemetry::Reloads;

/// What the configuration file says, and the way to what it says next.
pub(super) struct Reloader {
    /// Where it was read; `None`: it was made from flags.
    file: Option<PathBuf>,
    configuration: RefCell<Rc<Configuration>>,
    publisher: Publisher,
    /// Where the ELB API is on, its load balancers stand beside those of the file.
    api: Option<Rc<Service>>,
    /// Reloads wait for each other, or the second would compare with what the first is about to replace.
    turn: Mutex<()>,
    counts: Cell<Reloads>,
}

impl Reloader {
    /// `configuration` was read from `file` and is in effect.
    pub(super) fn new(
        file: Option<PathBuf>,
        configuration: Configuration,
        publisher: Publisher,
        api: Option<Rc<Service>>,
    ) -> Reloader {
        Reloader {
            file,
            configuration: RefCell::new(Rc::new(configuration)),
            publisher,
            api,
            turn: Mutex::new(()),
            counts: Cell::default(),
        }
    }

    /// Has reloads wait until the guard is dropped, and waits for one under way.
    pub(super) async fn hold(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// How many reloads there were.
    pub(super) fn counts(&self) -> Reloads {
        self.counts.get()
    }

    /// Reads the file again and goes by it. Answers what changed.
    pub(super) async fn reload(&self) -> Done {
        let _turn = self.turn.lock().await;
        let done = self.try_reload().await;
        let mut counts = self.counts.get();
        match &done {
            Ok(difference) => {
                counts.applied += 1;
                let (removed, added) = difference.counts();
                tracing::info!(removed, added, "reloaded");
            }
            Err(refused) => {
                counts.refused += 1;
                tracing::error!(reason = refused.message.trim_end(), "reload refused, the configuration stays");
            }
        }
        self.counts.set(counts);
        done.map(|difference| difference.to_string())
    }

    async fn try_reload(&self) -> Result<Difference, Refused> {
        let loaded = self.load().await?;
        let difference = self.difference(&loaded)?;
        let next = loaded.configuration.clone();
        match &self.api {
            Some(service) => service.reload(next).await.map_err(|error| unavailable(error.to_string()))?,
            None => self.publisher.publish(next).await.map_err(|error| unavailable(error.to_string()))?,
        }
        self.configuration.replace(Rc::new(loaded.configuration));
        Ok(difference)
    }

    /// What a reload would change; with a text, if that were the file.
    pub(super) async fn plan(&self, text: Option<String>) -> Done {
        let loaded = match text {
            Some(text) => {
                let path = self.file.clone().unwrap_or_else(|| PathBuf::from("plan"));
                let parsed = aside(move || config::parse(&text, &path).map_err(|report| invalid(&report)));
                parsed.await?
            }
            None => self.load().await?,
        };
        self.difference(&loaded).map(|difference| difference.to_string())
    }

    async fn load(&self) -> Result<Loaded, Refused> {
        let Some(file) = self.file.clone() else {
            return Err(Refused::wrong("the balancer runs without a file, so there is none to read again\n"));
        };
        let loaded = aside(move || config::load(&file).map_err(|errors| unreadable(&errors))).await?;
        if loaded.warnings.counts() != (0, 0) {
            tracing::warn!(warnings = %loaded.warnings, "doubtful configuration");
        }
        Ok(loaded)
    }

    fn difference(&self, loaded: &Loaded) -> Result<Difference, Refused> {
        let (current, next) = (self.configuration.borrow(), &loaded.configuration);
        let fixed = [
            ("[node] cores", current.node.cores == next.node.cores),
            ("[node] state_dir", current.node.state_dir == next.node.state_dir),
            ("[node] sticky_key_file", current.node.sticky_key_file == next.node.sticky_key_file),
            ("[node] pid_file", current.node.pid_file == next.node.pid_file),
            ("[admin] address", current.admin == next.admin),
            ("[api]", current.api == next.api),
        ];
        match fixed.iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(Refused::wrong(format!("{what} changes only with a restart\n"))),
            None => Ok(Difference::between(&current, next)),
        }
    }
}

/// Runs `work` away from the control thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(unavailable(error.to_string())))
}

fn unavailable(message: String) -> Refused {
    Refused { status: StatusCode::SERVICE_UNAVAILABLE, message: format!("{message}\n") }
}

fn unreadable(errors: &ConfigErrors) -> Refused {
    match errors {
        ConfigErrors::Invalid(report) => invalid(report),
        ConfigErrors::Unreadable { .. } => unavailable(errors.to_string()),
    }
}

fn invalid(report: &Report) -> Refused {
    Refused::wrong(report.render(config::Paint::Plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use std::path::Path;

    fn text(listeners: &[u16], node: &str) -> String {
        let listeners: Vec<String> = listeners
            .iter()
            .map(|port| format!("{{ protocol = \"HTTP\", address = \"127.0.0.1\", port = {port}, instance_port = 1 }}"))
            .collect();
        let listeners = listeners.join(", ");
        format!("[node]\n{node}\n[load_balancers.web]\nlisteners = [{listeners}]\ninstances = [\"127.0.0.1:9\"]\n")
    }

    fn configuration(text: &str) -> Configuration {
        config::parse(text, Path::new("elbow.toml")).expect("a good file").configuration
    }

    /// A reloader of a file with one listener, and that file.
    fn reloader(port: u16) -> (Reloader, Registry, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let first = configuration(&text(&[port], "max_connections = 7"));
        let registry = Registry::new(&first, 1).expect("resolvable");
        let publisher = Publisher::new(registry.clone(), &first, 1, 1_000);
        (Reloader::new(Some(file.path().to_owned()), first, publisher, None), registry, file)
    }

    fn write(file: &tempfile::NamedTempFile, text: &str) {
        std::fs::write(file.path(), text).expect("written");
    }

    #[tokio::test]
    async fn a_good_file_is_gone_by_and_a_bad_one_changes_nothing() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let taken = taken.local_addr().expect("an address").port();
        let (reloader, registry, file) = reloader(8_001);
        for (bad, status) in [
            ("[nonsense", StatusCode::UNPROCESSABLE_ENTITY),
            (&text(&[8_001], "cores = [0]"), StatusCode::UNPROCESSABLE_ENTITY),
            (&text(&[8_001, taken], ""), StatusCode::SERVICE_UNAVAILABLE),
        ] {
            write(&file, bad);
            let refused = reloader.reload().await.expect_err("bad");
            assert_eq!(refused.status, status, "{}", refused.message);
            assert_eq!(registry.snapshot().version(), 1, "nothing was published");
        }
        write(&file, &text(&[8_001], "max_connections = 9"));
        let planned = reloader.plan(None).await.expect("good");
        assert_eq!(registry.snapshot().version(), 1, "a plan is only a plan");
        assert_eq!(reloader.reload().await, Ok(planned.clone()));
        assert!(planned.contains("+ max_connections = 9"), "{planned}");
        assert_eq!(registry.snapshot().version(), 2);
        assert_eq!(reloader.plan(None).await.as_deref(), Ok("nothing changes\n"));
        let counts = reloader.counts();
        assert_eq!((counts.applied, counts.refused), (1, 3));
    }

    #[tokio::test]
    async fn a_plan_can_be_made_for_a_text() {
        let (reloader, _registry, _file) = reloader(8_002);
        let planned = reloader.plan(Some(text(&[8_002], "zone = \"attic\""))).await.expect("good");
        assert!(planned.contains("+ zone = \"attic\""), "{planned}");
    }
}
