//! The one list of metrics: what each is called, what it means, how it is labelled, and where its numbers come from.

use super::reading::{InstanceGroup, InstanceReading, LoadBalancerReading};
use super::{AnswerSource, Distribution, Histogram, InstanceCells, ListenerCells, PerCore, Reading, ResponseClass};
use crate::model::{EjectionCause, Keyword, Reason, TlsSuite};

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its full name, with base unit and, on counters, `_total`.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The names of its labels, in reporting order.
    pub labels: &'static [&'static str],
    /// What it means, in one sentence without a full stop.
    pub help: &'static str,
    collect: fn(&Reading, &mut Samples<'_>),
}

/// The kinds of the Prometheus text format that are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations, in buckets.
    Histogram,
}

/// The value of one time series.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// Of a counter.
    Count(u64),
    /// Of a gauge.
    Level(i64),
    /// Of a histogram.
    Durations(&'a Distribution),
}

/// Takes the label values, in the order of [`Metric::labels`], and the value of one time series after another.
pub(super) type Samples<'a> = dyn FnMut(&[&str], Value<'_>) + 'a;

impl Metric {
    /// Gives `samples` every time series of this metric, always in the same order for the same configuration.
    pub(super) fn collect(&self, reading: &Reading, samples: &mut Samples<'_>) {
        (self.collect)(reading, samples);
    }
}

const BALANCER: &[&str] = &["load_balancer"];
const LISTENER: &[&str] = &["load_balancer", "listener"];
const INSTANCE: &[&str] = &["load_balancer", "instance"];

