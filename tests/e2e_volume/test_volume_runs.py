"""encrypt-root-volume as a command: its exit codes, what stays, and AWS on a bad day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from volume_world import PATIENCE, Account, Machine, Run

from gameday.lab import LabControl


@pytest.fixture(scope="module")
def shared(account: Account) -> Machine:
    return account.instance("runs")


@pytest.fixture
def machine(shared: Machine) -> Machine:
    """As it was found, whatever the test before did to it."""
    assert shared.as_found() == ""
    return shared


def test_it_passes_and_leaves_all_as_it_was(place: Path, machine: Machine) -> None:
    run = Run(place, machine)
    assert run.code == 0, run.reasons()
    assert machine.as_found() == ""
    assert run.open_steps() == []


def test_the_shipped_playbook_passes(place: Path, account: Account) -> None:
    gameday = str(Path(sys.executable).with_name("gameday"))
    words = [gameday, "run", "encrypt-root-volume", "--target", f"lab={account.url}", "--journal", str(place / "j.db")]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout


def test_a_stopped_instance_stays_stopped(place: Path, account: Account) -> None:
    stopped = account.instance("stopped")
    account.ec2.stop_instances(InstanceIds=[stopped.id])
    stopped.found = stopped.state()
    run = Run(place, stopped, probe={"boots": "false"})
    assert run.code == 0, run.reasons()
    assert stopped.as_found() == ""


def test_a_volume_that_comes_up_unencrypted_fails_the_run(place: Path, machine: Machine, lab: LabControl) -> None:
    lab.knobs(encrypt_volumes=False)
    run = Run(place, machine)
    assert run.code == 1, run.reasons()
    assert "came up unencrypted" in run.reasons()
    assert machine.as_found() == ""


def test_a_call_that_is_refused_on_the_way_fails_the_run(place: Path, machine: Machine, lab: LabControl) -> None:
    rule = {"kind": "refuse", "operation": "CreateVolume", "code": "InvalidParameterValue", "message": "no such key"}
    run = Run(place, machine, trouble_at="before CreateVolume #1", rule=rule)
    assert run.code == 1, run.reasons()
    assert "no such key" in run.reasons()
    assert machine.as_found() == ""


def test_a_disabled_key_is_refused_before_anything_is_touched(place: Path, machine: Machine, account: Account) -> None:
    account.kms.disable_key(KeyId=account.key)
    try:
        run = Run(place, machine)
    finally:
        account.kms.enable_key(KeyId=account.key)
    assert run.code == 5, run.reasons()
    assert "is Disabled, not Enabled" in run.reasons()
    assert machine.as_found() == ""


SILENT = ["CreateVolume #1", "AttachVolume #1", "AttachVolume #2"]  # the last one is an undo
if os.environ.get("GAMEDAY_CRASH_MATRIX") == "all":
    SILENT += ["CreateTags #1", "CreateSnapshot #1", "DetachVolume #1", "StartInstances #1"]
    SILENT += ["DetachVolume #2", "DeleteVolume #1", "DeleteSnapshot #1", "StartInstances #2"]


@pytest.mark.parametrize("kind", ["lost_response", "late_effect"])
def test_a_call_without_an_answer_is_made_once_and_all_the_same_undone(
    place: Path, account: Account, lab: LabControl, kind: str
) -> None:
    """Each on a machine of its own and side by side: the trouble is for the run's own calls."""

    def told(call: str) -> str:
        machine = account.instance(f"{kind}-{call.replace(' #', '-')}")
        rule = {"kind": kind, "operation": call.split(" #")[0], "seconds": 6}
        run = Run(place, machine, trouble_at=f"before {call}", rule=rule)
        made = [event["certain"] for event in run.events if event["kind"] == "step_injected"]
        unheard = made.count(False) + [event["ok"] for event in run.events if event["kind"] == "undo_tried"].count(
            False
        )
        wrong = machine.as_found() or "; ".join(run.open_steps())
        if (run.code, wrong) != (0, "") or unheard < 1 or len(made) != 8:
            return f"{call} {kind}: exit code {run.code}, {unheard} unheard of {len(made)}: {wrong} {run.reasons()}"
        return ""

    with ThreadPoolExecutor(3) as pool:
        found = [each for each in pool.map(told, SILENT) if each]
    assert not found, "\n".join(found)


def test_with_keep_the_encrypted_volume_stays_and_the_old_one_is_found_by_its_tag(
    place: Path, account: Account
) -> None:
    machine = account.instance("kept")
    (old,) = _root(account, machine)
    run = Run(place, machine, entry={"keep": True}, recovery="ok")
    assert run.code == 0, run.reasons()
    (new,) = _root(account, machine)
    assert (new["Encrypted"], new["KmsKeyId"]) == (True, account.key)
    kept = account.ec2.describe_volumes(Filters=[{"Name": "tag:gameday:kept-by-run", "Values": [run.id]}])["Volumes"]
    assert [each["VolumeId"] for each in kept] == [old["VolumeId"]]
    assert kept[0]["State"] == "available"
    assert {event["closed"] for event in run.events if event["kind"] == "step_closed"} == {"kept"}
    assert json.loads(machine.state())  # it is there, and runs
    assert run.command("status", "--check").returncode == 0


def _root(account: Account, machine: Machine) -> list[dict[str, object]]:
    at = [
        {"Name": "attachment.instance-id", "Values": [machine.id]},
        {"Name": "attachment.device", "Values": ["/dev/xvda"]},
    ]
    return list(account.ec2.describe_volumes(Filters=at)["Volumes"])
