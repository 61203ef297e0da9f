//! Zones and subnets.

use super::*;

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
