//! Floor 4: the control plane: configuration file, admin pages, reload, files of the access log.

pub mod access_log;
pub mod admin;
pub mod config;
pub mod difference;
