"""The real command as a process, on a lab: for the tests of journals and schedules."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import boto3
from botocore.config import Config

GAMEDAY = str(Path(sys.executable).with_name("gameday"))
PATIENCE = 40.0


_ANOTHER_MACHINE = """\
import os, socket
socket.gethostname = lambda: {machine!r}
if os.environ.get("TEST_SILENCE"):
    import gameday.journal.records
    gameday.journal.records.SILENCE = float(os.environ["TEST_SILENCE"])
if os.environ.get("TEST_LEASE"):
    from gameday.machine import others, run, state
    others.LEASE = run.LEASE = state.LEASE = float(os.environ["TEST_LEASE"])
"""
"""A process in which the host has another name, and others count as dead sooner."""


def environment(folder: Path, *, machine: str = "", at_start: str = "", **changes: str) -> dict[str, str]:
    """A newcomer's shell in a home of its own; ``machine`` is what the host is called there.

    ``at_start`` is code that every Python there runs before anything else.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GAMEDAY_", "XDG_"))}
    kept |= {"HOME": str(folder), "XDG_STATE_HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
    if machine or at_start:
        other = folder / f"as-{machine}"
        other.mkdir(exist_ok=True)
        code = _ANOTHER_MACHINE.format(machine=machine) if machine else ""
        (other / "sitecustomize.py").write_text(code + at_start)
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(other), kept.get("PYTHONPATH"))))
    return {**kept, **changes}


def gameday(
    folder: Path, *words: str, exit_code: int | None = 0, machine: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = subprocess.run(
        [GAMEDAY, *words],
        env=environment(folder, machine=machine, **env),
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=PATIENCE * 2,
    )
    assert exit_code is None or done.returncode == exit_code, (
        f"{words} -> {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done


def start(folder: Path, *words: str, machine: str = "", **env: str) -> subprocess.Popen[str]:
    """Run a command, and go on; standard error comes with standard output."""
    return subprocess.Popen(
        [GAMEDAY, *words],
        env=environment(folder, machine=machine, PYTHONUNBUFFERED="1", **env),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def until(told: subprocess.Popen[str], word: str) -> str:
    """Read what a process says up to a line with that word; the lines so far."""
    assert told.stdout is not None
    lines = ""
    for line in told.stdout:
        lines += line
        if word in line:
            return lines
    raise AssertionError(f"it ended without {word!r}:\n{lines}")


def eventually(true: Callable[[], object], what: str, within: float = PATIENCE) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill_all_of(folder: Path) -> int:
    """SIGKILL to every process whose home is this folder, at once, as their host's death would; how many."""
    mine = f"HOME={folder}\0".encode()
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if mine in (process / "environ").read_bytes() + b"\0":
                found.append(int(process.name))
    for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: none of them may see another die
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
    return len(found)


class World:
    """A key with an alias on a lab, a playbook that disables it, and an independent client's view of both."""

    def __init__(self, folder: Path, lab: str, name: str) -> None:
        plain = Config(retries={"total_max_attempts": 1}, proxies={})
        self._kms = boto3.Session("test", "test", region_name="us-east-1").client("kms", endpoint_url=lab, config=plain)
        self.lab, self.name, self.folder = lab, name, folder
        self.key = str(self._kms.create_key(Description=name)["KeyMetadata"]["Arn"])
        self._kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=self.key)

    def playbook(self, *, hold: str = "0s", more: str = "", folder: Path | None = None) -> Path:
        """A game day that disables the key for ``hold``."""
        file = (folder or self.folder) / f"{self.name}.yaml"
        text = f"""\
            playbook: {self.name}
            probes:
              key:
                uses: kms.state
                with: {{key: alias/{self.name}}}
                every: 100ms
                expect: {{baseline: ok, fault: key_disabled, recovery: ok}}
            faults:
              - uses: kms.disable_key
                with: {{key: alias/{self.name}}}
            timing: {{effect_within: 10s, hold: {hold}, max_fault: 1m, rollback_within: 20s, recover_within: 10s}}
            """
        file.write_text(dedent(text) + more)
        return file

    @property
    def state(self) -> str:
        """What KMS says of the key."""
        return str(self._kms.describe_key(KeyId=self.key)["KeyMetadata"]["KeyState"])

    def disable(self) -> None:
        """As somebody else does."""
        self._kms.disable_key(KeyId=self.key)
