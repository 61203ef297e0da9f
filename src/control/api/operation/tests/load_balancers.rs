//! Creating load balancers.

use super::*;

#[test]
fn a_new_load_balancer_has_elbs_defaults() {
    let mut world = World::new();
    let created = world.must(CREATE_WEB);
    let dns_name = one(&created, "DNSName");
    assert!(dns_name.starts_with("web-") && dns_name.ends_with(".us-east-1.elb.internal"), "{dns_name}");
    let told = world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web");
    assert_eq!(all(&told, "DNSName"), [dns_name]);
    assert_eq!(one(&told, "CanonicalHostedZoneName"), dns_name);
    for (element, value) in [
        ("Protocol", "HTTP"),
        ("LoadBalancerPort", "80"),
        ("InstanceProtocol", "HTTP"),
        ("InstancePort", "8080"),
        ("Target", "TCP:8080"),
        ("Interval", "30"),
        ("Timeout", "5"),
        ("UnhealthyThreshold", "2"),
        ("HealthyThreshold", "10"),
        ("CreatedTime", "2026-01-02T03:04:05.520Z"),
        ("Scheme", "internet-facing"),
        ("AvailabilityZones", "<member>a</member>"),
        ("Subnets", ""),
        ("Instances", ""),
        ("SecurityGroups", ""),
        ("BackendServerDescriptions", ""),
        ("AppCookieStickinessPolicies", ""),
        ("LBCookieStickinessPolicies", ""),
        ("OtherPolicies", ""),
        ("OwnerAlias", "000000000000"),
    ] {
        assert_eq!(one(&told, element), value, "{element}");
    }
    for absent in ["SSLCertificateId", "VPCId", "NextMarker"] {
        assert!(!told.contains(absent), "{absent}");
    }
    let attributes = world.must("DescribeLoadBalancerAttributes&LoadBalancerName=web");
    assert_eq!(
        attributes,
        "<LoadBalancerAttributes><CrossZoneLoadBalancing><Enabled>false</Enabled></CrossZoneLoadBalancing>\
         <AccessLog><Enabled>false</Enabled></AccessLog>\
         <ConnectionDraining><Enabled>false</Enabled><Timeout>300</Timeout></ConnectionDraining>\
         <ConnectionSettings><IdleTimeout>60</IdleTimeout></ConnectionSettings>\
         <AdditionalAttributes><member><Key>elb.http.desyncmitigationmode</Key><Value>defensive</Value></member>\
         </AdditionalAttributes></LoadBalancerAttributes>"
    );
}

#[test]
fn creating_again_succeeds_when_nothing_differs() {
    let mut world = World::with_web();
    let first = one(&world.must(CREATE_WEB), "DNSName").to_owned();
    world.must(
        "ConfigureHealthCheck&LoadBalancerName=web&HealthCheck.Target=TCP:1&HealthCheck.Interval=5
        &HealthCheck.Timeout=2&HealthCheck.UnhealthyThreshold=2&HealthCheck.HealthyThreshold=2",
    );
    assert_eq!(one(&world.must(CREATE_WEB), "DNSName"), first);
    assert_eq!(world.web().health_check.target().to_string(), "TCP:1", "what exists is left alone");
    for (more, what) in [
        ("&Tags.member.1.Key=a", "different tags"),
        ("&Scheme=internal", "different parameters"),
        ("&AvailabilityZones.member.2=b", "different parameters"),
        ("&SecurityGroups.member.1=sg-office", "different parameters"),
        ("&Listeners.member.1.InstanceProtocol=HTTPS", "different parameters"),
    ] {
        let (code, message) = world.refused(&format!("{CREATE_WEB}{more}"));
        assert_eq!(code, DuplicateLoadBalancerName);
        assert!(message.contains(what), "{message}");
    }
    let filed = CREATE_WEB.replace("=web", "=filed");
    assert_eq!(world.refused(&filed).0, DuplicateLoadBalancerName);
}

