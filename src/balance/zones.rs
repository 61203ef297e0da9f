//! Which instances a node sends traffic to, by zone, as Classic ELB does.

use std::collections::BTreeSet;

use crate::model::Zone;

/// What decides, for one load balancer on one node.
#[derive(Debug, Clone, Copy)]
pub struct Zoning<'a> {
    /// The zone this node stands in.
    pub node: &'a Zone,
    /// The zones that the load balancer serves.
    pub enabled: &'a BTreeSet<Zone>,
    /// Whether each node sends traffic to all of them.
    pub cross_zone: bool,
}

/// Where an instance stands, as seen from this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// It gets traffic from this node.
    Served,
    /// It stands in an enabled zone that other nodes serve. When all instances here are down, it still gets nothing
    /// from this node: clients find the other zone's nodes by DNS.
    OtherZone,
    /// The load balancer does not serve its zone, so no node sends it traffic.
    ZoneNotEnabled,
}

impl Zoning<'_> {
    /// Where an instance in `zone` stands. A node outside of the enabled zones serves none without cross-zone, and all
    /// of the enabled ones with it.
    pub fn placement_of(&self, zone: &Zone) -> Placement {
        match self.enabled.contains(zone) {
            false => Placement::ZoneNotEnabled,
            true if self.cross_zone || zone == self.node => Placement::Served,
            true => Placement::OtherZone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_node_serves_its_own_zone_and_with_cross_zone_every_enabled_one() {
        let zone = |name: &str| Zone::new(name).expect("a zone");
        let (a, b, c) = (zone("a"), zone("b"), zone("c"));
        let enabled = BTreeSet::from([a.clone(), b.clone()]);
        for (node, cross_zone, expected) in [
            (&a, false, [Placement::Served, Placement::OtherZone, Placement::ZoneNotEnabled]),
            (&a, true, [Placement::Served, Placement::Served, Placement::ZoneNotEnabled]),
            (&c, false, [Placement::OtherZone, Placement::OtherZone, Placement::ZoneNotEnabled]),
            (&c, true, [Placement::Served, Placement::Served, Placement::ZoneNotEnabled]),
        ] {
            let zoning = Zoning { node, enabled: &enabled, cross_zone };
            assert_eq!([&a, &b, &c].map(|zone| zoning.placement_of(zone)), expected, "node in {node}, {cross_zone}");
        }
    }

    proptest! {
        /// One node in each zone there is: the traffic of every enabled zone has somewhere to go, and no other has.
        #[test]
        fn each_instance_is_served_by_whom_it_should_be(
            zones in prop::collection::btree_set("[a-e]", 1..5), enabled in prop::collection::btree_set("[a-e]", 1..5),
            cross_zone: bool,
        ) {
            let zone = |name: &String| Zone::new(name).expect("a zone");
            let (zones, enabled): (Vec<_>, BTreeSet<_>) = (zones.iter().map(zone).collect(), enabled.iter().map(zone).collect());
            for instance in &zones {
                let servers: Vec<&Zone> = zones
                    .iter()
                    .filter(|node| {
                        let zoning = Zoning { node, enabled: &enabled, cross_zone };
                        zoning.placement_of(instance) == Placement::Served
                    })
                    .collect();
                let expected = match (enabled.contains(instance), cross_zone) {
                    (false, _) => vec![],
                    (true, false) => vec![instance],
                    (true, true) => zones.iter().collect(),
                };
                prop_assert_eq!(servers, expected);
            }
        }
    }
}
