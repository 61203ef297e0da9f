"""Registering instances, their health, and botocore's waiters."""

from botocore.exceptions import WaiterError
from clients import create, elb, refused, same

client = elb()
create(client)


def ids(*names):
    return [{"InstanceId": name} for name in names]


def wait(waiter, *names):
    client.get_waiter(waiter).wait(LoadBalancerName="web", Instances=ids(*names), WaiterConfig={"Delay": 0.1, "MaxAttempts": 20})


registered = client.register_instances_with_load_balancer(LoadBalancerName="web", Instances=ids("10.0.0.1:8080", "web-9"))
same(registered["Instances"], ids("10.0.0.1:8080", "web-9"))
states = client.describe_instance_health(LoadBalancerName="web")["InstanceStates"]
same(
    states[0],
    {
        "InstanceId": "10.0.0.1:8080",
        "State": "OutOfService",
        "ReasonCode": "ELB",
        "Description": "Instance registration is still in progress.",
    },
)
wait("instance_in_service", "10.0.0.1:8080", "web-9")
states = client.describe_instance_health(LoadBalancerName="web", Instances=ids("web-9"))["InstanceStates"]
same(states, [{"InstanceId": "web-9", "State": "InService", "ReasonCode": "N/A", "Description": "N/A"}])

client.register_instances_with_load_balancer(LoadBalancerName="web", Instances=ids("10.0.0.66", "far", "i-0aa11bb22cc33dd44"))
wait("any_instance_in_service", "10.0.0.66", "web-9")
states = client.describe_instance_health(LoadBalancerName="web", Instances=ids("10.0.0.66", "far"))["InstanceStates"]
same([state["ReasonCode"] for state in states], ["Instance", "ELB"])
assert states[0]["Description"].startswith("Instance has failed at least the UnhealthyThreshold"), states
assert states[1]["Description"].startswith("Instance is in the EC2 Availability Zone"), states
try:
    wait("instance_in_service", "10.0.0.66")
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
    LoadBalancerName="web", Instances=ids("10.0.0.66", "far", "i-0aa11bb22cc33dd44", "10.0.0.77")
)
same(gone["Instances"], ids("10.0.0.1:8080", "web-9"))
wait("instance_deregistered", "far", "i-0123456789abcdef0")
states = client.describe_instance_health(LoadBalancerName="web", Instances=ids("far"))["InstanceStates"]
same(states[0]["Description"], "Instance is not currently registered with the LoadBalancer.")
