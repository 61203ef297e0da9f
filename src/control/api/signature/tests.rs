//! AWS's published examples, and every way a signature can be wrong.

use super::testing::{SECRET, signature, unsigned};
use super::*;
use crate::model::{Access, AccessKey, AccessKeyId};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

const DATE: &str = "20150830T123600Z";

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let parse =
        |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    let mut map = HeaderMap::new();
    for (name, value) in lines.iter().map(parse) {
        map.append(name, value);
    }
    map
}

/// The signature of a request in a scope of AWS's test suite.
fn sign(service: &str, request: &SignedRequest<'_>, signed: &str) -> String {
    let claim = Claim::from_header(&unsigned("AKIDEXAMPLE", DATE, service, signed), request.headers).unwrap();
    signature(&claim, request)
}

/// Signatures published with AWS's Signature Version 4 test suite (`aws-sig-v4-test-suite`), those for the path `/`,
/// and the one that the user guide computes step by step.
#[test]
fn aws_examples_sign_alike() {
    let plain = [("Host", "example.amazonaws.com"), ("X-Amz-Date", DATE)];
    let with = |more: &[(&'static str, &'static str)]| [&plain[..], more].concat();
    let form = "application/x-www-form-urlencoded";
    let form_utf8 = "application/x-www-form-urlencoded; charset=utf-8";
    let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (name, service, method, query, lines, signed, body, expected) in [
        (
            "get-vanilla",
            "service",
            Method::GET,
            String::new(),
            with(&[]),
            "host;x-amz-date",
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "post-vanilla",
            "service",
            Method::POST,
            String::new(),
            with(&[]),
            "host;x-amz-date",
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "get-vanilla-query-order-key-case",
            "service",
            Method::GET,
            "Param2=value2&Param1=value1".into(),
            with(&[]),
            "host;x-amz-date",
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-unreserved",
            "service",
            Method::GET,
            format!("{unreserved}={unreserved}"),
            with(&[]),
            "host;x-amz-date",
            "",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (
            "get-header-value-trim",
            "service",
            Method::GET,
            String::new(),
            with(&[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")]),
            "host;my-header1;my-header2;x-amz-date",
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-x-www-form-urlencoded",
            "service",
            Method::POST,
            String::new(),
            with(&[("Content-Type", form)]),
            "content-type;host;x-amz-date",
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "user guide",
            "iam",
            Method::GET,
            "Action=ListUsers&Version=2010-05-08".into(),
            vec![("Host", "iam.amazonaws.com"), ("X-Amz-Date", DATE), ("Content-Type", form_utf8)],
            "content-type;host;x-amz-date",
            "",
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ] {
        let request =
            SignedRequest { method: &method, query: &query, headers: &headers(&lines), body: body.as_bytes() };
        assert_eq!(sign(service, &request, signed), expected, "{name}");
    }
}

fn ring(access: Access) -> KeyRing {
    let directory = tempfile::tempdir().unwrap();
    let secret_file = directory.path().join("secret");
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&secret_file).unwrap();
    file.write_all(SECRET.as_bytes()).unwrap();
    KeyRing::load(&[AccessKey { id: AccessKeyId::new("AKIDEXAMPLE").unwrap(), secret_file, access }]).unwrap()
}

const BODY: &[u8] = b"Action=DescribeLoadBalancers&Version=2012-06-01";

/// A signed call, to be spoilt.
struct Call {
    method: Method,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
    region: Region,
    now: Timestamp,
}

impl Call {
    fn signed() -> Self {
        let mut call = Self {
            method: Method::POST,
            query: String::new(),
            headers: headers(&[("Host", "127.0.0.1:9901"), ("X-Amz-Date", DATE)]),
            body: BODY.to_vec(),
            region: Region::default(),
            now: "2015-08-30T12:36:00Z".parse().unwrap(),
        };
        call.sign_headers("host;x-amz-date");
        call
    }

    fn sign_headers(&mut self, signed: &str) {
        let unsigned = unsigned("AKIDEXAMPLE", DATE, SERVICE, signed);
        let value = unsigned.replace(&"0".repeat(64), &sign(SERVICE, &self.request(), signed));
        self.headers.insert("authorization", value.parse().unwrap());
    }

    fn authorization(&mut self, change: impl FnOnce(&str) -> String) {
        let value = change(self.headers["authorization"].to_str().unwrap());
        self.headers.insert("authorization", value.parse().unwrap());
    }

    fn request(&self) -> SignedRequest<'_> {
        SignedRequest { method: &self.method, query: &self.query, headers: &self.headers, body: &self.body }
    }

    fn verify(&self) -> Result<Caller, ApiError> {
        verify(&self.request(), &ring(Access::ReadOnly), &self.region, self.now)
    }
}

#[test]
fn a_signed_call_has_a_caller() {
    let caller = Caller { key: AccessKeyId::new("AKIDEXAMPLE").unwrap(), access: Access::ReadOnly };
    assert_eq!(Call::signed().verify(), Ok(caller));
}

#[test]
fn whatever_is_changed_after_signing_is_noticed() {
    use ErrorCode::*;
    type Change = fn(&mut Call);
    let changes: [(&str, Change, ErrorCode); 19] = [
        ("body", |call| call.body.push(b'x'), SignatureDoesNotMatch),
        ("truncated body", |call| call.body.truncate(9), SignatureDoesNotMatch),
        ("another body", |call| call.body = b"Action=DeleteLoadBalancer".to_vec(), SignatureDoesNotMatch),
        ("method", |call| call.method = Method::GET, SignatureDoesNotMatch),
        ("query", |call| call.query = "Action=DeleteLoadBalancer".to_owned(), SignatureDoesNotMatch),
        ("host", |call| drop(call.headers.insert("host", "other:1".parse().unwrap())), SignatureDoesNotMatch),
        ("no host", |call| drop(call.headers.remove("host")), SignatureDoesNotMatch),
        ("a second host", |call| assert!(call.headers.append("host", "other".parse().unwrap())), SignatureDoesNotMatch),
        (
            "date",
            |call| drop(call.headers.insert("x-amz-date", "20150830T123601Z".parse().unwrap())),
            SignatureDoesNotMatch,
        ),
        (
            "day",
            |call| drop(call.headers.insert("x-amz-date", "20150831T123600Z".parse().unwrap())),
            SignatureDoesNotMatch,
        ),
        (
            "signature",
            |call| call.authorization(|value| format!("{}{}", &value[..value.len() - 4], "0000")),
            SignatureDoesNotMatch,
        ),
        ("key", |call| call.authorization(|value| value.replace("AKIDEXAMPLE", "STRANGER")), InvalidClientTokenId),
        ("token", |call| drop(call.headers.insert("x-amz-security-token", "t".parse().unwrap())), InvalidClientTokenId),
        ("region", |call| call.region = Region::new("eu-west-1").unwrap(), SignatureDoesNotMatch),
        (
            "service",
            |call| call.authorization(|value| value.replace("elasticloadbalancing", "iam")),
            SignatureDoesNotMatch,
        ),
        (
            "terminator",
            |call| call.authorization(|value| value.replace("aws4_request", "aws5_request")),
            SignatureDoesNotMatch,
        ),
        ("host not signed", |call| call.sign_headers("x-amz-date"), SignatureDoesNotMatch),
        ("late", |call| call.now += jiff::SignedDuration::from_secs(901), SignatureDoesNotMatch),
        ("no authorization", |call| drop(call.headers.remove("authorization")), MissingAuthenticationToken),
    ];
    for (what, change, code) in changes {
        let mut call = Call::signed();
        change(&mut call);
        assert_eq!(call.verify().map_err(|error| error.code), Err(code), "{what}");
    }
}

#[test]
fn a_presigned_url_works_until_it_expires() {
    let mut call = Call::signed();
    call.method = Method::GET;
    call.body.clear();
    call.headers = headers(&[("Host", "127.0.0.1:9901")]);
    call.query = "Action=DescribeLoadBalancers&Version=2012-06-01&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                  &X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Felasticloadbalancing%2Faws4_request\
                  &X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="
        .to_owned();
    let unsigned = Claim::of(&call.headers, &format!("{}{}", call.query, "0".repeat(64))).unwrap();
    let signature = signature(&unsigned, &call.request());
    call.query.push_str(&signature);
    assert!(call.verify().is_ok());
    call.now += jiff::SignedDuration::from_secs(61);
    assert_eq!(call.verify().map_err(|error| error.code), Err(ErrorCode::RequestExpired));
    call.now -= jiff::SignedDuration::from_secs(61);
    call.query = call.query.replace("Describe", "Delete");
    assert_eq!(call.verify().map_err(|error| error.code), Err(ErrorCode::SignatureDoesNotMatch));
}
