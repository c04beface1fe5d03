"""Other runs, other people, and terminals that go away: whoever else is there, the key is put back once and for all."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from signal import SIGINT

import pytest
from e2e_run import GAMEDAY, PATIENCE
from e2e_scene import Scene, together, variables
from e2e_stories import Stories, Story

pytestmark = pytest.mark.timeout(90)


def test_of_four_runs_on_one_key_one_passes_and_the_others_are_refused(scene: Scene) -> None:
    world = scene.world()
    runs = [scene.start(world, timing={"hold": "1s"}) for _ in range(4)]
    together(lambda run: run.end(), runs)
    codes = Counter(run.process.returncode for run in runs)
    assert codes[0] >= 1, scene.tale()
    assert set(codes) <= {0, 5}, scene.tale()
    assert world.disables() == codes[0], "who is refused disables nothing"
    assert not any(run.of("leak_seen") for run in runs), "one run's undo in another's fault"
    scene.assert_restored()


def test_a_rehearsal_that_is_on_the_wire_does_not_enable_the_key_inside_anothers_fault(rough: Scene) -> None:
    world = rough.world()
    rough.lab.trouble("late_effect", "kms", "EnableKey", times=1, seconds=4, user_agent="gameday/")
    slow = rough.start(world)
    deadline = time.monotonic() + PATIENCE
    while any(rule["times"] for rule in rough.lab.troubles()):
        assert time.monotonic() < deadline, "the rehearsal never came"
    gate = rough.gate(open_=True)
    other = rough.start(world, gate=gate)
    slow.end()  # its rehearsal has landed
    if other.process.poll() is None:
        other.wait("step_injected")
        assert world.key_state == "Disabled", "a run without the hold changed the key"
        gate.end_fault()
        other.wait("phase_entered", phase="recovery")
        gate.end_recovery()
    other.end()
    assert sorted([slow.process.returncode, other.process.returncode]) == [0, 5], rough.tale()
    rough.assert_restored()


def test_a_key_that_someone_else_sends_to_its_deletion_is_left_to_them(scene: Scene) -> None:
    world, gate = scene.world(), scene.gate(open_=True)
    run = scene.start(world, gate=gate)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    scene.aws.kms.schedule_key_deletion(KeyId=world.key, PendingWindowInDays=7)
    gate.end_fault()
    scene.ends(run, 4, "inconclusive")
    assert run.of("step_closed")[0]["closed"] == "drifted"
    assert world.key_state == "PendingDeletion"
    assert scene.status() == 0


def test_ctrl_c_in_the_terminal_does_not_take_the_embedded_lab_away(scene: Scene) -> None:
    world = scene.world()  # its names only
    path = scene.playbook(world, read=False, gate=scene.gate(open_=True))
    path.write_text(f"{path.read_text()}stage: [{{uses: kms.key, with: {{alias: {world.alias}}}}}]\n")
    names = variables(world)
    run = scene.begin("run", str(path), "--preset", "instant", "--json", *names)
    run.wait("expectation_met", probe="key-state", phase="fault")
    os.killpg(run.process.pid, SIGINT)  # the group, as a terminal does it
    scene.ends(run, 3, "aborted")
    assert [event["closed"] for event in run.of("step_closed")] == ["restored"]
    assert scene.status() == 0


def test_a_terminal_that_is_closed_in_the_fault(scene: Scene) -> None:
    """The kernel hangs up, and every write to the terminal fails."""
    world = scene.world()
    path = scene.playbook(world, gate=scene.gate(open_=True))
    ours, theirs = pty.openpty()
    env = scene.env | {"TERM": "xterm-256color"}
    words = ["run", str(path), "--target", f"lab={scene.lab.url}", *variables(world)]
    setsid = shutil.which("setsid")
    assert setsid, "util-linux"

    def read() -> None:
        with suppress(OSError):
            while os.read(ours, 65536):
                pass

    with subprocess.Popen(
        [setsid, "--ctty", *GAMEDAY, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=scene.place
    ) as process:
        os.close(theirs)
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        deadline = time.monotonic() + PATIENCE
        while world.key_state == "Enabled":
            assert time.monotonic() < deadline, "the fault never came"
        os.close(ours)
        assert process.wait(PATIENCE) == 3
    assert world.disables() == 1
    scene.assert_restored()


def two_people_roll_back_at_once(scene: Scene) -> None:
    world = scene.world(instance=True)
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="boot-instance", phase="fault")
    run.kill_both()

    def one(_: int) -> None:
        done = scene.command("rollback", run.id)
        assert done.returncode == 0, done

    together(one, range(2))
    scene.command("show", run.id, "--json").check_returncode()


def a_human_interrupts_gameday_rollback(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="read-clock", phase="fault")
    run.kill_both()
    scene.lab.trouble("throttle", "kms", "EnableKey", times=3, user_agent=f"gameday/{run.id}")
    with subprocess.Popen(
        [*GAMEDAY, "rollback", run.id], env=scene.env, cwd=scene.place, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()  # it has begun
        process.send_signal(SIGINT)
        code = process.wait(PATIENCE)
        assert b"Traceback" not in process.stderr.read()
    assert code == (9 if scene.status() == 9 else 0), f"{code}: it is no verdict, and what is open must be said"
    assert scene.command("rollback", run.id).returncode == 0


STORIES: list[Story] = [
    two_people_roll_back_at_once,
    a_human_interrupts_gameday_rollback,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_others(stories: Stories, story: Story) -> None:
    stories.end_of(story).assert_restored()
