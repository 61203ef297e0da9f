//! The API while the binary is replaced: one process has the store, no call is lost, every change that was answered
//! is there afterwards.

use super::installation::{Installation, texts};
use super::{create, instances};
use crate::harness::{Backend, Peer, Upgradable, free_address};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

fn registered(installation: &Installation) -> BTreeSet<String> {
    let described = installation.client().call("DescribeLoadBalancers", "LoadBalancerNames.member.1=web");
    texts(&described, "InstanceId").into_iter().collect()
}

#[test]
fn calls_go_on_across_upgrades_and_no_change_is_lost() {
    let (backend, listener) = (Backend::saying("ok"), free_address());
    let installation = Installation::new("");
    let running = Upgradable::start(&installation.command(), vec![installation.api()], installation.admin());
    create(&mut installation.client(), "web", listener);
    installation.client().call("RegisterInstancesWithLoadBalancer", &instances("web", &[backend.address()]));
    running.elbow.admin().wait_in_service();

    let done = AtomicBool::new(false);
    let added = std::thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let mut added = BTreeSet::from([backend.address().to_string()]);
            for port in 1.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                let id: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");
                // A connection of its own for each call: an idle one may be closed at any time.
                installation.client().call("RegisterInstancesWithLoadBalancer", &instances("web", &[id]));
                added.insert(id.to_string());
            }
            added
        });
        let upgrades = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..3 {
                let old = running.upgrade();
                running.wait_end(old);
            }
            running.replace_by_script("exit 3");
            running.fail_to_upgrade("exit status: 3");
        }));
        done.store(true, Ordering::SeqCst);
        let added = calling.join().expect("no call failed");
        upgrades.expect("every upgrade went as it should");
        added
    });
    assert!(added.len() > 4, "calls went on meanwhile: {added:?}");
    assert_eq!(registered(&installation), added);
    assert_eq!(Peer::connect(listener).ask(super::GET).status(), 200);

    // The one before has let go of the store for good, the one that serves has it.
    running.replace();
    running.upgrade();
    assert_eq!(registered(&installation), added);
}
