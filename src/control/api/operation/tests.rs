//! The operations against a small world: what they answer, what they change, and that an error changes nothing.

use super::*;
use crate::control::api::error::ErrorCode::{self, *};
use crate::control::api::query::{Parameters, form};
use crate::control::api::settings::Settings;
use crate::control::api::state::{Origin, Record, State, Surroundings};
use crate::control::config;
use crate::health::{Condition, Report};
use crate::model::{Configuration, InstanceId, LoadBalancerName, Node, Zone};

/// What the file says: one load balancer of its own, and an inventory.
const FILE: &str = r#"
[inventory.instances.web-9]
address = "10.0.0.9:8080"
zone = "b"
[inventory.instances.i-0aa11bb22cc33dd44]
address = "10.0.0.4"
[inventory.subnets.subnet-a]
zone = "a"
[inventory.subnets.subnet-a2]
zone = "a"
[inventory.subnets.subnet-b]
zone = "b"
[inventory.security_groups.sg-office]
allow = ["10.0.0.0/8"]
[inventory.security_groups.sg-nobody]
[load_balancers.filed]
zones = ["a"]
listeners = [{ protocol = "TCP", port = 9000, instance_port = 9001 }]
instances = ["10.0.0.1"]
"#;

const CERTIFICATE: &str = "arn:aws:iam::000000000000:server-certificate/shop";

/// Everything a call looks at; changes are taken in at once.
struct World {
    file: Configuration,
    settings: Settings,
    zone: Zone,
    state: State,
    health: Vec<(&'static str, Report)>,
}

impl World {
    fn new() -> Self {
        let api = crate::model::ApiSettings::new(Vec::new());
        let zone = Zone::new("a").unwrap();
        let file = config::for_tests(FILE);
        let mut parts = file.into_parts();
        let files = crate::model::CertificateFiles { chain: "shop.crt".into(), key: "shop.key".into() };
        for name in ["shop", "other"] {
            parts.inventory.certificates.insert(crate::model::ResourceName::new(name).unwrap(), files.clone());
        }
        let file = Configuration::new(parts).unwrap();
        let settings = Settings::new(&api, &Node::default());
        let mut world = Self { file, settings, zone, state: State::default(), health: Vec::new() };
        world.state = State::new(&world.file, [], world.around()).unwrap();
        world
    }

    /// With an HTTP load balancer of the API called `web`.
    fn with_web() -> Self {
        let mut world = Self::new();
        world.must(CREATE_WEB);
        world
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings { settings: &self.settings, inventory: &self.file.inventory, node_zone: &self.zone }
    }

    /// Carries out `Action&more`. Blanks may stand around ampersands.
    fn call(&mut self, query: &str) -> Result<String, ApiError> {
        let (action, rest) = query.split_once('&').unwrap_or((query, ""));
        let pairs: Vec<&str> = rest.split('&').map(str::trim).collect();
        let parameters = Parameters::new(form::decode(pairs.join("&").as_bytes())?)?;
        let operation = Operation::from_name(action.trim()).unwrap();
        let health = self.health.iter().map(|(id, report)| (InstanceId::new(id).unwrap(), *report));
        let health: Vec<_> = health.collect();
        let source = move |_: &LoadBalancerName| health.clone();
        let now = "2026-01-02T03:04:05.520Z".parse().unwrap();
        let call = Call { parameters: &parameters, state: &self.state, around: self.around(), now, health: &source };
        let done = operation.run(&call)?;
        if let Some(change) = done.change {
            assert!(operation.is_change());
            let state = self.state.with(&change);
            state.configuration(&self.file).map_err(|fault| ApiError::conflict(fault.to_string()))?;
            self.state = state;
        }
        Ok(String::from_utf8(done.result.into_bytes()).unwrap())
    }

