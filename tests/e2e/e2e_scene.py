"""A scene: one journal, one lab, and the playbooks, worlds and runs of one test."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import yaml
from e2e_run import GAMEDAY, PATIENCE, Run, environment
from e2e_world import Independent, Line, Switchboard, World

from gameday.cli.history import print_status
from gameday.journal.sql import SqlJournal
from gameday.lab import LabProcess

T = TypeVar("T")
QUICK = {
    "effect_within": "15s",
    "hold": "0s",
    "max_fault": "30s",
    "rollback_within": "60s",
    "recover_within": "30s",
    "evidence_within": "10s",
    "settle": "2s",
}


class Gate:
    """A probe that becomes what the test says, so that a phase lasts until the test lets it end."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.probe = {
            "uses": "http.get",
            "with": {"url": line.url},
            "every": "50ms",
            "expect": {
                "baseline": {"becomes": "ok", "within": "30s"},
                "fault": {"becomes": "unhealthy", "within": "30s"},
                "recovery": {"becomes": "ok", "within": "30s"},
            },
        }

    def end_baseline(self) -> None:
        """Let the fault come."""
        self._line.say(200)

    def end_fault(self) -> None:
        """Let the rollback come."""
        self._line.say(503)

    def end_recovery(self) -> None:
        """Let the evidence, or the end, come."""
        self._line.say(200)


