"""Listeners, certificates, and the policies of listeners and instance ports."""

import base64

from clients import CERTIFICATE, HTTP, create, describe, elb, refused, same

client = elb()
create(client)

https = {
    "Protocol": "https",
    "LoadBalancerPort": 1443,
    "InstancePort": 8080,
    "SSLCertificateId": CERTIFICATE,
}
client.create_load_balancer_listeners(LoadBalancerName="web", Listeners=[https, HTTP])
client.create_load_balancer_listeners(LoadBalancerName="web", Listeners=[https])
with refused("DuplicateListener"):
    client.create_load_balancer_listeners(LoadBalancerName="web", Listeners=[https | {"InstancePort": 1}])
told = describe(client)
same(
    told["ListenerDescriptions"][1],
    {
        "Listener": {
            "Protocol": "HTTPS",
            "LoadBalancerPort": 1443,
            "InstanceProtocol": "HTTP",
            "InstancePort": 8080,
            "SSLCertificateId": CERTIFICATE,
        },
        "PolicyNames": ["ELBSecurityPolicy-2016-08"],
    },
)
same(told["Policies"]["OtherPolicies"], ["ELBSecurityPolicy-2016-08"])

other = CERTIFICATE.replace("shop", "other")
client.set_load_balancer_listener_ssl_certificate(LoadBalancerName="web", LoadBalancerPort=1443, SSLCertificateId=other)
with refused("ListenerNotFound"):
    client.set_load_balancer_listener_ssl_certificate(LoadBalancerName="web", LoadBalancerPort=1444, SSLCertificateId=other)
same(describe(client)["ListenerDescriptions"][1]["Listener"]["SSLCertificateId"], other)

client.create_lb_cookie_stickiness_policy(LoadBalancerName="web", PolicyName="sticky", CookieExpirationPeriod=900)
client.create_lb_cookie_stickiness_policy(LoadBalancerName="web", PolicyName="session")
client.create_app_cookie_stickiness_policy(LoadBalancerName="web", PolicyName="app", CookieName="SID")
reference = [{"AttributeName": "Reference-Security-Policy", "AttributeValue": "ELBSecurityPolicy-TLS-1-2-2017-01"}]
modern = {"LoadBalancerName": "web", "PolicyName": "modern", "PolicyTypeName": "SSLNegotiationPolicyType"}
client.create_load_balancer_policy(**modern, PolicyAttributes=reference)
client.create_load_balancer_policy(**modern, PolicyAttributes=reference)
with refused("DuplicatePolicyName"):
    client.create_load_balancer_policy(**modern)

client.set_load_balancer_policies_of_listener(LoadBalancerName="web", LoadBalancerPort=1080, PolicyNames=["app"])
client.set_load_balancer_policies_of_listener(LoadBalancerName="web", LoadBalancerPort=1080, PolicyNames=[])
client.set_load_balancer_policies_of_listener(LoadBalancerName="web", LoadBalancerPort=1443, PolicyNames=["modern", "sticky"])
with refused("InvalidConfigurationRequest", 409, "cannot delete policy [sticky]"):
    client.delete_load_balancer_policy(LoadBalancerName="web", PolicyName="sticky")
client.delete_load_balancer_policy(LoadBalancerName="web", PolicyName="session")
client.delete_load_balancer_policy(LoadBalancerName="web", PolicyName="session")

told = describe(client)
same(told["ListenerDescriptions"][0]["PolicyNames"], [])
same(told["ListenerDescriptions"][1]["PolicyNames"], ["modern", "sticky"])
same(
    told["Policies"],
    {
        "AppCookieStickinessPolicies": [{"PolicyName": "app", "CookieName": "SID"}],
        "LBCookieStickinessPolicies": [{"PolicyName": "sticky", "CookieExpirationPeriod": 900}],
        "OtherPolicies": ["modern", "ELBSecurityPolicy-2016-08"],
    },
)

proxy = {"LoadBalancerName": "web", "PolicyName": "proxy", "PolicyTypeName": "ProxyProtocolPolicyType"}
client.create_load_balancer_policy(**proxy, PolicyAttributes=[{"AttributeName": "ProxyProtocol", "AttributeValue": "true"}])
client.set_load_balancer_policies_for_backend_server(LoadBalancerName="web", InstancePort=8080, PolicyNames=["proxy"])
same(describe(client)["BackendServerDescriptions"], [{"InstancePort": 8080, "PolicyNames": ["proxy"]}])

# A key as PEM files hold it, in lines: DER of 91 bytes, as those on P-256 are.
key = base64.encodebytes(bytes([0x30, 89] + [7] * 89)).decode()
public = {"LoadBalancerName": "web", "PolicyName": "key", "PolicyTypeName": "PublicKeyPolicyType"}
client.create_load_balancer_policy(**public, PolicyAttributes=[{"AttributeName": "PublicKey", "AttributeValue": key}])
told = client.describe_load_balancer_policies(LoadBalancerName="web", PolicyNames=["key"])["PolicyDescriptions"]
same(told[0]["PolicyAttributeDescriptions"], [{"AttributeName": "PublicKey", "AttributeValue": key}])

told = client.describe_load_balancer_policies(LoadBalancerName="web")["PolicyDescriptions"]
same([policy["PolicyName"] for policy in told], ["ELBSecurityPolicy-2016-08", "sticky", "app", "modern", "proxy", "key"])
attributes = {policy["PolicyName"]: policy["PolicyAttributeDescriptions"] for policy in told}
same(len(attributes["modern"]), 94)
same(attributes["modern"][0], reference[0])
on = [each["AttributeName"] for each in attributes["modern"] if each["AttributeValue"] == "true"]
same(on[:3], ["Protocol-TLSv1.2", "Server-Defined-Cipher-Order", "ECDHE-ECDSA-AES128-GCM-SHA256"])
same(len(on), 2 + 12)
with refused("PolicyNotFound", words="There is no policy with name none for load balancer web"):
    client.describe_load_balancer_policies(LoadBalancerName="web", PolicyNames=["none"])

predefined = client.describe_load_balancer_policies()["PolicyDescriptions"]
same(predefined[0]["PolicyName"], "ELBSecurityPolicy-2016-08")
same((len(predefined), len(predefined[0]["PolicyAttributeDescriptions"])), (11, 93))
types = client.describe_load_balancer_policy_types()["PolicyTypeDescriptions"]
same(len(types), 6)
by_name = {kind["PolicyTypeName"]: kind["PolicyAttributeTypeDescriptions"] for kind in types}
same(by_name["BackendServerAuthenticationPolicyType"][0]["Cardinality"], "ONE_OR_MORE")
same(len(by_name["SSLNegotiationPolicyType"]), 94)
with refused("PolicyTypeNotFound"):
    client.describe_load_balancer_policy_types(PolicyTypeNames=["none"])
