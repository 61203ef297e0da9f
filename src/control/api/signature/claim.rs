//! What a request says of its own signature: in the `Authorization` header, or in the query of a presigned URL.

use super::clock::Stamp;
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::query::form;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::collections::HashMap;

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A presigned URL may live a week.
const EXPIRES_MAX_S: u32 = 604_800;

/// Headers that one signature may cover. Clients sign three to six.
const SIGNED_HEADERS_MAX: usize = 64;

/// A signature and what it says it was made from. Nothing of it is proven.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who signed, for what.
    pub(super) scope: Scope,
    /// Names of the headers that were signed, in lower case and in their order.
    pub(super) signed_headers: Vec<String>,
    /// The signature.
    pub(super) signature: [u8; 32],
    /// When it was made.
    pub(super) stamp: Stamp,
    /// How many seconds a presigned URL lives; `None`: the header form.
    pub(super) expires_s: Option<u32>,
    /// Whether there is a session token.
    pub(super) has_session_token: bool,
}

/// A credential: the key's id and the scope of the signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) key_id: String,
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
    pub(super) terminator: String,
}

impl Claim {
    /// Reads the claim of a request. The header wins over the query.
    ///
    /// # Errors
    ///
    /// `MissingAuthenticationToken` when there is none, `IncompleteSignature` when it cannot be read.
    pub fn of(headers: &HeaderMap, query: &str) -> Result<Self, ApiError> {
        if let Some(value) = headers.get(AUTHORIZATION) {
            let value = value.to_str().map_err(|_| incomplete("The Authorization header is not ASCII."))?;
            return Self::from_header(value, headers);
        }
        let query: HashMap<String, String> = form::decode(query.as_bytes())?.into_iter().collect();
        if query.contains_key("X-Amz-Algorithm") || query.contains_key("X-Amz-Signature") {
            return Self::from_query(&query);
        }
        Err(ApiError::new(ErrorCode::MissingAuthenticationToken, "Request is missing Authentication Token"))
    }

    /// Reads the value of an `Authorization` header.
    pub fn from_header(value: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let (algorithm, rest) = value.trim().split_once(' ').unwrap_or((value, ""));
        let parts: HashMap<&str, &str> = rest.split(',').filter_map(|part| part.trim().split_once('=')).collect();
        let date = headers.get("x-amz-date").and_then(|value| value.to_str().ok());
        Self::new(algorithm, |name| match name {
            "Date" => date,
            name => parts.get(name).copied(),
        })
        .map(|claim| Self { has_session_token: headers.contains_key("x-amz-security-token"), ..claim })
    }

    fn from_query(query: &HashMap<String, String>) -> Result<Self, ApiError> {
        let part = |name: &str| query.get(&format!("X-Amz-{name}")).map(String::as_str);
        let claim = Self::new(part("Algorithm").unwrap_or_default(), part)?;
        let expires_s = part("Expires").and_then(|text| text.parse().ok());
        let expires_s = expires_s.filter(|expires| (1..=EXPIRES_MAX_S).contains(expires)).ok_or_else(|| {
            incomplete(format!("X-Amz-Expires must be a number of seconds from 1 to {EXPIRES_MAX_S}."))
        })?;
        Ok(Self { expires_s: Some(expires_s), has_session_token: part("Security-Token").is_some(), ..claim })
    }

    fn new<'a>(algorithm: &str, part: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ApiError> {
        if algorithm != ALGORITHM {
            return Err(incomplete(format!("Unsupported algorithm '{algorithm}': expected {ALGORITHM}.")));
        }
        let require = |name: &str| part(name).ok_or_else(|| incomplete(format!("The signature lacks its '{name}'.")));
        let (credential, headers) = (require("Credential")?, require("SignedHeaders")?);
        let (signature, date) = (require("Signature")?, require("Date")?);
        let scope = Scope::parse(credential).ok_or_else(|| {
            incomplete(format!("Credential must be KEY/DATE/REGION/SERVICE/aws4_request, got '{credential}'."))
        })?;
        let stamp = Stamp::parse(date)
            .ok_or_else(|| incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{date}'.")))?;
        // A signature that is not even hexadecimal is a wrong one.
        let signature = decode_signature(signature).ok_or_else(super::mismatch)?;
        let signed_headers: Vec<String> = headers.split(';').map(str::to_ascii_lowercase).collect();
        if signed_headers.len() > SIGNED_HEADERS_MAX {
            return Err(incomplete(format!("More than {SIGNED_HEADERS_MAX} headers are signed.")));
        }
        Ok(Self { scope, signed_headers, signature, stamp, expires_s: None, has_session_token: false })
    }
}

