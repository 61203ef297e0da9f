//! `elbow import` and `elbow export`: between the file and the API, in front of traffic.

use super::installation::{Installation, texts};
use super::{GET, create, instances};
use crate::harness::{Authority, Backend, Elbow, Load, Peer, free_address, run_elbow};
use std::net::SocketAddr;

/// Runs `elbow command … --admin …` against the installation's balancer. Exit code and what it said.
fn tell(installation: &Installation, arguments: &[&str]) -> (Option<i32>, String) {
    let admin = installation.admin().to_string();
    let output = run_elbow(&[arguments, &["--admin", &admin]].concat());
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.code(), String::from_utf8(said).expect("UTF-8"))
}

fn of_file(listener: SocketAddr, instance: SocketAddr) -> String {
    let (ip, port) = (listener.ip(), listener.port());
    format!(
        "[load_balancers.web]\n\
         listeners = [{{ protocol = \"HTTP\", address = \"{ip}\", port = {port}, instance_port = 1 }}]\n\
         instances = [\"{instance}\"]\n"
    )
}

#[test]
fn what_is_imported_is_changed_by_calls_and_its_traffic_does_not_notice() {
    let (one, two, listener) = (Backend::saying("one"), Backend::saying("two"), free_address());
    let installation = Installation::new(&of_file(listener, one.address()));
    let mut elbow = installation.start();
    elbow.admin().wait_in_service();
    let mut client = installation.client();
    let add = instances("web", &[two.address()]);
    let refused = client.try_call("RegisterInstancesWithLoadBalancer", &add).expect("an answer");
    assert_eq!(texts(refused.text(), "Code"), ["OperationNotPermitted"]);

    let load = Load::start(listener, 2, GET);
    let (code, said) = tell(&installation, &["import", "web"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("web is the API's now. Remove [load_balancers.web] from the file"), "{said}");
    load.wait_for_more(100);
    let report = load.stop();
    assert_eq!((report.failures.as_slice(), report.refused), (&[] as &[String], 0));

    client.call("RegisterInstancesWithLoadBalancer", &add);
    for (name, cause) in [("web", "no load balancer 'web' in the configuration file"), ("-", "load balancer")] {
        let (code, said) = tell(&installation, &["import", name]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with(&format!("{name}: ")) && said.contains(cause), "{said}");
    }
    let audited: Vec<String> = elbow.log().into_iter().filter(|line| line.contains("operation=import ")).collect();
    assert!(audited[0].ends_with("operation=import load_balancer=web outcome=changed"), "{audited:#?}");

    // The file still says something of it, and then no longer.
    for tables in [of_file(listener, one.address()), String::new()] {
        drop(elbow);
        installation.write(&tables);
        elbow = installation.start();
        elbow.admin().wait_states(&["InService", "InService"]);
    }
}

#[test]
fn what_is_exported_is_a_file_that_serves_the_same() {
    let authority = Authority::new();
    let certificate = authority.issue("shop", "shop.example", &rcgen::PKCS_ECDSA_P256_SHA256);
    let shop = format!("[inventory.certificates]\nshop = {}\n", certificate.text());
    let (backend, listener) = (Backend::saying("shop"), free_address());
    let installation = Installation::new(&shop);
    let elbow = installation.start();
    let mut client = installation.client();
    create(&mut client, "web", listener);
    client.call("RegisterInstancesWithLoadBalancer", &instances("web", &[backend.address()]));
    let port = if listener.port() == u16::MAX { 1_024 } else { listener.port() + 1 };
    client.call(
        "CreateLoadBalancerListeners",
        &format!(
            "LoadBalancerName=web&Listeners.member.1.Protocol=HTTPS&Listeners.member.1.LoadBalancerPort={port}\
             &Listeners.member.1.InstancePort=1\
             &Listeners.member.1.SSLCertificateId=arn:aws:iam::000000000000:server-certificate/shop"
        ),
    );
    client.call(
        "CreateLoadBalancerPolicy",
        "LoadBalancerName=web&PolicyName=modern&PolicyTypeName=SSLNegotiationPolicyType\
         &PolicyAttributes.member.1.AttributeName=Reference-Security-Policy\
         &PolicyAttributes.member.1.AttributeValue=ELBSecurityPolicy-TLS-1-2-2017-01",
    );
    let attach = format!("LoadBalancerName=web&LoadBalancerPort={port}&PolicyNames.member.1=modern");
    client.call("SetLoadBalancerPoliciesOfListener", &attach);
    let described = client.call("DescribeLoadBalancers", "");

    let (code, exported) = tell(&installation, &["export"]);
    assert_eq!(code, Some(0), "{exported}");
    drop(elbow);
    let file = installation.folder().join("exported.toml");
    let path = file.to_str().expect("UTF-8");
    // A store of its own: in the old one the load balancer is still the API's.
    let state = format!("{:?}", installation.folder().join("state").display().to_string());
    assert!(exported.contains(&state), "{exported}");
    std::fs::write(&file, exported.replace(&state, "\"state-2\"")).expect("a file");
    let checked = run_elbow(&["check", "-c", path]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.ends_with("good: 1 load balancer, 2 listeners, 1 instance\n"), "{said}");

    let elbow = installation.start_on(path);
    elbow.admin().wait_in_service();
    assert_eq!(Peer::connect(listener).ask(GET).text(), "shop");
    let now = installation.client().call("DescribeLoadBalancers", "");
    for element in
        ["LoadBalancerPort", "InstancePort", "Protocol", "InstanceId", "Target", "SSLCertificateId", "DNSName"]
    {
        assert_eq!(texts(&now, element), texts(&described, element));
    }
    let (code, nothing) = tell(&installation, &["export"]);
    assert_eq!(code, Some(0), "{nothing}");
    assert!(!nothing.contains("[load_balancers."), "they are the file's now: {nothing}");
}

#[test]
fn a_balancer_without_an_api_says_so() {
    let (listener, admin) = (free_address(), free_address());
    let text = format!("[admin]\naddress = \"{admin}\"\n{}", of_file(listener, free_address()));
    let _elbow = Elbow::start(&text, vec![listener], admin);
    for command in [&["import", "web"][..], &["export"]] {
        let output = run_elbow(&[command, &["--admin", &admin.to_string()]].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "this balancer has no [api]\n");
    }
}
