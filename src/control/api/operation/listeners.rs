//! CreateLoadBalancerListeners, DeleteLoadBalancerListeners, SetLoadBalancerListenerSSLCertificate, and the listeners
//! of CreateLoadBalancer.

use super::call::{Call, Done, load_balancer_name};
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::query::{Reader, Unfit, keyword, number};
use crate::control::api::settings::Settings;
use crate::control::api::state::{ADDRESS_TAG, Draft, Facts, Scheme, resources};
use crate::model::{Listener, LoadBalancerParts, PolicyName, Port, PredefinedPolicy, Protocol, ProtocolPair};
use std::net::IpAddr;

/// Protocols of ELB's younger siblings: words that mean something, but not here.
const OTHER_PROTOCOLS: [&str; 4] = ["UDP", "TCP_UDP", "TLS", "GENEVE"];

/// A listener as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListenerRequest {
    front: Spoken,
    back: Option<Spoken>,
    port: Port,
    instance_port: Port,
    certificate: Option<String>,
}

/// A protocol that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spoken {
    Known(Protocol),
    Unsupported(String),
}

/// Adds listeners. One that is there and the same is left alone: Terraform sends those of the creation again.
pub(super) fn create(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, requests) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let requests = reader.required_list("Listeners", read);
        Some((name?, requests?))
    })?;
    Ok(call.edit(&name, |draft| add(call, draft, requests))?.done())
}

/// Removes listeners. A port without one is none to remove.
pub(super) fn delete(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, ports) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let ports = reader.required_list("LoadBalancerPorts", |reader| reader.item(listener_port));
        Some((name?, ports?))
    })?;
    let edited = call.edit(&name, |draft| {
        draft.parts.listeners.retain(|listener| !ports.contains(&listener.port));
        Ok(())
    })?;
    Ok(edited.done())
}

/// Replaces the certificate of a secure listener. New connections get the new one.
pub(super) fn set_certificate(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, port, arn) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let port = reader.required("LoadBalancerPort", listener_port);
        let arn = reader.text("SSLCertificateId");
        Some((name?, port?, arn?))
    })?;
    let edited = call.edit(&name, |draft| {
        let listener = find(&mut draft.parts, port)?;
        if !listener.protocols.front().is_secure() {
            let protocol = listener.protocols.front();
            let message = format!("The listener on port {port} speaks {protocol}, without a certificate");
            return Err(ApiError::conflict(message));
        }
        resources::certificate(call.around.inventory, &arn)?;
        listener.certificates.clear();
        draft.facts.certificates.insert(port, arn);
        Ok(())
    })?;
    Ok(edited.done())
}

/// Reads one listener of a list.
pub(super) fn read(reader: &Reader<'_>) -> Option<ListenerRequest> {
    let front = reader.required("Protocol", spoken);
    let back = reader.optional("InstanceProtocol", spoken);
    let port = reader.required("LoadBalancerPort", listener_port);
    let instance_port = reader.required("InstancePort", port_number);
    let certificate = reader.optional_text("SSLCertificateId");
    Some(ListenerRequest {
        front: front?,
        back: back?,
        port: port?,
        instance_port: instance_port?,
        certificate: certificate?,
    })
}

/// Reads the port of a listener.
pub(super) fn listener_port(text: &str) -> Result<Port, Unfit> {
    let port = text.parse().ok().and_then(|number| Port::new(number).ok());
    port.ok_or_else(|| Unfit::Says("Load balancer port must be in 1-65535 inclusive".to_owned()))
}

/// Reads any other port.
pub(super) fn port_number(text: &str) -> Result<Port, Unfit> {
    Ok(Port::new(number(1..=65535)(text)?)?)
}

/// The listener on `port`.
pub(super) fn find(parts: &mut LoadBalancerParts, port: Port) -> Result<&mut Listener, ApiError> {
    let LoadBalancerParts { name, listeners, .. } = parts;
    listeners.iter_mut().find(|listener| listener.port == port).ok_or_else(|| {
        let message = format!("There is no listener on port {port} of load balancer {name}");
        ApiError::new(ErrorCode::ListenerNotFound, message)
    })
}

