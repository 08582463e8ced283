"""Operators' own tools, boto3 and aws-cli, unmodified, against a running local cloud."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import unittest

import boto3

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_TIMEOUT_S = 120
STOP_TIMEOUT_S = 15
# Beside the default of 10, so that the suite runs beside a cloud that somebody is looking at.
FIRST_HOST = 150
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


def read_line(stream, timeout_s):
    """The next line, or "" when none came in time."""
    lines = []
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(timeout_s)
    return lines[0] if lines else ""


class AwsClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = ["node", str(ROOT / "clients/bin/chordfs.mjs"), "up", "--json", "--port", "0"]
        cls.process = subprocess.Popen(
            [*command, "--first-host", str(FIRST_HOST)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        cls.addClassCleanup(cls.stop)
        cls.ready = json.loads(read_line(cls.process.stdout, READY_TIMEOUT_S) or "{}")
        if not cls.ready.get("ready"):
            raise AssertionError("the cloud was not ready within %d s" % READY_TIMEOUT_S)

    @classmethod
    def stop(cls):
        cls.process.send_signal(signal.SIGTERM)
        cls.process.wait(STOP_TIMEOUT_S)
        cls.process.stdout.close()

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.ready["endpoint"],
            region_name=self.ready["region"],
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )

    def aws(self, *arguments):
        aws = pathlib.Path(sys.executable).with_name("aws")
        done = subprocess.run(
            [
                str(aws) if aws.exists() else shutil.which("aws"),
                "--endpoint-url",
                self.ready["endpoint"],
                "--region",
                self.ready["region"],
                "--output",
                "json",
                *arguments,
            ],
            env=dict(os.environ, **CREDENTIALS),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout) if done.stdout.strip() else None

    def public_addresses(self):
        return sorted(node["publicIp"] for node in self.ready["nodes"])

    def test_boto3_finds_the_nodes_as_an_operator_does(self):
        groups = self.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[self.ready["autoScalingGroupName"]]
        )["AutoScalingGroups"]
        instances = groups[0]["Instances"]
        self.assertEqual([instance["LifecycleState"] for instance in instances], ["InService"] * 2)
        ids = [instance["InstanceId"] for instance in instances]
        reservations = self.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
        found = [instance for reservation in reservations for instance in reservation["Instances"]]
        self.assertEqual(sorted(instance["PublicIpAddress"] for instance in found), self.public_addresses())

    def test_aws_cli_finds_the_nodes_as_an_operator_does(self):
        name = self.ready["autoScalingGroupName"]
        group = self.aws("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", name)
        instances = group["AutoScalingGroups"][0]["Instances"]
        self.assertEqual([instance["LifecycleState"] for instance in instances], ["InService"] * 2)
        ids = [instance["InstanceId"] for instance in instances]
        answer = self.aws("ec2", "describe-instances", "--instance-ids", *ids)
        found = [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]
        self.assertEqual(sorted(instance["PublicIpAddress"] for instance in found), self.public_addresses())

    def test_an_unknown_instance_is_told_as_aws_tells_it(self):
        ec2 = self.client("ec2")
        with self.assertRaises(ec2.exceptions.ClientError) as raised:
            ec2.describe_instances(InstanceIds=["i-00000000000000000"])
        self.assertEqual(raised.exception.response["Error"]["Code"], "InvalidInstanceID.NotFound")

    def test_boto3_reads_the_member_table(self):
        items = self.client("dynamodb").scan(TableName=self.ready["tableName"])["Items"]
        active = [item for item in items if item.get("state", {}).get("S") == "ACTIVE"]
        self.assertEqual(len([item for item in active if item["sk"]["S"].startswith("NODE#")]), 2)

    def test_aws_cli_sees_the_disk_alarm(self):
        alarms = self.aws("cloudwatch", "describe-alarms")["MetricAlarms"]
        self.assertTrue(any("disk" in alarm["AlarmName"] for alarm in alarms))

    def test_zz_aws_cli_sets_the_desired_capacity(self):
        """Last, since the group is smaller afterwards."""
        name = self.ready["autoScalingGroupName"]
        self.aws(
            "autoscaling", "set-desired-capacity", "--auto-scaling-group-name", name, "--desired-capacity", "1"
        )
        detail_type = ""
        while detail_type not in ("Member Left", None):
            detail_type = json.loads(read_line(self.process.stdout, 60) or "{}").get("detail-type")
        self.assertEqual(detail_type, "Member Left")
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        self.assertEqual(groups["AutoScalingGroups"][0]["DesiredCapacity"], 1)


if __name__ == "__main__":
    unittest.main()
