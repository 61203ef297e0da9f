//! Instances that leave: taken out of service by hand and back, and the end of their time to finish. A drained instance
//! gets nothing new, from any core, from the answer to the command on.

use std::time::Duration;

use crate::control::admin::command::{Done, Refused};
use crate::registry::{InstanceEntry, Registry, Snapshot};
use crate::runtime;

/// How often it is looked whether an instance's time to finish is over.
const LOOK: Duration = Duration::from_millis(100);

/// Drains the instance called `LOAD-BALANCER/INSTANCE`, or ends that.
pub(super) fn set(snapshot: &Snapshot, name: &str, draining: bool) -> Done {
    let entry = find(snapshot, name.trim())?;
    entry.live.set_draining(draining);
    let in_flight = entry.live.in_flight();
    tracing::info!(instance = name, draining, in_flight, "told by command");
    Ok(match draining {
        true => format!("{name} drains, {in_flight} in flight\n"),
        false => format!("{name} takes new work when it is healthy\n"),
    })
}

/// Cuts what instances that leave have not finished in their time, and lets those that were ejected or have just come
/// into service have their share again, until it is dropped.
pub(super) async fn cut_overdue(registry: Registry) {
    loop {
        tokio::time::sleep(LOOK).await;
        let now = runtime::monotonic_now();
        registry.cut_overdue(now);
        registry.review(now);
        registry.serve_queues();
    }
}

fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a InstanceEntry, Refused> {
    let Some((balancer, instance)) = name.split_once('/') else {
        return Err(Refused::wrong(format!("{name}: expected LOAD-BALANCER/INSTANCE\n")));
    };
    let mut known = snapshot.instances();
    let found = known
        .find(|(entry, candidate)| entry.rules.name.as_str() == balancer && candidate.instance.id.as_str() == instance);
    found.map(|(_, entry)| entry).ok_or_else(|| Refused::wrong(format!("{name}: no such instance is registered\n")))
}
