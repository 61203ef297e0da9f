//! Security groups.

use super::*;

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
