//! `elbow run`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{check, terminal};
use crate::control::config::{self, Flags, ListenUrl, Loaded};
use crate::model::{AdminAddress, CertificateFiles, Configuration, Endpoint};
use crate::server;

/// Run the balancer in the foreground, from a file or from flags
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = super::DEFAULT_FILE)]
    config: PathBuf,

    /// Without a file: where clients arrive, e.g. http://127.0.0.1:8080; schemes: http, https, tcp, ssl
    #[arg(long, value_name = "URL", requires = "to", conflicts_with = "config")]
    listen: Vec<ListenUrl>,

    /// Without a file: where their requests go, e.g. 127.0.0.1:9001
    #[arg(long, value_name = "ADDRESS", requires = "listen")]
    to: Vec<Endpoint>,

    /// The certificate chain of https and ssl, a PEM file
    #[arg(long, value_name = "FILE", requires = "listen", requires = "key")]
    cert: Option<PathBuf>,

    /// The private key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "listen", requires = "cert")]
    key: Option<PathBuf>,

    /// Without a file: where the admin pages are, ADDRESS:PORT or unix:PATH; 127.0.0.1:9900 if not given
    #[arg(long, value_name = "ADDRESS", requires = "listen")]
    admin: Option<AdminAddress>,
}

/// Runs until a signal.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    let (loaded, file) = match arguments.flags() {
        Some(flags) => (from_flags(&flags), None),
        None => (from_file(&arguments.config), Some(arguments.config.clone())),
    };
    match loaded {
        Ok(Loaded { configuration, warnings }) => {
            terminal::print_error(&warnings.render(terminal::error_paint()));
            serve(configuration, file)
        }
        Err(code) => code,
    }
}

impl Arguments {
    fn flags(&self) -> Option<Flags> {
        if self.listen.is_empty() {
            return None;
        }
        let certificate = self.cert.clone().zip(self.key.clone());
        let certificate = certificate.map(|(chain, key)| CertificateFiles { chain, key });
        Some(Flags { listen: self.listen.clone(), to: self.to.clone(), certificate, admin: self.admin.clone() })
    }
}

/// Shows the file that the flags stand for, then reads it.
fn from_flags(flags: &Flags) -> Result<Loaded, ExitCode> {
    if flags.certificate.is_none() && flags.listen.iter().any(|listen| listen.protocol.is_secure()) {
        terminal::print_error("error: --listen with https or ssl needs --cert and --key\n");
        return Err(ExitCode::from(super::MISUSED));
    }
    let (file, loaded) = config::from_flags(flags);
    terminal::print(&format!("# The file that says the same:\n{file}"));
    loaded.map_err(|report| check::show_invalid(&report))
}

fn from_file(path: &Path) -> Result<Loaded, ExitCode> {
    config::load(path).map_err(|errors| check::show_errors(&errors))
}

/// Carries traffic until a signal.
fn serve(configuration: Configuration, file: Option<PathBuf>) -> ExitCode {
    match server::run(configuration, file, |ready| terminal::print_error(&format!("{ready}\n"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&format!("elbow run: {error}\n"));
            ExitCode::from(super::FAILED)
        }
    }
}
