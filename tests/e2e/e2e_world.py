"""What a run works on, and an independent client's view of it: a key, an object, an instance of the test's own."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

_NUMBERS = itertools.count(1)
BODY = b"twelve o'clock"


class Independent:
    """boto3 clients with a session, credentials and user agent that are not gameday's."""

    def __init__(self, url: str) -> None:
        self.url = url
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
        plain = Config(
            retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=32, s3={"addressing_style": "path"}
        )

        def make(service: str) -> Any:
            return session.client(service, endpoint_url=url, config=plain)  # type: ignore[call-overload]

        self.kms, self.s3, self.ec2 = make("kms"), make("s3"), make("ec2")
        self.scheduler, self.iam = make("scheduler"), make("iam")
        self.cloudtrail, self.autoscaling = make("cloudtrail"), make("autoscaling")
        self.image = self.ec2.describe_images(Filters=[{"Name": "name", "Values": ["al2023-ami-2023.*-x86_64"]}])[
            "Images"
        ][0]


class World:
    """A key with an alias, an object under it, and where asked an instance that boots from it."""

    def __init__(self, aws: Independent, *, instance: bool = False) -> None:
        self.aws = aws
        self.name = f"e2e-{next(_NUMBERS)}"
        self.alias = f"alias/{self.name}"
        self.key = str(aws.kms.create_key(Description=self.name)["KeyMetadata"]["Arn"])
        aws.kms.create_alias(AliasName=self.alias, TargetKeyId=self.key)
        aws.s3.create_bucket(Bucket=self.name)
        aws.s3.put_object(
            Bucket=self.name, Key="clock.png", Body=BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key
        )
        self.instance = self._launch() if instance else ""
        self.before = self.instance_state

    def _launch(self) -> str:
        image = self.aws.image
        root = {"Encrypted": True, "KmsKeyId": self.key, "VolumeSize": 8, "DeleteOnTermination": True}
        made = self.aws.ec2.run_instances(
            ImageId=image["ImageId"],
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            BlockDeviceMappings=[{"DeviceName": image.get("RootDeviceName", "/dev/xvda"), "Ebs": root}],
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": self.name}]}],
        )
        return str(made["Instances"][0]["InstanceId"])

    @property
    def key_state(self) -> str:
        """What KMS says."""
        return str(self.aws.kms.describe_key(KeyId=self.key)["KeyMetadata"]["KeyState"])

    @property
    def readable(self) -> bool:
        """Whether the object comes."""
        try:
            return bool(self.aws.s3.get_object(Bucket=self.name, Key="clock.png")["Body"].read() == BODY)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "KMS.DisabledException", error
            return False

    @property
    def instance_state(self) -> str:
        """Running, stopped …; empty without an instance."""
        if not self.instance:
            return ""
        found = self.aws.ec2.describe_instances(InstanceIds=[self.instance])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    def stop_instance(self) -> None:
        """A world whose instance is found stopped."""
        self.aws.ec2.stop_instances(InstanceIds=[self.instance])
        self.before = self.instance_state
        assert self.before == "stopped"

    def assert_as_found(self) -> None:
        """The key is enabled, the object readable, and the instance in its first state."""
        found = (self.key_state, self.readable, self.instance_state)
        assert found == ("Enabled", True, self.before), f"{self.name}: {found}, not as found"

    def disables(self) -> int:
        """How often somebody disabled this key, by CloudTrail's account."""
        return sum(1 for event in self._trail("DisableKey") if self.key in json.dumps(event))

    def _trail(self, name: str) -> Iterator[dict[str, Any]]:
        wanted = [{"AttributeKey": "EventName", "AttributeValue": name}]
        for page in self.aws.cloudtrail.get_paginator("lookup_events").paginate(LookupAttributes=wanted):
            for event in page["Events"]:
                yield json.loads(event["CloudTrailEvent"])


class Switchboard:
    """A web server whose every path answers what the test says: guards and gates look at it."""

    def __init__(self) -> None:
        answers: dict[str, int] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(answers.get(self.path, 404))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
                """Say nothing."""

        self._answers = answers
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def line(self, status: int = 200) -> Line:
        """A path of its own."""
        path = f"/{next(_NUMBERS)}"
        self._answers[path] = status
        return Line(f"http://127.0.0.1:{self._server.server_port}{path}", self._answers, path)

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()


class Line:
    """One path of the switchboard."""

    def __init__(self, url: str, answers: dict[str, int], path: str) -> None:
        self.url, self._answers, self._path = url, answers, path

    def say(self, status: int) -> None:
        """Answer this from now on."""
        self._answers[self._path] = status
