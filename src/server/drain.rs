//! Takes an instance out of service by hand, and back. What it has in flight goes on; it gets nothing new, from any core,
//! from the answer to the command on.

use crate::control::admin::command::{Done, Refused};
use crate::registry::{InstanceEntry, Snapshot};

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

fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a InstanceEntry, Refused> {
    let Some((balancer, instance)) = name.split_once('/') else {
        return Err(Refused::wrong(format!("{name}: expected LOAD-BALANCER/INSTANCE\n")));
    };
    let mut known = snapshot.instances();
    let found = known
        .find(|(entry, candidate)| entry.rules.name.as_str() == balancer && candidate.instance.id.as_str() == instance);
    found.map(|(_, entry)| entry).ok_or_else(|| Refused::wrong(format!("{name}: no such instance is registered\n")))
}
