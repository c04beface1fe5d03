"""Killed at every point of every shipped playbook: the watchdog alone, or ``gameday rollback`` alone, restores all.

The points are enumerated, not sampled: a run that is not killed writes down what it passes, and each of them is then
the end of a run of its own. ``GAMEDAY_CRASH_MATRIX`` says which playbooks: ``all``, or names with commas between them.
Without it a thin slice is taken: where AWS has been asked, or has done it, and nobody has heard.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deep_state import Witness

from gameday.lab import LabProcess, start

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
TRIPWIRE = Path(__file__).with_name("tripwire.py")
ASKED = os.environ.get("GAMEDAY_CRASH_MATRIX", "")
CASES = {
    "killswitch": ("killswitch", ()),
    "killswitch-with-switch": ("killswitch", ()),
    "spare-volume": ("spare-volume", ()),
    "schedule-deletion": ("schedule-deletion", ()),
    "revoke-by-policy": ("revoke-by-policy", ()),
    "revoke-by-iam": ("revoke-by-iam", ()),
    "public-access-acl": ("public-access", ("how=acl",)),
    "public-access-policy": ("public-access", ("how=policy",)),
    "encrypt-root-volume": ("encrypt-root-volume", ()),
    "authenticated-access": ("authenticated-access", ()),
    "audit-trail": ("audit-trail", ()),
}
"""Every shipped playbook, with the values of variables that are worth a run of their own."""
WHOLE = list(CASES) if ASKED == "all" else [name for name in ASKED.split(",") if name]
SLICE = {
    ("killswitch-with-switch", "rollback"): ("answered DisableKey #1", "sent DisableKey #1", "sent CreateSchedule #1"),
    ("encrypt-root-volume", "rollback"): ("answered DetachVolume #1", "answered AttachVolume #1"),
    ("killswitch-with-switch", "watchdog"): ("written journal injected #2",),
}
MENDS = tuple(os.environ.get("GAMEDAY_CRASH_MENDS", "rollback,watchdog").split(","))
SHARDS = 6 // len(MENDS)
"""Labs side by side, each for a part of the points: a crash is mostly waited for."""
PATIENCE = 60.0
"""Seconds that a watchdog has: it waits out in earnest what a call without an answer may still do."""
SWITCH = """
dead_man_switch: {role: role/gameday-switch, margin: 1m}
stage:
  - uses: iam.role
    with: {name: gameday-switch, trusts: scheduler.amazonaws.com, actions: ["kms:EnableKey", "kms:CancelKeyDeletion"]}
