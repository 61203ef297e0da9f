//! Desync mitigation: how likely it is that another server reads a request in another way (ELB's classes, as Amazon
//! publishes them with its `http-desync-guardian`), and what each mode does about it.
//!
//! This stands on top of the framing rules and never softens them: what [`crate::wire::head`] refuses stays refused
//! in every mode, the class then only says how to count it. Of what is accepted little can still be suspicious, and
//! [`of_accepted`] looks for just that; [`of_bytes`] classifies a head of any quality, away from the hot path.

mod raw;
mod resemblance;

use crate::model::DesyncMitigation;
use crate::wire::framing::BodyFraming;
use crate::wire::head::{FieldName, Method, RequestHead};
use resemblance::resembles;

/// Classes in order of danger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// As the RFC says.
    Compliant,
    /// Not as the RFC says, but read by everyone in the same way.
    Acceptable,
    /// Read in different ways by different servers.
    Ambiguous,
    /// Broken, or made to be misread.
    Severe,
}

/// What speaks against a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A field name or value with bytes that do not belong there, but that split nothing.
    NonCompliantField,
    /// A space in the target.
    SpaceInTarget,
    /// No version, HTTP/1.2 to 1.9, or whitespace around the version.
    NonCompliantVersion,
    /// `Content-Length: 0` on GET or HEAD.
    ZeroLengthWithoutBody,
    /// A line that ends in LF alone.
    BareLineFeed,
    /// A field line without a name.
    EmptyField,
    /// A control character in the target.
    AmbiguousTarget,
    /// A length on GET or HEAD, or in HTTP/0.9.
    UndefinedContentLength,
    /// A transfer coding on GET or HEAD, or before HTTP/1.1.
    UndefinedTransferEncoding,
    /// The same length more than once.
    RepeatedContentLength,
    /// Both framing fields.
    LengthAndTransferEncoding,
    /// A name that some servers will take for a framing field.
    FramingLookalike,
    /// A folded line, other than of `Content-Type`.
    FoldedField,
    /// The input ends inside a field line.
    UnfinishedLine,
    /// The input ends before the empty line.
    MissingEmptyLine,
    /// A field line without a colon.
    MissingColon,
    /// A request line without a target.
    MissingTarget,
    /// NUL or CR in a field.
    BadField,
    /// NUL or CR in the target.
    BadTarget,
    /// A malformed version.
    BadVersion,
    /// A method that is no token.
    BadMethod,
    /// Different lengths.
    DifferentContentLengths,
    /// A length that is no number of 64 bits.
    BadContentLength,
    /// More than one `chunked`.
    RepeatedChunked,
    /// A transfer coding nobody knows.
    BadTransferEncoding,
}

impl Finding {
    /// The class of a request with nothing worse than this.
    pub fn class(self) -> Class {
        match self {
            Self::NonCompliantField
            | Self::SpaceInTarget
            | Self::NonCompliantVersion
            | Self::ZeroLengthWithoutBody
            | Self::BareLineFeed => Class::Acceptable,
            Self::EmptyField
            | Self::AmbiguousTarget
            | Self::UndefinedContentLength
            | Self::UndefinedTransferEncoding
            | Self::RepeatedContentLength
            | Self::LengthAndTransferEncoding
            | Self::FramingLookalike
            | Self::FoldedField
            | Self::UnfinishedLine
            | Self::MissingEmptyLine
            | Self::MissingColon
            | Self::MissingTarget => Class::Ambiguous,
            Self::BadField
            | Self::BadTarget
            | Self::BadVersion
            | Self::BadMethod
            | Self::DifferentContentLengths
            | Self::BadContentLength
            | Self::RepeatedChunked
            | Self::BadTransferEncoding => Class::Severe,
        }
    }
}

/// The judgement on one request: the first of the worst findings, if there is any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    worst: Option<Finding>,
}

impl Verdict {
    /// The request's class.
    pub fn class(self) -> Class {
        self.worst.map_or(Class::Compliant, Finding::class)
    }

    /// What put it there.
    pub fn finding(self) -> Option<Finding> {
        self.worst
    }

    /// What `mode` does with the request.
    pub fn action(self, mode: DesyncMitigation) -> Action {
        match (self.class(), mode) {
            (Class::Compliant, _) | (_, DesyncMitigation::Monitor) => Action::Allow,
            (Class::Acceptable, DesyncMitigation::Defensive) => Action::Allow,
            (Class::Ambiguous, DesyncMitigation::Defensive) => Action::AllowAndClose,
            (Class::Severe, DesyncMitigation::Defensive) | (_, DesyncMitigation::Strictest) => Action::Block,
        }
    }

    fn add(&mut self, finding: Finding) {
        if finding.class() > self.class() {
            self.worst = Some(finding);
        }
    }
}

/// What becomes of a request that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Passed on.
    Allow,
    /// Passed on; the client's and the back end's connection are closed behind it.
    AllowAndClose,
    /// Answered 400, and the client's connection is closed.
    Block,
}

/// Judges a head of any quality: `input` from its first byte to its end or as far as it came. What follows the empty
/// line is not looked at.
pub fn of_bytes(input: &[u8]) -> Verdict {
    raw::judge(input)
}

/// Judges a head that was accepted; the same as [`of_bytes`] of its bytes, for the price of a glance.
pub fn of_accepted(head: &RequestHead) -> Verdict {
    let table = head.table();
    let mut unknown = table.fields().iter().filter(|field| field.kind == FieldName::Other);
    if unknown.any(|field| resembles(table.slice(field.name)).is_some()) {
        return raw::judge_accepted(head);
    }
    let mut verdict = Verdict::default();
    if matches!(head.method_kind(), Method::Get | Method::Head) {
        match head.framing() {
            BodyFraming::None | BodyFraming::UntilClose => {}
            BodyFraming::Chunked => verdict.add(Finding::UndefinedTransferEncoding),
            BodyFraming::Length(0) => verdict.add(Finding::ZeroLengthWithoutBody),
            BodyFraming::Length(_) => verdict.add(Finding::UndefinedContentLength),
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_does_what_elb_does() {
        use Action::{Allow, AllowAndClose, Block};
        use DesyncMitigation::{Defensive, Monitor, Strictest};
        for (worst, monitor, defensive, strictest) in [
            (None, Allow, Allow, Allow),
            (Some(Finding::ZeroLengthWithoutBody), Allow, Allow, Block),
            (Some(Finding::UndefinedContentLength), Allow, AllowAndClose, Block),
            (Some(Finding::BadContentLength), Allow, Block, Block),
        ] {
            let verdict = Verdict { worst };
            let actions = [Monitor, Defensive, Strictest].map(|mode| verdict.action(mode));
            assert_eq!(actions, [monitor, defensive, strictest], "{worst:?}");
        }
    }

    #[test]
    fn the_first_of_the_worst_findings_stays() {
        let mut verdict = Verdict::default();
        for finding in [Finding::BareLineFeed, Finding::FoldedField, Finding::MissingColon, Finding::SpaceInTarget] {
            verdict.add(finding);
        }
        assert_eq!(verdict.finding(), Some(Finding::FoldedField));
    }
}
