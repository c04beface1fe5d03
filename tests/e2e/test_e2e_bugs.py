"""Bugs planted in gameday itself: whatever breaks, the key comes back, and the exit code tells it from a verdict."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGABRT, SIGINT

import pytest
from e2e_run import GAMEDAY, PATIENCE
from e2e_scene import Scene, variables
from e2e_stories import Stories, Story

from tests.processes import eventually

pytestmark = pytest.mark.timeout(90)

CONTROL = """
from gameday.engine import control
from gameday.machine.inputs import Injected
real, seen = control.handle, []

def broken(run, event):
    seen.append(isinstance(event, Injected) and not run.steps[event.step].spec.probe)
    if any(seen):
        raise RuntimeError("planted")
    return real(run, event)

control.handle = broken
"""
ABORT = """
import os
from gameday.engine import control
from gameday.machine.inputs import Injected
from gameday.rollback import rescue
real, roll_back, left = control.handle, rescue.roll_back, [1, 2]

def broken(run, event):
    if isinstance(event, Injected) and not run.steps[event.step].spec.probe:
        os.abort()
    return real(run, event)

def short_of_memory(*words, **names):
    if left:
        left.pop()
        raise MemoryError
    return roll_back(*words, **names)

control.handle, rescue.roll_back = broken, short_of_memory
"""
SEAL = """
from gameday.engine import stream
real, seen = stream.seal, []

def broken(run, seq, at, previous, event):
    seen.append(event.kind == "step_injected")
    if any(seen):
        raise RuntimeError("planted")
    return real(run, seq, at, previous, event)

stream.seal = broken
"""
PREPARE = """
from gameday.engine import control

def broken(*_, **__):
    raise RuntimeError("planted")

control.prepare = broken
"""
EXPORTER = """
from exporters.lines import PlainLines

def broken(self, sealed):
    raise RuntimeError("planted")

PlainLines.consume = broken
"""
PROBE = """
from probes.s3_read import S3Read
real = S3Read.observe

def broken(self, aws):
    seen = real(self, aws)
    if seen.cause != "ok":
        raise RuntimeError("planted")
    return seen

S3Read.observe = broken
"""
MAIN = "\nfrom gameday.cli import main\n\nmain()\n"


def planted(scene: Scene, plant: str) -> list[str]:
    """gameday with a bug in it."""
    path = Path(scene.place / "planted.py")
    path.write_text(plant + MAIN)
    return [sys.executable, str(path)]


def a_bug_in_the_driver_after_the_inject(scene: Scene) -> None:
    """While the boot probe looks, too: its instance comes back as well."""
    run = scene.start(scene.world(instance=True), program=planted(scene, CONTROL))
    finished = scene.ends(run, 70, "aborted")
    assert "bug" in finished["story"]
    assert "planted" in run.errors
    assert "Traceback" in run.errors, "for the report"
    run.sealed()


def a_bug_in_the_stream_of_events_after_the_inject(scene: Scene) -> None:
    """Nothing can be told any more, and the key comes back all the same."""
    run = scene.start(scene.world(), program=planted(scene, SEAL))
    assert run.end() == 70, run.tale()
    assert scene.worlds[0].disables() == 1


def a_bug_while_nobody_reads_what_is_said(scene: Scene) -> None:
    """``gameday run … 2>&1 | less``: the report of the bug must not come before the rollback."""
    world = scene.world()
    words = ["run", str(scene.playbook(world)), "--target", f"lab={scene.lab.url}", *variables(world)]
    program = planted(scene, CONTROL)
    with (
        full_pipe() as pipe,
        subprocess.Popen([*program, *words], stdout=pipe, stderr=pipe, env=scene.env, cwd=scene.place) as process,
    ):
        try:
            code: int | str = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = "it hangs"
            process.kill()
    assert world.disables() == 1
    assert (world.key_state, code) == ("Enabled", 70)


def a_journal_that_stays_locked_ends_the_run_and_the_key_is_back(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="read-clock", phase="fault")
    with sqlite3.connect(scene.journal, isolation_level=None) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        run.end()
        lock.execute("ROLLBACK")
    lock.close()
    finished = scene.ends(run, 3, "aborted")
    assert "journal" in finished["story"]
    world.assert_as_found()
    assert "journal" in run.errors, "the journal does not hold how it ended, and that is said"
    said = scene.command("status")
    assert "took in" in said.stdout, "a receipt held what the journal did not take"
    assert scene.status() == 0


def a_runner_that_aborts_and_a_watchdog_that_is_short_of_memory_at_first(scene: Scene) -> None:
    """As where memory runs out: the runner dies by SIGABRT, and the watchdog tries until it has what it needs."""
    run = scene.start(scene.world(), program=planted(scene, ABORT))
    assert run.end() == -SIGABRT
    assert scene.worlds[0].disables() == 1
    eventually(lambda: scene.worlds[0].key_state == "Enabled", "the key is back")
    eventually(lambda: scene.status() == 0, "and the journal says so")


STORIES: list[Story] = [
    a_runner_that_aborts_and_a_watchdog_that_is_short_of_memory_at_first,
    a_bug_in_the_driver_after_the_inject,
    a_bug_in_the_stream_of_events_after_the_inject,
    a_bug_while_nobody_reads_what_is_said,
    a_journal_that_stays_locked_ends_the_run_and_the_key_is_back,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_bug(stories: Stories, story: Story) -> None:
    stories.end_of(story).assert_restored()


def test_a_bug_in_preflight_touches_nothing(scene: Scene) -> None:
    world = scene.world()
    scene.ends(scene.start(world, program=planted(scene, PREPARE)), 70, "aborted")
    assert world.disables() == 0
    scene.assert_restored()


def test_a_bug_in_an_exporter_does_not_disturb_the_run(scene: Scene) -> None:
    run = scene.start(scene.world(), program=planted(scene, EXPORTER))
    scene.ends(run, 0, "passed")
    assert "planted" in run.errors
    run.sealed()
    scene.assert_restored()


def test_a_bug_in_a_probe_is_a_failed_expectation(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, program=planted(scene, PROBE), timing={"effect_within": "1s", "recover_within": "1s"})
    finished = scene.ends(run, 1, "failed")
    assert "read-clock" in finished["story"]
    assert world.disables() == 1
    scene.assert_restored()


def test_a_run_that_nobody_reads_ends_all_the_same(scene: Scene) -> None:
    world = scene.world()
    words = ["run", str(scene.playbook(world)), "--target", f"lab={scene.lab.url}", *variables(world), "--json"]
    with full_pipe() as pipe:
        done = subprocess.run(
            [*GAMEDAY, *words], stdout=pipe, stderr=pipe, env=scene.env, cwd=scene.place, timeout=PATIENCE, check=False
        )
    assert done.returncode == 0
    assert world.disables() == 1
    scene.assert_restored()


def test_a_journal_that_another_process_locks_does_not_hold_up_a_signal(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="read-clock", phase="fault")
    with sqlite3.connect(scene.journal, isolation_level=None) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        run.send(SIGINT)
        run.wait("rollback_finished", complete=True)
        assert world.key_state == "Enabled"
        lock.execute("ROLLBACK")
    lock.close()
    scene.ends(run, 3, "aborted")
    undone, asked = run.of("undo_tried")[0]["answered"], run.of("interruption")[0]["at"]
    assert undone - asked < 2
    scene.assert_restored()


@contextmanager
def full_pipe() -> Iterator[int]:
    """A pipe into which nothing more goes, and which nobody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    yield writer
    os.close(writer)
    os.close(reader)