"""


def test_every_shipped_playbook_has_its_place() -> None:
    assert {name for name, _ in CASES.values()} == {path.stem for path in PLAYBOOKS.glob("*.yaml")}


class ForkServer:
    """``tripwire.py --serve``: everything is imported once, and each command is a process of its own all the same."""

    def __init__(self, place: Path) -> None:
        self._place = place
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GAMEDAY_", "XDG_"))}
        self._process = subprocess.Popen(
            [sys.executable, str(TRIPWIRE), "--serve"],
            env={**kept, "HOME": str(place)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said = place / "said"
        self.journals = 0

    def begin_anew(self) -> None:
        """Go on with a journal of its own: the holds of a dead run stay for as long as a call of its may still land."""
        self.journals += 1

    def run(self, *words: str, **env: str) -> int:
        """Run the command to its end, or to its crash; returns the exit code."""
        assert self._process.stdin is not None and self._process.stdout is not None
        clean = {
            "CRASH_AT": "",
            "CRASH_LOG": "",
            "GAMEDAY_JOURNAL": str(self._place / f"journal-{self.journals}.db"),
            **env,
        }
        where = {"cwd": str(self._place), "out": str(self.said), "err": f"{self.said}.errors"}
        self._process.stdin.write(json.dumps({"words": words, "env": clean, **where}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def tale(self) -> str:
        """What the last command said."""
        return "\n".join(Path(f"{self.said}{end}").read_text()[-1500:] for end in ("", ".errors"))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@dataclass
class Matrix:
    """One playbook on a lab of its own, killed again and again."""

    name: str
    mend: str
    place: Path
    lab: LabProcess
    server: ForkServer = field(init=False)
    visited: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server, self._witness = ForkServer(self.place), Witness(self.lab.url)
        shipped, values = CASES[self.name]
        self._env = {"CRASH_ALONE": "" if self.mend == "watchdog" else "yes"}
        self._words = ["run", str(self._quick(shipped)), "--target", f"lab={self.lab.url}"]
        self._words += [word for value in values for word in ("--var", value)]

    def _quick(self, shipped: str) -> Path:
        """The shipped playbook, which holds nothing longer than needed and looks often."""
        text = (PLAYBOOKS / f"{shipped}.yaml").read_text()
        for slow, quick in (
            ("hold: 5s", "hold: 0s"),
            ("every: 1s", "every: 50ms"),
            ("timing: {", "timing: {settle: 1s, "),
            ("look_back: 90d", "look_back: 1m"),  # over the events of hundreds of runs, two pages a second
        ):
            text = text.replace(slow, quick)
        if self.name.endswith("-with-switch"):
            text = text.replace("\nstage:", SWITCH.rstrip(), 1).replace("stage:                     #", "#")
        path = self.place / f"{shipped}.yaml"
        path.write_text(text)
        return path

    def points(self) -> list[str]:
        """What a run passes that is not killed; the second one, which finds its stage made."""
        log = self.place / "points"
        for env in ({}, {"CRASH_LOG": str(log)}):
            assert self.server.run(*self._words, **self._env, **env) == 0, self.server.tale()
        self.found = self._witness.state()
        return log.read_text().splitlines()

    def visit(self, point: str) -> None:
        """Kill a run there, have it mended, and compare the whole account."""
        for _ in range(3):  # threads take turns: a point may come once more or once less
            self.server.begin_anew()
            code = self.server.run(*self._words, **self._env, CRASH_AT=point)
            if code == 137:
                break
            if code != 0:
                self.wrong.append(f"{point}: exit code {code}: {self.server.tale()}")
                return
        else:
            self.missed.append(point)
            return
        self.visited.append(point)
        if why := self._watched() if self.mend == "watchdog" else self._rolled_back(point):
            self.wrong.append(f"{point}: {why}")
            self.server.run("rollback", "--all")  # so that the next one begins anew

    def _rolled_back(self, point: str) -> str:
        if point.startswith("sent "):  # let it land
            time.sleep(0.1)
        if self.server.run("rollback", "--all") != 0:
            return f"the rollback failed: {self.server.tale()}"
        return self._still_wrong()

    def _watched(self) -> str:
        """Nobody does anything but the watchdog."""
        until = time.monotonic() + PATIENCE
        while (why := self._still_wrong()) and time.monotonic() < until:
            time.sleep(0.2)
        return why

    def _still_wrong(self) -> str:
        if self.server.run("status", "--check") != 0:
            return f"something is open: {self.server.tale()}"
        now = self._witness.state()
        changed = [f"+{line}" for line in now if line not in self.found]
        changed += [f"-{line}" for line in self.found if line not in now]
        return "" if now == self.found else " ".join(changed) or "less is there"

    @classmethod
    def of(cls, parts: list[Matrix]) -> Matrix:
        """The first, with what the others have found, each on a lab of its own."""
        whole, *rest = parts
        for part in rest:
            whole.visited += part.visited
            whole.missed += part.missed
            whole.wrong += part.wrong
        return whole

    def report(self) -> str:
        """How many points there were, and what came of them."""
        missed = f", {len(self.missed)} not reached again ({', '.join(self.missed)})" if self.missed else ""
        count = f"{len(self.visited)} crash points visited, {len(self.wrong)} wrong"
        return f"{self.name}, mended by {self.mend}: {count}{missed}"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("crash")


def tell(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    with capsys.disabled():
        sys.stdout.write("".join(f"\n[{line}]" for line in lines))


def visited(name: str, mend: str, place: Path, only: tuple[str, ...] = (), *, shard: int = 0) -> Matrix:
    here = place / f"{name}-{mend}-{shard}"
    here.mkdir()
    with start("instant") as lab:
        matrix = Matrix(name, mend, here, lab)
        try:
            matrix.points()
            for point in only:
                matrix.visit(point)
        finally:
            matrix.server.close()
    return matrix


def every_point(name: str, place: Path) -> tuple[str, ...]:
    """What a run of the playbook passes."""
    here = place / f"{name}-points"
    here.mkdir()
    with start("instant") as lab:
        matrix = Matrix(name, "rollback", here, lab)
        try:
            return tuple(matrix.points())
        finally:
            matrix.server.close()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", WHOLE)
def test_wherever_it_is_killed_the_account_is_restored(
    name: str, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = every_point(name, places)
    shards = [(mend, shard) for mend in MENDS for shard in range(SHARDS)]
    with ThreadPoolExecutor(len(shards)) as pool:
        parts = list(pool.map(lambda of: visited(name, of[0], places, points[of[1] :: SHARDS], shard=of[1]), shards))
    for mend in MENDS:
        whole = Matrix.of([part for part in parts if part.mend == mend])
        tell(capsys, f"{len(points)} points; {whole.report()}")
        assert not whole.wrong, "\n".join(whole.wrong)
        assert len(whole.visited) > 10
        assert len(whole.missed) <= len(whole.visited) // 10


@pytest.mark.skipif(bool(WHOLE), reason="the whole matrix is asked for")
def test_where_most_is_at_stake_the_account_is_restored(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {case: points for case, points in SLICE.items() if case[1] in MENDS}
    with ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(lambda one: visited(*one[0], places, one[1]), asked.items()))
    tell(capsys, *(matrix.report() for matrix in found))
    assert not [wrong for matrix in found for wrong in matrix.wrong]
    assert [matrix.visited for matrix in found] == [list(points) for points in asked.values()]
