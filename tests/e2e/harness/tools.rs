//! Programs others wrote, as clients.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Runs curl with these arguments. Its standard output.
///
/// # Panics
/// When curl fails.
#[track_caller]
pub fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30"]).args(arguments);
    text(run(&mut command))
}

/// Runs `openssl` with these arguments and this standard input. All it said, whether it succeeded or not.
#[track_caller]
pub fn openssl(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("openssl: {error}; ./scripts/test installs it"));
    // It may be gone before it has read everything.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its output");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// What wrk counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrk {
    /// Answers received.
    pub requests: u64,
    /// Of these, with another status than 2xx and 3xx.
    pub bad_statuses: u64,
    /// Connections refused, reads and writes that failed, answers that took more than its timeout.
    pub connect_errors: u64,
    pub read_errors: u64,
    pub write_errors: u64,
    pub timeouts: u64,
    /// What all answers but the slowest hundredth took at most.
    pub percentile_99: Duration,
}

impl Wrk {
    /// Everything that is not a good answer.
    pub fn failures(&self) -> u64 {
        self.bad_statuses + self.connect_errors + self.read_errors + self.write_errors + self.timeouts
    }

    fn parse(output: &str) -> Wrk {
        let numbers_of = |mark: &str| -> Vec<u64> {
            let line = output.lines().find(|line| line.contains(mark)).unwrap_or_default();
            line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
        };
        let errors = numbers_of("Socket errors:");
        let error = |index: usize| errors.get(index).copied().unwrap_or(0);
        Wrk {
            requests: *numbers_of("requests in").first().unwrap_or_else(|| panic!("not wrk's words: {output}")),
            bad_statuses: numbers_of("Non-2xx").last().copied().unwrap_or(0),
            connect_errors: error(0),
            read_errors: error(1),
            write_errors: error(2),
            timeouts: error(3),
            percentile_99: Wrk::percentile(output, "99%"),
        }
    }

    fn percentile(output: &str, mark: &str) -> Duration {
        let value = output.lines().find_map(|line| line.trim().strip_prefix(mark)).unwrap_or("0us").trim();
        let digits = value.trim_end_matches(char::is_alphabetic);
        let seconds = match &value[digits.len()..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            unit => panic!("{unit:?} in {output}"),
        };
        Duration::from_secs_f64(digits.parse::<f64>().expect("a number") * seconds)
    }
}

/// Loads `address` for `time` over this many connections.
#[track_caller]
pub fn wrk(address: SocketAddr, connections: usize, time: Duration) -> Wrk {
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", &connections.to_string(), "-d", &format!("{}s", time.as_secs())]);
    command.args(["--latency", "--timeout", "10s", &format!("http://{address}/")]);
    Wrk::parse(&text(run(&mut command)))
}

/// What ab (ApacheBench), a client of HTTP/1.0, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ab {
    pub complete: u64,
    pub failed: u64,
    /// Answers on connections that were then kept.
    pub kept: u64,
}

/// Asks `address` so many times over this many connections, which it asks to keep.
#[track_caller]
pub fn ab(address: SocketAddr, connections: usize, requests: usize) -> Ab {
    let mut command = Command::new("ab");
    command.args(["-k", "-q", "-c", &connections.to_string(), "-n", &requests.to_string()]);
    let output = text(run(command.arg(format!("http://{address}/"))));
    let number = |mark: &str| {
        let value = output.lines().find_map(|line| line.strip_prefix(mark));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {mark} in {output}"))
    };
    Ab {
        complete: number("Complete requests:"),
        failed: number("Failed requests:"),
        kept: number("Keep-Alive requests:"),
    }
}

/// Runs nghttp with these arguments. Its standard output.
#[track_caller]
pub fn nghttp(arguments: &[&str]) -> String {
    text(run(Command::new("nghttp").args(["--timeout", "30s"]).args(arguments)))
}

/// What h2load counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct H2load {
    pub succeeded: u64,
    /// Answers that did not come, or with a status from 400 on.
    pub failed: u64,
    /// Answers with a status from 400 on.
    pub bad_statuses: u64,
}

/// Runs h2load with these arguments.
#[track_caller]
pub fn h2load(arguments: &[&str]) -> H2load {
    let output = text(run(Command::new("h2load").args(arguments)));
    let count = |line: &str, mark: &str| -> u64 {
        let counts = output.lines().find_map(|found| found.strip_prefix(line)).unwrap_or_default();
        let field = counts.split(", ").find_map(|field| field.strip_suffix(mark));
        field.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {mark} in {output}"))
    };
    H2load {
        succeeded: count("requests: ", "succeeded"),
        failed: count("requests: ", "failed"),
        bad_statuses: count("status codes: ", "4xx") + count("status codes: ", "5xx"),
    }
}

/// What testssl.sh found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `TLS1_2`, `heartbleed`.
    pub id: String,
    /// `OK`, `INFO` or `WARN`, or how bad it is: `LOW` to `CRITICAL`.
    pub severity: String,
    /// What it says.
    pub text: String,
}

/// Runs testssl.sh with these options on `address`. Its exit code counts findings, so it is not looked at.
#[track_caller]
pub fn testssl(address: SocketAddr, options: &[&str]) -> Vec<Finding> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("report.json");
    let mut command = Command::new("timeout");
    command.args(["300", "testssl", "--quiet", "--warnings", "batch", "--nodns", "none", "--jsonfile"]);
    let output = run(command.arg(&report).args(options).arg(address.to_string()));
    let said = || String::from_utf8_lossy(&output.stdout).into_owned();
    let text = std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {}", said()));
    let found: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", said()));
    let word = |finding: &serde_json::Value, key: &str| finding[key].as_str().expect("a text").to_owned();
    let findings = found.as_array().expect("a list").iter();
    findings
        .map(|finding| Finding {
            id: word(finding, "id"),
            severity: word(finding, "severity"),
            text: word(finding, "finding"),
        })
        .collect()
}

/// Runs this to its end.
#[track_caller]
pub(super) fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| panic!("{name}: {error}; ./scripts/test installs it"))
}

/// The standard output of what succeeded.
#[track_caller]
pub(super) fn text(output: Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_understood() {
        let output = "Running 2s test @ http://127.0.0.1/\n  1 threads and 8 connections\n  Thread Stats   Avg\n     \
                      90%  900.00us\n     99%    1.50ms\n  \
                      4711 requests in 2.10s, 1.20MB read\n  Socket errors: connect 1, read 2, write 3, timeout 4\n  \
                      Non-2xx or 3xx responses: 7\nRequests/sec: 2355.50\n";
        let counted = Wrk::parse(output);
        assert_eq!((counted.requests, counted.bad_statuses, counted.failures()), (4711, 7, 17));
        assert_eq!(counted.percentile_99, Duration::from_micros(1_500));
        assert_eq!(Wrk::parse("  12 requests in 2.10s, 1.20MB read\n").failures(), 0);
    }
}
