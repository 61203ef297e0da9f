//! A listener: an element of `listeners`.

use ipnet::IpNet;

use super::super::draft::Places;
use super::super::section::Section;
use super::certificate;
use crate::model::{CertificateFiles, InstanceHttp, Listener, Place, PolicyName, Protocol, ProtocolPair, UnknownName};

/// The listener that is to stand at `index`; `None` if one of the values that it cannot be without is wrong.
pub(super) fn read(mut section: Section<'_>, index: usize, places: &mut Places) -> Option<Listener> {
    let protocols = protocols(&mut section);
    let port = section.require("port");
    let instance_port = section.require("instance_port");
    let address = section.read_or("address", Listener::ANY_ADDRESS);
    let instance_http = match section.read_or("http2", false) {
        true => InstanceHttp::Http2,
        false => InstanceHttp::Http1,
    };
    let certificates = certificates(&mut section, index, places);
    let unknown_name = match section.read_or("strict_sni", false) {
        true => UnknownName::Refuse,
        false => UnknownName::ServeDefault,
    };
    let client_certificates = section.section("client_certificates").and_then(certificate::of_clients);
    let instance_certificates = section.section("instance_certificates").and_then(certificate::of_instances);
    for key in ["strict_sni", "client_certificates", "instance_certificates"] {
        places.set(Place::ListenerKey(index, key), section.span_of(key), section.object());
    }
    let policies = policies(&mut section, index, places);
    let max_connections = section.read_or("max_connections", None);
    let allow = nets(&mut section, "allow");
    let deny = nets(&mut section, "deny");
    let proxy_protocol_from = nets(&mut section, "proxy_protocol_from");
    places.set(Place::Listener(index), section.span_of("port"), section.object());
    places.set(Place::ListenerInstancePort(index), section.span_of("instance_port"), section.object());
    section.finish();
    Some(Listener {
        protocols: protocols?,
        address,
        port: port?,
        instance_port: instance_port?,
        instance_http,
        certificates,
        unknown_name,
        client_certificates,
        instance_certificates,
        policies,
        max_connections,
        allow,
        deny,
        proxy_protocol_from,
    })
}

fn protocols(section: &mut Section<'_>) -> Option<ProtocolPair> {
    let front: Option<Protocol> = section.require("protocol");
    let back: Option<Protocol> = section.read("instance_protocol");
    let front = front?;
    match ProtocolPair::new(front, back.unwrap_or(front.default_instance_protocol())) {
        Ok(pair) => Some(pair),
        Err(invalid) => {
            section.refuse(section.span_of("instance_protocol"), format!("instance_protocol: {invalid}"));
            None
        }
    }
}

fn certificates(section: &mut Section<'_>, index: usize, places: &mut Places) -> Vec<CertificateFiles> {
    let place = Place::ListenerCertificates(index);
    let key = if section.has("certificates") { "certificates" } else { "protocol" };
    places.set(place.clone(), section.span_of(key), section.object());
    if section.len_of("certificates") > 0 {
        places.set_unread(place);
    }
    section.tables("certificates").into_iter().filter_map(certificate::read).collect()
}

fn policies(section: &mut Section<'_>, index: usize, places: &mut Places) -> Vec<PolicyName> {
    let mut names = Vec::new();
    for (name, span) in section.list("policies") {
        places.set(Place::ListenerPolicy(index, names.len()), span, section.object());
        names.push(name);
    }
    names
}

fn nets(section: &mut Section<'_>, key: &'static str) -> Vec<IpNet> {
    section.list(key).into_iter().map(|(net, _)| net).collect()
}
