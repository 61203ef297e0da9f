//! Follows the files of certificates and authorities: what an ACME client writes takes effect without a reload.

use std::time::Duration;

use crate::registry::{Refreshed, Registry};

/// How often the files are looked at: two calls of stat(2) each.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks at the files until it is dropped, and says what became of those that changed.
pub(super) async fn watch(registry: Registry) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let looking = registry.clone();
        // Looks names up when it finds something, which the probes on this thread must not wait for.
        let refreshed = tokio::task::spawn_blocking(move || looking.refresh_certificates()).await;
        for refreshed in refreshed.unwrap_or_default() {
            match refreshed {
                Refreshed::Replaced(files, certificate) => tracing::info!(
                    chain = %files.chain.display(),
                    subject = certificate.subject(),
                    fingerprint = %certificate.fingerprint(),
                    "certificate replaced"
                ),
                Refreshed::Kept(files, error) => tracing::error!(
                    chain = %files.chain.display(),
                    %error,
                    "changed certificate is no good; the one before stays in use"
                ),
                Refreshed::AuthoritiesReplaced(path) => {
                    tracing::info!(ca_file = %path.display(), "authorities replaced")
                }
                Refreshed::AuthoritiesKept(path, error) => tracing::error!(
                    ca_file = %path.display(),
                    %error,
                    "changed CA file is no good; the one before stays in use"
                ),
            }
        }
    }
}
