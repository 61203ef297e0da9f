"""Signatures that are wrong in every way, bodies that are cut, swapped, too large or no form: each has ELB's error, and
nothing comes of the call."""

import socket
import xml.etree.ElementTree as xml
from datetime import timedelta
from urllib.parse import urlsplit

import botocore.auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from clients import ENDPOINT, SECRET, create, elb, refused, same

PLACE = urlsplit(ENDPOINT)
NAMESPACE = "{http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/}"
DESCRIBE = b"Action=DescribeLoadBalancers&Version=2012-06-01"
DELETE = b"Action=DeleteLoadBalancer&Version=2012-06-01&LoadBalancerName=web"
TAG = b"Action=AddTags&Version=2012-06-01&LoadBalancerNames.member.1=web&Tags.member.1.Key=a"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def describe(client):
    return client.describe_load_balancers()["LoadBalancerDescriptions"]


def at(skew):
    """A client whose clock is wrong by so much."""
    real = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *arguments: real(*arguments) + skew
    try:
        describe(elb())
    finally:
        botocore.auth.get_current_datetime = real


def signed(body, method="POST", path="/", content_type=FORM):
    """The headers of a signed request."""
    request = AWSRequest(method, ENDPOINT + path, {"Content-Type": content_type} if content_type else {}, body)
    SigV4Auth(Credentials("LOCALKEY", SECRET), "elasticloadbalancing", "us-east-1").add_auth(request)
    return dict(request.headers) | {"Host": PLACE.netloc}


def send(body, headers, method="POST", path="/", length=None, then_close=False):
    """Status, code and request id of the answer to bytes of our own making."""
    length = len(body) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    framing = "" if "Transfer-Encoding" in headers else f"Content-Length: {length}\r\n"
    head += f"{framing}Connection: close\r\n\r\n"
    with socket.create_connection((PLACE.hostname, PLACE.port), timeout=30) as stream:
        try:
            stream.sendall(head.encode() + body)
        except BrokenPipeError:
            pass
        if then_close:
            stream.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := stream.recv(65536):
            answer += chunk
    head, _, text = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    same(fields["content-type"], "text/xml")
    root = xml.fromstring(text)
    request_id = root.find(f".//{NAMESPACE}RequestId").text
    same(fields["x-amzn-requestid"], request_id)
    code = root.find(f".//{NAMESPACE}Code")
    return int(lines[0].split()[1]), None if code is None else code.text


create(elb())
before = describe(elb())

# Good ones.
describe(elb())
describe(elb("READKEY"))
same(send(DESCRIBE, signed(DESCRIBE)), (200, None))
path = "/?" + DESCRIBE.decode()
same(send(b"", signed(b"", "GET", path, None), "GET", path), (200, None))

# Wrong keys, scopes and clocks.
with refused("SignatureDoesNotMatch", 403):
    describe(elb(secret="wrong"))
with refused("InvalidClientTokenId", 403, "The security token included in the request is invalid."):
    describe(elb("STRANGER"))
with refused("InvalidClientTokenId", 403):
    describe(elb(aws_session_token="token"))
with refused("SignatureDoesNotMatch", 403, "Credential should be scoped to a valid region"):
    describe(elb(region="eu-west-1"))
at(timedelta(minutes=-14))
at(timedelta(minutes=4))
with refused("SignatureDoesNotMatch", 403, "Signature expired: "):
    at(timedelta(minutes=-16))
with refused("SignatureDoesNotMatch", 403, "Signature not yet current: "):
    at(timedelta(minutes=6))

# Presigned URLs.
url = elb().generate_presigned_url("describe_load_balancers", ExpiresIn=60, HttpMethod="GET")
query = urlsplit(url).query
bare = {"Host": PLACE.netloc}
same(send(b"", bare, "GET", f"/?{query}"), (200, None))
same(send(b"", bare, "GET", f"/?{query}&LoadBalancerNames.member.1=x"), (403, "SignatureDoesNotMatch"))
same(send(b"", bare, "GET", "/?" + query.replace("Expires=60", "Expires=600")), (403, "SignatureDoesNotMatch"))
same(send(b"", bare, "GET", "/?" + query.replace("Expires=60", "Expires=604801")), (400, "IncompleteSignature"))
real = botocore.auth.get_current_datetime
botocore.auth.get_current_datetime = lambda *arguments: real(*arguments) - timedelta(minutes=2)
old = urlsplit(elb().generate_presigned_url("describe_load_balancers", ExpiresIn=60)).query
botocore.auth.get_current_datetime = real
same(send(b"", bare, "GET", f"/?{old}"), (400, "RequestExpired"))