/// Every metric, in reporting order. Documentation and exposition are both made from this.
pub static METRICS: &[Metric] = &[
    Metric {
        name: "elbow_requests_total",
        kind: Kind::Counter,
        labels: &["load_balancer", "listener", "code", "source"],
        help: "Answers sent to HTTP clients, by class of status code and by who made them: an instance (backend) or the balancer (elbow)",
        collect: requests,
    },
    Metric {
        name: "elbow_request_duration_seconds",
        kind: Kind::Histogram,
        labels: LISTENER,
        help: "From the first byte of a request to the last byte of its answer",
        collect: |reading, samples| listener_durations(reading, samples, |cells| &cells.request_duration),
    },
    Metric {
        name: "elbow_backend_latency_seconds",
        kind: Kind::Histogram,
        labels: INSTANCE,
        help: "From a request sent to an instance to the first byte of its answer; TCP: the time to connect",
        collect: |reading, samples| instance_durations(reading, samples, |cells| &cells.backend_latency),
    },
    Metric {
        name: "elbow_connect_duration_seconds",
        kind: Kind::Histogram,
        labels: INSTANCE,
        help: "Time to connect to an instance, successful attempts only",
        collect: |reading, samples| instance_durations(reading, samples, |cells| &cells.connect_duration),
    },
    Metric {
        name: "elbow_tls_handshake_duration_seconds",
        kind: Kind::Histogram,
        labels: LISTENER,
        help: "Time of a client's TLS handshake, successful ones only",
        collect: |reading, samples| listener_durations(reading, samples, |cells| &cells.tls_handshake_duration),
    },
    Metric {
        name: "elbow_tls_handshakes_total",
        kind: Kind::Counter,
        labels: &["load_balancer", "listener", "protocol", "cipher", "resumed"],
        help: "Clients' TLS handshakes that succeeded, by what was agreed on and by whether an earlier session was resumed; those that failed are among the errors",
        collect: handshakes,
    },
    Metric {
        name: "elbow_connections_active",
        kind: Kind::Gauge,
        labels: LISTENER,
        help: "Client connections open now",
        collect: |reading, samples| listener_level(reading, samples, |cells| cells.connections_active.get()),
    },
    Metric {
        name: "elbow_connections_total",
        kind: Kind::Counter,
        labels: LISTENER,
        help: "Client connections accepted",
        collect: |reading, samples| listener_count(reading, samples, |cells| cells.connections_total.get()),
    },
    Metric {
        name: "elbow_received_bytes_total",
        kind: Kind::Counter,
        labels: LISTENER,
        help: "Bytes received from clients, without TLS's own",
        collect: |reading, samples| listener_count(reading, samples, |cells| cells.received_bytes.get()),
    },
    Metric {
        name: "elbow_sent_bytes_total",
        kind: Kind::Counter,
        labels: LISTENER,
        help: "Bytes sent to clients, without TLS's own",
        collect: |reading, samples| listener_count(reading, samples, |cells| cells.sent_bytes.get()),
    },
    Metric {
        name: "elbow_backend_connections_total",
        kind: Kind::Counter,
        labels: &["load_balancer", "instance", "reused"],
        help: "Exchanges begun with an instance, by whether a kept connection carried them",
        collect: backend_connections,
    },
    Metric {
        name: "elbow_backend_connection_errors_total",
        kind: Kind::Counter,
        labels: INSTANCE,
        help: "Failed attempts to connect to an instance, retries included",
        collect: |reading, samples| instance_count(reading, samples, |cells| cells.connection_errors.get()),
    },
    Metric {
        name: "elbow_surge_queue_length",
        kind: Kind::Gauge,
        labels: LISTENER,
        help: "Requests (TCP: connections) that wait for an instance now",
        collect: |reading, samples| listener_level(reading, samples, |cells| cells.surge_queue_length.get()),
    },
    Metric {
        name: "elbow_spillover_total",
        kind: Kind::Counter,
        labels: LISTENER,
        help: "Requests (TCP: connections) turned away because the surge queue was full",
        collect: |reading, samples| listener_count(reading, samples, |cells| cells.spillover.get()),
    },
    Metric {
        name: "elbow_retries_total",
        kind: Kind::Counter,
        labels: LISTENER,
        help: "Attempts made again, on another instance or a fresh connection, after one had failed",
        collect: |reading, samples| listener_count(reading, samples, |cells| cells.retries.get()),
    },
    Metric {
        name: "elbow_retries_denied_total",
        kind: Kind::Counter,
        labels: LISTENER,
        help: "Attempts that could have been made again and were not, because too many were: the retry budget was spent",
        collect: |reading, samples| listener_count(reading, samples, |cells| cells.retries_denied.get()),
    },
    Metric {
        name: "elbow_healthy_instances",
        kind: Kind::Gauge,
        labels: BALANCER,
        help: "Registered instances in state InService",
        collect: |reading, samples| instances_where(reading, samples, |instance| instance.in_service),
    },
    Metric {
        name: "elbow_unhealthy_instances",
        kind: Kind::Gauge,
        labels: BALANCER,
        help: "Registered instances in any other state than InService",
        collect: |reading, samples| instances_where(reading, samples, |instance| !instance.in_service),
    },
    Metric {
        name: "elbow_draining_instances",
        kind: Kind::Gauge,
        labels: BALANCER,
        help: "Instances that get no new work because they are to leave, those deregistered with work in flight included",
        collect: |reading, samples| balancer_level(reading, samples, |balancer| balancer.draining_instances),
    },
    Metric {
        name: "elbow_ejected_instances",
        kind: Kind::Gauge,
        labels: BALANCER,
        help: "Registered instances that get no new work for a while because requests to them failed",
        collect: |reading, samples| balancer_level(reading, samples, |balancer| balancer.ejected_instances),
    },
    Metric {
        name: "elbow_ejections_total",
        kind: Kind::Counter,
        labels: &["load_balancer", "reason"],
        help: "Times an instance was ejected, by the key of outlier_detection that it was too often for",
        collect: ejections,
    },
    Metric {
        name: "elbow_slow_start_instances",
        kind: Kind::Gauge,
        labels: BALANCER,
        help: "Instances in service whose share of the traffic is still growing",
        collect: |reading, samples| balancer_level(reading, samples, |balancer| balancer.newcomers),
    },
    Metric {
        name: "elbow_instance_in_flight",
        kind: Kind::Gauge,
        labels: INSTANCE,
        help: "Requests (TCP: connections) an instance works on now, over all cores",
        collect: in_flight,
    },
    Metric {
        name: "elbow_certificate_expiry_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &["load_balancer", "listener", "chain"],
        help: "The last second in which a certificate that a listener shows is valid, since the Unix epoch",
        collect: certificate_expiries,
    },
    Metric {
        name: "elbow_errors_total",
        kind: Kind::Counter,
        labels: &["load_balancer", "listener", "side", "phase", "reason"],
        help: "What went wrong with traffic: who caused it, where in its life, and why",
        collect: errors,
    },
    Metric {
        name: "elbow_desync_requests_total",
        kind: Kind::Counter,
        labels: &["load_balancer", "listener", "class"],
        help: "Requests that do not follow the RFC, by ELB's class, whatever became of them",
        collect: desync,
    },
    Metric {
        name: "elbow_access_log_lines_dropped_total",
        kind: Kind::Counter,
        labels: BALANCER,
        help: "Lines of the access log that were lost because the file could not be written, or not fast enough",
        collect: |reading, samples| {
            each_balancer(reading, |balancer, name| samples(&[name], Value::Count(balancer.access_log_lines_dropped)));
        },
    },
    Metric {
        name: "elbow_reloads_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Reloads of the configuration, by whether it was applied or refused",
        collect: |reading, samples| {
            samples(&["applied"], Value::Count(reading.reloads.applied));
            samples(&["refused"], Value::Count(reading.reloads.refused));
        },
    },
];

