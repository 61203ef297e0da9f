"""The calls that Terraform's resources for Classic ELB make, in their order and with their habits: everything is sent again
after the creation, what is not set is an empty text, policies are cleared by an empty list. Terraform itself is no Python
package; its provider's source says what is here."""

from clients import CERTIFICATE, create, describe, elb, refused, same

client = elb()
listeners = [
    {"Protocol": "http", "LoadBalancerPort": 1080, "InstanceProtocol": "http", "InstancePort": 8000, "SSLCertificateId": ""},
    {"Protocol": "https", "LoadBalancerPort": 1443, "InstanceProtocol": "http", "InstancePort": 8000, "SSLCertificateId": CERTIFICATE},
]


def modify(**attributes):
    client.modify_load_balancer_attributes(LoadBalancerName="tf", LoadBalancerAttributes=attributes)


# Create.
client.create_load_balancer(
    LoadBalancerName="tf", Listeners=listeners, Subnets=["subnet-a"], SecurityGroups=["sg-office"], Tags=[{"Key": "Name", "Value": "tf"}]
)
client.create_load_balancer_listeners(LoadBalancerName="tf", Listeners=listeners)
client.register_instances_with_load_balancer(LoadBalancerName="tf", Instances=[{"InstanceId": "i-0aa11bb22cc33dd44"}])
modify(
    AdditionalAttributes=[{"Key": "elb.http.desyncmitigationmode", "Value": "defensive"}],
    CrossZoneLoadBalancing={"Enabled": True},
    ConnectionSettings={"IdleTimeout": 60},
    AccessLog={"Enabled": False},
)
modify(ConnectionDraining={"Enabled": True, "Timeout": 300})
modify(ConnectionDraining={"Enabled": False})
client.configure_health_check(
    LoadBalancerName="tf",
    HealthCheck={"HealthyThreshold": 2, "UnhealthyThreshold": 2, "Target": "HTTP:8000/", "Interval": 30, "Timeout": 3},
)
client.apply_security_groups_to_load_balancer(LoadBalancerName="tf", SecurityGroups=["sg-office"])
client.attach_load_balancer_to_subnets(LoadBalancerName="tf", Subnets=["subnet-a"])

# Read.
told = describe(client, "tf")
assert "VPCId" not in told, "it would look for the security group at EC2"
same([each["Listener"]["LoadBalancerPort"] for each in told["ListenerDescriptions"]], [1080, 1443])
assert "SSLCertificateId" not in told["ListenerDescriptions"][0]["Listener"]
same(told["SourceSecurityGroup"]["GroupName"], "sg-office")
attributes = client.describe_load_balancer_attributes(LoadBalancerName="tf")["LoadBalancerAttributes"]
same((attributes["CrossZoneLoadBalancing"], attributes["AccessLog"]), ({"Enabled": True}, {"Enabled": False}))
same(client.describe_tags(LoadBalancerNames=["tf"])["TagDescriptions"][0]["Tags"], [{"Key": "Name", "Value": "tf"}])

# Change the subnet in another zone, then in the same one.
client.attach_load_balancer_to_subnets(LoadBalancerName="tf", Subnets=["subnet-b"])
client.detach_load_balancer_from_subnets(LoadBalancerName="tf", Subnets=["subnet-a"])
with refused("InvalidConfigurationRequest", 409, "cannot be attached to multiple subnets in the same AZ"):
    client.attach_load_balancer_to_subnets(LoadBalancerName="tf", Subnets=["subnet-a", "subnet-a2"])
client.attach_load_balancer_to_subnets(LoadBalancerName="tf", Subnets=["subnet-a2"])
same(describe(client, "tf")["Subnets"], ["subnet-a2", "subnet-b"])

# Change both listeners: remove, then create. The load balancer has none in between.
client.delete_load_balancer_listeners(LoadBalancerName="tf", LoadBalancerPorts=[1080, 1443])
same(describe(client, "tf")["ListenerDescriptions"], [])
client.create_load_balancer_listeners(LoadBalancerName="tf", Listeners=listeners)

# aws_lb_cookie_stickiness_policy and aws_load_balancer_policy: create, attach, read, clear, delete.
client.create_lb_cookie_stickiness_policy(LoadBalancerName="tf", PolicyName="foo", CookieExpirationPeriod=600)
client.set_load_balancer_policies_of_listener(LoadBalancerName="tf", LoadBalancerPort=1080, PolicyNames=["foo"])
policy = client.describe_load_balancer_policies(LoadBalancerName="tf", PolicyNames=["foo"])["PolicyDescriptions"][0]
same(policy["PolicyAttributeDescriptions"], [{"AttributeName": "CookieExpirationPeriod", "AttributeValue": "600"}])
client.set_load_balancer_policies_of_listener(LoadBalancerName="tf", LoadBalancerPort=1080, PolicyNames=[])
client.delete_load_balancer_policy(LoadBalancerName="tf", PolicyName="foo")
with refused("PolicyNotFound"):
    client.describe_load_balancer_policies(LoadBalancerName="tf", PolicyNames=["foo"])

