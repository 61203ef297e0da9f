//! How long calls take, and what traffic notices of them.

use super::installation::{Client, Installation};
use super::{create, instances, texts};
use crate::harness::{Nginx, alone, free_address, wrk};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// What the median call may take, on a machine that has time for it.
const BAR: Duration = Duration::from_millis(20);

/// How many, one call each: what ELB allows a load balancer.
const REGISTRATIONS: u16 = 1_000;

/// Clients of the traffic that goes on meanwhile. Few, so that what they measure is not their own crowd.
const CLIENTS: usize = 4;

#[test]
fn a_thousand_registrations_one_call_each_beside_traffic() {
    let _turn = alone();
    let nginx = Nginx::start("shop");
    let installation = Installation::new("");
    let elbow = installation.start();
    let mut client = installation.client();
    let (shop, many) = (free_address(), free_address());
    create(&mut client, "shop", shop);
    client.call("RegisterInstancesWithLoadBalancer", &instances("shop", &[nginx.address()]));
    create(&mut client, "many", many);
    elbow.admin().wait_in_service();

    let load = || wrk(shop, CLIENTS, Duration::from_secs(4));
    let quiet = load();
    let (busy, mut times) = std::thread::scope(|scope| {
        let loading = scope.spawn(load);
        let times = register(&mut client, "many");
        (loading.join().expect("wrk counts"), times)
    });
    let after = load();

    times.sort_unstable();
    let median = times[times.len() / 2];
    println!("calls: median {median:?}, 99th percentile {:?}", times[times.len() * 99 / 100]);
    let percentiles = [quiet, busy, after].map(|counted| counted.percentile_99);
    println!("traffic, 99th percentile before, meanwhile and after: {percentiles:?}");
    let told = client.call("DescribeLoadBalancers", "LoadBalancerNames.member.1=many");
    assert_eq!(texts(&told, "InstanceId").len(), usize::from(REGISTRATIONS));
    let bar = BAR.max(3 * flush(&installation) + 10 * round_trip(&mut client));
    assert!(median < bar, "median {median:?}, bar {bar:?}");
    assert_eq!([quiet, busy, after].map(|counted| counted.failures()), [0; 3]);
    // Two cores are shared by clients, back end, balancer and callers, so that noise is of the size of what is measured.
    let noise = 3 * percentiles[0].max(percentiles[2]) + Duration::from_millis(5);
    assert!(percentiles[1] < noise, "{percentiles:?}");
}

/// Registers instances where nobody listens, so that probing them is cheap. How long each call took.
fn register(client: &mut Client, load_balancer: &str) -> Vec<Duration> {
    let nobody = free_address().ip();
    let one = |port| {
        let begun = Instant::now();
        client.call("RegisterInstancesWithLoadBalancer", &instances(load_balancer, &[SocketAddr::new(nobody, port)]));
        begun.elapsed()
    };
    (1..=REGISTRATIONS).map(one).collect()
}

/// How long this disk takes to keep what a call changes.
fn flush(installation: &Installation) -> Duration {
    let file = std::fs::File::create(installation.folder().join("flushed")).expect("a file");
    median(|| {
        file.write_all_at(&[1; 100_000], 0).expect("room");
        file.sync_data().expect("a disk");
    })
}

/// How long a call takes that does nothing.
fn round_trip(client: &mut Client) -> Duration {
    median(|| drop(client.call("DescribeAccountLimits", "")))
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..31)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}
