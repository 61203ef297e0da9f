//! `elbow status`.

use std::fmt::Write;
use std::process::ExitCode;

use super::{remote, terminal};
use crate::control::admin::client;
use crate::control::admin::status::{InstanceState, InstanceStatus, LoadBalancerStatus, Status};
use crate::model::AdminAddress;

/// Show what a running balancer balances, and how its instances are
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The whole status as JSON
    #[arg(long)]
    json: bool,

    /// The admin address of the balancer
    #[arg(long, value_name = "ADDRESS", default_value_t = AdminAddress::DEFAULT)]
    admin: AdminAddress,
}

/// Asks and shows. Exit code 0 when the balancer answered, whatever the state of its instances.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    let body = match client::get(&arguments.admin, "/status") {
        Ok(reply) if reply.status.is_success() => reply.body,
        Ok(reply) => return remote::failed(&format!("{} from {}\n", reply.status, arguments.admin)),
        Err(error) => return remote::failed(&format!("{error}\n")),
    };
    if arguments.json {
        return terminal::show(&String::from_utf8_lossy(&body));
    }
    match serde_json::from_slice::<Status>(&body) {
        Ok(status) => terminal::show(&table(&status)),
        Err(error) => remote::failed(&format!("{}: not a status of this version: {error}\n", arguments.admin)),
    }
}

/// At most 80 columns as long as names are short.
fn table(status: &Status) -> String {
    let node = &status.node;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "elbow {}, process {}, zone {}, up {}: {}",
        node.version,
        node.pid,
        node.zone,
        uptime(node.uptime_seconds),
        node.readiness.as_str()
    );
    status.load_balancers.iter().for_each(|balancer| add_balancer(&mut text, balancer));
    text
}

fn add_balancer(text: &mut String, balancer: &LoadBalancerStatus) {
    let _ = writeln!(text, "\n{}", balancer.name);
    for listener in &balancer.listeners {
        let (protocol, address, active) = (&listener.protocol, &listener.address, listener.connections_active);
        let _ = writeln!(text, "  {protocol:<5} {address:<40} {active:>8} connections");
    }
    for instance in &balancer.instances {
        let (id, address, zone) = (&instance.id, &instance.address, &instance.zone);
        let name = if id == address { id.clone() } else { format!("{id} ({address})") };
        let _ = writeln!(text, "  {:<12} {name:<34} {zone:<10} {:>6} in flight", state(instance), instance.in_flight);
        if instance.description != "N/A" {
            let _ = writeln!(text, "    {}", instance.description);
        }
    }
}

fn state(instance: &InstanceStatus) -> &'static str {
    match instance.state {
        _ if instance.draining => "Draining",
        InstanceState::InService => "InService",
        InstanceState::OutOfService => "OutOfService",
        InstanceState::Unknown => "Unknown",
    }
}

fn uptime(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_of_a_status_fits_80_columns() {
        let json = serde_json::json!({
            "node": { "version": "0.1.0", "pid": 4711, "readiness": "serving", "zone": "rack-a", "cores": [0, 1],
                      "uptime_seconds": 7_300, "log_lines_dropped": 0 },
            "kernel": { "release": "6.1.0", "features": {} },
            "load_balancers": [{
                "name": "web",
                "listeners": [{ "protocol": "HTTP", "address": "0.0.0.0:80", "connections_active": 2 }],
                "instances": [
                    { "id": "10.0.0.11", "address": "10.0.0.11", "zone": "rack-a", "weight": 1, "state": "InService",
                      "reason_code": "N/A", "description": "N/A", "draining": false, "in_flight": 3 },
                    { "id": "web-2", "address": "10.0.0.12:9001", "zone": "rack-b", "weight": 2, "state": "InService",
                      "reason_code": "N/A", "description": "Instance deregistration currently in progress.",
                      "draining": true, "in_flight": 1 },
                ],
            }],
        });
        let shown = table(&serde_json::from_value(json).expect("a status"));
        assert!(shown.starts_with("elbow 0.1.0, process 4711, zone rack-a, up 2 h: serving\n"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        let line = |words: &str| shown.lines().any(|line| line.split_whitespace().eq(words.split(' ')));
        assert!(line("HTTP 0.0.0.0:80 2 connections"), "{shown}");
        assert!(line("InService 10.0.0.11 rack-a 3 in flight"), "{shown}");
        assert!(line("Draining web-2 (10.0.0.12:9001) rack-b 1 in flight"), "{shown}");
        assert!(line("Instance deregistration currently in progress."), "{shown}");
    }
}
