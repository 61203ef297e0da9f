//! What TLS makes of the draft: certificates that are no good or run out, security policies of which little is left,
//! instances that nobody verifies.

use super::super::Problem;
use super::super::draft::{Draft, DraftLoadBalancer, Places, Site};
use crate::model::{CertificateFiles, Listener, LoadBalancerParts, Place, Policy, PolicyType, UnknownName};
use crate::registry::{KeyFileError, read_authorities, read_certificate};
use crate::tls::{TlsPolicy, Validity, WallClock};

const DAY_SECONDS: i64 = 86_400;

/// Days before its end at which a certificate is warned of: whoever renews by itself has done so by then.
const EXPIRY_WARNING_DAYS: i64 = 21;

/// Every such problem. Reads the certificates' files; one that cannot be read is left to `files`.
pub(in super::super) fn secure(draft: &Draft) -> Vec<Problem> {
    let mut problems: Vec<Problem> = of_api(draft).into_iter().collect();
    for DraftLoadBalancer { parts, places } in &draft.load_balancers {
        for (index, listener) in parts.listeners.iter().enumerate() {
            if listener.protocols.front().is_secure() {
                let site = places.site(&Place::ListenerCertificates(index));
                let certificates = listener.certificates.iter();
                problems.extend(certificates.filter_map(|files| in_certificate(files, site)));
                problems.extend(in_policy(parts, listener, index, places));
                problems.extend(nameless(listener, index, places));
            }
            problems.extend(in_authorities(listener, index, places));
            if listener.protocols.back().is_secure() && !is_authenticated(parts, listener) {
                let message = format!(
                    "instance_port {}: no back-end server authentication policy and no instance_certificates, so the \
                     certificates of instances are not verified",
                    listener.instance_port
                );
                problems.push(problem(Problem::warning, places, &Place::ListenerInstancePort(index), message));
            }
        }
    }
    problems
}

fn of_api(draft: &Draft) -> Option<Problem> {
    let files = draft.api.as_ref()?.certificate.as_ref()?;
    in_certificate(files, &Site { span: draft.api_spans.certificate.clone(), object: "api".to_owned() })
}

fn in_certificate(files: &CertificateFiles, site: &Site) -> Option<Problem> {
    let (span, object, chain) = (site.span.clone(), site.object.as_str(), files.chain.display());
    match read_certificate(files) {
        Ok(certificate) => {
            let message = doubt(certificate.validity(), WallClock::System.now_seconds())?;
            Some(Problem::warning(span, object, format!("certificate {chain} {message}")))
        }
        Err(KeyFileError::Certificate(fault)) => {
            Some(Problem::error(span, object, format!("certificate {chain}: {fault}")))
        }
        Err(_unreadable) => None,
    }
}

/// What is doubtful about a certificate at `now`, seconds since the Unix epoch.
fn doubt(validity: Validity, now: u64) -> Option<String> {
    let left = validity.seconds_left(now);
    match (validity.contains(now), left) {
        (_, ..0) => Some("has expired".to_owned()),
        (false, _) => Some("is not valid yet".to_owned()),
        (true, _) if left < EXPIRY_WARNING_DAYS * DAY_SECONDS => {
            Some(format!("expires in {} days", left / DAY_SECONDS))
        }
        (true, _) => None,
    }
}

/// Certificates that strict SNI hides from everybody.
fn nameless(listener: &Listener, index: usize, places: &Places) -> Vec<Problem> {
    let certificates = listener.certificates.iter().filter(|_| listener.unknown_name == UnknownName::Refuse);
    let is_nameless = |files: &&CertificateFiles| read_certificate(files).is_ok_and(|read| read.names().is_empty());
    let hidden = certificates.filter(is_nameless).map(|files| {
        let message = format!("strict_sni: certificate {} names no host, so it is never shown", files.chain.display());
        problem(Problem::warning, places, &Place::ListenerKey(index, "strict_sni"), message)
    });
    hidden.collect()
}

fn in_authorities(listener: &Listener, index: usize, places: &Places) -> Vec<Problem> {
    let of_clients = listener.client_certificates.iter().map(|clients| ("client_certificates", &clients.ca_file));
    let of_instances = listener.instance_certificates.iter();
    let of_instances = of_instances.map(|instances| ("instance_certificates", &instances.ca_file));
    let problems = of_clients.chain(of_instances).filter_map(|(key, path)| match read_authorities(path) {
        Err(KeyFileError::Authorities(fault)) => {
            let message = format!("{key}: {}: {fault}", path.display());
            Some(problem(Problem::error, places, &Place::ListenerKey(index, key), message))
        }
        // One that cannot be read is left to `files`.
        Ok(_) | Err(_) => None,
    });
    problems.collect()
}

fn in_policy(parts: &LoadBalancerParts, listener: &Listener, index: usize, places: &Places) -> Option<Problem> {
    let of_type = |position: &usize| {
        let policy = listener.policies.get(*position).and_then(|name| parts.policy(name));
        policy.is_some_and(|policy| policy.policy_type() == PolicyType::SslNegotiation)
    };
    let attached = (0..listener.policies.len()).find(of_type);
    let place = attached.map_or(Place::Listener(index), |position| Place::ListenerPolicy(index, position));
    let policy = TlsPolicy::of(&parts.security_policy(listener));
    if let Err(nothing) = policy.negotiable() {
        return Some(problem(Problem::error, places, &place, nothing.to_string()));
    }
    let inactive: Vec<String> = policy.inactive().iter().map(ToString::to_string).collect();
    let message = || format!("never negotiated, although the security policy enables them: {}", inactive.join(", "));
    (!inactive.is_empty()).then(|| problem(Problem::warning, places, &place, message()))
}

fn is_authenticated(parts: &LoadBalancerParts, listener: &Listener) -> bool {
    if listener.instance_certificates.is_some() {
        return true;
    }
    let attached = parts.backend_policies.get(&listener.instance_port).into_iter().flatten();
    attached
        .filter_map(|name| parts.policies.get(name))
        .any(|policy| matches!(policy, Policy::BackendServerAuthentication { .. }))
}

fn problem(
    kind: fn(std::ops::Range<usize>, String, String) -> Problem,
    places: &Places,
    place: &Place,
    message: String,
) -> Problem {
    let site = places.site(place);
    kind(site.span.clone(), site.object.clone(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_doubtful_before_its_time_near_its_end_and_after_it() {
        let validity = Validity { not_before: 1_000_000, not_after: 1_000_000 + 90 * DAY_SECONDS };
        let at = |day: i64| doubt(validity, u64::try_from(1_000_000 + day * DAY_SECONDS).expect("after the epoch"));
        assert_eq!(at(-1).as_deref(), Some("is not valid yet"));
        assert_eq!((at(0), at(69)), (None, None));
        assert_eq!(at(70).as_deref(), Some("expires in 20 days"));
        assert_eq!(at(91).as_deref(), Some("has expired"));
    }
}