# Without a signature, with half of one, with somebody else's.
same(send(DESCRIBE, bare), (403, "MissingAuthenticationToken"))
good = signed(DESCRIBE)
same(send(DESCRIBE, good | {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}), (400, "IncompleteSignature"))
same(send(DESCRIBE, good | {"Authorization": "Basic eDp5"}), (400, "IncompleteSignature"))
same(send(DESCRIBE, good | {"X-Amz-Date": "yesterday"}), (400, "IncompleteSignature"))
same(send(DELETE, good), (403, "SignatureDoesNotMatch"))
same(send(DESCRIBE[:-1], good), (403, "SignatureDoesNotMatch"))
same(send(DESCRIBE, good | {"Host": "other"}), (403, "SignatureDoesNotMatch"))
same(send(DESCRIBE, good, length=len(DESCRIBE) + 9, then_close=True), (404, "MalformedQueryString"))

# Too large, whether it is announced or not, and no form.
large = DELETE + b"&x=" + b"x" * (1 << 20)
same(send(large, signed(large)), (413, "RequestEntityTooLarge"))
chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large)
same(send(chunks, signed(large) | {"Transfer-Encoding": "chunked"}), (413, "RequestEntityTooLarge"))
for body, status, code in [
    (b"", 400, "MissingAction"),
    (b"Version=2012-06-01", 400, "MissingAction"),
    (b"Action=DescribeLoadBalancers", 400, "ValidationError"),
    (b"Action=DescribeLoadBalancers&Version=2015-12-01", 400, "NoSuchVersion"),
    (b"Action=DescribeTargetGroups&Version=2012-06-01", 400, "InvalidAction"),
    (b"Action=%3Cx%3E%00&Version=2012-06-01", 400, "InvalidAction"),
    (DESCRIBE + b"&x=%zz", 404, "MalformedQueryString"),
    (DESCRIBE + b"&x=%ff", 404, "MalformedQueryString"),
    (DESCRIBE + b"&x=\xff", 404, "MalformedQueryString"),
    (DESCRIBE + b"&Action=DeleteLoadBalancer", 404, "MalformedQueryString"),
    (DESCRIBE + b"&" + b"&".join(b"p%d=" % n for n in range(5000)), 404, "MalformedQueryString"),
    (DESCRIBE + b"&PageSize=%C3%A9", 400, "ValidationError"),
    (DESCRIBE.decode().encode("utf-16"), 404, "MalformedQueryString"),
]:
    same((body[:60], send(body, signed(body))), (body[:60], (status, code)))
body = b'{"Action": "DescribeLoadBalancers"}'
same(send(body, signed(body, content_type="application/x-amz-json-1.1")), (404, "MalformedQueryString"))
same(send(DESCRIBE, signed(DESCRIBE, path="/elb"), path="/elb"), (400, "InvalidAction"))
same(send(DESCRIBE, signed(DESCRIBE, "PUT"), "PUT"), (400, "InvalidAction"))


# One body in the place of another, and a good call again: within its time it is the same call, which ELB's operations
# are made for.
tagged = signed(TAG)
same([send(TAG, tagged), send(TAG, tagged)], [(200, None)] * 2)
same(send(TAG.replace(b"Key=a", b"Key=b"), tagged), (403, "SignatureDoesNotMatch"))
same(send(DELETE, tagged), (403, "SignatureDoesNotMatch"))
tags = elb().describe_tags(LoadBalancerNames=["web"])["TagDescriptions"][0]["Tags"]
same(tags, [{"Key": "a", "Value": ""}])
same(describe(elb()), before)
