//! A reading of `/metrics`: the Prometheus text format, as far as Elbow writes it.

use std::collections::BTreeMap;

/// One line of the text.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All samples of one reading.
#[derive(Debug)]
pub struct Metrics {
    samples: Vec<Sample>,
}

impl Metrics {
    /// Takes the text apart.
    ///
    /// # Panics
    /// On a line that is neither comment nor sample.
    pub fn parse(text: &str) -> Metrics {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| parse_sample(line).unwrap_or_else(|| panic!("no sample: {line:?}")));
        Metrics { samples: samples.collect() }
    }

    /// The sum of all samples of a metric that carry these labels; 0 when there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|it| it == value))
        };
        self.samples.iter().filter(wanted).map(|sample| sample.value).sum()
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
