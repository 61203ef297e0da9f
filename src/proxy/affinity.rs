//! A client's bond to its instance: what its request says of it, and what the answer has to say.
//!
//! As Classic ELB: the cookie is called `AWSELB`, and a copy for requests from other sites `AWSELBCORS`. A bond to an
//! instance that cannot be given new work is as good as none.

use std::sync::Arc;

use crate::model::CookieName;
use crate::registry::{Follows, Live, Stickiness};
use crate::wire::cookie::{self, SetCookie};
use crate::wire::head::{FieldName, RequestHead, ResponseHead};

const COOKIE: &[u8] = b"AWSELB";
const COOKIE_ACROSS_SITES: &[u8] = b"AWSELBCORS";

/// Attributes that a cookie for requests from other sites has to have (RFC 6265bis section 5.6.7).
const ACROSS_SITES: &[u8] = b";SECURE;SAMESITE=None";

/// What of the application's cookie its companion takes over.
const FOLLOWED: [&[u8]; 12] = [
    b"path",
    b"port",
    b"domain",
    b"secure",
    b"httponly",
    b"discard",
    b"max-age",
    b"expires",
    b"version",
    b"comment",
    b"commenturl",
    b"samesite",
];

/// What one request says.
pub struct Affinity<'a> {
    stickiness: &'a Stickiness,
    bound_to: Option<&'a Arc<Live>>,
    /// The request has cookies of both sorts, so a session goes on, at its instance or elsewhere.
    in_session: bool,
}

/// The values of the `Set-Cookie` fields that an answer gets: none or two.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bond(Option<[Vec<u8>; 2]>);

impl<'a> Affinity<'a> {
    /// Reads the cookies of `request`.
    pub fn of(stickiness: &'a Stickiness, request: &RequestHead) -> Affinity<'a> {
        let ours = || values(request, COOKIE).chain(values(request, COOKIE_ACROSS_SITES));
        let in_session = match &stickiness.follows {
            Follows::Time(_) => true,
            Follows::Application(name) => values(request, name.as_str().as_bytes()).next().is_some(),
        } && ours().next().is_some();
        let bound_to = if in_session { ours().find_map(|value| stickiness.instance_of(value)) } else { None };
        Affinity { stickiness, bound_to, in_session }
    }

    /// The instance that the client is bound to.
    pub fn bound_to(&self) -> Option<&'a Arc<Live>> {
        self.bound_to
    }

    /// What the answer of `instance` has to say.
    pub fn bond(&self, instance: &Arc<Live>, response: &ResponseHead) -> Bond {
        let Some(token) = self.stickiness.token_of(instance) else { return Bond(None) };
        let stays = self.bound_to.is_some_and(|bound_to| Arc::ptr_eq(bound_to, instance));
        let attributes = match &self.stickiness.follows {
            Follows::Time(_) if stays => return Bond(None),
            Follows::Time(None) => b";PATH=/".to_vec(),
            Follows::Time(Some(seconds)) => format!(";PATH=/;MAX-AGE={seconds}").into_bytes(),
            Follows::Application(name) => match application_cookie(name, response) {
                Some(cookie) => followed(&cookie),
                // Its instance is gone: the session goes on here, and stays here.
                None if self.in_session && !stays => b";PATH=/".to_vec(),
                None => return Bond(None),
            },
        };
        let across_sites = [without(&attributes, &[b"secure", b"samesite"]).as_slice(), ACROSS_SITES].concat();
        Bond(Some([
            [COOKIE, b"=", token.as_bytes(), &attributes].concat(),
            [COOKIE_ACROSS_SITES, b"=", token.as_bytes(), &across_sites].concat(),
        ]))
    }
}

impl Bond {
    /// The fields to be added.
    pub fn fields(&self) -> Vec<(&[u8], &[u8])> {
        self.0.iter().flatten().map(|value| (&b"Set-Cookie"[..], value.as_slice())).collect()
    }
}

fn values<'a>(request: &'a RequestHead, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    request.values(FieldName::Cookie).flat_map(move |field| cookie::values(field, name))
}

/// The application's cookie where `response` sets it. ELB does not see it in a field that ends with a semicolon.
fn application_cookie<'a>(name: &CookieName, response: &'a ResponseHead) -> Option<SetCookie<'a>> {
    let fields = response.values(FieldName::SetCookie).filter(|field| !field.trim_ascii().ends_with(b";"));
    fields.filter_map(SetCookie::parse).find(|cookie| cookie.name == name.as_str().as_bytes())
}

