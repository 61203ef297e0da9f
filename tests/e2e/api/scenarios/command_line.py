"""The AWS command line, as scripts use it."""

import json
import os
import subprocess
import sys

from clients import ENDPOINT, SECRET, same

AWS = os.path.join(os.path.dirname(sys.executable), "aws")
ENVIRONMENT = os.environ | {
    "AWS_ACCESS_KEY_ID": "LOCALKEY",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING": ENDPOINT,
    "AWS_DEFAULT_OUTPUT": "json",
}


def aws(*arguments, refused=None):
    """What `aws elb` answers."""
    ran = subprocess.run([sys.executable, AWS, "elb", *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if refused:
        assert ran.returncode and f"An error occurred ({refused})" in ran.stderr, ran
        return None
    assert ran.returncode == 0, ran
    return json.loads(ran.stdout) if ran.stdout else None


web = ("--load-balancer-name", "web")
listener = "Protocol=HTTP,LoadBalancerPort=1080,InstanceProtocol=HTTP,InstancePort=80"
aws("create-load-balancer", *web, "--listeners", listener, "--availability-zones", "default", "--tags", "Key=a,Value=b")
aws("create-load-balancer", *web, "--listeners", listener, "--availability-zones", "default", refused="DuplicateLoadBalancerName")
aws("register-instances-with-load-balancer", *web, "--instances", "web-9", "i-0aa11bb22cc33dd44")
aws("create-lb-cookie-stickiness-policy", *web, "--policy-name", "p")
aws("set-load-balancer-policies-of-listener", *web, "--load-balancer-port", "1080", "--policy-names", "p")
aws("set-load-balancer-policies-of-listener", *web, "--load-balancer-port", "1080", "--policy-names", "[]")
aws("enable-availability-zones-for-load-balancer", *web, "--availability-zones", "rack-b")
aws("remove-tags", "--load-balancer-name", "web", "--tags", "a")
aws("wait", "any-instance-in-service", *web)
told = aws("describe-load-balancers", "--load-balancer-names", "web", "--query", "LoadBalancerDescriptions[0].[Instances[].InstanceId, ListenerDescriptions[0].PolicyNames, AvailabilityZones]")
same(told, [["web-9", "i-0aa11bb22cc33dd44"], [], ["default", "rack-b"]])
aws("describe-load-balancers", "--load-balancer-names", "none", refused="LoadBalancerNotFound")
