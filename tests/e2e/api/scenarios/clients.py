"""Clients of the API, and what is expected of them."""

import os
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["ENDPOINT"]
SECRET = os.environ["SECRET"]
# An instance that answers, and one that nobody is at.
WELL = os.environ["WELL"]
ILL = os.environ["ILL"]
CERTIFICATE = "arn:aws:iam::000000000000:server-certificate/shop"
HTTP = {"Protocol": "HTTP", "LoadBalancerPort": 1080, "InstanceProtocol": "HTTP", "InstancePort": 8080}


def elb(key="LOCALKEY", secret=SECRET, region="us-east-1", **more):
    """A client that takes the first answer."""
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client(
        "elb",
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=config,
        **more,
    )


def create(client, name="web", port=1080, **more):
    """Creates a load balancer with one HTTP listener; its DNS name."""
    listener = HTTP | {"LoadBalancerPort": port}
    arguments = {"Listeners": [listener], "AvailabilityZones": ["default"]} | more
    return client.create_load_balancer(LoadBalancerName=name, **arguments)["DNSName"]


def describe(client, name="web"):
    """The description of one load balancer."""
    descriptions = client.describe_load_balancers(LoadBalancerNames=[name])["LoadBalancerDescriptions"]
    assert len(descriptions) == 1, descriptions
    return descriptions[0]


@contextmanager
def refused(code, status=400, words=""):
    """Expects a call to be refused with this code, status and words."""
    try:
        yield
    except ClientError as error:
        answer = error.response
        found = (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"])
        assert found == (code, status), (found, answer["Error"]["Message"])
        assert words in answer["Error"]["Message"], answer["Error"]["Message"]
        assert answer["ResponseMetadata"]["RequestId"], answer
        assert answer["Error"]["Type"] == ("Receiver" if status >= 500 else "Sender"), answer
    else:
        raise AssertionError(f"not refused with {code}")


def same(found, expected):
    """Expects two values to be the same."""
    assert found == expected, f"\n   found {found}\nexpected {expected}"
