"""Every error that a caller can cause, by its code, and that nothing comes of the call."""

from clients import CERTIFICATE, HTTP, create, describe, elb, refused, same

client = elb()
create(client)
before = describe(client)
https = {"Protocol": "HTTPS", "LoadBalancerPort": 1443, "InstancePort": 8080}


def listeners(**change):
    client.create_load_balancer_listeners(LoadBalancerName="web", Listeners=[HTTP | {"LoadBalancerPort": 1081} | change])


def attributes(**changes):
    client.modify_load_balancer_attributes(LoadBalancerName="web", LoadBalancerAttributes=changes)


for code, status, call in [
    ("ValidationError", 400, lambda: create(client, "-")),
    ("ValidationError", 400, lambda: create(client, "a" * 33)),
    ("ValidationError", 400, lambda: create(client, '"><script>&amp;')),
    ("ValidationError", 400, lambda: create(client, "näme")),
    ("ValidationError", 400, lambda: create(client, "nul\0")),
    ("ValidationError", 400, lambda: create(client, "web2", Subnets=["subnet-a"])),
    ("ValidationError", 400, lambda: create(client, "web2", AvailabilityZones=[])),
    ("ValidationError", 400, lambda: create(client, "web2", 65536)),
    ("InvalidScheme", 400, lambda: create(client, "web2", 1081, Scheme="public")),
    ("SubnetNotFound", 400, lambda: create(client, "web2", 1081, AvailabilityZones=[], Subnets=["subnet-none"])),
    ("InvalidSecurityGroup", 400, lambda: create(client, "web2", 1081, SecurityGroups=["sg-none"])),
    ("DuplicateTagKeys", 400, lambda: create(client, "web2", 1081, Tags=[{"Key": "a"}, {"Key": "a"}])),
    ("ValidationError", 400, lambda: create(client, "web2", 1081, Tags=[{"Key": "<a>"}])),
    ("TooManyTags", 400, lambda: create(client, "web2", 1081, Tags=[{"Key": f"k{n}"} for n in range(51)])),
    ("DuplicateLoadBalancerName", 400, lambda: create(client, "web", 1081)),
    ("DuplicateLoadBalancerName", 400, lambda: create(client, "filed", 1081)),
    ("InvalidConfigurationRequest", 409, lambda: create(client, "web2", 9000)),
    ("InvalidConfigurationRequest", 409, lambda: create(client, "web2", 6666)),
    ("ValidationError", 400, lambda: listeners(InstancePort=65536)),
    ("ValidationError", 400, lambda: listeners(InstanceProtocol="TCP")),
    ("ValidationError", 400, lambda: listeners(Protocol="GOPHER")),
    ("UnsupportedProtocol", 400, lambda: listeners(Protocol="UDP")),
    ("ValidationError", 400, lambda: listeners(**https)),
    ("CertificateNotFound", 400, lambda: listeners(**https, SSLCertificateId=CERTIFICATE + "2")),
    ("DuplicateListener", 400, lambda: listeners(LoadBalancerPort=1080, InstancePort=1)),
    ("ValidationError", 400, lambda: attributes(ConnectionSettings={"IdleTimeout": 4001})),
    ("ValidationError", 400, lambda: attributes(AccessLog={"Enabled": True, "S3BucketName": "../../etc"})),
    ("LoadBalancerAttributeNotFound", 400, lambda: attributes(AdditionalAttributes=[{"Key": "a.b", "Value": "c"}])),
    ("TooManyTags", 400, lambda: client.add_tags(LoadBalancerNames=["web"], Tags=[{"Key": f"k{n}"} for n in range(51)])),
    ("LoadBalancerNotFound", 400, lambda: client.add_tags(LoadBalancerNames=["none"], Tags=[{"Key": "a"}])),
    ("ListenerNotFound", 400, lambda: client.set_load_balancer_policies_of_listener(LoadBalancerName="web", LoadBalancerPort=1081, PolicyNames=[])),
    ("PolicyNotFound", 400, lambda: client.set_load_balancer_policies_of_listener(LoadBalancerName="web", LoadBalancerPort=1080, PolicyNames=["none"])),
    ("PolicyTypeNotFound", 400, lambda: client.create_load_balancer_policy(LoadBalancerName="web", PolicyName="p", PolicyTypeName="none")),
    ("InvalidConfigurationRequest", 409, lambda: client.create_load_balancer_policy(LoadBalancerName="web", PolicyName="p", PolicyTypeName="PublicKeyPolicyType")),
    ("InvalidInstance", 400, lambda: client.register_instances_with_load_balancer(LoadBalancerName="web", Instances=[{"InstanceId": "i-1"}])),
    ("InvalidConfigurationRequest", 409, lambda: client.disable_availability_zones_for_load_balancer(LoadBalancerName="web", AvailabilityZones=["default"])),
    ("OperationNotPermitted", 400, lambda: client.add_tags(LoadBalancerNames=["filed"], Tags=[{"Key": "a"}])),
    ("AccessDenied", 403, lambda: elb("READKEY").delete_load_balancer(LoadBalancerName="web")),
]:
    with refused(code, status):
        call()

same(describe(client), before)
same(describe(elb("READKEY")), before)
same(len(client.describe_load_balancers()["LoadBalancerDescriptions"]), 2)