    fn must(&mut self, query: &str) -> String {
        self.call(query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// The error of a call, which has changed nothing.
    fn refused(&mut self, query: &str) -> (ErrorCode, String) {
        let before: Vec<Record> = self.state.iter().map(|record| (**record).clone()).collect();
        let error = self.call(query).expect_err(query);
        assert!(self.state.iter().map(|record| &**record).eq(&before), "{query} changed something");
        (error.code, error.message)
    }

    fn web(&self) -> &Record {
        self.state.get("web").unwrap()
    }
}

const CREATE_WEB: &str = "CreateLoadBalancer&LoadBalancerName=web&AvailabilityZones.member.1=a
    &Listeners.member.1.Protocol=http&Listeners.member.1.LoadBalancerPort=80&Listeners.member.1.InstancePort=8080";

/// The texts of all elements of this name.
fn all<'a>(xml: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
}

fn one<'a>(xml: &'a str, element: &str) -> &'a str {
    let found = all(xml, element);
    assert_eq!(found.len(), 1, "{element} in {xml}");
    found[0]
}

#[test]
fn all_of_elbs_operations_are_there() {
    assert_eq!(Operation::ALL.len(), 29);
    for operation in Operation::ALL {
        assert_eq!(Operation::from_name(operation.as_str()), Some(*operation));
        assert_eq!(operation.is_change(), !operation.as_str().starts_with("Describe"));
    }
    assert_eq!(Operation::from_name("describeLoadBalancers"), None);
}

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

#[test]
fn what_is_not_there_is_told_and_deleting_it_succeeds() {
    let mut world = World::with_web();
    let long = "a".repeat(33);
    for query in [
        "DescribeLoadBalancers&LoadBalancerNames.member.1=web&LoadBalancerNames.member.2=NAME",
        "DescribeTags&LoadBalancerNames.member.1=NAME",
        "DescribeInstanceHealth&LoadBalancerName=NAME",
        "DescribeLoadBalancerAttributes&LoadBalancerName=NAME",
        "DescribeLoadBalancerPolicies&LoadBalancerName=NAME",
        "AddTags&LoadBalancerNames.member.1=NAME&Tags.member.1.Key=a",
        "RegisterInstancesWithLoadBalancer&LoadBalancerName=NAME&Instances.member.1.InstanceId=10.0.0.1",
        "SetLoadBalancerPoliciesOfListener&LoadBalancerName=NAME&LoadBalancerPort=80&PolicyNames=",
    ] {
        for name in ["none", "no_ne", "%3Cx%3E", "Web"] {
            let (code, message) = world.refused(&query.replace("NAME", name));
            assert_eq!(code, LoadBalancerNotFound, "{query}");
            assert!(message.starts_with("There is no ACTIVE Load Balancer named '"), "{message}");
        }
        assert_eq!(world.refused(&query.replace("NAME", &long)).0, ValidationError);
    }
    world.must("DeleteLoadBalancer&LoadBalancerName=none");
    world.must("DeleteLoadBalancer&LoadBalancerName=web");
    world.must("DeleteLoadBalancer&LoadBalancerName=web");
    assert!(world.state.get("web").is_none());
}

#[test]
fn load_balancers_of_the_file_are_shown_and_not_changed() {
    let mut world = World::new();
    let told = world.must("DescribeLoadBalancers");
    assert_eq!(all(&told, "LoadBalancerName"), ["filed"]);
    assert_eq!(one(&told, "CreatedTime"), "1970-01-01T00:00:00.000Z");
    assert_eq!(one(&told, "InstanceId"), "10.0.0.1");
    for query in [
        "AddTags&LoadBalancerNames.member.1=filed&Tags.member.1.Key=a",
        "DeleteLoadBalancer&LoadBalancerName=filed",
        "DeleteLoadBalancerListeners&LoadBalancerName=filed&LoadBalancerPorts.member.1=9000",
        "DeregisterInstancesFromLoadBalancer&LoadBalancerName=filed&Instances.member.1.InstanceId=10.0.0.1",
        "ModifyLoadBalancerAttributes&LoadBalancerName=filed&LoadBalancerAttributes.CrossZoneLoadBalancing.Enabled=true",
        "CreateLBCookieStickinessPolicy&LoadBalancerName=filed&PolicyName=p",
    ] {
        let (code, message) = world.refused(query);
        assert_eq!(code, OperationNotPermitted, "{query}");
        assert!(message.contains("managed by the configuration file"), "{message}");
    }
}

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

