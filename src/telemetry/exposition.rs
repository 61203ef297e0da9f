//! The Prometheus text exposition format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use super::metric::{Kind, METRICS, Value};
use super::{Distribution, Metric, Reading};
use std::fmt::Write;
use std::time::Duration;

/// The media type of [`prometheus_text`].
pub const PROMETHEUS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The upper bounds of every histogram's buckets, `+Inf` apart: 1, 2.5 and 5 per decade where answers of a local
/// back end and of a slow page lie, coarser towards the default idle timeout of 60 s.
const BUCKET_BOUNDS: [Duration; 18] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// Every metric of `reading`. A `_count` always equals its `+Inf` bucket; the order of lines changes only with the
/// configuration.
pub fn prometheus_text(reading: &Reading) -> String {
    let mut text = String::new();
    for metric in METRICS {
        write_metric(&mut text, metric, reading).expect("writing to a String does not fail");
    }
    text
}

fn write_metric(text: &mut String, metric: &Metric, reading: &Reading) -> std::fmt::Result {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let name = metric.name;
    writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help.replace('\\', r"\\").replace('\n', r"\n"))?;

    let mut outcome = Ok(());
    metric.collect(reading, &mut |values, value| {
        let labels = label_pairs(metric.labels, values);
        outcome = outcome.and(match value {
            Value::Count(count) => writeln!(text, "{name}{{{labels}}} {count}"),
            Value::Level(level) => writeln!(text, "{name}{{{labels}}} {level}"),
            Value::Durations(durations) => write_durations(text, name, &labels, durations),
        });
    });
    outcome
}

fn write_durations(text: &mut String, name: &str, labels: &str, durations: &Distribution) -> std::fmt::Result {
    let at_most = durations.cumulative(&BUCKET_BOUNDS);
    for (bound, count) in BUCKET_BOUNDS.iter().zip(at_most) {
        writeln!(text, "{name}_bucket{{{labels},le=\"{}\"}} {count}", bound.as_secs_f64())?;
    }
    let (count, sum_us) = (durations.count(), durations.sum_us());
    writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
    writeln!(text, "{name}_sum{{{labels}}} {}.{:06}", sum_us / 1_000_000, sum_us % 1_000_000)?;
    writeln!(text, "{name}_count{{{labels}}} {count}")
}

fn label_pairs(names: &[&str], values: &[&str]) -> String {
    let mut pairs = String::new();
    for (name, value) in names.iter().zip(values) {
        if !pairs.is_empty() {
            pairs.push(',');
        }
        pairs.push_str(name);
        pairs.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => pairs.push_str(r"\\"),
                '"' => pairs.push_str("\\\""),
                '\n' => pairs.push_str(r"\n"),
                other => pairs.push(other),
            }
        }
        pairs.push('"');
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reason;
    use crate::telemetry::AnswerSource;
    use crate::telemetry::testing::{reading_of, value_of};
    use std::collections::HashSet;

    #[test]
    fn counts_are_summed_over_cores_and_labelled() {
        let reading = reading_of("web", 443, &["web-1"], 2);
        let balancer = &reading.load_balancers[0];
        for core in 0..2 {
            let listener = balancer.listeners[0].cells.core(core);
            listener.requests.record(204, AnswerSource::Backend);
            listener.sent_bytes.add(1_000);
            listener.errors.record(Reason::ConnectRefused);
            listener.connections_active.increment();
            balancer.instances[0].cells.core(core).connections_reused.increment();
        }
        let text = prometheus_text(&reading);
        for (series, value) in [
            (r#"elbow_requests_total{load_balancer="web",listener="443",code="2xx",source="backend"}"#, "2"),
            (r#"elbow_requests_total{load_balancer="web",listener="443",code="5xx",source="elbow"}"#, "0"),
            (r#"elbow_sent_bytes_total{load_balancer="web",listener="443"}"#, "2000"),
            (
                r#"elbow_errors_total{load_balancer="web",listener="443",side="backend",phase="connect",reason="connect_refused"}"#,
                "2",
            ),
            (r#"elbow_connections_active{load_balancer="web",listener="443"}"#, "2"),
            (r#"elbow_backend_connections_total{load_balancer="web",instance="web-1",reused="true"}"#, "2"),
            (r#"elbow_backend_connections_total{load_balancer="web",instance="web-1",reused="false"}"#, "0"),
            (r#"elbow_healthy_instances{load_balancer="web"}"#, "1"),
            (r#"elbow_unhealthy_instances{load_balancer="web"}"#, "0"),
            (r#"elbow_instance_in_flight{load_balancer="web",instance="web-1"}"#, "7"),
        ] {
            assert_eq!(value_of(&text, series), Some(value), "{series}");
        }
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_sum_and_count() {
        let reading = reading_of("web", 80, &["web-1"], 2);
        let cells = &reading.load_balancers[0].instances[0].cells;
        cells.core(0).backend_latency.record(Duration::from_micros(700));
        cells.core(1).backend_latency.record(Duration::from_millis(40));
        cells.core(1).backend_latency.record(Duration::from_secs(90));
        let text = prometheus_text(&reading);
        let series = |suffix: &str, more: &str| {
            let name =
                format!("elbow_backend_latency_seconds{suffix}{{load_balancer=\"web\",instance=\"web-1\"{more}}}");
            value_of(&text, &name).map(str::to_owned)
        };
        for (le, count) in [("0.0005", "0"), ("0.001", "1"), ("0.025", "1"), ("0.05", "2"), ("60", "2"), ("+Inf", "3")]
        {
            assert_eq!(series("_bucket", &format!(",le=\"{le}\"")).as_deref(), Some(count), "le={le}");
        }
        assert_eq!(series("_sum", "").as_deref(), Some("90.040700"));
        assert_eq!(series("_count", "").as_deref(), Some("3"));
    }

    #[test]
    fn every_metric_is_one_block_under_its_help_and_type() {
        let text = prometheus_text(&reading_of("web", 80, &["web-1", "web-2"], 1));
        let mut seen = HashSet::new();
        let mut open = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                open = rest.split(' ').next().expect("a name");
                assert!(seen.insert(open), "{open} comes twice");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert_eq!(rest.split(' ').next(), Some(open));
            } else {
                let name = line.split('{').next().expect("a name");
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
                assert!(name == open || family == Some(open), "{line} under {open}");
            }
        }
        assert_eq!(seen.len(), METRICS.len());
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn label_values_cannot_break_out_of_their_quotes() {
        assert_eq!(label_pairs(&["a", "b"], &["x\"} 1\ny", r"c:\d"]), r#"a="x\"} 1\ny",b="c:\\d""#);
    }

    #[test]
    fn names_follow_the_conventions_and_each_series_has_all_its_labels() {
        let reading = reading_of("web", 80, &["web-1"], 1);
        for metric in METRICS {
            assert!(metric.name.starts_with("elbow_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            // A point in time is a level, too.
            let is_duration = metric.name.ends_with("_seconds") && !metric.name.ends_with("_timestamp_seconds");
            assert_eq!(metric.kind == Kind::Histogram, is_duration, "{}", metric.name);
            let mut series = 0;
            metric.collect(&reading, &mut |values, value| {
                assert_eq!(values.len(), metric.labels.len(), "{}", metric.name);
                assert!(
                    matches!(
                        (metric.kind, value),
                        (Kind::Counter, Value::Count(_))
                            | (Kind::Gauge, Value::Level(_))
                            | (Kind::Histogram, Value::Durations(_))
                    ),
                    "{}",
                    metric.name
                );
                series += 1;
            });
            assert!(series > 0, "{} has a time series", metric.name);
        }
    }
}
