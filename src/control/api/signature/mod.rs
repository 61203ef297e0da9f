//! AWS Signature Version 4: who sent a request, and that nothing of it was changed. Verifies the header form and
//! presigned URLs; the procedure is that of the AWS IAM user guide, "Create a signed request".
//!
//! A request may be sent again within its time window: ELB's operations are made to be repeated.

mod canonical;
mod claim;
mod clock;
mod keys;

pub use canonical::SignedRequest;
pub use claim::Claim;
pub use keys::KeyRing;

use super::error::{ApiError, ErrorCode};
use crate::model::{Access, AccessKeyId, Region};
use aws_lc_rs::{digest, hmac};
use canonical::hex;
use claim::Scope;
use jiff::Timestamp;

/// What callers sign for.
const SERVICE: &str = "elasticloadbalancing";
/// How a scope ends.
const TERMINATOR: &str = "aws4_request";

/// Whoever signed a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key that was used.
    pub key: AccessKeyId,
    /// What its holder may do.
    pub access: Access,
}

/// Who sent `request`, at `now` by our clock.
///
/// # Errors
///
/// ELB's codes for a missing, unreadable, unknown, expired or wrong signature.
pub fn verify(
    request: &SignedRequest<'_>,
    keys: &KeyRing,
    region: &Region,
    now: Timestamp,
) -> Result<Caller, ApiError> {
    let claim = Claim::of(request.headers, request.query)?;
    let known = keys.get(&claim.scope.key_id).filter(|_| !claim.has_session_token);
    let Some((id, key)) = known else {
        let message = "The security token included in the request is invalid.";
        return Err(ApiError::new(ErrorCode::InvalidClientTokenId, message));
    };
    check_scope(&claim, region)?;
    clock::check(&claim, now)?;
    if !claim.signed_headers.iter().any(|name| name == "host") {
        return Err(mismatch_because("'host' must be a signed header"));
    }
    let text = string_to_sign(&claim, &request.canonical(&claim)?);
    hmac::verify(&signing_key(&key.seed, &claim.scope), text.as_bytes(), &claim.signature).map_err(|_| mismatch())?;
    Ok(Caller { key: id.clone(), access: key.access })
}

fn check_scope(claim: &Claim, region: &Region) -> Result<(), ApiError> {
    let Scope { date, region: signed_for, service, terminator, .. } = &claim.scope;
    let day = claim.stamp.day();
    for (what, sent, valid) in [
        ("date", date, day.as_str()),
        ("region", signed_for, region.as_str()),
        ("service", service, SERVICE),
        ("terminator", terminator, TERMINATOR),
    ] {
        if sent != valid {
            let message = format!("Credential should be scoped to a valid {what}: expected '{valid}', not '{sent}'.");
            return Err(ApiError::new(ErrorCode::SignatureDoesNotMatch, message));
        }
    }
    Ok(())
}

fn string_to_sign(claim: &Claim, canonical: &str) -> String {
    let Scope { date, region, service, terminator, .. } = &claim.scope;
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    format!("AWS4-HMAC-SHA256\n{}\n{date}/{region}/{service}/{terminator}\n{hash}", claim.stamp)
}

/// The key for one day, region and service.
fn signing_key(seed: &[u8], scope: &Scope) -> hmac::Key {
    let parts = [&scope.date, &scope.region, &scope.service, &scope.terminator];
    parts.into_iter().fold(hmac::Key::new(hmac::HMAC_SHA256, seed), |key, part| {
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
    })
}

fn mismatch() -> ApiError {
    mismatch_because("check the secret access key, and that nothing between you and here changes requests")
}

fn mismatch_because(why: &str) -> ApiError {
    let message = format!("The request signature we calculated does not match the signature you provided: {why}.");
    ApiError::new(ErrorCode::SignatureDoesNotMatch, message)
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
