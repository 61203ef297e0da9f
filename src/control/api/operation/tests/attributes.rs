//! Attributes.

use super::*;

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
