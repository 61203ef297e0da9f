//! The latency histograms as an HdrHistogram interval log, format 1.3 with V2 compressed payloads, as its log readers
//! and plotters take it (<https://github.com/HdrHistogram/HdrHistogram>, `HistogramLogWriter`).

use super::metric::{METRICS, Value};
use super::{Distribution, Reading};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};
use std::io;
use std::time::{Duration, SystemTime};

/// Every histogram of `reading` that holds a value, as one interval from `started` to `now`, in microseconds.
///
/// A series is told by its tag, `metric/load_balancer/listener` or `metric/load_balancer/instance`. Subtract two logs
/// to see what happened between them.
pub fn interval_log(reading: &Reading, started: SystemTime, now: SystemTime) -> io::Result<Vec<u8>> {
    let mut log = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Values are microseconds, Interval_Max is milliseconds]")
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(1_000.0)
        .begin_log_with(&mut log, &mut serializer)?;

    let uptime = now.duration_since(started).unwrap_or_default();
    let mut outcome = Ok(());
    for metric in METRICS {
        metric.collect(reading, &mut |labels, value| {
            if let (Value::Durations(durations), Ok(())) = (value, &outcome) {
                outcome = write_interval(&mut writer, &tag_of(metric.name, labels), durations, uptime);
            }
        });
    }
    outcome.map(|()| log)
}

fn write_interval(
    writer: &mut IntervalLogWriter<'_, '_, Vec<u8>, V2DeflateSerializer>,
    tag: &str,
    durations: &Distribution,
    uptime: Duration,
) -> io::Result<()> {
    if durations.is_empty() {
        return Ok(());
    }
    writer
        .write_histogram(&durations.to_hdr(), Duration::ZERO, uptime, Tag::new(tag))
        .map_err(|error| io::Error::other(format!("histogram {tag}: {error}")))
}

/// The format ends a tag at a comma and knows no quoting, so what would be misread becomes an underscore.
fn tag_of(metric: &str, labels: &[&str]) -> String {
    let tag = format!("{metric}/{}", labels.join("/"));
    tag.replace(|character: char| character == ',' || character.is_whitespace(), "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::reading_of;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_log_reads_back_with_its_tags_times_and_values() {
        let reading = reading_of("web", 80, &["web-1", "10.0.0.1:9001"], 2);
        let balancer = &reading.load_balancers[0];
        for milliseconds in 1..=100 {
            let core = milliseconds as usize % 2;
            let elapsed = Duration::from_millis(milliseconds);
            balancer.listeners[0].cells.core(core).request_duration.record(elapsed);
        }
        balancer.instances[1].cells.core(1).backend_latency.record(Duration::from_micros(250));

        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let log = interval_log(&reading, started, started + Duration::from_secs(90)).expect("written");

        let mut read = Vec::new();
        for entry in IntervalLogIterator::new(&log) {
            match entry.expect("a line the format knows") {
                LogEntry::StartTime(at) | LogEntry::BaseTime(at) => {
                    assert_eq!(at.as_secs(), 1_700_000_000)
                }
                LogEntry::Interval(interval) => {
                    assert_eq!(interval.start_timestamp(), Duration::ZERO);
                    assert_eq!(interval.duration(), Duration::from_secs(90));
                    let tag = interval.tag().expect("a tag").as_str().to_owned();
                    read.push((tag, decode(interval.encoded_histogram())));
                }
            }
        }
        let told: Vec<_> = read.iter().map(|(tag, histogram)| (tag.as_str(), histogram.len())).collect();
        assert_eq!(
            told,
            [("elbow_request_duration_seconds/web/80", 100), ("elbow_backend_latency_seconds/web/10.0.0.1:9001", 1)]
        );
        let median = read[0].1.value_at_quantile(0.5);
        assert!((48_500..=51_500).contains(&median), "{median}");
    }

    fn decode(payload: &str) -> hdrhistogram::Histogram<u64> {
        Deserializer::new().deserialize(&mut from_base64(payload).as_slice()).expect("a V2 histogram")
    }

    fn from_base64(text: &str) -> Vec<u8> {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit = |letter| ALPHABET.iter().position(|one| *one == letter).expect("a base64 letter") as u32;
        let digits: Vec<u32> = text.trim_end_matches('=').bytes().map(digit).collect();
        let decode_group = |group: &[u32]| {
            let bits = group.iter().enumerate().fold(0, |bits, (place, digit)| bits | digit << (26 - 6 * place));
            bits.to_be_bytes().into_iter().take(group.len() * 6 / 8)
        };
        digits.chunks(4).flat_map(decode_group).collect()
    }
}
