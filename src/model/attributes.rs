//! The attributes of a load balancer: ELB's, with ELB's defaults, and what goes beyond it: `routing`, `slow_start`,
//! `outlier_detection` and `proxy_status`, all of them off.

use std::path::PathBuf;

use super::keyword::keyword;
use super::{Count, Layer, OutlierDetection, Seconds};

/// What ELB calls load balancer attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Silence on a connection, in both directions, after which it is closed. ELB: 1 to 4000 seconds.
    pub idle_timeout: Seconds<1_000, 4_000_000>,
    /// Whether a node sends traffic to instances of every enabled zone instead of its own only.
    pub cross_zone: bool,
    /// What happens to the work of an instance that leaves.
    pub draining: Draining,
    /// How strict requests of doubtful framing are treated.
    pub desync_mitigation: DesyncMitigation,
    /// One line per request or connection; `None`: no log.
    pub access_log: Option<AccessLog>,
    /// How an instance is chosen; `None`: by the layer of the listener, see [`Attributes::routing_of`].
    pub routing: Option<Routing>,
    /// For how long the share of an instance that comes into service grows to its full one; `None`: it has that at once.
    pub slow_start: Option<SlowStart>,
    /// When an instance that fails requests is left out; `None`: never.
    pub outlier_detection: Option<OutlierDetection>,
    /// Whether answers of Elbow's own say why in `Proxy-Status` (RFC 9209).
    pub proxy_status: bool,
}

/// How long a slow start takes: an hour at the most.
pub type SlowStart = Seconds<1_000, 3_600_000>;

impl Attributes {
    /// How a listener of this layer chooses: as set, else as ELB does.
    pub const fn routing_of(&self, layer: Layer) -> Routing {
        match (self.routing, layer) {
            (Some(routing), _) => routing,
            (None, Layer::Seven) => Routing::LeastOutstanding,
            (None, Layer::Four) => Routing::RoundRobin,
        }
    }
}

/// ELB's defaults.
impl Default for Attributes {
    fn default() -> Self {
        Self {
            idle_timeout: Seconds::of_ms(60_000),
            cross_zone: false,
            draining: Draining::default(),
            desync_mitigation: DesyncMitigation::Defensive,
            access_log: None,
            routing: None,
            slow_start: None,
            outlier_detection: None,
            proxy_status: false,
        }
    }
}

/// Connection draining: what is in flight on an instance that leaves may finish, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining {
    /// Off: connections to the instance are closed at once.
    pub enabled: bool,
    /// How long; kept while disabled, as in ELB.
    pub timeout: Seconds<1_000, 3_600_000>,
}

/// ELB's: off, 300 seconds once it is on.
impl Default for Draining {
    fn default() -> Self {
        Self { enabled: false, timeout: Seconds::of_ms(300_000) }
    }
}

keyword! {
    /// What is done with a request that two servers could read in two ways.
    pub enum DesyncMitigation {
        /// Count it, let it pass.
        Monitor = "monitor",
        /// Block what is dangerous; let what is ambiguous pass on connections that are closed afterwards.
        Defensive = "defensive",
        /// Only requests that follow the RFC pass.
        Strictest = "strictest",
    }
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// The file.
    pub path: PathBuf,
    /// How a line looks.
    pub format: AccessLogFormat,
    /// When the file is put aside and a new one begun, beside whenever the process is told to open it anew.
    pub rotation: Rotation,
}

impl AccessLog {
    /// A log at `path` that nobody but the operator rotates.
    pub fn unrotated(path: PathBuf, format: AccessLogFormat) -> Self {
        Self { path, format, rotation: Rotation::default() }
    }
}

/// When a log is rotated, and what is kept of it: `web.log.1` is the newest file that was put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// When the file has grown to so many bytes; `None`: at no size.
    pub size: Option<Count<4_096, 4_000_000_000>>,
    /// When so much time has passed, counted from the Unix epoch, so that 3,600 is on the hour and 86,400 at midnight
    /// (UTC); `None`: never.
    pub interval: Option<Seconds<1_000, 604_800_000>>,
    /// Files that are kept beside the one being written. A day of hours, and some.
    pub keep: Count<1, 1_000>,
}

/// Off; 30 files once it is on.
impl Default for Rotation {
    fn default() -> Self {
        Self { size: None, interval: None, keep: Count::of(30) }
    }
}

keyword! {
    /// The form of an access log line.
    pub enum AccessLogFormat {
        /// Classic ELB's fifteen fields.
        Elb = "elb",
        /// One JSON object.
        Json = "json",
    }
}

keyword! {
    /// How an instance is chosen among the healthy ones.
    pub enum Routing {
        /// The one with the fewest requests in flight for its weight.
        LeastOutstanding = "least_outstanding",
        /// One after the other, by weight.
        RoundRobin = "round_robin",
    }
}