# aws_proxy_protocol_policy says True.
attribute = {"AttributeName": "ProxyProtocol", "AttributeValue": "True"}
client.create_load_balancer_policy(
    LoadBalancerName="tf", PolicyName="TFEnableProxyProtocol", PolicyTypeName="ProxyProtocolPolicyType", PolicyAttributes=[attribute]
)
client.set_load_balancer_policies_for_backend_server(LoadBalancerName="tf", InstancePort=8000, PolicyNames=["TFEnableProxyProtocol"])
policy = client.describe_load_balancer_policies(LoadBalancerName="tf", PolicyNames=["TFEnableProxyProtocol"])["PolicyDescriptions"][0]
same(policy["PolicyAttributeDescriptions"], [attribute])
client.set_load_balancer_policies_for_backend_server(LoadBalancerName="tf", InstancePort=8000, PolicyNames=[])
client.delete_load_balancer_policy(LoadBalancerName="tf", PolicyName="TFEnableProxyProtocol")

# aws_app_cookie_stickiness_policy, aws_lb_ssl_negotiation_policy, aws_load_balancer_listener_policy,
# aws_load_balancer_backend_server_policy. Each reads the whole load balancer to see what is attached.
client.create_app_cookie_stickiness_policy(LoadBalancerName="tf", PolicyName="app", CookieName="SID")
client.set_load_balancer_policies_of_listener(LoadBalancerName="tf", LoadBalancerPort=1080, PolicyNames=["app"])
reference = {"AttributeName": "Reference-Security-Policy", "AttributeValue": "ELBSecurityPolicy-TLS-1-2-2017-01"}
tls = {"LoadBalancerName": "tf", "PolicyName": "tls", "PolicyTypeName": "SSLNegotiationPolicyType"}
client.create_load_balancer_policy(**tls, PolicyAttributes=[reference])
client.set_load_balancer_policies_of_listener(LoadBalancerName="tf", LoadBalancerPort=1443, PolicyNames=["tls"])
same([each["PolicyNames"] for each in describe(client, "tf")["ListenerDescriptions"]], [["app"], ["tls"]])
same(describe(client, "tf")["BackendServerDescriptions"], [])
for port in (1080, 1443):
    client.set_load_balancer_policies_of_listener(LoadBalancerName="tf", LoadBalancerPort=port, PolicyNames=[])
for policy in ("app", "tls", "never"):
    client.delete_load_balancer_policy(LoadBalancerName="tf", PolicyName=policy)

# Update of aws_elb, attribute by attribute: tags are removed and added, the access log has an empty prefix, what was on
# is turned off by its flag alone.
client.remove_tags(LoadBalancerNames=["tf"], Tags=[{"Key": "Name"}])
client.add_tags(LoadBalancerNames=["tf"], Tags=[{"Key": "Name", "Value": ""}, {"Key": "env", "Value": "test"}])
tags = client.describe_tags(LoadBalancerNames=["tf"])["TagDescriptions"][0]["Tags"]
same(tags, [{"Key": "Name", "Value": ""}, {"Key": "env", "Value": "test"}])
modify(AccessLog={"Enabled": True, "EmitInterval": 60, "S3BucketName": "my-logs", "S3BucketPrefix": ""})
log = client.describe_load_balancer_attributes(LoadBalancerName="tf")["LoadBalancerAttributes"]["AccessLog"]
same(log, {"Enabled": True, "EmitInterval": 60, "S3BucketName": "my-logs"})
modify(AccessLog={"Enabled": False})
modify(ConnectionDraining={"Enabled": True, "Timeout": 60})
modify(ConnectionDraining={"Enabled": False})
draining = client.describe_load_balancer_attributes(LoadBalancerName="tf")["LoadBalancerAttributes"]["ConnectionDraining"]
same(draining, {"Enabled": False, "Timeout": 60})
client.register_instances_with_load_balancer(LoadBalancerName="tf", Instances=[{"InstanceId": "web-9"}])
client.deregister_instances_from_load_balancer(LoadBalancerName="tf", Instances=[{"InstanceId": "i-0aa11bb22cc33dd44"}])
same(describe(client, "tf")["Instances"], [{"InstanceId": "web-9"}])

# aws_elb_attachment.
client.register_instances_with_load_balancer(LoadBalancerName="tf", Instances=[{"InstanceId": "i-0aa11bb22cc33dd44"}])
same(len(describe(client, "tf")["Instances"]), 2)
client.deregister_instances_from_load_balancer(LoadBalancerName="tf", Instances=[{"InstanceId": "i-0aa11bb22cc33dd44"}])

# One that is made of zones, and changes them: the new one first, then the old one goes.
client.create_load_balancer(
    LoadBalancerName="zones", Listeners=[listeners[0] | {"LoadBalancerPort": 1081}], AvailabilityZones=["default"], Scheme=""
)
client.enable_availability_zones_for_load_balancer(LoadBalancerName="zones", AvailabilityZones=["default"])
client.enable_availability_zones_for_load_balancer(LoadBalancerName="zones", AvailabilityZones=["rack-b"])
client.disable_availability_zones_for_load_balancer(LoadBalancerName="zones", AvailabilityZones=["default"])
same(describe(client, "zones")["AvailabilityZones"], ["rack-b"])
client.delete_load_balancer(LoadBalancerName="zones")

# Destroy.
client.delete_load_balancer(LoadBalancerName="tf")
with refused("LoadBalancerNotFound"):
    describe(client, "tf")
