"""Registering instances, their health, and botocore's waiters."""

import time

from botocore.exceptions import WaiterError
from clients import ILL, WELL, create, elb, refused, same

client = elb()
create(client)
client.configure_health_check(
    LoadBalancerName="web",
    HealthCheck={"Target": "TCP:8080", "Interval": 5, "Timeout": 2, "UnhealthyThreshold": 2, "HealthyThreshold": 2},
)


def ids(*names):
    return [{"InstanceId": name} for name in names]


def wait(waiter, *names, attempts=100):
    client.get_waiter(waiter).wait(LoadBalancerName="web", Instances=ids(*names), WaiterConfig={"Delay": 0.1, "MaxAttempts": attempts})


registered = client.register_instances_with_load_balancer(LoadBalancerName="web", Instances=ids(WELL, "web-9"))
same(registered["Instances"], ids(WELL, "web-9"))
registering = {
    "InstanceId": WELL,
    "State": "OutOfService",
    "ReasonCode": "ELB",
    "Description": "Instance registration is still in progress.",
}
in_service = {"InstanceId": WELL, "State": "InService", "ReasonCode": "N/A", "Description": "N/A"}
# It is being probed.
assert client.describe_instance_health(LoadBalancerName="web")["InstanceStates"][0] in (registering, in_service)
wait("instance_in_service", WELL, "web-9")
same(client.describe_instance_health(LoadBalancerName="web", Instances=ids(WELL))["InstanceStates"], [in_service])

client.register_instances_with_load_balancer(LoadBalancerName="web", Instances=ids(ILL, "far", "i-0aa11bb22cc33dd44"))
wait("any_instance_in_service", ILL, "web-9")
deadline = time.monotonic() + 20
while True:
    states = client.describe_instance_health(LoadBalancerName="web", Instances=ids(ILL, "far"))["InstanceStates"]
    if [state["ReasonCode"] for state in states] == ["Instance", "ELB"]:
        break
    assert time.monotonic() < deadline, states
    time.sleep(0.1)
assert states[0]["Description"].startswith("Instance has failed at least the UnhealthyThreshold"), states
assert states[1]["Description"].startswith("Instance is in the EC2 Availability Zone"), states
try:
    wait("instance_in_service", ILL, attempts=5)
except WaiterError:
    pass
else:
    raise AssertionError("an ill instance is in service")

with refused("InvalidInstance", words="Could not find EC2 instance i-0123456789abcdef0."):
    client.register_instances_with_load_balancer(LoadBalancerName="web", Instances=ids("10.0.0.2", "i-0123456789abcdef0"))
with refused("InvalidInstance"):
    client.deregister_instances_from_load_balancer(LoadBalancerName="web", Instances=ids("web-9", "<x>&"))
with refused("InvalidInstance"):
    client.describe_instance_health(LoadBalancerName="web", Instances=ids("i-0123456789abcdef0"))

gone = client.deregister_instances_from_load_balancer(
    LoadBalancerName="web", Instances=ids(ILL, "far", "i-0aa11bb22cc33dd44", "10.0.0.77")
)
same(gone["Instances"], ids(WELL, "web-9"))
wait("instance_deregistered", "far", "i-0123456789abcdef0")
states = client.describe_instance_health(LoadBalancerName="web", Instances=ids("far"))["InstanceStates"]
same(states[0]["Description"], "Instance is not currently registered with the LoadBalancer.")
