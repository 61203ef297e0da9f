//! The model's conflicts, each at its place in the file.

use super::super::Problem;
use super::super::draft::{Draft, DraftLoadBalancer, Places};
use super::super::suggestion::did_you_mean;
use crate::model::{
    AdminAddress, Conflict, Keyword, LoadBalancer, Place, PolicyName, PredefinedPolicy, address_conflicts,
    addresses_overlap,
};

/// Every conflict in the draft, save those that only follow from something that could not be read.
pub(in super::super) fn disagreements(draft: &Draft) -> Vec<Problem> {
    let mut problems = Vec::new();
    for load_balancer in &draft.load_balancers {
        let conflicts = LoadBalancer::new(load_balancer.parts.clone()).err().unwrap_or_default();
        let own = conflicts.iter();
        let own = own.filter(|(place, conflict)| !follows_from_unread(place, conflict, &load_balancer.places));
        problems.extend(own.map(|(place, conflict)| problem(load_balancer, place, conflict)));
    }
    let listeners = draft.load_balancers.iter().flat_map(|DraftLoadBalancer { parts, .. }| {
        let listeners = parts.listeners.iter().enumerate();
        listeners.map(|(index, listener)| (&parts.name, index, listener.socket_address()))
    });
    for (name, place, conflict) in address_conflicts(&draft.admin, draft.api.as_ref(), listeners) {
        let load_balancer = draft.load_balancers.iter().find(|draft| draft.parts.name == name);
        problems.extend(load_balancer.map(|draft| problem(draft, &place, &conflict)));
    }
    problems.extend(in_management(draft));
    problems
}

/// The admin pages and the API cannot be served at one address.
fn in_management(draft: &Draft) -> Option<Problem> {
    let address = draft.api.as_ref()?.address;
    let AdminAddress::Tcp(admin) = draft.admin else { return None };
    let message = || format!("address: {address} is already taken by the address of [admin]");
    addresses_overlap(admin, address).then(|| Problem::error(draft.api_spans.address.clone(), "api", message()))
}

fn problem(draft: &DraftLoadBalancer, place: &Place, conflict: &Conflict) -> Problem {
    let site = draft.places.site(place);
    let problem = Problem::error(site.span.clone(), site.object.as_str(), conflict.to_string());
    problem.with_hint(match conflict {
        Conflict::CertificateMissing => Some("expected certificates = [{ chain = \"...\", key = \"...\" }]".to_owned()),
        Conflict::UnknownPolicy(name) => {
            let own = draft.parts.policies.keys().map(PolicyName::as_str);
            let predefined = PredefinedPolicy::ALL.iter().map(|policy| policy.as_str());
            did_you_mean(name.as_str(), own.chain(predefined))
        }
        _ => None,
    })
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
