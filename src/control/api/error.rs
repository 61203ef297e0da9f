//! What a call is answered with when it fails: ELB's error codes, the HTTP status of each, and a sentence.

use http::StatusCode;
use std::fmt;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// What programs look at.
    pub code: ErrorCode,
    /// What people read.
    pub message: String,
}

impl ApiError {
    /// An error with this code and this message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A parameter is missing or wrong.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationError, message)
    }

    /// The request is well-formed and contradicts what there is.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidConfigurationRequest, message)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for ApiError {}

/// Declares the codes together with their HTTP status. The name of a variant is the code on the wire.
macro_rules! codes {
    ($( $(#[$meta:meta])* $code:ident = $status:ident, )+) => {
        /// ELB's error codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode { $( $(#[$meta])* $code, )+ }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[ $( Self::$code, )+ ];

            /// The code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$code => stringify!($code), )+ }
            }

            /// The HTTP status of an answer with this code.
            pub const fn status(self) -> StatusCode {
                match self { $( Self::$code => StatusCode::$status, )+ }
            }
        }
    };
}

codes! {
    /// The key may only read.
    AccessDenied = FORBIDDEN,
    /// No certificate of this name.
    CertificateNotFound = BAD_REQUEST,
    /// A port is taken with other settings.
    DuplicateListener = BAD_REQUEST,
    /// A load balancer of this name exists with other settings.
    DuplicateLoadBalancerName = BAD_REQUEST,
    /// A policy of this name exists with other content.
    DuplicatePolicyName = BAD_REQUEST,
    /// One tag key twice in a call.
    DuplicateTagKeys = BAD_REQUEST,
    /// The `Authorization` header lacks something or cannot be read.
    IncompleteSignature = BAD_REQUEST,
    /// Our fault.
    InternalFailure = INTERNAL_SERVER_ERROR,
    /// No such operation.
    InvalidAction = BAD_REQUEST,
    /// The access key or the session token is not known.
    InvalidClientTokenId = FORBIDDEN,
    /// Well-formed, and contradicts what there is.
    InvalidConfigurationRequest = CONFLICT,
    /// No instance of this id.
    InvalidInstance = BAD_REQUEST,
    /// Neither `internet-facing` nor `internal`.
    InvalidScheme = BAD_REQUEST,
    /// No security group of this id.
    InvalidSecurityGroup = BAD_REQUEST,
    /// No listener at this port.
    ListenerNotFound = BAD_REQUEST,
    /// No attribute of this key.
    LoadBalancerAttributeNotFound = BAD_REQUEST,
    /// No load balancer of this name.
    LoadBalancerNotFound = BAD_REQUEST,
    /// Not a form, or not UTF-8.
    MalformedQueryString = NOT_FOUND,
    /// No `Action`.
    MissingAction = BAD_REQUEST,
    /// No credentials at all.
    MissingAuthenticationToken = FORBIDDEN,
    /// Another version of the API.
    NoSuchVersion = BAD_REQUEST,
    /// The load balancer is defined in the configuration file.
    OperationNotPermitted = BAD_REQUEST,
    /// No policy of this name.
    PolicyNotFound = BAD_REQUEST,
    /// No policy type of this name.
    PolicyTypeNotFound = BAD_REQUEST,
    /// The body is larger than any call.
    RequestEntityTooLarge = PAYLOAD_TOO_LARGE,
    /// A presigned request after its time.
    RequestExpired = BAD_REQUEST,
    /// The body did not arrive in time.
    RequestTimeout = BAD_REQUEST,
    /// The API is being stopped.
    ServiceUnavailable = SERVICE_UNAVAILABLE,
    /// Wrong signature, scope or time.
    SignatureDoesNotMatch = FORBIDDEN,
    /// No subnet of this id.
    SubnetNotFound = BAD_REQUEST,
    /// The limit on load balancers.
    TooManyLoadBalancers = BAD_REQUEST,
    /// The limit on policies of a load balancer.
    TooManyPolicies = BAD_REQUEST,
    /// The limit on tags of a load balancer.
    TooManyTags = BAD_REQUEST,
    /// A protocol that Classic ELB does not speak.
    UnsupportedProtocol = BAD_REQUEST,
    /// A parameter is missing or wrong.
    ValidationError = BAD_REQUEST,
}
