//! What a running balancer says of itself over its admin address.

use super::eventually;
use super::metrics::Metrics;
use super::peer::{PATIENCE, Peer};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;

/// The admin address of a balancer.
#[derive(Debug, Clone, Copy)]
pub struct Admin(pub SocketAddr);

impl Admin {
    /// Status and body of `GET path`; fails when nobody answers.
    pub fn try_get(self, path: &str) -> io::Result<(u16, String)> {
        let mut peer = Peer::try_connect(self.0)?;
        peer.try_send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.0))?;
        let answer = peer.try_read_message()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((answer.status(), answer.text().to_string()))
    }

    #[track_caller]
    pub fn get(self, path: &str) -> (u16, String) {
        self.try_get(path).unwrap_or_else(|error| panic!("admin {path}: {error}"))
    }

    #[track_caller]
    pub fn status(self) -> Value {
        let (status, body) = self.get("/status");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    #[track_caller]
    pub fn metrics(self) -> Metrics {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "{body}");
        Metrics::parse(&body)
    }

    /// State of every instance, by id, in order of registration.
    #[track_caller]
    pub fn instance_states(self) -> Vec<(String, String)> {
        let status = self.status();
        let balancers = status["load_balancers"].as_array().expect("load balancers");
        let instances = balancers.iter().flat_map(|balancer| balancer["instances"].as_array().expect("instances"));
        instances
            .map(|instance| {
                let text = |name: &str| instance[name].as_str().expect("text").to_string();
                (text("id"), text("state"))
            })
            .collect()
    }

    /// Waits until the instances are in these states, in order of registration.
    #[track_caller]
    pub fn wait_states(self, wanted: &[&str]) {
        eventually(&format!("instances are {wanted:?}"), PATIENCE, || {
            let states = self.instance_states();
            states.iter().map(|(_, state)| state).eq(wanted).then_some(())
        });
    }

    /// Waits until every instance is in service.
    #[track_caller]
    pub fn wait_in_service(self) {
        eventually("all instances are in service", PATIENCE, || {
            self.instance_states().iter().all(|(_, state)| state == "InService").then_some(())
        });
    }

    /// Waits until a metric, summed over its time series with these labels, has a value.
    #[track_caller]
    pub fn wait_metric(self, name: &str, labels: &[(&str, &str)], wanted: impl Fn(f64) -> bool) {
        let mut last = f64::NAN;
        eventually(&format!("{name} {labels:?} as wanted"), PATIENCE, || {
            last = self.metrics().sum(name, labels);
            wanted(last).then_some(())
        });
    }
}
