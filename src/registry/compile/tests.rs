use super::*;
use crate::balance::Unavailable;
use crate::health::Condition;
use crate::model::{Count, LoadBalancerParts, Policy, PolicyName, Protocol, ProtocolPair, Weight};
use crate::registry::Tried;
use crate::registry::testing::{balancer, configuration, instance, key, keyring, listener, zone};
use std::time::Duration;

fn compiled(load_balancers: Vec<LoadBalancerParts>, previous: Option<&Snapshot>) -> Snapshot {
    let (keyring, key) = (keyring(), key());
    let keys = Keys { keyring: &keyring, sticky: Some(&key) };
    compile(&configuration(load_balancers), 2, keys, previous).expect("resolvable")
}

fn live<'a>(snapshot: &'a Snapshot, id: &str) -> &'a Arc<Live> {
    &snapshot.instances().find(|(_, entry)| entry.instance.id.as_str() == id).expect("registered").1.live
}

fn put_in_service(snapshot: &Snapshot) {
    snapshot.instances().for_each(|(_, entry)| entry.live.set_condition(Condition::InService));
}

/// The addresses that eight requests of the listener on `port` go to while each is in flight, sorted, each once.
fn reached(snapshot: &Snapshot, port: u16) -> Vec<String> {
    let listener = snapshot.listener(([0, 0, 0, 0], port).into()).expect("a listener");
    let underway: Vec<_> = (0..8).filter_map(|_| listener.targets.choose(0, &Tried::none()).ok()).collect();
    let mut addresses: Vec<_> = underway.iter().map(|assignment| assignment.address.to_string()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

#[test]
fn sticky_tokens_outlive_reloads_and_name_nobody_who_left() {
    let sticky = |ids: &[&str]| {
        let instances = ids.iter().map(|id| instance(id, &format!("10.0.0.{}", id.len()))).collect();
        let mut web = balancer("web", 80, instances);
        let name = PolicyName::new("sticky").expect("a name");
        web.policies.insert(name.clone(), Policy::LbCookieStickiness { cookie_expiration_period: None });
        web.listeners[0].policies.push(name);
        web
    };
    let stickiness = |snapshot: &Snapshot| snapshot.listeners[0].clone();
    let first = compiled(vec![sticky(&["a", "bb"])], None);
    let entry = stickiness(&first);
    let of = |entry: &ListenerEntry, id| {
        let stickiness = entry.stickiness.as_ref().expect("sticky");
        stickiness.token_of(live(&first, id)).map(|token| token.as_bytes().to_vec())
    };
    let (a, b) = (of(&entry, "a").expect("a token"), of(&entry, "bb").expect("a token"));
    assert_ne!(a, b);
    // A reload, and a start anew.
    for previous in [Some(&first), None] {
        let second = compiled(vec![sticky(&["bb"])], previous);
        let entry = stickiness(&second);
        let stickiness = entry.stickiness.as_ref().expect("sticky");
        assert!(stickiness.instance_of(&a).is_none());
        assert!(Arc::ptr_eq(stickiness.instance_of(&b).expect("registered"), live(&second, "bb")));
    }
    let keyring = keyring();
    let keys = Keys { keyring: &keyring, sticky: None };
    let errors = compile(&configuration(vec![sticky(&["a"])]), 1, keys, None).expect_err("no key");
    assert!(errors[0].to_string().contains("no key"), "{errors:?}");
}

#[test]
fn requests_go_to_instances_in_service_on_the_listeners_port_or_their_own() {
    let mut web = balancer("web", 80, vec![instance("a", "10.0.0.1"), instance("b", "10.0.0.2:9001")]);
    web.listeners.push(listener(Protocol::Tcp, 81, 8081));
    let snapshot = compiled(vec![web], None);
    assert!(snapshot.listener(([0, 0, 0, 0], 82).into()).is_none());
    assert_eq!(reached(&snapshot, 80), [] as [&str; 0], "nobody has been probed");
    put_in_service(&snapshot);
    assert_eq!(reached(&snapshot, 80), ["10.0.0.1:8080", "10.0.0.2:9001"]);
    assert_eq!(reached(&snapshot, 81), ["10.0.0.1:8081", "10.0.0.2:9001"]);
    live(&snapshot, "a").set_condition(Condition::Failed);
    assert_eq!(reached(&snapshot, 80), ["10.0.0.2:9001"]);
    live(&snapshot, "b").set_condition(Condition::Recovering);
    let listener = &snapshot.listeners()[0];
    assert_eq!(listener.targets.choose(0, &Tried::none()).err(), Some(Unavailable::NoneInService));
}

#[test]
fn listeners_of_bytes_and_of_http2_on_one_instance_port_shake_hands_each_in_its_own_way() {
    let reached = |protocol, back, port| Listener {
        protocols: ProtocolPair::new(protocol, back).expect("one layer"),
        ..listener(protocol, port, 8443)
    };
    let bytes = reached(Protocol::Tcp, Protocol::Ssl, 81);
    let http2 = Listener { instance_http: InstanceHttp::Http2, ..reached(Protocol::Http, Protocol::Https, 82) };
    let mut web = balancer("web", 80, vec![instance("a", "10.0.0.1")]);
    web.listeners = vec![bytes.clone(), http2, Listener { port: Port::new(83).expect("a port"), ..bytes }];
    let first = compiled(vec![web.clone()], None);
    let ids = |snapshot: &Snapshot| -> Vec<_> {
        snapshot.load_balancers[0].listeners.iter().map(|entry| entry.targets.tls().expect("TLS").id()).collect()
    };
    let [one, http2, other] = ids(&first)[..] else { panic!("three listeners") };
    assert!(one == other && one != http2);
    assert_eq!(ids(&compiled(vec![web], Some(&first))), [one, http2, other], "kept with their sessions");
}

#[test]
fn zones_decide_who_is_served_and_what_is_reported() {
    let placed = |id: &str, address: &str, name: &str| Instance { zone: zone(name), ..instance(id, address) };
    let instances = || {
        vec![placed("a", "10.0.0.1", "here"), placed("b", "10.0.0.2", "there"), placed("c", "10.0.0.3", "elsewhere")]
    };
    let own = balancer("own", 80, instances());
    let mut cross = balancer("cross", 81, instances());
    cross.attributes.cross_zone = true;
    let snapshot = compiled(vec![own, cross], None);
    put_in_service(&snapshot);
    assert_eq!(reached(&snapshot, 80), ["10.0.0.1:8080"]);
    assert_eq!(reached(&snapshot, 81), ["10.0.0.1:8080", "10.0.0.2:8080"]);
    let reports: Vec<_> = snapshot.instances().map(|(_, entry)| entry.report().description).collect();
    assert_eq!(reports[..2], ["N/A", "N/A"]);
    assert!(reports[2].starts_with("Instance is in the EC2 Availability Zone for which"));
}

#[test]
fn the_one_that_failed_is_not_tried_again_and_the_limit_counts_over_listeners() {
    let mut web = balancer("web", 80, vec![instance("a", "10.0.0.1"), instance("b", "10.0.0.2")]);
    web.listeners.push(listener(Protocol::Tcp, 81, 8081));
    web.limits.instance_connections = Some(Count::of(1));
    let snapshot = compiled(vec![web], None);
    put_in_service(&snapshot);
    let [http, tcp] = snapshot.listeners() else { panic!("two listeners") };
    let mut tried = Tried::none();
    let first = http.targets.choose(0, &tried).expect("free");
    tried.add(first.lease.record());
    drop(first.lease);
    let second = http.targets.choose(0, &tried).expect("the other is free");
    assert_ne!(first.address, second.address);
    tried.add(second.lease.record());
    assert_eq!(http.targets.choose(0, &tried).err(), Some(Unavailable::NoneInService));
    let third = tcp.targets.choose(1, &Tried::none()).expect("the first is free again");
    assert_eq!(third.address.ip(), first.address.ip());
    assert_eq!(tcp.targets.choose(1, &Tried::none()).err(), Some(Unavailable::AtCapacity));
}

#[test]
fn what_is_unchanged_keeps_its_live_record_and_its_counters() {
    let all = vec![
        instance("same", "10.0.0.1"),
        instance("moved", "10.0.0.2"),
        instance("port", "10.0.0.3"),
        instance("gone", "10.0.0.4"),
    ];
    let first = compiled(vec![balancer("web", 80, all.clone())], None);
    put_in_service(&first);
    let heavier = Instance { weight: Weight::of(7), ..instance("same", "10.0.0.1") };
    let others = vec![instance("moved", "10.0.0.9"), instance("port", "10.0.0.3:81"), instance("new", "10.0.0.5")];
    let mut web = balancer("web", 80, [vec![heavier], others].concat());
    web.listeners.push(listener(Protocol::Http, 90, 8080));
    let second = compiled(vec![web, balancer("other", 81, all)], Some(&first));

    assert_eq!((first.version(), second.version()), (1, 2));
    let kept: Vec<_> = second
        .instances()
        .map(|(_, entry)| entry)
        .filter(|entry| first.instances().any(|(_, before)| Arc::ptr_eq(&before.live, &entry.live)))
        .map(|entry| (entry.instance.id.to_string(), entry.live.condition()))
        .collect();
    assert_eq!(kept, [("same".to_owned(), Condition::InService)]);
    let cells = |snapshot: &Snapshot, port: u16| {
        Arc::clone(&snapshot.listener(([0, 0, 0, 0], port).into()).expect("a listener").cells)
    };
    assert!(Arc::ptr_eq(&cells(&first, 80), &cells(&second, 80)));
    assert!(!Arc::ptr_eq(&cells(&first, 80), &cells(&second, 90)));
}

#[test]
fn ids_are_dense_and_tell_apart_who_had_the_same_index() {
    let ids = |snapshot: &Snapshot| -> Vec<_> {
        snapshot.instances().map(|(_, entry)| (entry.live.id().index, entry.live.id().since)).collect()
    };
    let next = |instances: &[&str], previous: Option<&Snapshot>| {
        let instances = instances.iter().map(|id| instance(id, &format!("10.0.0.{}", id.len()))).collect();
        compiled(vec![balancer("web", 80, instances)], previous)
    };
    let first = next(&["a", "bb", "ccc"], None);
    let second = next(&["a", "ccc", "dddd"], Some(&first));
    let third = next(&["a", "ccc", "eeeee"], Some(&second));
    assert_eq!(ids(&first), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(ids(&second), [(0, 1), (2, 1), (3, 2)], "an index rests for one snapshot");
    assert_eq!(ids(&third), [(0, 1), (2, 1), (1, 3)]);
    let (gone, new) = (live(&first, "bb").id(), live(&third, "eeeee").id());
    assert!(first.is_registered(gone) && !second.is_registered(gone) && !third.is_registered(gone));
    assert!(third.is_registered(new) && !first.is_registered(new));
    assert!(!third.is_registered(live(&second, "dddd").id()));
}

#[test]
fn names_are_resolved_and_every_one_without_an_address_is_named() {
    let snapshot = compiled(vec![balancer("web", 80, vec![instance("a", "localhost:9001")])], None);
    assert!(live(&snapshot, "a").address(crate::registry::testing::port(1)).ip().is_loopback());
    let unknown = vec![
        instance("a", "10.0.0.1"),
        instance("b", "no-such-host.invalid"),
        instance("c", "no-such-host.invalid:81"),
    ];
    let keyring = keyring();
    let keys = Keys { keyring: &keyring, sticky: None };
    let errors =
        compile(&configuration(vec![balancer("web", 80, unknown)]), 1, keys, Some(&snapshot)).expect_err("both");
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].starts_with("load balancer web, instance b: cannot resolve no-such-host.invalid: "), "{texts:?}");
    assert!(texts[1].starts_with("load balancer web, instance c: "), "{texts:?}");
}

/// The bar for 10,000 instances is a reload under one second. Unoptimised this takes 60 to 90 ms of CPU.
#[test]
fn ten_thousand_instances_compile_in_half_a_second() {
    let address = |number: usize| format!("10.{}.{}.1", number / 250, number % 250);
    let instances = (0..10_000).map(|number| instance(&format!("web-{number}"), &address(number))).collect();
    let configuration = configuration(vec![balancer("web", 80, instances)]);
    let keyring = keyring();
    let keys = Keys { keyring: &keyring, sticky: None };
    let begun = cpu_time_used();
    let first = compile(&configuration, 2, keys, None).expect("addresses only");
    let of_first = cpu_time_used() - begun;
    let second = compile(&configuration, 2, keys, Some(&first)).expect("addresses only");
    let of_second = cpu_time_used() - begun - of_first;
    assert!(of_first.as_millis() < 500 && of_second.as_millis() < 500, "{of_first:?} and {of_second:?}");
    assert!(first.instances().zip(second.instances()).all(|((_, one), (_, two))| Arc::ptr_eq(&one.live, &two.live)));
}

/// What this thread has used of a CPU (/proc/pid/schedstat, first field): a busy machine does not count.
fn cpu_time_used() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("readable");
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}
