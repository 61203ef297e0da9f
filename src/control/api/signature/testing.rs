//! For tests: the caller's half of a signature.

use super::{Claim, SERVICE, SignedRequest, canonical::hex, signing_key, string_to_sign};
use aws_lc_rs::hmac;
use http::{HeaderMap, Method};

/// AWS's example of a secret.
pub(in crate::control::api) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The signature of a claim on a request.
pub(super) fn signature(claim: &Claim, request: &SignedRequest<'_>) -> String {
    let text = string_to_sign(claim, &request.canonical(claim).unwrap());
    let key = signing_key(format!("AWS4{SECRET}").as_bytes(), &claim.scope);
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

/// An `Authorization` header without its signature.
pub(super) fn unsigned(key: &str, date: &str, service: &str, signed_headers: &str) -> String {
    let scope = format!("{key}/{}/us-east-1/{service}/aws4_request", &date[..8]);
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed_headers}, Signature={}", "0".repeat(64))
}

/// The `Authorization` header of a POST of `body` with the headers `host` and `x-amz-date`.
pub(in crate::control::api) fn authorization(key: &str, date: &str, headers: &HeaderMap, body: &[u8]) -> String {
    let unsigned = unsigned(key, date, SERVICE, "host;x-amz-date");
    let claim = Claim::from_header(&unsigned, headers).unwrap();
    let request = SignedRequest { method: &Method::POST, query: "", headers, body };
    unsigned.replace(&"0".repeat(64), &signature(&claim, &request))
}
