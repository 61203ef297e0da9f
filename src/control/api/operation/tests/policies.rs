//! Policies: creating, attaching, telling.

use super::*;

#[test]
fn stickiness_policies_are_created_attached_and_deleted() {
    let mut world = World::with_web();
    let set =
        |names: &str| format!("SetLoadBalancerPoliciesOfListener&LoadBalancerName=web&LoadBalancerPort=80{names}");
    world.must("CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=session");
    world.must("CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=timed&CookieExpirationPeriod=900");
    world.must("CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=timed&CookieExpirationPeriod=900");
    world.must("CreateAppCookieStickinessPolicy&LoadBalancerName=web&PolicyName=app&CookieName=SID");
    for (query, code) in [
        (
            "CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=timed&CookieExpirationPeriod=1",
            DuplicatePolicyName,
        ),
        ("CreateAppCookieStickinessPolicy&LoadBalancerName=web&PolicyName=timed&CookieName=SID", DuplicatePolicyName),
        ("CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=x&CookieExpirationPeriod=-1", ValidationError),
        ("CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=a_b", ValidationError),
        (
            "CreateAppCookieStickinessPolicy&LoadBalancerName=web&PolicyName=x&CookieName=a;b",
            InvalidConfigurationRequest,
        ),
        (
            "CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=ELBSecurityPolicy-x",
            InvalidConfigurationRequest,
        ),
    ] {
        assert_eq!(world.refused(query).0, code, "{query}");
    }
    world.must(&set("&PolicyNames.member.1=timed"));
    let told = world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web");
    assert_eq!(
        one(&told, "LBCookieStickinessPolicies"),
        "<member><PolicyName>timed</PolicyName><CookieExpirationPeriod>900</CookieExpirationPeriod></member>\
         <member><PolicyName>session</PolicyName></member>"
    );
    assert_eq!(
        one(&told, "AppCookieStickinessPolicies"),
        "<member><PolicyName>app</PolicyName><CookieName>SID</CookieName></member>"
    );
    assert_eq!(one(&told, "PolicyNames"), "<member>timed</member>");
    let told = world.must("DescribeLoadBalancerPolicies&LoadBalancerName=web");
    assert_eq!(all(&told, "PolicyName"), ["session", "timed", "app"]);
    assert_eq!(all(&told, "AttributeValue"), ["0", "900", "SID"]);
    let told = world.must("DescribeLoadBalancerPolicies&LoadBalancerName=web&PolicyNames.member.1=app");
    assert_eq!(one(&told, "PolicyTypeName"), "AppCookieStickinessPolicyType");

    for (names, code) in [
        ("&PolicyNames.member.1=none", PolicyNotFound),
        ("&PolicyNames.member.1=%3Cx%3E", PolicyNotFound),
        ("&PolicyNames.member.1=timed&PolicyNames.member.2=app", InvalidConfigurationRequest),
        ("&PolicyNames.member.1=timed&PolicyNames.member.2=timed", InvalidConfigurationRequest),
        ("&PolicyNames.member.1=ELBSecurityPolicy-2016-08", InvalidConfigurationRequest),
    ] {
        assert_eq!(world.refused(&set(names)).0, code, "{names}");
    }
    assert_eq!(world.refused(&set("&PolicyNames.member.1=app").replace("Port=80", "Port=81")).0, ListenerNotFound);
    let missing = "DescribeLoadBalancerPolicies&LoadBalancerName=web&PolicyNames.member.1=none";
    assert_eq!(
        world.refused(missing),
        (PolicyNotFound, "There is no policy with name none for load balancer web".to_owned())
    );

    let delete = "DeleteLoadBalancerPolicy&LoadBalancerName=web&PolicyName=timed";
    let (code, message) = world.refused(delete);
    assert_eq!(code, InvalidConfigurationRequest);
    assert_eq!(message, "You cannot delete policy [timed] since it is enabled or referred by other enabled policy.");
    world.must(&set("&PolicyNames="));
    assert!(world.web().listeners[0].policies.is_empty());
    world.must(&set("&PolicyNames.member.1=timed"));
    world.must(&set(""));
    world.must(delete);
    world.must(delete);
    assert_eq!(world.web().policies.len(), 2);
    for index in 0..98 {
        world.must(&format!("CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=p{index}"));
    }
    assert_eq!(world.refused("CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=more").0, TooManyPolicies);
}

