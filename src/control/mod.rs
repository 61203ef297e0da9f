//! Floor 4: the control plane: configuration file, admin pages, reload.

pub mod admin;
pub mod config;
pub mod difference;
