//! What metrics read: names, cells, and what the live records say.

use super::{InstanceEntry, ListenerEntry, LoadBalancerEntry, Snapshot};
use crate::telemetry::{InstanceReading, ListenerReading, LoadBalancerReading, Reading};
use std::sync::Arc;

impl Snapshot {
    /// Every load balancer with its listeners and instances. Touches no data-plane thread.
    pub fn reading(&self) -> Reading {
        Reading { load_balancers: self.load_balancers.iter().map(|balancer| self.reading_of(balancer)).collect() }
    }

    fn reading_of(&self, balancer: &Arc<LoadBalancerEntry>) -> LoadBalancerReading {
        let mut listeners: Vec<_> = self.listeners_of(balancer).map(ListenerEntry::reading).collect();
        listeners.sort_by_key(|listener| listener.port);
        // Listeners with the same port share their cells.
        listeners.dedup_by_key(|listener| listener.port);
        LoadBalancerReading {
            name: balancer.name.clone(),
            listeners,
            instances: balancer.instances.iter().map(InstanceEntry::reading).collect(),
        }
    }

    /// The listeners of one load balancer of this snapshot.
    pub fn listeners_of<'a>(&'a self, balancer: &'a LoadBalancerEntry) -> impl Iterator<Item = &'a ListenerEntry> {
        self.listeners.iter().filter(move |listener| std::ptr::eq(&*listener.load_balancer, balancer))
    }
}

impl ListenerEntry {
    fn reading(&self) -> ListenerReading {
        ListenerReading { port: self.address.port(), cells: Arc::clone(&self.cells) }
    }
}

impl InstanceEntry {
    fn reading(&self) -> InstanceReading {
        InstanceReading {
            id: self.instance.id.clone(),
            cells: Arc::clone(self.live.all_cells()),
            in_flight: self.live.in_flight().into(),
            in_service: self.live.condition().is_in_service(),
        }
    }
}