class Scene:
    """One test's surroundings.

    Parameters
    ----------
    place: a directory of its own, with the journal and the playbooks.
    """

    def __init__(self, place: Path, lab: LabProcess, aws: Independent, switchboard: Switchboard) -> None:
        self.place, self.lab, self.aws = place, lab.control, aws
        self._switchboard = switchboard
        self.journal = place / "journal.db"
        self.env = environment(place, GAMEDAY_JOURNAL=str(self.journal))
        self.runs: list[Run] = []
        self.worlds: list[World] = []

    def world(self, *, instance: bool = False) -> World:
        """A key and an object of this test's own, and an instance where asked."""
        world = World(self.aws, instance=instance)
        self.worlds.append(world)
        return world

    def line(self, status: int = 200) -> Line:
        """A web address that answers what the test says."""
        return self._switchboard.line(status)

    def gate(self, *, open_: bool = False) -> Gate:
        """A gate before the fault; ``open_`` lets the first one pass."""
        return Gate(self.line(200 if open_ else 503))

    def start(
        self,
        world: World,
        *words: str,
        program: Sequence[str] = GAMEDAY,
        as_json: bool = True,
        target: str = "",
        env: dict[str, str] | None = None,
        **playbook: Any,
    ) -> Run:
        """Start a run on a world, of a playbook made as :meth:`playbook` does."""
        path = self.playbook(world, **playbook)
        start = ["run", str(path), "--target", target or f"lab={self.lab.url}", *variables(world), *words]
        return self.begin(*start, *(["--json"] if as_json else []), program=program, env=env)

    def begin(self, *words: str, program: Sequence[str] = GAMEDAY, env: dict[str, str] | None = None) -> Run:
        """Start any command whose events matter."""
        run = Run(words, env={**self.env, **(env or {})}, cwd=self.place, program=program)
        self.runs.append(run)
        return run

    def written(self, run: Run, step: str = "kms.disable_key/disable") -> None:
        """Wait until the journal has it that the change was made.

        What kills the run before leaves a doubt, and whoever comes then waits out in earnest, for half a minute, what
        a call without an answer may still do.
        """
        run.wait("step_injected", step=step)
        query = "SELECT state FROM gameday_steps WHERE run = ? AND step = ?"
        deadline = time.monotonic() + PATIENCE
        with closing(sqlite3.connect(self.journal)) as journal:
            while journal.execute(query, (run.id, step)).fetchone() != ("injected",):
                assert time.monotonic() < deadline, f"{step}: not in the journal\n{run.tale()}"
                time.sleep(0.01)

    def command(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run another of gameday's commands to its end."""
        return subprocess.run(
            [*GAMEDAY, *words],
            env={**self.env, **(env or {})},
            cwd=self.place,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def status(self) -> int:
        """What ``gameday status --check`` says."""
        return self.command("status", "--check").returncode

    def playbook(self, world: World, **options: Any) -> Path:
        """Write a playbook; see :func:`playbook`."""
        path = self.place / f"{world.name}-{len(list(self.place.glob('*.yaml')))}.yaml"
        path.write_text(yaml.safe_dump(playbook(world, **options), sort_keys=False))
        return path

    def ends(self, run: Run, code: int, verdict: str) -> dict[str, Any]:
        """It ends with this exit code and verdict; returns its last event."""
        assert run.end() == code, run.tale()
        finished = run.finished
        assert (finished["exit_code"], finished["verdict"]) == (code, verdict), run.tale()
        return finished

    def settled(self) -> bool:
        """Nothing is open in the journal; to be asked again and again, for which a process would take too long."""
        return not SqlJournal(str(self.journal)).steps(only_open=True)

    def assert_restored(self) -> None:
        """Nothing is open in the journal, and AWS holds what was found, by an independent client's account."""
        try:  # as the command has it, without a process for it
            print_status(str(self.journal), check=True)
        except SystemExit as end:
            raise AssertionError(f"gameday status --check ends with {end.code}") from end
        for world in self.worlds:
            world.assert_as_found()

    def close(self) -> None:
        """End what still runs."""
        for run in self.runs:
            run.stop()

    def tale(self) -> str:
        """All runs, for a person who finds a test failed."""
        return "\n\n".join(run.tale() for run in self.runs)


def variables(world: World) -> list[str]:
    """The ``--var`` options that aim a playbook at a world."""
    found = ["--var", f"key={world.alias}", "--var", f"bucket={world.name}"]
    return found + (["--var", f"instance={world.name}"] if world.instance else [])


def playbook(
    world: World,
    *,
    boot: bool | None = None,
    read: bool = True,
    state: bool = True,
    every: str = "100ms",
    gate: Gate | None = None,
    guard: Line | None = None,
    evidence: dict[str, str] | None = None,
    probes: dict[str, Any] | None = None,
    timing: dict[str, str] | None = None,
    switch: dict[str, str] | None = None,
    fault: str = "kms.disable_key",
    fault_with: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The kill switch, as short as a test likes it."""
    effect = "key_pending_deletion" if fault == "kms.schedule_deletion" else "key_disabled"
    dark = {"baseline": "ok", "fault": effect, "recovery": "ok"}
    found: dict[str, Any] = {}
    names = {"key": "alias/nobody", "bucket": "nobody"}
    if state:
        found["key-state"] = {"uses": "kms.state", "with": {"key": "${key}"}, "every": every, "expect": dark}
    if read:
        where = {"bucket": "${bucket}", "key": "clock.png"}
        found["read-clock"] = {"uses": "s3.read", "with": where, "every": every, "expect": dark}
    if gate is not None:
        found["gate"] = gate.probe
    if bool(world.instance) if boot is None else boot:
        names["instance"] = "nobody"
        found["boot-instance"] = {
            "uses": "ec2.boot",
            "with": {"instance": "${instance}"},
            "once": "per phase",
            "expect": {
                "baseline": "ok",
                "fault": {"becomes": ["key_disabled", "boot_refused"], "within": "15s"},
                "recovery": {"becomes": "ok", "within": "15s"},
            },
        }
    if evidence is not None:
        found["smoking-gun"] = {
            "uses": "cloudtrail.event",
            "with": evidence,
            "every": "200ms",
            "expect": {"evidence": "found"},
        }
    made: dict[str, Any] = {
        "playbook": "killswitch",
        "vars": names,
        "probes": {**found, **(probes or {})},
        "faults": [{"uses": fault, "with": fault_with or {"key": "${key}"}}],
        "timing": {**QUICK, **(timing or {})},
    }
    if switch is not None:
        made["dead_man_switch"] = switch
    if guard is not None:
        watch = {"uses": "http.get", "with": {"url": guard.url}, "every": "50ms", "fails": "2 of 3"}
        made["guards"] = {"shop": watch}
    return made


def together(work: Callable[[T], None], items: Iterable[T]) -> None:
    """Do the same with each, at the same time; what fails is said of all that failed."""
    every = list(items)
    with ThreadPoolExecutor(len(every)) as pool:
        futures = [(item, pool.submit(work, item)) for item in every]
    failed = [(item, error) for item, future in futures if (error := future.exception())]
    for item, error in failed:
        error.add_note(f"with {item!r}")
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        raise BaseExceptionGroup("several failed", [error for _, error in failed])
