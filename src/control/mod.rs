//! Floor 4: the control plane: configuration file, admin pages, ELB API, reload, upgrade, files of the access log.

pub mod access_log;
pub mod admin;
pub mod api;
pub mod config;
pub mod difference;
mod secret;
pub mod upgrade;
