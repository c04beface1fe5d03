"""A lab with policies enforced, staged for one playbook, and roles that may do exactly what is printed, or less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from gameday.lab import LabProcess, start
from gameday.playbook import Playbook, find, load
from gameday.sdk import InvasiveProbe, Step

GAMEDAY = Path(sys.executable).with_name("gameday")
ACCOUNT, REGION = "123456789012", "us-east-1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}


@dataclass
class Account:
    """An account on a lab of its own, and the command to run on it."""

    lab: LabProcess
    home: Path
    _roles: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.lab.url, region_name=REGION, **keys)

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**clean, "GAMEDAY_JOURNAL": str(self.home / "journal.db"), "HOME": str(self.home)}

    def gameday(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        given = {**self._environment(), **env}
        return subprocess.run([GAMEDAY, *words], env=given, capture_output=True, text=True, timeout=100, check=False)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """The command, left to run."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen([GAMEDAY, *words], env=self._environment(), text=True, start_new_session=True, **pipes)

    def on_lab(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.gameday(*words, "--target", f"lab={self.lab.url}")

    def made(self, policy: dict[str, Any], trust: dict[str, Any] = TRUST, path: str = "/") -> str:
        """The name of a new role with this policy."""
        name = f"runner-{len(self._roles)}"
        self._roles.append(name)
        iam = self.client("iam")
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="printed", PolicyDocument=json.dumps(policy))
        return name

    def role(self, policy: dict[str, Any], path: str = "/") -> dict[str, str]:
        """A new role with this policy, assumed: what the environment of a run holds."""
        arn = f"arn:aws:iam::{ACCOUNT}:role{path}{self.made(policy, path=path)}"
        given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="tester", DurationSeconds=14400)[
            "Credentials"
        ]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
            "AWS_CREDENTIAL_EXPIRATION": given["Expiration"].isoformat(),
            "AWS_ENDPOINT_URL": self.lab.url,
        }

    def run_as(
        self, role: dict[str, str], playbook: Playbook, path: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A run that takes the lab for a real account; of the playbook as it ships, or of a copy."""
        values = [word for name, value in playbook.vars.items() for word in ("--var", f"{name}={value}")]
        where = ["--target", "aws", "--account", ACCOUNT, "--region", REGION]
        return self.gameday("run", str(path or playbook.source), *where, *values, **role)


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with start("instant") as lab:
        yield Account(lab, tmp_path_factory.mktemp("home"))


def shipped(name: str) -> Playbook:
    return load(find(name))


def changes(playbook: Playbook) -> set[str]:
    """Every action that inject or undo calls."""
    probes = [use.part for use in playbook.probes.values() if isinstance(use.part, InvasiveProbe)]
    key = {"key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/pinned"}  # the ARNs do not count here, but some steps need one
    faults = [u.part.model_copy(update=key) if hasattr(u.part, "key") else u.part for u in playbook.faults]
    steps: list[Step] = [step for fault in faults for step in fault.steps()]
    steps += [step for probe in probes for step in probe.steps()]
    return {action for step in steps for action in (*step.calls.inject, *step.calls.undo)}