/// The attributes that the companion of `cookie` gets; `_` in a path is written `%5F`, as ELB does.
fn followed(cookie: &SetCookie<'_>) -> Vec<u8> {
    let mut attributes = Vec::new();
    for (name, value) in
        cookie.attributes().filter(|(name, _)| FOLLOWED.iter().any(|one| name.eq_ignore_ascii_case(one)))
    {
        attributes.push(b';');
        attributes.extend(name.iter().map(u8::to_ascii_uppercase));
        let Some(value) = value else { continue };
        attributes.push(b'=');
        for byte in value {
            match byte {
                b'_' if name.eq_ignore_ascii_case(b"path") => attributes.extend_from_slice(b"%5F"),
                byte => attributes.push(*byte),
            }
        }
    }
    attributes
}

/// `attributes` without those called one of `names`.
fn without(attributes: &[u8], names: &[&[u8]]) -> Vec<u8> {
    let is_kept = |part: &&[u8]| {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        !part.is_empty() && !names.iter().any(|one| name.eq_ignore_ascii_case(one))
    };
    let kept = attributes.split(|byte| *byte == b';').filter(is_kept);
    kept.flat_map(|part| [b";", part].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Condition;
    use crate::model::{Policy, PolicyName};
    use crate::registry::testing::{balancer, configuration, instance, key};
    use crate::registry::{ListenerEntry, Registry, Tried};
    use crate::wire::head::HeadLimits;
    use proptest::prelude::*;

    const INSTANCES: usize = 4;

    fn sticky(ids: usize) -> crate::model::Configuration {
        let instances = (0..ids).map(|id| instance(&format!("i-{id}"), &format!("10.0.0.{id}"))).collect();
        let mut web = balancer("web", 80, instances);
        let name = PolicyName::new("sticky").expect("a name");
        web.policies.insert(name.clone(), Policy::LbCookieStickiness { cookie_expiration_period: None });
        web.listeners[0].policies.push(name);
        configuration(vec![web])
    }

    /// What a client with this cookie is given: the instance, and its cookie from then on.
    fn served(entry: &ListenerEntry, cookie: Option<&str>) -> Option<(Arc<Live>, String)> {
        let field = cookie.map(|cookie| format!("Cookie: AWSELB={cookie}\r\n")).unwrap_or_default();
        let (mut request, mut response) = (RequestHead::default(), ResponseHead::default());
        request.parse(format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n").as_bytes(), &HeadLimits::default()).ok()?;
        response.parse(b"HTTP/1.1 200 OK\r\n\r\n", &HeadLimits::default()).ok()?;
        let affinity = Affinity::of(entry.stickiness.as_ref()?, &request);
        let bound = affinity.bound_to().filter(|live| live.takes_work());
        let at_once = bound.and_then(|live| entry.targets.assign(live));
        let assignment = at_once.or_else(|| entry.targets.choose(0, &Tried::none()).ok())?;
        let live = assignment.lease.record().clone();
        let bond = affinity.bond(&live, &response);
        let set = bond.fields().first().map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let token = set.and_then(|set| Some(set.strip_prefix("AWSELB=")?.split(';').next()?.to_owned()));
        Some((live, token.or_else(|| cookie.map(str::to_owned))?))
    }

    proptest! {
        /// Whoever fails, comes back, leaves and joins: a client stays for as long as its instance takes work, and with
        /// the next one when it does not.
        #[test]
        fn a_client_stays_until_its_instance_takes_no_work(
            steps in prop::collection::vec((0..INSTANCES, 0_u8..4), 1..60),
        ) {
            let registry = Registry::with_sticky_key(&sticky(INSTANCES), 1, Some(key())).expect("addresses only");
            registry.snapshot().instances().for_each(|(_, entry)| entry.live.set_condition(Condition::InService));
            let mut bond: Option<(Arc<Live>, String)> = None;
            for (who, what) in steps {
                let snapshot = registry.snapshot();
                let found = snapshot.instances().nth(who).map(|(_, entry)| entry.live.clone());
                match (what, found) {
                    (0, Some(live)) => live.set_condition(Condition::Failed),
                    (1, Some(live)) => live.set_condition(Condition::InService),
                    (2, _) => registry.apply(&sticky(who + 1)).expect("addresses only"),
                    _ => {}
                }
                let snapshot = registry.snapshot();
                let entry = &snapshot.listeners()[0];
                let Some(next) = served(entry, bond.as_ref().map(|(_, cookie)| cookie.as_str())) else { continue };
                if let Some((live, cookie)) = &bond
                    && live.takes_work() && snapshot.is_registered(live.id())
                {
                    prop_assert!(Arc::ptr_eq(live, &next.0), "moved without need");
                    prop_assert_eq!(cookie, &next.1);
                }
                prop_assert!(next.0.takes_work());
                bond = Some(next);
            }
        }
    }
}
