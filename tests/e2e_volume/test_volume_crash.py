"""Killed at every point of encrypt-root-volume, then rolled back: the instance runs from its old volume again.

Every point is visited with ``GAMEDAY_CRASH_MATRIX=all``; without it, those after which most is at stake.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest
from volume_world import Account, Machine, Run

AT_ONCE = 4
EVERYTHING = os.environ.get("GAMEDAY_CRASH_MATRIX") == "all"
STEPS = ("mark", "stop", "snapshot", "volume", "detach", "attach", "delete-on-termination", "start")

pytestmark = pytest.mark.timeout(1800 if EVERYTHING else 180)


class Crashes:
    """A few machines, on each of which one run after the other is killed.

    Parameters
    ----------
    points: the points of a run, in the order in which one that is not killed reaches them.
    """

    def __init__(self, account: Account, place: Path) -> None:
        self.place, self._free = place, SimpleQueue[Machine]()
        machines = [account.instance(f"crash-{number}") for number in range(AT_ONCE)]
        for machine in machines:
            self._free.put(machine)
        log = place / "points"
        whole = Run(place, machines[0], log=log)
        assert whole.code == 0, whole.reasons()
        assert machines[0].as_found() == ""
        self.points = log.read_text().splitlines()

    def at(self, point: str, mend: Callable[[Run], str]) -> str:
        """Kill a run there, mend it, and say what is wrong then, or ``""``."""
        machine = self._free.get()
        try:
            run = Run(self.place, machine, at=point)
            if run.code != 137:
                return f"{point}: was not reached, exit code {run.code}: {run.reasons()}"
            wrong = mend(run)
            left = run.open_steps()
            return "\n".join(f"{point}: {each}" for each in (wrong, machine.as_found(), *left) if each)
        finally:
            self._free.put(machine)

    def all_of(self, points: list[str], mend: Callable[[Run], str]) -> None:
        """Each of them, a few at once; fails with all that is wrong."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(lambda point: self.at(point, mend), points))
        assert not any(found), "\n".join(each for each in found if each)


@pytest.fixture(scope="module")
def crashes(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Crashes:
    return Crashes(account, tmp_path_factory.mktemp("crashes"))


def in_process(run: Run) -> str:
    """Roll back as the command does; quicker, and with a clock that does not wait out what cannot come."""
    return "; ".join(run.roll_back()) if run.open_steps() else ""


def by_command(run: Run) -> str:
    """``gameday rollback`` itself, with all its patience."""
    done = run.command("rollback", run.id)
    return "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stdout}{done.stderr}"


def test_the_points_are_those_of_every_step(crashes: Crashes) -> None:
    calls = ["CreateTags", "StopInstances", "CreateSnapshot", "CreateVolume", "DetachVolume", "AttachVolume"]
    calls += ["ModifyInstanceAttribute", "StartInstances", "DeleteVolume", "DeleteSnapshot", "DeleteTags"]
    for call in calls:
        assert {f"before {call} #1", f"answered {call} #1"} <= set(crashes.points)
    for kind in ("intend", "injected", "close"):
        for number in range(1, len(STEPS) + 1):
            assert {f"before journal {kind} #{number}", f"written journal {kind} #{number}"} <= set(crashes.points)


def test_wherever_it_is_killed_the_rollback_boots_it_from_its_old_volume(
    crashes: Crashes, capsys: pytest.CaptureFixture[str]
) -> None:
    points = crashes.points
    if not EVERYTHING:  # AWS has done it, and nobody has heard
        points = [each for each in points if each.startswith("answered ")]
    crashes.all_of(points, in_process)
    with capsys.disabled():
        sys.stdout.write(f"\n[{len(points)} of {len(crashes.points)} crash points visited, each restored]\n")


def test_the_command_itself_restores_what_a_killed_run_has_left(crashes: Crashes) -> None:
    more = ["answered DetachVolume #1", "posted Injected #8"] if EVERYTHING else []
    crashes.all_of(["answered AttachVolume #1", *more], by_command)
