//! A reading of `/metrics`: the Prometheus text format, as far as Elbow writes it.

use std::collections::{BTreeMap, BTreeSet};

/// One line of the text.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All samples of one reading, and the metrics there are, those without a sample among them.
#[derive(Debug)]
pub struct Metrics {
    names: BTreeSet<String>,
    samples: Vec<Sample>,
}

impl Metrics {
    /// Takes the text apart.
    ///
    /// # Panics
    /// On a line that is neither comment nor sample.
    pub fn parse(text: &str) -> Metrics {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| parse_sample(line).unwrap_or_else(|| panic!("no sample: {line:?}")));
        Metrics { names: types.map(str::to_owned).collect(), samples: samples.collect() }
    }

    /// The sum of all samples of a metric that carry these labels; 0 when there are none yet.
    ///
    /// # Panics
    /// When there is no such metric, or it has no such label: whoever waits for 0 would wait for nothing.
    #[track_caller]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let is_known = [Some(name), family].into_iter().flatten().any(|name| self.names.contains(name));
        assert!(is_known, "there is no metric {name}");
        let has = |sample: &Sample, key: &str, value: &str| {
            *sample.labels.get(key).unwrap_or_else(|| panic!("{name} has no label {key}")) == value
        };
        let of_name = self.samples.iter().filter(|sample| sample.name == name);
        let wanted = of_name.filter(|sample| labels.iter().all(|(key, value)| has(sample, key, value)));
        wanted.map(|sample| sample.value).sum()
    }

    /// Whether any sample of a metric is there.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }
}

fn parse_sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
        None => (series, ""),
    };
    let labels = labels.split_terminator("\",").map(|label| {
        let (key, value) = label.split_once("=\"")?;
        Some((key.to_string(), value.trim_end_matches('"').to_string()))
    });
    Some(Sample { name: name.into(), labels: labels.collect::<Option<_>>()?, value: value.parse().ok()? })
}
