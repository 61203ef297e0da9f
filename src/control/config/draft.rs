//! A configuration on its way: every value valid on its own, nothing yet said about them together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use crate::model::{
    AdminAddress, ApiSettings, Configuration, ConfigurationParts, Inventory, LoadBalancer, LoadBalancerParts, Node,
    Place,
};

/// What was read, and where it stands.
pub(super) struct Draft {
    /// This machine.
    pub node: Node,
    /// Where metrics and status are served.
    pub admin: AdminAddress,
    /// Where that is said; the beginning of the file if it is not.
    pub admin_span: Range<usize>,
    /// The ELB API.
    pub api: Option<ApiSettings>,
    /// Where that is said.
    pub api_spans: ApiSpans,
    /// What the API may name.
    pub inventory: Inventory,
    /// The load balancers, in order of their names.
    pub load_balancers: Vec<DraftLoadBalancer>,
}

/// Where the parts of `[api]` stand, or the table itself.
#[derive(Debug, Clone, Default)]
pub(super) struct ApiSpans {
    /// The address.
    pub address: Range<usize>,
    /// The certificate.
    pub certificate: Range<usize>,
}

/// A load balancer of the file.
pub(super) struct DraftLoadBalancer {
    /// What was read.
    pub parts: LoadBalancerParts,
    /// Where it stands.
    pub places: Places,
}

/// Where the things of a load balancer stand, and which of them could not be read.
#[derive(Default)]
pub(super) struct Places {
    whole: Site,
    sites: HashMap<Place, Site>,
    unread: HashSet<Place>,
}

/// A place in the file and what stands there, for messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Site {
    /// Where.
    pub span: Range<usize>,
    /// `load_balancers.web, listener 2`.
    pub object: String,
}

impl Places {
    /// The places of a load balancer that stands at `whole`.
    pub(super) fn of(whole: Site) -> Self {
        Self { whole, ..Self::default() }
    }

    /// Notes where `place` is.
    pub(super) fn set(&mut self, place: Place, span: Range<usize>, object: &str) {
        self.sites.insert(place, Site { span, object: object.to_owned() });
    }

    /// Notes that something at `place` is in the file but could not be read, so that it is not missed again.
    pub(super) fn set_unread(&mut self, place: Place) {
        self.unread.insert(place);
    }

    /// Where `place` is: as exactly as is known.
    pub(super) fn site(&self, place: &Place) -> &Site {
        self.sites.get(place).unwrap_or(&self.whole)
    }

    /// Whether something at `place` could not be read.
    pub(super) fn is_unread(&self, place: &Place) -> bool {
        self.unread.contains(place)
    }
}

impl Draft {
    /// The configuration; `None` if the draft is not in agreement with itself, which
    /// [`super::check::disagreements`] explains.
    pub(super) fn build(self) -> Option<Configuration> {
        let mut load_balancers = BTreeMap::new();
        for draft in self.load_balancers {
            load_balancers.insert(draft.parts.name.clone(), LoadBalancer::new(draft.parts).ok()?);
        }
        let Self { node, admin, api, inventory, .. } = self;
        Configuration::new(ConfigurationParts { node, admin, api, inventory, load_balancers }).ok()
    }
}
