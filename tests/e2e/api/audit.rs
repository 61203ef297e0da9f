//! The log line of every call that changes something, or was meant to.

use super::installation::{Installation, KEY, READ_KEY};
use super::{create, instances};
use crate::harness::{Elbow, eventually, free_address};
use std::time::Duration;

/// The audit lines, once there are as many.
fn lines(elbow: &Elbow, count: usize) -> Vec<String> {
    let is_audit = |line: &String| line.contains(" message=audit ");
    let lines = eventually(&format!("{count} audit lines"), Duration::from_secs(5), || {
        let lines: Vec<String> = elbow.log().into_iter().filter(is_audit).collect();
        (lines.len() >= count).then_some(lines)
    });
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

#[test]
fn every_call_that_changes_something_or_was_meant_to_is_a_line() {
    let installation = Installation::new("");
    let elbow = installation.start();
    let (mut client, mut reader) = (installation.client(), installation.client().with_key(READ_KEY));
    let mut expected = Vec::new();
    let mut expect = |key: &str, operation: &str, balancer: &str, outcome: &str| {
        expected.push(format!(" operation={operation} load_balancer={balancer} outcome={outcome}"));
        expected.push(format!(" key={key} source=127."));
    };

    create(&mut client, "web", free_address());
    expect(KEY, "CreateLoadBalancer", "web", "changed difference=\"");
    client.call("DescribeLoadBalancers", "");
    let one = instances("web", &[free_address()]);
    let added = format!("+load_balancer.instances: {{\\\"address\\\":\\\"{}", one.rsplit('=').next().expect("an id"));
    client.call("RegisterInstancesWithLoadBalancer", &one);
    expect(KEY, "RegisterInstancesWithLoadBalancer", "web", &format!("changed difference=\"{added}"));
    client.call("RegisterInstancesWithLoadBalancer", &one);
    expect(KEY, "RegisterInstancesWithLoadBalancer", "web", "unchanged");
    client.call("AddTags", "LoadBalancerNames.member.1=web&Tags.member.1.Key=a&Tags.member.1.Value=b");
    expect(KEY, "AddTags", "web", "changed difference=\"+facts.tags.a: \\\"b\\\"\"");
    let denied = reader.try_call("DeleteLoadBalancer", "LoadBalancerName=web").expect("an answer");
    assert_eq!(denied.status(), 403, "{}", denied.text());
    expect(READ_KEY, "DeleteLoadBalancer", "web", "AccessDenied reason=\"");
    // Nobody adds a line of their own.
    let hostile = "LoadBalancerName=x%0Atime%3D1%20message%3Daudit%20outcome%3Dchanged%22";
    let wrong = client.try_call("DeregisterInstancesFromLoadBalancer", hostile).expect("an answer");
    assert_eq!(wrong.status(), 400, "{}", wrong.text());
    client.call("DeleteLoadBalancer", "LoadBalancerName=web");
    let hostile = "\"x\\ntime=1 message=audit outcome=changed\\\"\"";
    expect(KEY, "DeregisterInstancesFromLoadBalancer", hostile, "");
    expect(KEY, "DeleteLoadBalancer", "web", "changed difference=\"-facts.");

    let lines = lines(&elbow, expected.len() / 2);
    for (line, parts) in lines.iter().zip(expected.chunks(2)) {
        assert!(parts.iter().all(|part| line.contains(part.as_str())), "{line}\nlacks one of {parts:#?}");
        assert!(line.contains(" request_id="), "{line}");
    }
}
