//! Instances: registration, and what is told of their health.

use super::*;

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
