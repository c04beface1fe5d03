"""Instances with an unencrypted root volume, runs on them, and an independent client's view of all that they touch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

from gameday.aws.made import LAB_KEYS
from gameday.aws.session import Session
from gameday.journal.sql import SqlJournal
from gameday.rollback.recovery import recover
from gameday.sdk import Exporter, Sealed
from gameday.stages.ec2_instance import Ec2Instance

ACCOUNT, REGION = "123456789012", "us-east-1"
PATIENCE = 100.0
CRASH = Path(__file__).parents[1] / "crash" / "tripwire.py"
PASSING = (
    "AttachTime",
    "StateReason",
    "StateTransitionReason",
    "PublicIpAddress",
    "PublicDnsName",
    "NetworkInterfaces",
)
"""What a stop and a start change by nature."""


class Account:
    """A lab's account: one key, and clients that are not gameday's."""

    def __init__(self, url: str) -> None:
        self.url = url
        plain = Config(retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=16)
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        self.ec2: Any = session.client("ec2", endpoint_url=url, config=plain)
        self.kms: Any = session.client("kms", endpoint_url=url, config=plain)
        self.key = str(self.kms.create_key()["KeyMetadata"]["Arn"])
        self.kms.create_alias(AliasName="alias/MyKMSKey", TargetKeyId=self.key)

    def session(self, run: str) -> Session:
        return Session(region=REGION, account=ACCOUNT, run=run, endpoint=self.url, keys=LAB_KEYS)

    def instance(self, name: str) -> Machine:
        """A running one whose root volume has no encryption, and a data volume besides."""
        Ec2Instance(name=name).make(self.session("made"))
        named = [{"Name": "tag:Name", "Values": [name]}]
        found = self.ec2.describe_instances(Filters=named)["Reservations"][0]["Instances"][0]
        zone, which = found["Placement"]["AvailabilityZone"], str(found["InstanceId"])
        data = self.ec2.create_volume(AvailabilityZone=zone, Size=1, VolumeType="gp3")["VolumeId"]
        self.ec2.attach_volume(VolumeId=data, InstanceId=which, Device="/dev/sdf")
        return Machine(self, name, which)


class Machine:
    """One instance, and how it was found."""

    def __init__(self, account: Account, name: str, which: str) -> None:
        self.account, self.name, self.id = account, name, which
        self.found = self.state()

    def state(self) -> str:
        """Everything of it as text: the instance, its volumes attached or not, its snapshots, and its key's grants."""
        ec2 = self.account.ec2
        machine = ec2.describe_instances(InstanceIds=[self.id])["Reservations"][0]["Instances"][0]
        volumes = {}
        for wanted in ({"Name": "attachment.instance-id", "Values": [self.id]}, _tagged(self.id)):
            volumes |= {each["VolumeId"]: each for each in ec2.describe_volumes(Filters=[wanted])["Volumes"]}
        snapshots = ec2.describe_snapshots(OwnerIds=["self"], Filters=[_tagged(self.id)])["Snapshots"]
        grants = [
            each
            for each in self.account.kms.list_grants(KeyId=self.account.key)["Grants"]
            if each.get("GranteePrincipal", "").endswith(self.id)
        ]
        everything = _lasting([machine, [volumes[name] for name in sorted(volumes)], snapshots, grants])
        return json.dumps(everything, indent=1, sort_keys=True, default=str)

    def as_found(self) -> str:
        """What is different from how it was found, or ``""``."""
        now = self.state()
        was = self.found.splitlines()
        return "" if now == self.found else "\n".join(line for line in now.splitlines() if line not in was) or "less"


def _tagged(which: str) -> dict[str, Any]:
    return {"Name": "tag:gameday:root-of", "Values": [which]}


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(each) for name, each in value.items() if name not in PASSING}
    if isinstance(value, list):
        return sorted(
            (_lasting(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True, default=str)
        )
    return value


def playbook(place: Path, machine: Machine, **changes: Any) -> Path:
    """The shipped playbook, quick: no stage, a probe that looks often, short limits."""
    expect = {
        "baseline": "unencrypted",
        "fault": {"becomes": "ok", "within": "60s"},
        "recovery": {"becomes": changes.get("recovery", "unencrypted"), "within": "30s"},
    }
    waits = dict.fromkeys(("stop_within", "snapshot_within", "volume_within", "attach_within"), "20s")
    fault = {"instance": machine.id, "key": "alias/MyKMSKey", **waits, **changes.get("fault", {})}
    looks = {"instance": machine.id, "key": "alias/MyKMSKey", **changes.get("probe", {})}
    text = {
        "playbook": "encrypt-root-volume",
        "probes": {"root": {"uses": "ec2.root_volume", "with": looks, "every": "100ms", "expect": expect}},
        "faults": [{"uses": "ec2.encrypt_root_volume", "with": fault, **changes.get("entry", {})}],
        "timing": {"hold": "0s", "max_fault": "90s", "rollback_within": "60s", "settle": "2s"},
    }
    path = place / f"{machine.name}-{time.monotonic_ns()}.yaml"
    path.write_text(yaml.safe_dump(text, sort_keys=False))
    return path


class Run:
    """One ``gameday run --json``, to its end or to its crash."""

    def __init__(
        self,
        place: Path,
        machine: Machine,
        *,
        at: str = "",
        log: Path | None = None,
        trouble_at: str = "",
        rule: dict[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        self.machine, self.journal = machine, place / f"{machine.name}.db"
        path = playbook(place, machine, **changes)
        trouble = {"at": trouble_at, "lab": machine.account.url, "rule": rule or {}}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GAMEDAY_", "XDG_"))}
        env = {**kept, "HOME": str(place), "CRASH_AT": at, "CRASH_LOG": str(log or "")}
        env["CRASH_TROUBLE"] = json.dumps(trouble)
        words = ["run", str(path), "--target", f"lab={machine.account.url}", "--journal", str(self.journal), "--json"]
        done = subprocess.run(
            [sys.executable, str(CRASH), *words], env=env, cwd=place, capture_output=True, text=True, timeout=PATIENCE
        )
        self.code, self.errors = done.returncode, done.stderr
        self.events = [dict(json.loads(line)["event"]) for line in done.stdout.splitlines() if line.startswith("{")]
        self.env = {**kept, "HOME": str(place)}

    @property
    def id(self) -> str:
        return str(next(event["run"] for event in self.events if event["kind"] == "run_started"))

    def reasons(self) -> str:
        """Its last word, whole."""
        return json.dumps(self.events[-1]) if self.events else self.errors

    def roll_back(self) -> tuple[str, ...]:
        """What ``gameday rollback`` does, a minute after the crash and ten times as fast."""
        later = datetime.now(UTC) + timedelta(minutes=1)
        return recover(
            SqlJournal(str(self.journal)),
            self.id,
            self.machine.account.session(self.id),
            within=600,
            exporter=_Silent(),
            clock=lambda: time.monotonic() * 10,
            wall=later,
        )

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``gameday`` itself, on the same journal."""
        program = [str(Path(sys.executable).with_name("gameday")), *words, "--journal", str(self.journal)]
        return subprocess.run(program, env=self.env, capture_output=True, text=True, timeout=PATIENCE)

    def open_steps(self) -> list[str]:
        """What the journal holds open."""
        return [state.record.id for state in SqlJournal(str(self.journal)).steps(only_open=True)]


class _Silent(Exporter):
    def consume(self, sealed: Sealed) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Nothing to close."""
