//! What a health probe asks, how often, and how many answers decide.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Count, Invalid, Port, Seconds};

/// A health check; the timeout is always shorter than the interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    target: HealthTarget,
    interval: Interval,
    timeout: Timeout,
    healthy_threshold: Threshold,
    unhealthy_threshold: Threshold,
}

/// Time from one probe to the next. ELB starts at 5 seconds; a file may go down to 0.1.
pub type Interval = Seconds<100, 300_000>;
/// How long a probe may take. ELB starts at 2 seconds; it must be able to lie below the shortest interval.
pub type Timeout = Seconds<10, 60_000>;
/// How many results in a row change the state.
pub type Threshold = Count<2, 10>;

impl HealthCheck {
    /// ELB's default interval.
    pub const DEFAULT_INTERVAL: Interval = Interval::of_ms(30_000);
    /// ELB's default timeout.
    pub const DEFAULT_TIMEOUT: Timeout = Timeout::of_ms(5_000);
    /// ELB's default number of good probes that bring an instance back.
    pub const DEFAULT_HEALTHY_THRESHOLD: Threshold = Threshold::of(10);
    /// ELB's default number of bad probes that take an instance out.
    pub const DEFAULT_UNHEALTHY_THRESHOLD: Threshold = Threshold::of(2);

    /// A check of these parts; the timeout must be less than the interval.
    pub fn new(
        target: HealthTarget,
        interval: Interval,
        timeout: Timeout,
        healthy_threshold: Threshold,
        unhealthy_threshold: Threshold,
    ) -> Result<Self, Invalid> {
        if timeout.as_ms() >= interval.as_ms() {
            return Err(Invalid::new(format!(
                "HealthCheck timeout must be less than the interval, which is {interval} seconds"
            )));
        }
        Ok(Self { target, interval, timeout, healthy_threshold, unhealthy_threshold })
    }

    /// The check of a load balancer that names none: ELB connects to the first listener's instance port.
    pub const fn of_port(port: Port) -> Self {
        Self {
            target: HealthTarget::Tcp { port },
            interval: Self::DEFAULT_INTERVAL,
            timeout: Self::DEFAULT_TIMEOUT,
            healthy_threshold: Self::DEFAULT_HEALTHY_THRESHOLD,
            unhealthy_threshold: Self::DEFAULT_UNHEALTHY_THRESHOLD,
        }
    }

    /// The timeout when only the interval is named: ELB's 5 seconds, or half of an interval that is not longer.
    pub fn default_timeout(interval: Interval) -> Timeout {
        match interval.as_ms() {
            short if short <= Self::DEFAULT_TIMEOUT.as_ms() => Timeout::of_ms(short / 2),
            _ => Self::DEFAULT_TIMEOUT,
        }
    }

    /// What is asked.
    pub const fn target(&self) -> &HealthTarget {
        &self.target
    }

    /// Time from the start of one probe to the start of the next.
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// How long a probe may take, connecting included.
    pub const fn timeout(&self) -> Timeout {
        self.timeout
    }

    /// Good probes in a row that bring an instance back.
    pub const fn healthy_threshold(&self) -> Threshold {
        self.healthy_threshold
    }

    /// Bad probes in a row that take an instance out.
    pub const fn unhealthy_threshold(&self) -> Threshold {
        self.unhealthy_threshold
    }
}

/// What a probe does: `TCP:port`, `SSL:port`, `HTTP:port/path` or `HTTPS:port/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HealthTarget {
    /// A connection opens.
    Tcp {
        /// Where, unless the instance has a port of its own.
        port: Port,
    },
    /// A connection opens and a TLS handshake completes.
    Ssl {
        /// Where, unless the instance has a port of its own.
        port: Port,
    },
    /// `GET path` is answered with 200.
    Http {
        /// Where, unless the instance has a port of its own.
        port: Port,
        /// What is asked for.
        path: HealthPath,
    },
    /// `GET path` inside TLS is answered with 200.
    Https {
        /// Where, unless the instance has a port of its own.
        port: Port,
        /// What is asked for.
        path: HealthPath,
    },
}

impl HealthTarget {
    /// The port of instances that have none of their own.
    pub const fn port(&self) -> Port {
        match self {
            Self::Tcp { port } | Self::Ssl { port } | Self::Http { port, .. } | Self::Https { port, .. } => *port,
        }
    }

    /// Whether TLS is spoken.
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::Ssl { .. } | Self::Https { .. })
    }

    /// What is asked for, if anything is.
    pub const fn path(&self) -> Option<&HealthPath> {
        match self {
            Self::Tcp { .. } | Self::Ssl { .. } => None,
            Self::Http { path, .. } | Self::Https { path, .. } => Some(path),
        }
    }
}

