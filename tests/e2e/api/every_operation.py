"""All 29 operations by botocore against a running balancer, in front of real traffic."""

import ssl
import sys
import urllib.error
import urllib.request

import boto3

endpoint, key, secret, ip, port, authority = sys.argv[1:]
port = int(port)
client = boto3.client(
    "elb", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret
)
called = set()
client.meta.events.register("before-call.elb", lambda model, **_: called.add(model.name))
web = {"LoadBalancerName": "web"}
certificate = "arn:aws:iam::000000000000:server-certificate/shop"
http = {"Protocol": "HTTP", "LoadBalancerPort": port, "InstancePort": 1}
https = http | {"Protocol": "HTTPS", "LoadBalancerPort": port + 1, "SSLCertificateId": certificate}


def get(url):
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    try:
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, None


def description():
    return client.describe_load_balancers(LoadBalancerNames=["web"])["LoadBalancerDescriptions"][0]


tags = [{"Key": "elbow:address", "Value": ip}]
dns_name = client.create_load_balancer(**web, Listeners=[http], AvailabilityZones=["default"], Tags=tags)["DNSName"]
assert dns_name == description()["DNSName"]
assert get(f"http://{ip}:{port}/")[0] == 503
client.create_load_balancer_listeners(**web, Listeners=[https])
assert get(f"https://{ip}:{port + 1}/")[0] == 503
check = {"Target": "HTTP:1/", "Interval": 5, "Timeout": 2, "UnhealthyThreshold": 2, "HealthyThreshold": 2}
assert client.configure_health_check(**web, HealthCheck=check)["HealthCheck"] == check
registered = client.register_instances_with_load_balancer(**web, Instances=[{"InstanceId": "web-9"}])
assert registered["Instances"] == [{"InstanceId": "web-9"}]
client.get_waiter("instance_in_service").wait(**web, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
assert client.describe_instance_health(**web)["InstanceStates"][0]["State"] == "InService"
assert get(f"http://{ip}:{port}/") == (200, "shop")
assert get(f"https://{ip}:{port + 1}/") == (200, "shop")

attributes = {"CrossZoneLoadBalancing": {"Enabled": False}, "ConnectionSettings": {"IdleTimeout": 30}}
changed = client.modify_load_balancer_attributes(**web, LoadBalancerAttributes=attributes)
assert changed["LoadBalancerAttributes"] == attributes
told = client.describe_load_balancer_attributes(**web)["LoadBalancerAttributes"]
assert told["ConnectionSettings"] == {"IdleTimeout": 30} and told["AccessLog"] == {"Enabled": False}

zones = client.enable_availability_zones_for_load_balancer(**web, AvailabilityZones=["rack-b"])
assert zones["AvailabilityZones"] == ["default", "rack-b"]
zones = client.disable_availability_zones_for_load_balancer(**web, AvailabilityZones=["rack-b"])
assert zones["AvailabilityZones"] == ["default"]
assert client.attach_load_balancer_to_subnets(**web, Subnets=["subnet-a", "subnet-b"])["Subnets"] == ["subnet-a", "subnet-b"]
assert client.detach_load_balancer_from_subnets(**web, Subnets=["subnet-b"])["Subnets"] == ["subnet-a"]
try:
    client.apply_security_groups_to_load_balancer(**web, SecurityGroups=["sg-none"])
    raise AssertionError("an unknown group was applied")
except client.exceptions.InvalidSecurityGroupException:
    pass

client.set_load_balancer_listener_ssl_certificate(**web, LoadBalancerPort=port + 1, SSLCertificateId=certificate)
reference = [{"AttributeName": "Reference-Security-Policy", "AttributeValue": "ELBSecurityPolicy-TLS-1-2-2017-01"}]
client.create_load_balancer_policy(
    **web, PolicyName="modern", PolicyTypeName="SSLNegotiationPolicyType", PolicyAttributes=reference
)
client.set_load_balancer_policies_of_listener(**web, LoadBalancerPort=port + 1, PolicyNames=["modern"])
assert get(f"https://{ip}:{port + 1}/") == (200, "shop")
client.create_lb_cookie_stickiness_policy(**web, PolicyName="duration", CookieExpirationPeriod=60)
client.create_app_cookie_stickiness_policy(**web, PolicyName="application", CookieName="SID")
client.set_load_balancer_policies_for_backend_server(**web, InstancePort=1, PolicyNames=[])
client.delete_load_balancer_policy(**web, PolicyName="duration")
names = [policy["PolicyName"] for policy in client.describe_load_balancer_policies(**web)["PolicyDescriptions"]]
assert names == ["ELBSecurityPolicy-2016-08", "modern", "application"], names
assert len(client.describe_load_balancer_policy_types()["PolicyTypeDescriptions"]) == 6

client.add_tags(LoadBalancerNames=["web"], Tags=[{"Key": "a", "Value": "b"}])
client.remove_tags(LoadBalancerNames=["web"], Tags=[{"Key": "a"}])
assert client.describe_tags(LoadBalancerNames=["web"])["TagDescriptions"][0]["Tags"] == tags
assert len(client.describe_account_limits()["Limits"]) == 3

assert client.deregister_instances_from_load_balancer(**web, Instances=[{"InstanceId": "web-9"}])["Instances"] == []
assert get(f"http://{ip}:{port}/")[0] == 503
client.delete_load_balancer_listeners(**web, LoadBalancerPorts=[port, port + 1])
assert description()["ListenerDescriptions"] == []
client.delete_load_balancer(**web)
print(len(called), "operations")
