//! The model's conflicts, each at its place in the file.

use super::super::Problem;
use super::super::draft::{Draft, DraftLoadBalancer, Places};
use crate::model::{Conflict, LoadBalancer, Place, address_conflicts};

/// Every conflict in the draft, save those that only follow from something that could not be read.
pub(in super::super) fn disagreements(draft: &Draft) -> Vec<Problem> {
    let mut problems = Vec::new();
    for DraftLoadBalancer { parts, places } in &draft.load_balancers {
        let conflicts = LoadBalancer::new(parts.clone()).err().unwrap_or_default();
        let own = conflicts.iter().filter(|(place, conflict)| !follows_from_unread(place, conflict, places));
        problems.extend(own.map(|(place, conflict)| problem(places, place, conflict)));
    }
    let listeners = draft.load_balancers.iter().flat_map(|DraftLoadBalancer { parts, .. }| {
        let listeners = parts.listeners.iter().enumerate();
        listeners.map(|(index, listener)| (&parts.name, index, listener.socket_address()))
    });
    for (name, place, conflict) in address_conflicts(&draft.admin, draft.api.as_ref(), listeners) {
        let load_balancer = draft.load_balancers.iter().find(|draft| draft.parts.name == name);
        problems.extend(load_balancer.map(|draft| problem(&draft.places, &place, &conflict)));
    }
    problems
}

fn problem(places: &Places, place: &Place, conflict: &Conflict) -> Problem {
    let site = places.site(place);
    Problem::error(site.span.clone(), site.object.as_str(), conflict.to_string())
}

/// Whether what is missed may be what could not be read, so that its own error says enough.
fn follows_from_unread(place: &Place, conflict: &Conflict, places: &Places) -> bool {
    match conflict {
        Conflict::NoListener | Conflict::AuthenticationWithoutTls(..) => places.is_unread(&Place::Listeners),
        Conflict::NoZone | Conflict::CertificateMissing => places.is_unread(place),
        Conflict::UnknownPolicy(name) => places.is_unread(&Place::Policy(name.clone())),
        _ => false,
    }
}