fn requests(reading: &Reading, samples: &mut Samples<'_>) {
    each_listener(reading, |balancer, port, cells| {
        for source in AnswerSource::ALL {
            for class in ResponseClass::ALL {
                let count = cells.sum(|core| core.requests.get(class, source));
                samples(&[balancer, port, class.label(), source.label()], Value::Count(count));
            }
        }
    });
}

/// Of secure listeners only: the others have no certificate.
fn handshakes(reading: &Reading, samples: &mut Samples<'_>) {
    for balancer in &reading.load_balancers {
        for listener in balancer.listeners.iter().filter(|listener| !listener.certificates.is_empty()) {
            let port = listener.port.to_string();
            for &suite in TlsSuite::ALL {
                for (resumed, is_resumed) in [("false", false), ("true", true)] {
                    let labels = [balancer.name.as_str(), &port, suite.protocol(), suite.as_str(), resumed];
                    let count = listener.cells.sum(|core| core.tls_handshakes.get(suite, is_resumed));
                    samples(&labels, Value::Count(count));
                }
            }
        }
    }
}

fn errors(reading: &Reading, samples: &mut Samples<'_>) {
    each_listener(reading, |balancer, port, cells| {
        for reason in Reason::ALL {
            let fault = reason.fault();
            let labels = [balancer, port, fault.side.as_str(), fault.phase.as_str(), reason.as_str()];
            samples(&labels, Value::Count(cells.sum(|core| core.errors.get(*reason))));
        }
    });
}

fn certificate_expiries(reading: &Reading, samples: &mut Samples<'_>) {
    each_balancer(reading, |balancer, name| {
        for listener in &balancer.listeners {
            for certificate in &listener.certificates {
                let labels = [name, &listener.port.to_string(), &certificate.chain];
                samples(&labels, Value::Level(certificate.not_after));
            }
        }
    });
}

fn backend_connections(reading: &Reading, samples: &mut Samples<'_>) {
    for group in reading.instance_groups() {
        let mut report = |reused, number: fn(&InstanceCells) -> u64| {
            samples(&[group.load_balancer, group.instance, reused], Value::Count(sum(&group, number)));
        };
        report("true", |cells| cells.connections_reused.get());
        report("false", |cells| cells.connections_new.get());
    }
}