#[test]
fn what_cannot_be_created() {
    let mut world = World::new();
    let secure = "&Listeners.member.1.Protocol=HTTPS";
    for (query, code, words) in [
        (CREATE_WEB.replace("=web", "="), ValidationError, "must contain the parameter LoadBalancerName"),
        (CREATE_WEB.replace("=web", "=-web"), ValidationError, "hyphens"),
        (CREATE_WEB.replace("=web", "=<web>"), ValidationError, "hyphens"),
        (CREATE_WEB.replace("=web", &format!("={}", "a".repeat(33))), ValidationError, "longer than 32 characters"),
        (
            CREATE_WEB.replace("&AvailabilityZones.member.1=a", ""),
            ValidationError,
            "Either AvailabilityZones or SubnetIds",
        ),
        (
            format!("{CREATE_WEB}&Subnets.member.1=subnet-a"),
            ValidationError,
            "Only one of SubnetIds or AvailabilityZones",
        ),
        (CREATE_WEB.replace("=a\n", "=a%20b\n"), ValidationError, "Invalid availability zone"),
        (CREATE_WEB.replace("Port=80&", "Port=65536&"), ValidationError, "1-65535 inclusive"),
        (CREATE_WEB.replace("Port=8080", "Port=0"), ValidationError, "'listeners.1.member.instancePort'"),
        (CREATE_WEB.replace("=http", "=gopher"), ValidationError, "[HTTP, HTTPS, TCP, SSL]"),
        (CREATE_WEB.replace("=http", "=udp"), UnsupportedProtocol, "not supported"),
        (
            CREATE_WEB.replace("=http", "=http&Listeners.member.1.InstanceProtocol=TCP"),
            ValidationError,
            "different layers",
        ),
        (
            CREATE_WEB.replace("&Listeners.member.1.Protocol=http", secure),
            ValidationError,
            "need to specify a SSLCertificateId",
        ),
        (
            CREATE_WEB
                .replace("=http", "=https&Listeners.member.1.SSLCertificateId=arn:aws:iam::1:server-certificate/x"),
            CertificateNotFound,
            "Server Certificate not found for the key: arn:aws:iam::1:server-certificate/x",
        ),
        (format!("{CREATE_WEB}&Scheme=Internal"), InvalidScheme, "Internal"),
        (format!("{CREATE_WEB}&SecurityGroups.member.1=sg-x"), InvalidSecurityGroup, "sg-x"),
        (CREATE_WEB.replace("AvailabilityZones.member.1=a", "Subnets.member.1=subnet-x"), SubnetNotFound, "subnet-x"),
        (
            CREATE_WEB.replace("AvailabilityZones.member.1=a", "Subnets.member.1=subnet-a&Subnets.member.2=subnet-a2"),
            InvalidConfigurationRequest,
            "cannot be attached to multiple subnets in the same AZ",
        ),
        (format!("{CREATE_WEB}&Tags.member.1.Key=a&Tags.member.2.Key=a"), DuplicateTagKeys, "more than once"),
        (format!("{CREATE_WEB}&Tags.member.1.Key=aws:a"), ValidationError, "reserved"),
        (
            format!("{CREATE_WEB}&Tags.member.1.Key=elbow:address&Tags.member.1.Value=x"),
            ValidationError,
            "not an IP address",
        ),
        (
            CREATE_WEB.replace("Port=80&", "Port=9000&"),
            InvalidConfigurationRequest,
            "already taken by a listener of filed",
        ),
        (
            CREATE_WEB.split("&Listeners").next().unwrap().to_owned(),
            ValidationError,
            "must contain the parameter Listeners",
        ),
        (
            format!(
                "{CREATE_WEB}&Listeners.member.2.Protocol=HTTP&Listeners.member.2.LoadBalancerPort=80
                &Listeners.member.2.InstancePort=1"
            ),
            DuplicateListener,
            "with LoadBalancerPort 80, but with a different",
        ),
        (
            format!(
                "{CREATE_WEB}&Listeners.member.2.Protocol=HTTP&Listeners.member.2.LoadBalancerPort=81
                &Listeners.member.2.InstancePort=8080&Listeners.member.2.InstanceProtocol=HTTPS"
            ),
            InvalidConfigurationRequest,
            "8080",
        ),
    ] {
        let (found, message) = world.refused(&query);
        assert_eq!(found, code, "{query}: {message}");
        assert!(message.contains(words), "{query}: {message}");
    }
    assert_eq!(world.state.of_api().count(), 0);
}

#[test]
fn twenty_load_balancers_and_no_more() {
    let mut world = World::new();
    for index in 0..20 {
        world.must(
            &CREATE_WEB
                .replace("=web", &format!("=web-{index}"))
                .replace("Port=80&", &format!("Port={}&", 100 + index)),
        );
    }
    let one_more = CREATE_WEB.replace("Port=80&", "Port=99&");
    assert_eq!(world.refused(&one_more).0, TooManyLoadBalancers);
    world.must(&CREATE_WEB.replace("=web", "=web-0").replace("Port=80&", "Port=100&"));
    world.must("DeleteLoadBalancer&LoadBalancerName=web-7");
    world.must(&one_more);

    let mut seen = Vec::new();
    let mut marker = String::new();
    for _ in 0..21 {
        let page = world.must(&format!("DescribeLoadBalancers&PageSize=6{marker}"));
        seen.extend(all(&page, "LoadBalancerName").iter().map(|name| (*name).to_owned()));
        let Some(next) = all(&page, "NextMarker").first().copied() else { break };
        marker = format!("&Marker={next}");
    }
    assert_eq!(seen.len(), 21, "with the one of the file: {seen:?}");
    seen.dedup();
    assert_eq!(seen.len(), 21);
    assert_eq!(world.refused("DescribeLoadBalancers&Marker=%3C%3E").0, ValidationError);
    for size in ["0", "401", "x"] {
        assert_eq!(world.refused(&format!("DescribeLoadBalancers&PageSize={size}")).0, ValidationError);
    }
}
