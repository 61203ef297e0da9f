//! The time of a signature, and how far it may lie from ours.

use super::claim::Claim;
use crate::control::api::error::{ApiError, ErrorCode};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// How old a signature may be.
const PAST: SignedDuration = SignedDuration::from_mins(15);
/// How far a caller's clock may be ahead of ours.
const FUTURE: SignedDuration = SignedDuration::from_mins(5);

/// ISO 8601 basic format, in UTC.
const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A point in time as signatures write it: `20260102T030405Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(Timestamp);

impl Stamp {
    /// Reads exactly this form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let stamp = DateTime::strptime(FORMAT, text).ok()?.to_zoned(TimeZone::UTC).ok()?;
        let stamp = Self(stamp.timestamp());
        (stamp.to_string() == text).then_some(stamp)
    }

    /// The day, as it stands in a scope.
    pub(super) fn day(self) -> String {
        self.0.strftime("%Y%m%d").to_string()
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.strftime(FORMAT).fmt(formatter)
    }
}

/// Whether a claim is of our time: not older than 15 minutes, or than a presigned URL's own limit, and not more than 5
/// minutes ahead.
pub(super) fn check(claim: &Claim, now: Timestamp) -> Result<(), ApiError> {
    let (now, sent) = (Stamp(now), claim.stamp);
    let latest = Stamp(now.0.saturating_add(FUTURE).unwrap_or(now.0));
    if sent.0 > latest.0 {
        return Err(ApiError::new(
            ErrorCode::SignatureDoesNotMatch,
            format!("Signature not yet current: {sent} is still later than {latest} ({now} + 5 min.)"),
        ));
    }
    let age = now.0.duration_since(sent.0);
    match claim.expires_s {
        Some(expires_s) if age > SignedDuration::from_secs(i64::from(expires_s)) => Err(ApiError::new(
            ErrorCode::RequestExpired,
            format!("The request was signed at {sent} and expired after {expires_s} seconds. It is now {now}."),
        )),
        None if age > PAST => {
            let earliest = Stamp(now.0.saturating_sub(PAST).unwrap_or(now.0));
            Err(ApiError::new(
                ErrorCode::SignatureDoesNotMatch,
                format!("Signature expired: {sent} is now earlier than {earliest} ({now} - 15 min.)"),
            ))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::api::signature::claim::Scope;

    #[test]
    fn stamps_read_and_print_the_same() {
        assert_eq!(
            Stamp::parse("20260102T030405Z").map(|stamp| stamp.to_string()).as_deref(),
            Some("20260102T030405Z")
        );
        for bad in
            ["", "2026-01-02T03:04:05Z", "20260102T030405", "20261302T030405Z", " 20260102T030405Z", "20260102T030405z"]
        {
            assert_eq!(Stamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_window_is_fifteen_minutes_back_and_five_ahead() {
        use ErrorCode::*;
        let sent = Stamp::parse("20260102T030000Z").unwrap();
        let at = |seconds: i64, expires_s: Option<u32>| {
            let part = String::new;
            let scope = Scope { key_id: part(), date: part(), region: part(), service: part(), terminator: part() };
            let claim = Claim {
                scope,
                signed_headers: vec![],
                signature: [0; 32],
                stamp: sent,
                expires_s,
                has_session_token: false,
            };
            check(&claim, sent.0 + SignedDuration::from_secs(seconds))
        };
        for (seconds, expires_s, code) in [
            (0, None, None),
            (900, None, None),
            (901, None, Some(SignatureDoesNotMatch)),
            (-300, None, None),
            (-301, None, Some(SignatureDoesNotMatch)),
            (60, Some(60), None),
            (61, Some(60), Some(RequestExpired)),
            (604_800, Some(604_800), None),
            (-301, Some(604_800), Some(SignatureDoesNotMatch)),
        ] {
            assert_eq!(at(seconds, expires_s).err().map(|error| error.code), code, "{seconds} {expires_s:?}");
        }
        assert_eq!(
            at(1_000, None).unwrap_err().message,
            "Signature expired: 20260102T030000Z is now earlier than 20260102T030140Z (20260102T031640Z - 15 min.)"
        );
        assert_eq!(
            at(-400, None).unwrap_err().message,
            "Signature not yet current: 20260102T030000Z is still later than 20260102T025820Z (20260102T025320Z + 5 min.)"
        );
    }
}