#[test]
fn instances_are_registered_all_or_none() {
    let mut world = World::with_web();
    let register = "RegisterInstancesWithLoadBalancer&LoadBalancerName=web";
    let deregister = "DeregisterInstancesFromLoadBalancer&LoadBalancerName=web";
    let ids = |world: &mut World| {
        all(&world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web"), "InstanceId").join(" ")
    };

    let told = world
        .must(&format!("{register}&Instances.member.1.InstanceId=web-9&Instances.member.2.InstanceId=10.0.0.1:81"));
    assert_eq!(all(&told, "InstanceId"), ["web-9", "10.0.0.1:81"]);
    let told = world.must(&format!(
        "{register}&Instances.member.1.InstanceId=i-0aa11bb22cc33dd44&Instances.member.2.InstanceId=web-9"
    ));
    assert_eq!(all(&told, "InstanceId"), ["web-9", "10.0.0.1:81", "i-0aa11bb22cc33dd44"]);
    let (code, message) =
        world.refused(&format!("{register}&Instances.member.1.InstanceId=10.0.0.2&Instances.member.2.InstanceId=i-1"));
    assert_eq!((code, message.as_str()), (InvalidInstance, "Could not find EC2 instance i-1."));
    assert_eq!(world.refused(&format!("{register}&Instances.member.1.InstanceId=a%20b")).0, InvalidInstance);
    assert_eq!(world.refused(&format!("{register}&Instances.member.1.InstanceId=10.0.0.9:8080")).0, InvalidInstance);
    assert_eq!(world.refused(register).0, ValidationError);
    assert_eq!(world.refused(&format!("{register}&Instances=")).0, ValidationError);

    assert_eq!(
        world.refused(&format!("{deregister}&Instances.member.1.InstanceId=web-9&Instances.member.2.InstanceId=i-1")).0,
        InvalidInstance
    );
    let told = world
        .must(&format!("{deregister}&Instances.member.1.InstanceId=web-9&Instances.member.2.InstanceId=10.0.0.77"));
    assert_eq!(all(&told, "InstanceId"), ["10.0.0.1:81", "i-0aa11bb22cc33dd44"]);
    assert_eq!(ids(&mut world), "10.0.0.1:81 i-0aa11bb22cc33dd44");

    let many: String =
        (0..999).map(|n| format!("&Instances.member.{}.InstanceId=10.1.{}.{}", n + 1, n / 250, n % 250)).collect();
    assert_eq!(world.refused(&format!("{register}{many}")).0, ValidationError);
    let fewer = many.replace("&Instances.member.999.InstanceId=10.1.3.248", "");
    assert_eq!(all(&world.must(&format!("{register}{fewer}")), "InstanceId").len(), 1_000);
}

#[test]
fn health_is_told_in_elbs_words() {
    let mut world = World::with_web();
    world.must(
        "RegisterInstancesWithLoadBalancer&LoadBalancerName=web&Instances.member.1.InstanceId=10.0.0.1
        &Instances.member.2.InstanceId=10.0.0.2&Instances.member.3.InstanceId=web-9",
    );
    let draining =
        Report { description: "Instance deregistration currently in progress.", ..Report::from(Condition::InService) };
    world.health = vec![("10.0.0.1", Report::from(Condition::InService)), ("10.0.0.3", draining)];
    let told = world.must("DescribeInstanceHealth&LoadBalancerName=web");
    let states = |told: &str| {
        let columns = ["InstanceId", "State", "ReasonCode", "Description"]
            .map(|column| all(told, column).into_iter().map(str::to_owned).collect::<Vec<_>>());
        (0..columns[0].len())
            .map(|row| [0, 1, 2, 3].map(|column| columns[column][row].clone()).join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states(&told),
        [
            "10.0.0.1 InService N/A N/A",
            "10.0.0.2 OutOfService ELB Instance registration is still in progress.",
            "web-9 OutOfService ELB Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to \
             route traffic to.",
        ]
    );
    let named = "&Instances.member.1.InstanceId=10.0.0.3&Instances.member.2.InstanceId=i-0aa11bb22cc33dd44";
    assert_eq!(
        states(&world.must(&format!("DescribeInstanceHealth&LoadBalancerName=web{named}"))),
        [
            "10.0.0.3 InService N/A Instance deregistration currently in progress.",
            "i-0aa11bb22cc33dd44 OutOfService Instance Instance is not currently registered with the LoadBalancer.",
        ]
    );
    assert_eq!(
        world.refused("DescribeInstanceHealth&LoadBalancerName=web&Instances.member.1.InstanceId=i-1").0,
        InvalidInstance
    );
}

#[test]
fn a_health_check_keeps_elbs_bounds() {
    let mut world = World::with_web();
    let configure = |target: &str, interval: &str, timeout: &str, threshold: &str| {
        format!(
            "ConfigureHealthCheck&LoadBalancerName=web&HealthCheck.Target={target}&HealthCheck.Interval={interval}
            &HealthCheck.Timeout={timeout}&HealthCheck.UnhealthyThreshold={threshold}&HealthCheck.HealthyThreshold=3"
        )
    };
    let told = world.must(&configure("http:80/ping?deep%3D1", "10", "9", "2"));
    assert_eq!(
        told,
        "<HealthCheck><Target>HTTP:80/ping?deep=1</Target><Interval>10</Interval><Timeout>9</Timeout>\
         <UnhealthyThreshold>2</UnhealthyThreshold><HealthyThreshold>3</HealthyThreshold></HealthCheck>"
    );
    for (query, words) in [
        (configure("UDP:53", "10", "5", "2"), "must begin with one of HTTP, TCP, HTTPS, SSL"),
        (configure("TCP:80/", "10", "5", "2"), "must specify a port number"),
        (configure("HTTP:80", "10", "5", "2"), "a port followed by a path"),
        (configure("TCP:80", "10", "10", "2"), "timeout must be less than the interval"),
        (configure("TCP:80", "4", "2", "2"), "'healthCheck.interval'"),
        (configure("TCP:80", "301", "2", "2"), "less than or equal to 300"),
        (configure("TCP:80", "300", "61", "2"), "less than or equal to 60"),
        (configure("TCP:80", "300", "1", "2"), "greater than or equal to 2"),
        (configure("TCP:80", "10", "5", "1"), "greater than or equal to 2"),
        (configure("TCP:80", "10", "5", "11"), "less than or equal to 10"),
        (configure("TCP:80", "10", "5", ""), "must contain the parameter UnhealthyThreshold"),
        ("ConfigureHealthCheck&LoadBalancerName=web".to_owned(), "must contain the parameter HealthCheck"),
    ] {
        let (code, message) = world.refused(&query);
        assert_eq!(code, ValidationError, "{query}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn zones_and_subnets_are_enabled_and_disabled() {
    let mut world = World::with_web();
    let call = |world: &mut World, action: &str, list: &str, value: &str| {
        let told = world.call(&format!("{action}&LoadBalancerName=web&{list}.member.1={value}"));
        told.map(|told| all(&told, "member").join(" ")).map_err(|error| (error.code, error.message))
    };
    let zones = "AvailabilityZones";
    let enable = "EnableAvailabilityZonesForLoadBalancer";
    let disable = "DisableAvailabilityZonesForLoadBalancer";
    assert_eq!(call(&mut world, enable, zones, "b").as_deref(), Ok("a b"));
    assert_eq!(call(&mut world, enable, zones, "b").as_deref(), Ok("a b"));
    assert_eq!(call(&mut world, disable, zones, "nowhere").as_deref(), Ok("a b"));
    assert_eq!(call(&mut world, disable, zones, "a").as_deref(), Ok("b"));
    assert_eq!(call(&mut world, disable, zones, "b").map_err(|error| error.0), Err(InvalidConfigurationRequest));

    let (attach, detach) = ("AttachLoadBalancerToSubnets", "DetachLoadBalancerFromSubnets");
    assert_eq!(call(&mut world, attach, "Subnets", "subnet-a").as_deref(), Ok("subnet-a"));
    assert_eq!(call(&mut world, attach, "Subnets", "subnet-a").as_deref(), Ok("subnet-a"));
    assert_eq!(call(&mut world, attach, "Subnets", "subnet-b").as_deref(), Ok("subnet-a subnet-b"));
    assert_eq!(world.web().zones.len(), 2);
    let (code, message) = call(&mut world, attach, "Subnets", "subnet-a2").unwrap_err();
    assert_eq!(code, InvalidConfigurationRequest);
    assert!(message.contains("cannot be attached to multiple subnets in the same AZ"), "{message}");
    assert_eq!(call(&mut world, attach, "Subnets", "subnet-x").map_err(|error| error.0), Err(SubnetNotFound));
    assert_eq!(call(&mut world, detach, "Subnets", "subnet-a").as_deref(), Ok("subnet-b"));
    assert_eq!(call(&mut world, detach, "Subnets", "subnet-a").as_deref(), Ok("subnet-b"));
    assert_eq!(
        call(&mut world, detach, "Subnets", "subnet-b").map_err(|error| error.0),
        Err(InvalidConfigurationRequest)
    );
    assert_eq!(call(&mut world, attach, "Subnets", "subnet-a").as_deref(), Ok("subnet-a subnet-b"));
    assert_eq!(call(&mut world, disable, zones, "b").as_deref(), Ok("a"));
    assert_eq!(world.web().facts().subnets.len(), 1, "a disabled zone has no subnet");
}

#[test]
fn security_groups_become_access_rules() {
    let mut world = World::with_web();
    let apply = |groups: &str| format!("ApplySecurityGroupsToLoadBalancer&LoadBalancerName=web&{groups}");
    let told = world.must(&apply("SecurityGroups.member.1=sg-office&SecurityGroups.member.2=sg-nobody"));
    assert_eq!(all(&told, "member"), ["sg-office", "sg-nobody"]);
    let rules = |world: &World| {
        let listener = &world.web().listeners[0];
        (listener.allow.iter().map(ToString::to_string).collect::<Vec<_>>(), listener.deny.len())
    };
    assert_eq!(rules(&world), (vec!["10.0.0.0/8".to_owned()], 0));
    world.must(&apply("SecurityGroups.member.1=sg-nobody"));
    assert_eq!(rules(&world), (vec![], 2), "a group without rules lets nobody in");
    let told = world.must("DescribeLoadBalancers&LoadBalancerNames.member.1=web");
    assert_eq!(one(&told, "GroupName"), "sg-nobody");
    assert_eq!(world.refused(&apply("SecurityGroups.member.1=sg-x")).0, InvalidSecurityGroup);
    assert_eq!(world.refused(&apply("SecurityGroups=")).0, ValidationError);
}

#[test]
fn attributes_change_one_by_one() {
    let mut world = World::with_web();
    let modify = |attributes: &str| {
        let attributes = attributes.replace("&", "&LoadBalancerAttributes.");
        format!("ModifyLoadBalancerAttributes&LoadBalancerName=web{attributes}")
    };
    let told = world.must(&modify("&ConnectionSettings.IdleTimeout=4000"));
    assert_eq!(
        told,
        "<LoadBalancerName>web</LoadBalancerName><LoadBalancerAttributes><ConnectionSettings>\
         <IdleTimeout>4000</IdleTimeout></ConnectionSettings></LoadBalancerAttributes>"
    );
    world.must(&modify("&CrossZoneLoadBalancing.Enabled=True"));
    world.must(&modify("&ConnectionDraining.Enabled=true&ConnectionDraining.Timeout=7"));
    world.must(&modify("&ConnectionDraining.Enabled=false&ConnectionDraining.Timeout=9"));
    world.must(&modify(
        "&AdditionalAttributes.member.1.Key=elb.http.desyncmitigationmode
        &AdditionalAttributes.member.1.Value=strictest",
    ));
    world.must(&modify(""));
    let log =
        "&AccessLog.Enabled=true&AccessLog.S3BucketName=my-logs&AccessLog.S3BucketPrefix=p/q&AccessLog.EmitInterval=5";
    world.must(&modify(log));
    let path = world.web().attributes.access_log.as_ref().unwrap().path.display().to_string();
    assert_eq!(path, "/var/lib/elbow/buckets/my-logs/p/q/AWSLogs/000000000000/elasticloadbalancing/us-east-1/web.log");
    world.must(&modify("&AccessLog.Enabled=false"));
    assert!(world.web().attributes.access_log.is_none());
    let told = world.must("DescribeLoadBalancerAttributes&LoadBalancerName=web");
    assert_eq!(
        told,
        "<LoadBalancerAttributes><CrossZoneLoadBalancing><Enabled>true</Enabled></CrossZoneLoadBalancing>\
         <AccessLog><Enabled>false</Enabled><S3BucketName>my-logs</S3BucketName><EmitInterval>5</EmitInterval>\
         <S3BucketPrefix>p/q</S3BucketPrefix></AccessLog>\
         <ConnectionDraining><Enabled>false</Enabled><Timeout>7</Timeout></ConnectionDraining>\
         <ConnectionSettings><IdleTimeout>4000</IdleTimeout></ConnectionSettings>\
         <AdditionalAttributes><member><Key>elb.http.desyncmitigationmode</Key><Value>strictest</Value></member>\
         </AdditionalAttributes></LoadBalancerAttributes>"
    );
    world.must(&modify("&AccessLog.Enabled=true"));
    assert!(world.web().attributes.access_log.is_some(), "the bucket was kept");
    for (attributes, code) in [
        ("&ConnectionSettings.IdleTimeout=0", ValidationError),
        ("&ConnectionSettings.IdleTimeout=4001", ValidationError),
        ("&ConnectionDraining.Enabled=true&ConnectionDraining.Timeout=3601", ValidationError),
        ("&ConnectionDraining.Timeout=5", ValidationError),
        ("&CrossZoneLoadBalancing.Enabled=yes", ValidationError),
        ("&AccessLog.Enabled=true&AccessLog.EmitInterval=6", ValidationError),
        ("&AccessLog.Enabled=true&AccessLog.S3BucketName=../etc", ValidationError),
        (
            "&AdditionalAttributes.member.1.Key=elb.x&AdditionalAttributes.member.1.Value=y",
            LoadBalancerAttributeNotFound,
        ),
        (
            "&AdditionalAttributes.member.1.Key=elb.http.desyncmitigationmode&AdditionalAttributes.member.1.Value=y",
            ValidationError,
        ),
    ] {
        assert_eq!(world.refused(&modify(attributes)).0, code, "{attributes}");
    }
    let mut fresh = World::with_web();
    assert_eq!(fresh.refused(&modify("&AccessLog.Enabled=true")).0, ValidationError);
}

#[test]
fn tags_have_limits() {
    let mut world = World::with_web();
    let add = |tags: &str| format!("AddTags&LoadBalancerNames.member.1=web{tags}");
    world.must(&add("&Tags.member.1.Key=env&Tags.member.1.Value=prod&Tags.member.2.Key=empty"));
    world.must(&add("&Tags.member.1.Key=env&Tags.member.1.Value=test"));
    let told = world.must("DescribeTags&LoadBalancerNames.member.1=web&LoadBalancerNames.member.2=filed");
    assert_eq!(
        told,
        "<TagDescriptions><member><LoadBalancerName>web</LoadBalancerName><Tags>\
         <member><Key>empty</Key><Value></Value></member><member><Key>env</Key><Value>test</Value></member></Tags></member>\
         <member><LoadBalancerName>filed</LoadBalancerName><Tags></Tags></member></TagDescriptions>"
    );
    let many: String = (1..=49).map(|n| format!("&Tags.member.{n}.Key=k{n}")).collect();
    assert_eq!(world.refused(&add(&many)).0, TooManyTags);
    world.must(&add(&many.replace("&Tags.member.49.Key=k49", "")));
    assert_eq!(world.refused(&add("&Tags.member.1.Key=a&Tags.member.2.Key=a")).0, DuplicateTagKeys);
    assert_eq!(world.refused(&add("")).0, ValidationError);
    assert_eq!(world.refused(&add("&LoadBalancerNames.member.2=filed&Tags.member.1.Key=a")).0, ValidationError);
    world.must("RemoveTags&LoadBalancerNames.member.1=web&Tags.member.1.Key=env&Tags.member.2.Key=none");
    assert_eq!(world.web().facts().tags.len(), 49);
    let names: String = (1..=21).map(|n| format!("&LoadBalancerNames.member.{n}=web")).collect();
    assert_eq!(world.refused(&format!("DescribeTags{names}")).0, ValidationError);
}

#[test]
fn account_limits_are_texts() {
    let mut world = World::new();
    let told = world.must("DescribeAccountLimits&PageSize=2");
    assert_eq!(all(&told, "Name"), ["classic-listeners", "classic-load-balancers"]);
    assert_eq!(all(&told, "Max"), ["100", "20"]);
    let rest = world.must(&format!("DescribeAccountLimits&Marker={}", one(&told, "NextMarker")));
    assert_eq!((one(&rest, "Name"), one(&rest, "Max")), ("classic-registered-instances", "1000"));
    assert!(!rest.contains("NextMarker"));
    assert_eq!(world.refused("DescribeAccountLimits&Marker=x").0, ValidationError);
}

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

#[test]
fn what_is_named_follows_the_inventory() {
    let mut world = World::with_web();
    world.must("RegisterInstancesWithLoadBalancer&LoadBalancerName=web&Instances.member.1.InstanceId=web-9");
    world.must("ApplySecurityGroupsToLoadBalancer&LoadBalancerName=web&SecurityGroups.member.1=sg-office");
    world.must("AttachLoadBalancerToSubnets&LoadBalancerName=web&Subnets.member.1=subnet-a");
    let stored = || world.state.of_api().map(|record| (record.draft(), record.origin())).collect::<Vec<_>>();

    let moved = FILE
        .replace("10.0.0.9:8080", "10.0.0.99")
        .replace("10.0.0.0/8", "192.168.0.0/16")
        .replace("[inventory.subnets.subnet-a]\nzone = \"a\"", "[inventory.subnets.subnet-a]\nzone = \"c\"");
    let file = config::for_tests(&moved);
    let around = Surroundings { inventory: &file.inventory, ..world.around() };
    let state = State::new(&file, stored(), around).unwrap();
    let web = state.get("web").unwrap();
    assert_eq!(web.instances[0].host.to_string(), "10.0.0.99");
    assert_eq!(web.listeners[0].allow[0].to_string(), "192.168.0.0/16");
    assert_eq!(web.zones.iter().map(Zone::as_str).collect::<Vec<_>>(), ["c"]);

    let emptied = config::for_tests("");
    let around = Surroundings { inventory: &emptied.inventory, ..world.around() };
    let state = State::new(&emptied, stored(), around).unwrap();
    assert_eq!(state.get("web").unwrap(), world.state.get("web").unwrap(), "what is gone stays as it was last known");
}

#[test]
fn a_name_in_the_file_and_in_the_api_is_a_fault_unless_it_was_imported() {
    let world = World::new();
    let filed = world.state.get("filed").unwrap();
    let faults = State::new(&world.file, [(filed.draft(), Origin::Api)], world.around()).unwrap_err();
    assert!(faults[0].to_string().contains("load balancer filed is in the configuration file"), "{}", faults[0]);
    let state = State::new(&world.file, [(filed.draft(), Origin::Imported)], world.around()).unwrap();
    assert_eq!(state.get("filed").unwrap().origin(), Origin::Imported);
}
