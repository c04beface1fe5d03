"""The second line of defence: whatever becomes of the runner, its watchdog puts the key back, and says so."""

from __future__ import annotations

import os
import pty
import select
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import pytest
from e2e_run import GAMEDAY, PATIENCE, Run
from e2e_scene import Scene, variables
from e2e_stories import Stories, Story
from e2e_world import World

from gameday.journal.sql import SqlJournal

pytestmark = pytest.mark.timeout(120)
SOON = 1.5
"""Seconds from the runner's end to the call; benchmarks/rollback.py measures it, this only bounds it on any machine."""


def in_the_fault(scene: Scene, *, instance: bool = False, **options: Any) -> tuple[Run, World]:
    """A run whose fault lasts until somebody ends it."""
    world = scene.world(instance=instance)
    gate = scene.gate(open_=True)
    gate.probe["expect"]["fault"]["within"] = options.get("timing", {}).get("max_fault", "30s")
    run = scene.start(world, gate=gate, **options)
    run.wait("expectation_met", probe="boot-instance" if instance else "read-clock", phase="fault")
    scene.written(run)
    assert world.key_state == "Disabled"
    return run, world


def until(true: Callable[[], object], what: str, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {within:g} s"
        time.sleep(0.05)


def enabled_after(scene: Scene, run: Run, since: float) -> float:
    """Seconds until EnableKey came in at the lab; and the watchdog has written it all down."""
    calls = [c["time"] for c in scene.lab.calls("kms", "EnableKey") if f"gameday/{run.id}" in c["user_agent"]]
    after = [at - since for at in calls if at > since]
    return min(after, default=float("inf"))


def told(scene: Scene, run: Run) -> str:
    """The run as the journal has it, once the watchdog has finished it."""
    until(scene.settled, "the journal says so")
    until(lambda: SqlJournal(str(scene.journal)).run(run.id).verdict, "the watchdog has finished it")
    assert scene.status() == 0
    assert "aborted" in scene.command("history").stdout
    shown = scene.command("show", run.id)
    assert shown.returncode == 0
    return shown.stdout


def the_runner_is_killed_with_the_key_off(scene: Scene) -> None:
    run, world = in_the_fault(scene, instance=True)
    since = time.time()
    run.send(SIGKILL)
    assert run.end() == -SIGKILL
    until(lambda: world.key_state == "Enabled", "the key is enabled")
    assert enabled_after(scene, run, since) < SOON
    said = told(scene, run)
    assert "rolling back by watchdog: the runner has ended without a word" in said
    assert "the watchdog did" in said
    assert f"{run.id}" in scene.command("history").stdout
    assert world.disables() == 1


def the_whole_process_group_is_killed(scene: Scene) -> None:
    run, world = in_the_fault(scene)
    os.killpg(run.process.pid, SIGKILL)
    run.end()
    until(lambda: world.key_state == "Enabled", "the key is enabled")
    told(scene, run)


def a_runner_that_stands_still_past_max_fault_is_killed_first(scene: Scene) -> None:
    """And so it cannot wake up past its fence and inject."""
    run, world = in_the_fault(scene, timing={"max_fault": "3s", "effect_within": "3s"})
    run.send(SIGSTOP)
    assert run.end() == -SIGKILL, "it never wakes up again"
    with suppress(ProcessLookupError):
        os.kill(run.process.pid, SIGCONT)
    until(lambda: world.key_state == "Enabled", "the key is enabled")
    assert "past its limit" in told(scene, run)
    assert world.disables() == 1


def without_its_watchdog_nothing_is_broken(scene: Scene) -> None:
    world, gate = scene.world(), scene.gate()
    run = scene.start(world, gate=gate)
    run.wait("expectation_met", probe="read-clock", phase="baseline")
    run.kill_watchdog()
    assert "watchdog" in scene.ends(run, 5, "refused")["story"]
    assert world.disables() == 0


def a_watchdog_that_stands_still_is_waited_for_and_nothing_is_broken(scene: Scene) -> None:
    """It must say that it holds a step before the step's change is made, and it says nothing."""
    world, gate = scene.world(), scene.gate()
    run = scene.start(world, gate=gate)
    run.wait("expectation_met", probe="read-clock", phase="baseline")
    run.stop_watchdog()
    gate.end_baseline()
    assert "watchdog" in scene.ends(run, 5, "refused")["story"]
    assert world.disables() == 0
    os.kill(run.watchdog, SIGCONT)
    until(lambda: not _alive(run.watchdog), "it hears that the run is over, and leaves")


def a_watchdog_that_dies_in_the_fault_ends_it(scene: Scene) -> None:
    run, world = in_the_fault(scene)
    run.kill_watchdog()
    assert "watchdog" in scene.ends(run, 3, "aborted")["story"]
    (lost,) = run.of("watchdog_lost")
    assert run.of("rollback_started")[0]["at"] - lost["at"] < 0.5
    assert world.disables() == 1


def a_watchdog_that_stands_still_in_the_fault_ends_it(scene: Scene) -> None:
    run, _ = in_the_fault(scene)
    run.stop_watchdog()
    assert "has not answered" in scene.ends(run, 3, "aborted")["story"]
    os.kill(run.watchdog, SIGCONT)
    until(lambda: not Path(f"/proc/{run.watchdog}").exists(), "it hears that the run is over, and leaves")


def a_call_that_lands_when_the_runner_is_dead_is_undone_again(scene: Scene) -> None:
    world, gate = scene.world(), scene.gate()
    run = scene.start(world, gate=gate, timing={"settle": "5s"})
    run.wait("expectation_met", probe="read-clock", phase="baseline")
    rule = f"gameday/{run.id}"
    scene.lab.trouble("late_effect", "kms", "DisableKey", times=1, seconds=2, user_agent=rule)
    gate.end_baseline()
    until(lambda: not any(r["user_agent"] == rule and r["times"] for r in scene.lab.troubles()), "it is on the wire")
    run.send(SIGKILL)
    run.end()
    told(scene, run)
    assert world.disables() == 1, "it landed while the watchdog was there to see it"
    assert world.key_state == "Enabled"


def the_watchdog_goes_on_where_the_runner_gives_up(scene: Scene) -> None:
    run, world = in_the_fault(scene, timing={"rollback_within": "1s"})
    about = {"code": "AccessDeniedException", "message": "not today", "user_agent": f"gameday/{run.id}"}
    scene.lab.trouble("refuse", "kms", "EnableKey", times=16, **about)
    run.send(signal.SIGINT)
    finished = scene.ends(run, 9, "aborted")
    assert f"The watchdog (process {run.watchdog}) goes on trying" in finished["story"]
    said = scene.command("status").stdout
    if world.key_state == "Disabled":  # on a slow machine it may have been done meanwhile
        assert f"process {run.watchdog}" in said
    until(scene.settled, "the watchdog has done it")
    assert f"{run.id}" in scene.command("history").stdout


def what_a_human_abandons_the_watchdog_leaves_alone(scene: Scene) -> None:
    run, world = in_the_fault(scene, timing={"rollback_within": "1s"})
    about = {"code": "AccessDeniedException", "message": "not today", "user_agent": f"gameday/{run.id}"}
    scene.lab.trouble("refuse", "kms", "EnableKey", **about)
    run.send(SIGKILL)
    run.end()
    until(lambda: enabled_after(scene, run, 0) < float("inf"), "it tries")
    done = scene.command("abandon", run.id, "--reason", "a real incident")
    assert done.returncode == 0, done
    until(lambda: not Path(f"/proc/{run.watchdog}").exists(), "the watchdog leaves")
    assert world.key_state == "Disabled"
    assert scene.status() == 4, "it is named until somebody has put it back"
    scene.aws.kms.enable_key(KeyId=world.key)
    looked = scene.command("status", "--check", "--look")
    assert looked.returncode == 0, looked


CRASH = """
import os, signal
from gameday.rollback import leash
from gameday.rollback.hands import StepHands
from gameday.machine.commands import Inject
real, dogs = leash.unleash, []

def unleash(errand):
    made = real(errand)
    dogs.append(made.pid)
    return made

def carry_out(self, command, go=StepHands.carry_out):
    if isinstance(command, Inject):
        if {both}:
            os.kill(dogs[0], signal.SIGKILL)
        os._exit(137)
    go(self, command)

leash.unleash = unleash
StepHands.carry_out = carry_out

from gameday.cli import main
main()
"""


def crashing(scene: Scene, *, both: bool) -> list[str]:
    path = scene.place / "crashing.py"
    path.write_text(CRASH.format(both=both))
    return [str(Path(GAMEDAY[0]).with_name("python")), str(path)]


def a_crash_between_intent_and_inject_is_undone_at_once_by_the_watchdog(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, program=crashing(scene, both=False), timing={"settle": "1s"})
    assert run.end() == 137
    assert "watchdog did" in told(scene, run)
    assert world.disables() == 0


def a_key_that_another_team_disabled_is_not_enabled_hours_later(scene: Scene) -> None:
    """The run wrote down that it would, and died before it did; by the state of the key nobody can tell."""
    world = scene.world()
    run = scene.start(world, program=crashing(scene, both=True))
    assert run.end() == 137
    scene.aws.kms.disable_key(KeyId=world.key)
    asked = scene.command("rollback", run.id)
    assert asked.returncode == 9, asked
    assert "CloudTrail does not show that the run did it" in asked.stdout
    assert f"gameday rollback {run.id} --ours" in asked.stdout
    assert (world.key_state, scene.status()) == ("Disabled", 9)
    done = scene.command("rollback", run.id, "--ours")
    assert done.returncode == 0, done


def a_journal_that_is_locked_when_the_runner_is_killed(scene: Scene) -> None:
    """The watchdog leaves a receipt; and next week's rollback does not override a real revocation."""
    run, world = in_the_fault(scene)
    lock = sqlite3.connect(scene.journal, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    since = time.time()
    run.send(SIGKILL)
    run.end()
    until(lambda: world.key_state == "Enabled", "the key is enabled")
    assert enabled_after(scene, run, since) < SOON
    receipt = scene.place / "gameday" / "receipts" / f"{run.id}-watchdog.jsonl"
    until(receipt.exists, "the receipt is there")
    until(lambda: "finished" in receipt.read_text().splitlines()[-1], "it is whole")
    assert receipt.stat().st_mode & 0o777 == 0o600
    run.kill_watchdog()
    lock.execute("ROLLBACK")
    lock.close()
    scene.aws.kms.disable_key(KeyId=world.key)
    done = scene.command("rollback", run.id)
    assert (done.returncode, world.key_state) == (0, "Disabled"), done
    assert not receipt.exists()
    assert "watchdog" in scene.command("show", run.id).stdout
    scene.aws.kms.enable_key(KeyId=world.key)


def a_journal_that_is_locked_when_a_human_rolls_back(scene: Scene) -> None:
    """The key comes back at once, and the journal is waited for once, not with every line."""
    run, world = in_the_fault(scene)
    run.kill_both()
    lock = sqlite3.connect(scene.journal, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    done = scene.command("rollback", run.id)
    took = time.monotonic() - began
    assert (done.returncode, world.key_state) == (9, "Enabled"), done
    assert "what was put back is put back" in done.stderr, done
    assert took < 40, f"it took {took:.1f} s"
    again = scene.command("rollback", run.id)
    assert again.returncode != 0, again
    assert time.monotonic() - began - took < 20, again
    lock.execute("ROLLBACK")
    lock.close()
    assert scene.command("rollback", run.id).returncode == 0
    assert not list((scene.place / "gameday" / "receipts").glob("*"))


def a_journal_that_is_destroyed_in_the_fault(scene: Scene) -> None:
    run, world = in_the_fault(scene)
    for path in (scene.journal, scene.journal.with_name("journal.db-wal")):
        path.write_bytes(b"this is no journal" * 10000)
    code = run.end()
    assert code == 3, run.tale()
    assert "journal" in run.finished["story"]
    assert "does not hold all of this run" in run.errors
    assert world.key_state == "Enabled"
    for path in scene.place.glob("journal.db*"):
        path.unlink()
    scene.journal.touch()


def a_journal_whose_shared_memory_is_cut_off_in_the_fault(scene: Scene) -> None:
    """To touch it is SIGBUS, for the runner as for the watchdog; a backup that is copied over a journal does this."""
    run, world = in_the_fault(scene)
    os.truncate(scene.journal.with_name("journal.db-shm"), 0)
    until(lambda: run.process.poll() is not None, "the runner notices, or is ended")
    until(lambda: world.key_state == "Enabled", "the key is enabled")
    until(lambda: not _alive(run.watchdog), "the watchdog has ended, too")
    receipts = list((scene.place / "gameday" / "receipts").glob("*"))
    assert receipts, "the watchdog wrote down what it did, beside the journal that it could not touch"
    done = scene.command("rollback", run.id)
    assert done.returncode == 0, done
    assert "EnableKey" not in done.stdout, "what the receipt closes is not undone once more"
    assert scene.status() == 0


def a_full_disk_in_the_fault(scene: Scene) -> None:
    import resource

    run, world = in_the_fault(scene)
    room = max(path.stat().st_size for path in scene.place.glob("journal.db*"))
    for pid in (run.process.pid, run.watchdog):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, room))
    code = run.end()
    assert code == 3, run.tale()
    assert world.key_state == "Enabled"
    assert "journal" in run.finished["story"]
    assert scene.status() == 0, "the receipt is taken in as soon as there is room"


def the_embedded_lab_lives_as_long_as_the_watchdog_needs_it(scene: Scene) -> None:
    world = scene.world()  # its names only: the embedded lab is another AWS
    path = scene.playbook(world, gate=scene.gate(open_=True))
    stage: list[dict[str, Any]] = [{"uses": "kms.key", "with": {"alias": world.alias}}]
    stage.append({"uses": "s3.object", "with": {"bucket": world.name, "key": "clock.png", "sse_kms_key": world.alias}})
    path.write_text(f"{path.read_text()}stage: {stage!r}\n")
    run = scene.begin("run", str(path), "--preset", "instant", "--json", *variables(world))
    run.wait("expectation_met", probe="read-clock", phase="fault")
    lab = run.of("run_prepared")[0]["target"]["lab_pid"]
    run.send(SIGKILL)
    run.end()
    told(scene, run)
    assert "restored" in scene.command("show", run.id).stdout
    until(lambda: not _alive(lab), "the lab ends with the watchdog")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


STORIES: list[Story] = [
    a_journal_that_is_locked_when_the_runner_is_killed,
    a_journal_that_is_locked_when_a_human_rolls_back,
    a_full_disk_in_the_fault,
    a_journal_that_is_destroyed_in_the_fault,
    a_journal_whose_shared_memory_is_cut_off_in_the_fault,
    a_call_that_lands_when_the_runner_is_dead_is_undone_again,
    a_watchdog_that_stands_still_in_the_fault_ends_it,
    a_watchdog_that_stands_still_is_waited_for_and_nothing_is_broken,
    a_runner_that_stands_still_past_max_fault_is_killed_first,
    the_watchdog_goes_on_where_the_runner_gives_up,
    what_a_human_abandons_the_watchdog_leaves_alone,
    the_embedded_lab_lives_as_long_as_the_watchdog_needs_it,
    the_runner_is_killed_with_the_key_off,
    the_whole_process_group_is_killed,
    a_crash_between_intent_and_inject_is_undone_at_once_by_the_watchdog,
    a_key_that_another_team_disabled_is_not_enabled_hours_later,
    a_watchdog_that_dies_in_the_fault_ends_it,
    without_its_watchdog_nothing_is_broken,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_watchdog(stories: Stories, story: Story) -> None:
    stories.end_of(story).assert_restored()


def test_the_people_at_the_terminal_of_a_killed_runner_are_told(scene: Scene) -> None:
    world = scene.world()
    path = scene.playbook(world, gate=scene.gate(open_=True))
    ours, theirs = pty.openpty()
    env = scene.env | {"TERM": "xterm-256color"}
    words = ["run", str(path), "--target", f"lab={scene.lab.url}", *variables(world)]
    seen = b""
    with subprocess.Popen(
        [*GAMEDAY, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=scene.place, start_new_session=True
    ) as process:
        deadline = time.monotonic() + PATIENCE
        while world.key_state == "Enabled" or b"watchdog alive" not in seen:
            assert time.monotonic() < deadline, seen[-2000:]
            seen += _read(ours)
        process.kill()
    while b"put everything back" not in seen:
        assert time.monotonic() < deadline, seen[-2000:]
        seen += _read(ours)
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l"), "the cursor is there again"
    os.close(theirs)
    os.close(ours)
    until(scene.settled, "the journal says so")
    scene.assert_restored()


def _read(terminal: int) -> bytes:
    readable, _, _ = select.select([terminal], [], [], 0.05)
    return os.read(terminal, 65536) if readable else b""
