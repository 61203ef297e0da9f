//! Listeners: which may be added, and where they are.

use super::*;

#[test]
fn listeners_come_and_go() {
    let mut world = World::with_web();
    let listener = |port: u16, protocol: &str, more: &str| {
        format!(
            "CreateLoadBalancerListeners&LoadBalancerName=web&Listeners.member.1.Protocol={protocol}
             &Listeners.member.1.LoadBalancerPort={port}&Listeners.member.1.InstancePort=8080
             &Listeners.member.1.SSLCertificateId={more}"
        )
    };
    let before = world.web().clone();
    world.must(&listener(80, "HTTP", ""));
    assert_eq!(*world.web(), before, "what Terraform sends again changes nothing");
    assert_eq!(world.refused(&listener(80, "TCP", "")).0, DuplicateListener);

    world.must(&listener(443, "HTTPS", CERTIFICATE));
    world.must(&listener(443, "HTTPS", CERTIFICATE));
    let told = world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web");
    assert_eq!(all(&told, "SSLCertificateId"), [CERTIFICATE]);
    assert_eq!(one(&told, "OtherPolicies"), "<member>ELBSecurityPolicy-2016-08</member>");
    assert_eq!(world.web().listeners[1].certificates.len(), 1);
    assert_eq!(world.web().listeners[1].policies[0].as_str(), "ELBSecurityPolicy-2016-08");

    world.must(&listener(8080, "HTTP", CERTIFICATE));
    assert_eq!(world.web().facts().certificates.len(), 1, "a plain listener's certificate is dropped");
    assert_eq!(world.refused(&listener(0, "HTTP", "")).0, ValidationError);

    let other = CERTIFICATE.replace("shop", "other");
    let set = |port: u16, arn: &str| {
        format!(
            "SetLoadBalancerListenerSSLCertificate&LoadBalancerName=web&LoadBalancerPort={port}&SSLCertificateId={arn}"
        )
    };
    world.must(&set(443, &other));
    assert_eq!(one(&world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web"), "SSLCertificateId"), other);
    assert_eq!(world.refused(&set(444, &other)).0, ListenerNotFound);
    assert_eq!(world.refused(&set(80, &other)).0, InvalidConfigurationRequest);
    assert_eq!(world.refused(&set(443, "arn:aws:iam::1:server-certificate/none")).0, CertificateNotFound);

    world.must(
        "DeleteLoadBalancerListeners&LoadBalancerName=web&LoadBalancerPorts.member.1=443&LoadBalancerPorts.member.2=1",
    );
    assert!(world.web().facts().certificates.is_empty());
    world.must("DeleteLoadBalancerListeners&LoadBalancerName=web&LoadBalancerPorts.member.1=80&LoadBalancerPorts.member.2=8080");
    assert!(world.web().serving().is_none(), "without a listener there is nothing to serve, and it is still there");
    assert_eq!(one(&world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web"), "ListenerDescriptions"), "");
    world.must(&listener(81, "HTTP", ""));
    assert!(world.web().serving().is_some());
}

#[test]
fn a_listener_is_where_the_scheme_or_the_tag_says() {
    let mut world = World::new();
    world.must(&format!("{CREATE_WEB}&Scheme=internal"));
    let address = |world: &World| world.web().listeners[0].address.to_string();
    assert_eq!(address(&world), "127.0.0.1");
    let told = world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web");
    assert!(one(&told, "DNSName").starts_with("internal-web-"));
    assert!(!told.contains("CanonicalHostedZoneName>"));
    world.must("AddTags&LoadBalancerNames.member.1=web&Tags.member.1.Key=elbow:address&Tags.member.1.Value=127.0.0.9");
    assert_eq!(address(&world), "127.0.0.9");
    world.must("RemoveTags&LoadBalancerNames.member.1=web&Tags.member.1.Key=elbow:address");
    assert_eq!(address(&world), "127.0.0.1");
}