/// Adds what is asked for to a draft: everything or, with an error, nothing that counts.
pub(super) fn add(call: &Call<'_>, draft: &mut Draft, requests: Vec<ListenerRequest>) -> Result<(), ApiError> {
    for request in requests {
        add_one(call, draft, request)?;
    }
    let limit = call.around.settings.limits.listeners;
    if draft.parts.listeners.len() > limit {
        return Err(ApiError::conflict(format!("A load balancer cannot have more than {limit} listeners")));
    }
    Ok(())
}

fn add_one(call: &Call<'_>, draft: &mut Draft, request: ListenerRequest) -> Result<(), ApiError> {
    let ListenerRequest { port, instance_port, .. } = request;
    let protocols = request.protocols()?;
    let front = protocols.front();
    // A certificate of a plain listener is dropped, as in ELB.
    let certificate = request.certificate.filter(|_| front.is_secure());
    let known = draft.parts.listeners.iter().find(|listener| listener.port == port);
    if let Some(known) = known {
        let same = known.protocols == protocols
            && known.instance_port == instance_port
            && draft.facts.certificates.get(&port) == certificate.as_ref();
        return if same { Ok(()) } else { Err(duplicate(port)) };
    }
    let mut listener = Listener::plain(protocols, port, instance_port);
    listener.address = address(&draft.facts, call.around.settings)?;
    if front.is_secure() {
        let arn =
            certificate.ok_or_else(|| ApiError::validation("Secure Listeners need to specify a SSLCertificateId"))?;
        resources::certificate(call.around.inventory, &arn)?;
        draft.facts.certificates.insert(port, arn);
        listener.policies = default_policies();
        draft.facts.note_predefined(&listener.policies);
    }
    draft.parts.listeners.push(listener);
    Ok(())
}

impl ListenerRequest {
    fn protocols(&self) -> Result<ProtocolPair, ApiError> {
        let front = self.front.known()?;
        let back = match &self.back {
            Some(back) => back.known()?,
            None => front.default_instance_protocol(),
        };
        ProtocolPair::new(front, back).map_err(|invalid| ApiError::validation(invalid.to_string()))
    }
}

impl Spoken {
    fn known(&self) -> Result<Protocol, ApiError> {
        match self {
            Self::Known(protocol) => Ok(*protocol),
            Self::Unsupported(word) => Err(ApiError::new(
                ErrorCode::UnsupportedProtocol,
                format!("The protocol {word} is not supported: expected HTTP, HTTPS, TCP or SSL"),
            )),
        }
    }
}

fn spoken(text: &str) -> Result<Spoken, Unfit> {
    match OTHER_PROTOCOLS.iter().any(|other| other.eq_ignore_ascii_case(text)) {
        true => Ok(Spoken::Unsupported(text.to_owned())),
        false => keyword(text).map(Spoken::Known),
    }
}

/// Where listeners of this load balancer are: as its tag says, else by its scheme.
///
/// # Errors
///
/// `ValidationError` when the tag is no address.
pub(super) fn address(facts: &Facts, settings: &Settings) -> Result<IpAddr, ApiError> {
    match (facts.tags.get(ADDRESS_TAG), facts.scheme) {
        (Some(text), _) => text
            .as_str()
            .parse()
            .map_err(|_| ApiError::validation(format!("The value '{text}' of tag {ADDRESS_TAG} is not an IP address"))),
        (None, Scheme::InternetFacing) => Ok(settings.internet_facing_address),
        (None, Scheme::Internal) => Ok(settings.internal_address),
    }
}

/// What a new secure listener negotiates.
fn default_policies() -> Vec<PolicyName> {
    PolicyName::new(&PredefinedPolicy::ELB_DEFAULT.to_string()).into_iter().collect()
}

fn duplicate(port: Port) -> ApiError {
    ApiError::new(
        ErrorCode::DuplicateListener,
        format!(
            "A listener already exists for LB with LoadBalancerPort {port}, but with a different InstancePort, Protocol, \
             or SSLCertificateId"
        ),
    )
}