impl FromStr for HealthTarget {
    type Err = Invalid;

    /// Reads ELB's grammar; the protocol in any letter case.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (protocol, rest) = text.split_once(':').unwrap_or((text, ""));
        let with_path = |make: fn(Port, HealthPath) -> Self| {
            let slash = rest.find('/').ok_or_else(|| {
                Invalid::new("HealthCheck HTTP Target must specify a port followed by a path that begins with a slash, e.g. HTTP:80/ping/this/path")
            })?;
            let (port, path) = rest.split_at(slash);
            Ok(make(target_port(port)?, HealthPath::new(path)?))
        };
        match protocol.to_ascii_uppercase().as_str() {
            "TCP" => Ok(Self::Tcp { port: target_port(rest)? }),
            "SSL" => Ok(Self::Ssl { port: target_port(rest)? }),
            "HTTP" => with_path(|port, path| Self::Http { port, path }),
            "HTTPS" => with_path(|port, path| Self::Https { port, path }),
            _ => Err(Invalid::new("HealthCheck Target must begin with one of HTTP, TCP, HTTPS, SSL")),
        }
    }
}

fn target_port(text: &str) -> Result<Port, Invalid> {
    text.parse().map_err(|_| Invalid::new("HealthCheck Target must specify a port number from 1 to 65535"))
}

impl fmt::Display for HealthTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { port } => write!(formatter, "TCP:{port}"),
            Self::Ssl { port } => write!(formatter, "SSL:{port}"),
            Self::Http { port, path } => write!(formatter, "HTTP:{port}{}", path.as_str()),
            Self::Https { port, path } => write!(formatter, "HTTPS:{port}{}", path.as_str()),
        }
    }
}

/// A request target that a probe can send as it stands: it begins with a slash and holds visible ASCII only, at most
/// 1024 characters (ELB's bound).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HealthPath(Arc<str>);

impl HealthPath {
    /// `text` as a path, with its query if it has one.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let sendable = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !sendable || text.len() > 1024 {
            return Err(Invalid::new(
                "HealthCheck path must begin with a slash and hold at most 1024 visible ASCII characters",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The path as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_and_print_in_elbs_grammar() {
        for (text, printed) in [
            ("TCP:80", "TCP:80"),
            ("ssl:443", "SSL:443"),
            ("http:8080/ping?deep=1", "HTTP:8080/ping?deep=1"),
            ("HTTPS:65535/", "HTTPS:65535/"),
            ("HTTP:1/a:b", "HTTP:1/a:b"),
        ] {
            assert_eq!(text.parse::<HealthTarget>().map(|target| target.to_string()).as_deref(), Ok(printed));
        }
    }

    #[test]
    fn what_is_no_target_is_refused_in_elbs_words() {
        let protocol = "HealthCheck Target must begin with one of HTTP, TCP, HTTPS, SSL";
        let port = "HealthCheck Target must specify a port number from 1 to 65535";
        let path = "HealthCheck HTTP Target must specify a port followed by a path that begins with a slash, e.g. HTTP:80/ping/this/path";
        let spelling = "HealthCheck path must begin with a slash and hold at most 1024 visible ASCII characters";
        for (text, message) in [
            ("", protocol),
            ("80", protocol),
            ("UDP:53", protocol),
            ("TCP", port),
            ("TCP:", port),
            ("TCP:0", port),
            ("TCP:80/", port),
            ("TCP:+80", port),
            ("SSL:65536", port),
            ("HTTP:80", path),
            ("HTTP:/ping", port),
            ("HTTP:x/ping", port),
            ("HTTP:80/a b", spelling),
            ("HTTP:80/a\r\nX: y", spelling),
        ] {
            assert_eq!(text.parse::<HealthTarget>().unwrap_err().to_string(), message, "{text:?}");
        }
        assert!(HealthPath::new(&format!("/{}", "a".repeat(1023))).is_ok());
        assert!(HealthPath::new(&format!("/{}", "a".repeat(1024))).is_err());
    }

    #[test]
    fn every_interval_has_a_default_timeout_below_it() {
        for interval_ms in [100, 101, 1000, 5000, 5001, 30_000, 300_000] {
            let interval = Interval::of_ms(interval_ms);
            let timeout = HealthCheck::default_timeout(interval);
            let target = HealthTarget::Tcp { port: Port::new(80).unwrap() };
            let (up, down) = (HealthCheck::DEFAULT_HEALTHY_THRESHOLD, HealthCheck::DEFAULT_UNHEALTHY_THRESHOLD);
            assert!(HealthCheck::new(target, interval, timeout, up, down).is_ok(), "{interval_ms}");
        }
    }
}
