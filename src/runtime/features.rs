//! What this kernel can do for the ring, and, where it can do too little, why and what helps.

use std::fmt;
use std::fs;
use std::io;

use io_uring::IoUring;

/// The oldest kernel with everything the data path needs (DEFER_TASKRUN, provided-buffer rings, multishot accept).
pub const MINIMUM_KERNEL: (u32, u32) = (6, 1);

/// The oldest kernel whose repeating receives can be bounded per turn (`len` of a multishot receive) and are fair.
const BOUNDED_REPEATING_RECEIVE: (u32, u32) = (6, 17);

/// How one kernel feature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Present and used.
    Used,
    /// Present; nothing here uses it.
    Available,
    /// Absent.
    Absent,
}

impl fmt::Display for Support {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Support::Used => "used",
            Support::Available => "available",
            Support::Absent => "absent",
        })
    }
}

/// The kernel's version and the features that were looked for, as `elbow status` shows them.
#[derive(Clone, Debug)]
pub struct Features {
    /// As uname(2) gives it.
    pub release: String,
    /// Feature names and how each stands.
    pub list: Vec<(&'static str, Support)>,
    repeats_receives: bool,
}

impl Features {
    pub(in crate::runtime) fn of(ring: &IoUring, no_array: bool) -> Features {
        let available = |present: bool| if present { Support::Available } else { Support::Absent };
        let parameters = ring.params();
        let release = release();
        let repeats_receives = parse(&release).is_some_and(|version| version >= BOUNDED_REPEATING_RECEIVE);
        Features {
            release,
            repeats_receives,
            list: vec![
                ("multishot_receive", if repeats_receives { Support::Used } else { Support::Absent }),
                ("single_issuer", Support::Used),
                ("defer_taskrun", Support::Used),
                ("provided_buffer_ring", Support::Used),
                ("multishot_accept", Support::Used),
                ("restrictions", Support::Used),
                ("no_sqarray", if no_array { Support::Used } else { Support::Absent }),
                ("recvsend_bundle", available(parameters.is_feature_recvsend_bundle())),
                ("min_wait", available(parameters.is_feature_min_timeout())),
                ("no_iowait", available(parameters.is_feature_no_iowait())),
            ],
        }
    }

    /// Whether one receive may be left to go on by itself.
    pub(in crate::runtime) fn repeats_receives(&self) -> bool {
        self.repeats_receives
    }

    /// Why the ring could not be made, in a sentence that names the remedy.
    pub fn explain(error: &io::Error) -> String {
        let release = release();
        let (major, minor) = MINIMUM_KERNEL;
        if parse(&release).is_some_and(|version| version < MINIMUM_KERNEL) {
            return format!(
                "kernel {release} is too old: io_uring needs Linux {major}.{minor} or newer (6.12 is recommended)"
            );
        }
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
        match (error.raw_os_error(), disabled.trim()) {
            (Some(libc::EPERM), "1" | "2") => format!(
                "io_uring is switched off on this host: set `sysctl kernel.io_uring_disabled=0` (it is {}), or 1 with \
                 this user in kernel.io_uring_group",
                disabled.trim()
            ),
            (Some(libc::EPERM), _) => "io_uring is denied by a seccomp filter: in a container, allow io_uring_setup, \
                 io_uring_enter and io_uring_register in its seccomp profile"
                .to_owned(),
            (Some(libc::ENOSYS), _) => "this kernel is built without io_uring (CONFIG_IO_URING)".to_owned(),
            (Some(libc::ENOMEM), _) => "no memory may be locked for the ring: raise RLIMIT_MEMLOCK (`ulimit -l`, \
                 LimitMEMLOCK= in the unit)"
                .to_owned(),
            (Some(libc::EMFILE | libc::ENFILE), _) => {
                "no descriptor left for the ring: raise RLIMIT_NOFILE (`ulimit -n`, LimitNOFILE= in the unit)"
                    .to_owned()
            }
            _ => format!("io_uring could not be set up on kernel {release}: {error}"),
        }
    }
}

fn release() -> String {
    nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number() {
        assert_eq!(parse("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(parse("5.15.167"), Some((5, 15)));
        assert!(parse("6.12.1") > parse("6.2.0"));
        assert_eq!(parse("unknown"), None);
    }

    #[test]
    fn a_refused_ring_names_the_remedy() {
        let error = io::Error::from_raw_os_error(libc::ENOMEM);
        assert!(Features::explain(&error).contains("RLIMIT_MEMLOCK"));
        let error = io::Error::from_raw_os_error(libc::EMFILE);
        assert!(Features::explain(&error).contains("RLIMIT_NOFILE"));
    }
}
