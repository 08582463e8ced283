"""Prints what an account has, by service, as JSON: the names of everything that a stage could leave behind.

Asks whatever AWS_ENDPOINT_URL points at; without it, the account of the credentials. Usage: inventory.py [part of name]
"""

import json
import sys

import boto3

PART = sys.argv[1] if len(sys.argv) > 1 else ""


def pages(service, operation, key, name, **parameters):
    """Every item of a listing, through all its pages, as one name each."""
    client = boto3.client(service)
    if client.can_paginate(operation):
        answers = client.get_paginator(operation).paginate(**parameters)
    else:
        answers = [getattr(client, operation)(**parameters)]
    items = [item for answer in answers for item in answer.get(key) or []]
    return [name(item) if callable(name) else item[name] for item in items]


def tagged(id_key):
    """EC2 has no names, only tags: the id says which, the tag says whose."""

    def name(item):
        tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags") or []}
        owner = tags.get("Name") or tags.get("aws:cloudformation:stack-name") or ""
        return f"{item[id_key]} {owner}".strip()

    return name


def instances():
    reservations = pages("ec2", "describe_instances", "Reservations", lambda item: item["Instances"])
    alive = [machine for group in reservations for machine in group if machine["State"]["Name"] != "terminated"]
    return [tagged("InstanceId")(machine) for machine in alive]


def endpoints():
    """Those that still stand: a deleted one is listed for a while."""
    found = boto3.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    return [tagged("VpcEndpointId")(item) for item in found if item["State"] not in ("deleting", "deleted")]


def rules():
    buses = pages("events", "list_event_buses", "EventBuses", "Name")
    return [name for bus in buses for name in pages("events", "list_rules", "Rules", "Name", EventBusName=bus)]


def objects():
    buckets = pages("s3", "list_buckets", "Buckets", "Name")
    return [
        f"{bucket}/{key}"
        for bucket in buckets
        if PART in bucket
        for key in pages("s3", "list_object_versions", "Versions", "Key", Bucket=bucket)
    ]


def account():
    return boto3.client("sts").get_caller_identity()["Account"]


EC2 = {
    "vpcs": ("describe_vpcs", "Vpcs", "VpcId"),
    "subnets": ("describe_subnets", "Subnets", "SubnetId"),
    "internetGateways": ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "routeTables": ("describe_route_tables", "RouteTables", "RouteTableId"),
    "volumes": ("describe_volumes", "Volumes", "VolumeId"),
}

LISTINGS = {
    "alarms": lambda: pages("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "budgets": lambda: pages("budgets", "describe_budgets", "Budgets", "BudgetName", AccountId=account()),
    "buckets": lambda: pages("s3", "list_buckets", "Buckets", "Name"),
    "buses": lambda: [name for name in pages("events", "list_event_buses", "EventBuses", "Name") if name != "default"],
    "dashboards": lambda: pages("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "endpoints": endpoints,
    "functions": lambda: pages("lambda", "list_functions", "Functions", "FunctionName"),
    "groups": lambda: pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    "instanceProfiles": lambda: pages("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    "instances": instances,
    "launchTemplates": lambda: pages("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"),
    "logGroups": lambda: pages("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "logPolicies": lambda: pages("logs", "describe_resource_policies", "resourcePolicies", "policyName"),
    "objects": objects,
    "queues": lambda: pages("sqs", "list_queues", "QueueUrls", str),
    "roles": lambda: pages("iam", "list_roles", "Roles", "RoleName"),
    "rules": rules,
    "securityGroups": lambda: pages(
        "ec2", "describe_security_groups", "SecurityGroups", lambda item: f"{item['GroupId']} {item['GroupName']}"
    ),
    "stacks": lambda: [
        item["StackName"]
        for item in boto3.client("cloudformation").describe_stacks()["Stacks"]
        if item["StackStatus"] != "DELETE_COMPLETE"
    ],
    "tables": lambda: pages("dynamodb", "list_tables", "TableNames", str),
    "topics": lambda: pages("sns", "list_topics", "Topics", "TopicArn"),
    **{
        kind: lambda operation=operation, key=key, id_key=id_key: pages("ec2", operation, key, tagged(id_key))
        for kind, (operation, key, id_key) in EC2.items()
    },
}

found = {kind: sorted(name for name in listing() if PART in name) for kind, listing in LISTINGS.items()}
print(json.dumps({kind: names for kind, names in found.items() if names}, indent=2))