impl Scope {
    fn parse(credential: &str) -> Option<Self> {
        let mut parts = credential.split('/').map(str::to_owned);
        let scope = Self {
            key_id: parts.next()?,
            date: parts.next()?,
            region: parts.next()?,
            service: parts.next()?,
            terminator: parts.next()?,
        };
        parts.next().is_none().then_some(scope)
    }
}

fn decode_signature(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut signature = [0; 32];
    for (byte, pair) in signature.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(signature)
}

fn incomplete(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::IncompleteSignature, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIAL: &str = "Credential=K/20260102/us-east-1/elasticloadbalancing/aws4_request";
    const HEADERS: &str = "SignedHeaders=host;x-amz-date";

    fn signature() -> String {
        format!("Signature={}", "0a".repeat(32))
    }

    fn claim(authorization: &str, date: &str) -> Result<Claim, ErrorCode> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        headers.insert("x-amz-date", date.parse().unwrap());
        Claim::of(&headers, "").map_err(|error| error.code)
    }

    #[test]
    fn a_header_says_who_signed_what_and_when() {
        for separator in [", ", ",", "  ,  "] {
            let signature = signature();
            let parts = [CREDENTIAL, HEADERS, &signature].join(separator);
            let claim = claim(&format!("AWS4-HMAC-SHA256 {parts}"), "20260102T030405Z").unwrap();
            assert_eq!(claim.scope.key_id, "K");
            assert_eq!(claim.scope.terminator, "aws4_request");
            assert_eq!(claim.signed_headers, ["host", "x-amz-date"]);
            assert_eq!(claim.signature, [0x0a; 32]);
            assert_eq!(claim.stamp.to_string(), "20260102T030405Z");
            assert_eq!((claim.expires_s, claim.has_session_token), (None, false));
        }
    }

    #[test]
    fn a_presigned_url_says_the_same_and_how_long_it_lives() {
        let url = |expires: &str| {
            format!(
                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F20260102%2Fr%2Fs%2Faws4_request\
                 &X-Amz-Date=20260102T030405Z&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
                "ff".repeat(32)
            )
        };
        let claim = Claim::of(&HeaderMap::new(), &url("60")).unwrap();
        assert_eq!((claim.scope.region.as_str(), claim.expires_s), ("r", Some(60)));
        for expires in ["0", "604801", "-1", "", "x"] {
            let code = Claim::of(&HeaderMap::new(), &url(expires)).map_err(|error| error.code);
            assert_eq!(code, Err(ErrorCode::IncompleteSignature), "{expires}");
        }
    }

    #[test]
    fn what_cannot_be_read_has_a_code_of_its_own() {
        use ErrorCode::*;
        let good = format!("AWS4-HMAC-SHA256 {CREDENTIAL},{HEADERS},{}", signature());
        for (authorization, date, code) in [
            ("Bearer x".to_owned(), "20260102T030405Z", IncompleteSignature),
            ("".to_owned(), "20260102T030405Z", IncompleteSignature),
            ("AWS4-HMAC-SHA256".to_owned(), "20260102T030405Z", IncompleteSignature),
            (format!("AWS4-HMAC-SHA256 {CREDENTIAL},{HEADERS}"), "20260102T030405Z", IncompleteSignature),
            (good.replace("K/", ""), "20260102T030405Z", IncompleteSignature),
            (good.replace("K/", "K/K/"), "20260102T030405Z", IncompleteSignature),
            (good.replace("host", &"a;".repeat(100)), "20260102T030405Z", IncompleteSignature),
            (good.clone(), "Fri, 02 Jan 2026 03:04:05 GMT", IncompleteSignature),
            (good.replace("0a0a", "0a"), "20260102T030405Z", SignatureDoesNotMatch),
            (good.replace("0a0a", "zzzz"), "20260102T030405Z", SignatureDoesNotMatch),
        ] {
            assert_eq!(claim(&authorization, date).map(drop), Err(code), "{authorization}");
        }
        let none = Claim::of(&HeaderMap::new(), "Action=DescribeLoadBalancers").map_err(|error| error.code);
        assert_eq!(none.map(drop), Err(MissingAuthenticationToken));
    }
}