fn policy(name: &str, kind: &str, attributes: &[(&str, &str)]) -> String {
    let attributes = attributes.iter().enumerate().map(|(index, (name, value))| {
        let member = format!("&PolicyAttributes.member.{}", index + 1);
        format!("{member}.AttributeName={name}{member}.AttributeValue={value}")
    });
    let attributes: String = attributes.collect();
    format!("CreateLoadBalancerPolicy&LoadBalancerName=web&PolicyName={name}&PolicyTypeName={kind}{attributes}")
}

#[test]
fn back_end_policies_hold_on_instance_ports() {
    let mut world = World::with_web();
    world.must(&policy("proxy", "ProxyProtocolPolicyType", &[("ProxyProtocol", "True")]));
    world.must(&policy("proxy", "ProxyProtocolPolicyType", &[("ProxyProtocol", "true")]));
    let key = "MAMCAQU%3D";
    world.must(&policy("key", "PublicKeyPolicyType", &[("PublicKey", key)]));
    world.must(&policy("auth", "BackendServerAuthenticationPolicyType", &[("PublicKeyPolicyName", "key")]));
    let set = |port: u16, names: &str| {
        format!("SetLoadBalancerPoliciesForBackendServer&LoadBalancerName=web&InstancePort={port}{names}")
    };
    world.must(&set(8080, "&PolicyNames.member.1=proxy"));
    world.must(&set(1, "&PolicyNames.member.1=proxy"));
    let told = world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web");
    assert_eq!(
        one(&told, "BackendServerDescriptions"),
        "<member><InstancePort>1</InstancePort><PolicyNames><member>proxy</member></PolicyNames></member>\
         <member><InstancePort>8080</InstancePort><PolicyNames><member>proxy</member></PolicyNames></member>"
    );
    assert_eq!(one(&told, "OtherPolicies"), "<member>auth</member><member>key</member><member>proxy</member>");
    let told = world.must("DescribeLoadBalancerPolicies&LoadBalancerName=web&PolicyNames.member.1=proxy");
    assert_eq!(one(&told, "AttributeValue"), "True", "as it was sent first");
    for (query, code) in [
        (set(8080, "&PolicyNames.member.1=key"), InvalidConfigurationRequest),
        (set(8080, "&PolicyNames.member.1=auth"), InvalidConfigurationRequest),
        (set(8080, "&PolicyNames.member.1=none"), PolicyNotFound),
        (set(0, "&PolicyNames="), ValidationError),
        (policy("p", "NoSuchPolicyType", &[]), PolicyTypeNotFound),
        (policy("p", "proxyprotocolpolicytype", &[]), PolicyTypeNotFound),
        (policy("p", "ProxyProtocolPolicyType", &[]), InvalidConfigurationRequest),
        (policy("p", "ProxyProtocolPolicyType", &[("ProxyProtocol", "yes")]), InvalidConfigurationRequest),
        (
            policy("p", "ProxyProtocolPolicyType", &[("ProxyProtocol", "true"), ("ProxyProtocol", "true")]),
            InvalidConfigurationRequest,
        ),
        (policy("p", "ProxyProtocolPolicyType", &[("ProxyProtocol", "true"), ("X", "y")]), InvalidConfigurationRequest),
        (policy("p", "PublicKeyPolicyType", &[("PublicKey", "not a key")]), InvalidConfigurationRequest),
        (policy("p", "BackendServerAuthenticationPolicyType", &[("PublicKeyPolicyName", "none")]), PolicyNotFound),
        (
            policy("p", "BackendServerAuthenticationPolicyType", &[("PublicKeyPolicyName", "proxy")]),
            InvalidConfigurationRequest,
        ),
        (policy("proxy", "ProxyProtocolPolicyType", &[("ProxyProtocol", "false")]), DuplicatePolicyName),
        ("DeleteLoadBalancerPolicy&LoadBalancerName=web&PolicyName=key".to_owned(), InvalidConfigurationRequest),
        ("DeleteLoadBalancerPolicy&LoadBalancerName=web&PolicyName=proxy".to_owned(), InvalidConfigurationRequest),
    ] {
        assert_eq!(world.refused(&query).0, code, "{query}");
    }
    world.must(&set(8080, "&PolicyNames="));
    world.must(&set(1, ""));
    assert_eq!(
        one(&world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web"), "BackendServerDescriptions"),
        ""
    );
}

#[test]
fn security_policies_are_told_in_full() {
    let mut world = World::with_web();
    let create = |name: &str, attributes: &[(&str, &str)]| policy(name, "SSLNegotiationPolicyType", attributes);
    world.must(&create("reference", &[("Reference-Security-Policy", "ELBSecurityPolicy-TLS-1-2-2017-01")]));
    world.must(&create("custom", &[("Protocol-TLSv1.2", "true"), ("AES128-SHA", "true"), ("AES256-SHA", "false")]));
    world.must(&create("default", &[]));
    let attributes = |world: &mut World, name: &str| {
        let told =
            world.must(&format!("DescribeLoadBalancerPolicies&LoadBalancerName=web&PolicyNames.member.1={name}"));
        let pairs: Vec<(String, String)> = all(&told, "AttributeName")
            .into_iter()
            .map(str::to_owned)
            .zip(all(&told, "AttributeValue").into_iter().map(str::to_owned))
            .collect();
        pairs
    };
    let reference = attributes(&mut world, "reference");
    assert_eq!(reference.len(), 94);
    assert_eq!(reference[0].1, "ELBSecurityPolicy-TLS-1-2-2017-01");
    let custom = attributes(&mut world, "custom");
    assert_eq!(custom.len(), 93);
    assert_eq!(custom[0], ("Protocol-TLSv1".to_owned(), "false".to_owned()));
    let on: Vec<&str> = custom.iter().filter(|(_, value)| value == "true").map(|(name, _)| name.as_str()).collect();
    assert_eq!(on, ["Protocol-TLSv1.2", "AES128-SHA"]);
    let default = attributes(&mut world, "default");
    let predefined = world.must("DescribeLoadBalancerPolicies&PolicyNames.member.1=ELBSecurityPolicy-2016-08");
    assert_eq!(default.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), all(&predefined, "AttributeValue"));
    for attributes in [
        &[("Reference-Security-Policy", "ELBSecurityPolicy-x")][..],
        &[("Reference-Security-Policy", "ELBSecurityPolicy-2016-08"), ("AES128-SHA", "true")],
        &[("Protocol-TLSv1.2", "true")],
        &[("Protocol-TLSv1.2", "true"), ("AES128-SHA", "maybe")],
        &[("Protocol-TLSv9", "true")],
    ] {
        assert_eq!(world.refused(&create("p", attributes)).0, InvalidConfigurationRequest, "{attributes:?}");
    }
    let all_predefined = world.must("DescribeLoadBalancerPolicies");
    assert_eq!(all(&all_predefined, "PolicyName").len(), 11);
    assert_eq!(all(&all_predefined, "PolicyName")[0], "ELBSecurityPolicy-2016-08");
    assert_eq!(world.refused("DescribeLoadBalancerPolicies&PolicyNames.member.1=custom").0, PolicyNotFound);
}

#[test]
fn policy_types_are_described() {
    let mut world = World::new();
    let told = world.must("DescribeLoadBalancerPolicyTypes");
    assert_eq!(all(&told, "PolicyTypeName").len(), 6);
    let told = world.must("DescribeLoadBalancerPolicyTypes&PolicyTypeNames.member.1=SSLNegotiationPolicyType");
    assert_eq!(all(&told, "AttributeName").len(), 94);
    assert_eq!(all(&told, "DefaultValue").len(), 93);
    let told = world.must("DescribeLoadBalancerPolicyTypes&PolicyTypeNames.member.1=PublicKeyPolicyType");
    assert_eq!((one(&told, "AttributeName"), one(&told, "Cardinality")), ("PublicKey", "ONE"));
    assert_eq!(world.refused("DescribeLoadBalancerPolicyTypes&PolicyTypeNames.member.1=x").0, PolicyTypeNotFound);
}