fn in_flight(reading: &Reading, samples: &mut Samples<'_>) {
    for group in reading.instance_groups() {
        let in_flight = group.members.iter().map(|instance| instance.in_flight).sum();
        samples(&[group.load_balancer, group.instance], level(in_flight));
    }
}

fn instances_where(reading: &Reading, samples: &mut Samples<'_>, wanted: fn(&InstanceReading) -> bool) {
    each_balancer(reading, |balancer, name| {
        let count = balancer.instances.iter().filter(|instance| wanted(instance)).count();
        samples(&[name], level(count as u64));
    });
}

fn ejections(reading: &Reading, samples: &mut Samples<'_>) {
    each_balancer(reading, |balancer, name| {
        for (cause, count) in EjectionCause::ALL.iter().zip(&balancer.ejections) {
            samples(&[name, cause.as_str()], Value::Count(*count));
        }
    });
}

fn desync(reading: &Reading, samples: &mut Samples<'_>) {
    each_listener(reading, |balancer, port, cells| {
        let mut class = |name, number: u64| samples(&[balancer, port, name], Value::Count(number));
        class("acceptable", cells.sum(|cells| cells.desync.acceptable.get()));
        class("ambiguous", cells.sum(|cells| cells.desync.ambiguous.get()));
        class("severe", cells.sum(|cells| cells.desync.severe.get()));
    });
}

fn balancer_level(reading: &Reading, samples: &mut Samples<'_>, number: fn(&LoadBalancerReading) -> u64) {
    each_balancer(reading, |balancer, name| samples(&[name], level(number(balancer))));
}

fn listener_count(reading: &Reading, samples: &mut Samples<'_>, number: fn(&ListenerCells) -> u64) {
    each_listener(reading, |balancer, port, cells| samples(&[balancer, port], Value::Count(cells.sum(number))));
}

fn listener_level(reading: &Reading, samples: &mut Samples<'_>, number: fn(&ListenerCells) -> i64) {
    each_listener(reading, |balancer, port, cells| samples(&[balancer, port], Value::Level(cells.sum_signed(number))));
}

fn listener_durations(reading: &Reading, samples: &mut Samples<'_>, histogram: fn(&ListenerCells) -> &Histogram) {
    each_listener(reading, |balancer, port, cells| {
        let merged = cells.iter().map(histogram).collect();
        samples(&[balancer, port], Value::Durations(&merged));
    });
}

fn instance_count(reading: &Reading, samples: &mut Samples<'_>, number: fn(&InstanceCells) -> u64) {
    for group in reading.instance_groups() {
        samples(&[group.load_balancer, group.instance], Value::Count(sum(&group, number)));
    }
}

fn instance_durations(reading: &Reading, samples: &mut Samples<'_>, histogram: fn(&InstanceCells) -> &Histogram) {
    for group in reading.instance_groups() {
        let merged = group.members.iter().flat_map(|instance| instance.cells.iter()).map(histogram).collect();
        samples(&[group.load_balancer, group.instance], Value::Durations(&merged));
    }
}

fn each_balancer(reading: &Reading, mut visit: impl FnMut(&LoadBalancerReading, &str)) {
    reading.load_balancers.iter().for_each(|balancer| visit(balancer, balancer.name.as_str()));
}

fn each_listener(reading: &Reading, mut visit: impl FnMut(&str, &str, &PerCore<ListenerCells>)) {
    each_balancer(reading, |balancer, name| {
        for listener in &balancer.listeners {
            visit(name, &listener.port.to_string(), &listener.cells);
        }
    });
}

fn level(number: u64) -> Value<'static> {
    Value::Level(number.try_into().unwrap_or(i64::MAX))
}

fn sum(group: &InstanceGroup<'_>, number: fn(&InstanceCells) -> u64) -> u64 {
    group.members.iter().map(|instance| instance.cells.sum(number)).fold(0, u64::wrapping_add)
}
