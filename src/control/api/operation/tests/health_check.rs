//! The health check.

use super::*;

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
