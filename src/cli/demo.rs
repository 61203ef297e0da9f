//! `elbow demo`.

use std::net::SocketAddr;
use std::process::ExitCode;

use super::{check, terminal};
use crate::control::config::{self, Flags};
use crate::model::{AdminAddress, Endpoint};
use crate::server;

/// Try it: start two small sample back ends and a load balancer in front of them, on loopback
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The port of the load balancer on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,

    /// The admin address of the load balancer
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9900")]
    pub(super) admin: SocketAddr,
}

/// Runs until a signal.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    match serve(arguments.port, arguments.admin) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            terminal::print_error(&format!("elbow demo: {message}\n"));
            ExitCode::from(super::FAILED)
        }
    }
}

fn serve(port: u16, admin: SocketAddr) -> Result<(), String> {
    let backend = |name| -> Result<Endpoint, String> {
        let address = server::start_sample_backend(name).map_err(|error| format!("{name}: {error}"))?;
        address.to_string().parse().map_err(|error| format!("{name}: {error}"))
    };
    let to = vec![backend("sample back end 1")?, backend("sample back end 2")?];
    let listen = format!("http://127.0.0.1:{port}").parse().map_err(|error| format!("port {port}: {error}"))?;
    let flags = Flags { listen: vec![listen], to, certificate: None, admin: Some(AdminAddress::Tcp(admin)) };
    let (_file, loaded) = config::from_flags(&flags);
    let loaded = loaded.map_err(|report| {
        check::show_invalid(&report);
        "the demo's own configuration is refused".to_owned()
    })?;
    let welcome = format!(
        "Two sample back ends stand behind a load balancer.\n\n  \
         try it   curl -i http://127.0.0.1:{port}/\n  \
         open     http://127.0.0.1:{port}/           the load balancer\n           \
         http://{admin}/status     what it knows\n           \
         http://{admin}/metrics    what it counts\n\n\
         Ctrl-C ends it.\n"
    );
    let announce = |ready: &str| {
        terminal::print(&welcome);
        terminal::print_error(&format!("{ready}\n"));
    };
    server::run(loaded.configuration, None, announce).map_err(|error| error.to_string())
}
