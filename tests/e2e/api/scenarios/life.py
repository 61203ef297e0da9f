"""Creating, describing, changing, paging and deleting load balancers."""

from datetime import datetime, timedelta, timezone

from clients import create, describe, elb, refused, same

client = elb()

dns_name = create(client, Tags=[{"Key": "env", "Value": "größe +/=@"}])
assert dns_name.startswith("web-") and dns_name.endswith(".us-east-1.elb.internal"), dns_name
same(create(client, Tags=[{"Key": "env", "Value": "größe +/=@"}]), dns_name)
with refused("DuplicateLoadBalancerName", words="different tags"):
    create(client)

told = describe(client)
created = told.pop("CreatedTime")
assert abs(datetime.now(timezone.utc) - created) < timedelta(minutes=1), created
same(
    told,
    {
        "LoadBalancerName": "web",
        "DNSName": dns_name,
        "CanonicalHostedZoneName": dns_name,
        "CanonicalHostedZoneNameID": "Z00000000ELBOW",
        "ListenerDescriptions": [
            {
                "Listener": {
                    "Protocol": "HTTP",
                    "LoadBalancerPort": 1080,
                    "InstanceProtocol": "HTTP",
                    "InstancePort": 8080,
                },
                "PolicyNames": [],
            }
        ],
        "Policies": {"AppCookieStickinessPolicies": [], "LBCookieStickinessPolicies": [], "OtherPolicies": []},
        "BackendServerDescriptions": [],
        "AvailabilityZones": ["default"],
        "Subnets": [],
        "Instances": [],
        "HealthCheck": {
            "Target": "TCP:8080",
            "Interval": 30,
            "Timeout": 5,
            "UnhealthyThreshold": 2,
            "HealthyThreshold": 10,
        },
        "SourceSecurityGroup": {"OwnerAlias": "000000000000", "GroupName": "default"},
        "SecurityGroups": [],
        "Scheme": "internet-facing",
    },
)

filed = describe(client, "filed")
same(filed["CreatedTime"], datetime(1970, 1, 1, tzinfo=timezone.utc))
with refused("OperationNotPermitted", words="configuration file"):
    client.delete_load_balancer(LoadBalancerName="filed")

check = {"Target": "HTTP:8080/ping?a=b&c=<d>", "Interval": 10, "Timeout": 3, "UnhealthyThreshold": 3, "HealthyThreshold": 4}
same(client.configure_health_check(LoadBalancerName="web", HealthCheck=check)["HealthCheck"], check)
same(describe(client)["HealthCheck"], check)

draining = {"ConnectionDraining": {"Enabled": True, "Timeout": 20}}
answer = client.modify_load_balancer_attributes(LoadBalancerName="web", LoadBalancerAttributes=draining)
same(answer["LoadBalancerAttributes"], draining)
log = {"Enabled": True, "S3BucketName": "my-logs", "S3BucketPrefix": "web", "EmitInterval": 5}
client.modify_load_balancer_attributes(LoadBalancerName="web", LoadBalancerAttributes={"AccessLog": log})
with refused("InvalidConfigurationRequest", 409, "Access Denied for bucket: no-such-logs. Please check S3bucket permission"):
    client.modify_load_balancer_attributes(
        LoadBalancerName="web", LoadBalancerAttributes={"AccessLog": log | {"S3BucketName": "no-such-logs"}}
    )
same(
    client.describe_load_balancer_attributes(LoadBalancerName="web")["LoadBalancerAttributes"],
    {
        "CrossZoneLoadBalancing": {"Enabled": False},
        "AccessLog": log,
        "ConnectionDraining": {"Enabled": True, "Timeout": 20},
        "ConnectionSettings": {"IdleTimeout": 60},
        "AdditionalAttributes": [{"Key": "elb.http.desyncmitigationmode", "Value": "defensive"}],
    },
)

client.add_tags(LoadBalancerNames=["web"], Tags=[{"Key": "empty"}, {"Key": "env", "Value": "2"}])
tags = client.describe_tags(LoadBalancerNames=["web", "filed"])["TagDescriptions"]
same(
    tags,
    [
        {"LoadBalancerName": "web", "Tags": [{"Key": "empty", "Value": ""}, {"Key": "env", "Value": "2"}]},
        {"LoadBalancerName": "filed", "Tags": []},
    ],
)
client.remove_tags(LoadBalancerNames=["web"], Tags=[{"Key": "env"}, {"Key": "never"}])
same(client.describe_tags(LoadBalancerNames=["web"])["TagDescriptions"][0]["Tags"], [{"Key": "empty", "Value": ""}])

same(client.enable_availability_zones_for_load_balancer(LoadBalancerName="web", AvailabilityZones=["rack-b"])["AvailabilityZones"], ["default", "rack-b"])
same(client.disable_availability_zones_for_load_balancer(LoadBalancerName="web", AvailabilityZones=["default"])["AvailabilityZones"], ["rack-b"])
same(client.attach_load_balancer_to_subnets(LoadBalancerName="web", Subnets=["subnet-a", "subnet-b"])["Subnets"], ["subnet-a", "subnet-b"])
same(client.detach_load_balancer_from_subnets(LoadBalancerName="web", Subnets=["subnet-b"])["Subnets"], ["subnet-a"])
same(client.apply_security_groups_to_load_balancer(LoadBalancerName="web", SecurityGroups=["sg-office"])["SecurityGroups"], ["sg-office"])
told = describe(client)
same((told["AvailabilityZones"], told["Subnets"], told["SecurityGroups"]), (["default"], ["subnet-a"], ["sg-office"]))
same(told["SourceSecurityGroup"]["GroupName"], "sg-office")

for index in range(19):
    create(client, f"more-{index:02}", 1100 + index)
with refused("TooManyLoadBalancers"):
    create(client, "one-more", 1099)
pages = client.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 6})
names = [told["LoadBalancerName"] for page in pages for told in page["LoadBalancerDescriptions"]]
same(names, ["filed"] + [f"more-{index:02}" for index in range(19)] + ["web"])
limits = client.get_paginator("describe_account_limits").paginate(PaginationConfig={"PageSize": 2}).build_full_result()
same(
    sorted((limit["Name"], limit["Max"]) for limit in limits["Limits"]),
    [("classic-listeners", "100"), ("classic-load-balancers", "20"), ("classic-registered-instances", "1000")],
)

for name in names[1:] + ["web", "never"]:
    client.delete_load_balancer(LoadBalancerName=name)
with refused("LoadBalancerNotFound", words="There is no ACTIVE Load Balancer named 'web'"):
    describe(client)
