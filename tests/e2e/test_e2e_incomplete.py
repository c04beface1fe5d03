"""What a run could not put back: exit code 9, loudly, and ``gameday rollback`` finishes it."""

from __future__ import annotations

import time
from signal import SIGKILL

import pytest
from e2e_run import PATIENCE, Run
from e2e_scene import Scene
from e2e_stories import Stories, Story
from e2e_world import World

pytestmark = pytest.mark.timeout(120)
TIMING = {"rollback_within": "2s"}


def enable_refused(scene: Scene, times: int, *, instance: bool = False) -> tuple[Run, World]:
    """A run that ends with 9, since EnableKey is refused that often."""
    world, gate = scene.world(instance=instance), scene.gate(open_=True)
    run = scene.start(world, gate=gate, every="300ms", timing=TIMING)
    run.wait("step_injected", step="kms.disable_key/disable")
    about = {"code": "AccessDeniedException", "message": "not today", "user_agent": f"gameday/{run.id}"}
    scene.lab.trouble("refuse", "kms", "EnableKey", times=times, **about)
    for probe in ("read-clock", *(["boot-instance"] if instance else [])):
        run.wait("expectation_met", probe=probe, phase="fault")
    run.stop_watchdog()
    gate.end_fault()
    finished = scene.ends(run, 9, "failed")
    run.kill_watchdog()
    assert finished["finish_with"].startswith(f"gameday rollback {run.id}")
    assert f"watchdog (process {run.watchdog}) goes on trying" in finished["story"]
    assert "AccessDenied" in " ".join(finished["reasons"])
    by_hand = f"aws kms enable-key --key-id {world.key} --region us-east-1"
    assert any(reason.endswith(f"; by hand: {by_hand}") for reason in finished["reasons"]), "without gameday, too"
    assert f"gameday rollback {run.id}" in run.errors
    assert "INCOMPLETE" in run.errors
    return run, world


def enable_is_refused_for_too_long(scene: Scene) -> None:
    run, world = enable_refused(scene, 6, instance=True)
    assert world.key_state == "Disabled"
    assert scene.status() == 9
    said = scene.command("status").stdout
    assert world.key in said
    assert f"gameday rollback {run.id}" in said
    still = scene.command("rollback", run.id, "--within", "300ms")
    assert still.returncode == 9, still
    assert f"aws kms enable-key --key-id {world.key}" in still.stdout
    assert f"gameday rollback {run.id}" in still.stderr
    assert scene.status() == 9
    last = scene.command("rollback", run.id[:5])
    assert last.returncode == 0, last


def the_key_cannot_be_read_back(scene: Scene) -> None:
    world, gate = scene.world(), scene.gate(open_=True)
    run = scene.start(world, gate=gate, state=False, timing=TIMING)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    run.stop_watchdog()  # first: it reads the key too, to be warm for an undo, and would be the one that hangs
    scene.lab.trouble("hang", "kms", "DescribeKey", times=1, seconds=60, user_agent=f"gameday/{run.id}")
    gate.end_fault()
    finished = scene.ends(run, 9, "failed")
    run.kill_watchdog()
    assert world.key in " ".join(finished["reasons"])
    assert world.key_state == "Enabled", "it was enabled, but nobody could know"
    assert scene.status() == 9
    assert scene.command("rollback", run.id).returncode == 0


def two_runs_are_finished_by_one_command(scene: Scene) -> None:
    for _ in range(2):
        enable_refused(scene, 5)
    assert [world.key_state for world in scene.worlds] == ["Disabled", "Disabled"]
    assert scene.status() == 9
    done = scene.command("rollback", "--all")
    assert done.returncode == 0, done
    assert scene.command("rollback", "--all").stdout == "nothing is open\n"


def the_runner_and_its_watchdog_are_killed(scene: Scene) -> None:
    world = scene.world(instance=True)
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="boot-instance", phase="fault")
    assert run.kill_both() == -SIGKILL
    assert (world.key_state, world.instance_state) == ("Disabled", "stopped")
    assert scene.status() == 9
    said = scene.command("status").stdout
    assert "DIED" in said
    assert f"gameday rollback {run.id}" in said
    again = scene.start(world)
    refused = scene.ends(again, 5, "refused")["story"]
    assert f"gameday rollback {run.id}" in refused
    assert world.disables() == 1
    done = scene.command("rollback", run.id)
    assert done.returncode == 0, done
    assert "restored" in done.stdout
    assert scene.command("show", run.id).returncode == 0
    deadline = time.monotonic() + PATIENCE
    while (again := scene.start(world)).end() != 0:  # a call of the dead run may still land
        assert "may still land" in again.tale(), again.tale()
        assert time.monotonic() < deadline, again.tale()
    scene.ends(again, 0, "passed")


def both_are_killed_in_the_baseline(scene: Scene) -> None:
    """With the instance stopped by the boot probe: only that is open."""
    world = scene.world(instance=True)
    gate = scene.gate(open_=True)
    run = scene.start(world, gate=gate)
    run.wait("step_injected", step="boot-instance/power")
    assert run.kill_both(watchdog_first=True) == -SIGKILL
    assert scene.status() == 9
    done = scene.command("rollback", "--all")
    assert done.returncode == 0, done
    assert world.disables() == 0


def the_embedded_lab_goes_with_its_run_and_leaves_nothing_to_put_back(scene: Scene) -> None:
    world = scene.world()  # its names only: the embedded lab is another AWS
    path = scene.playbook(world, gate=scene.gate(open_=True))
    stage = [{"uses": "kms.key", "with": {"alias": world.alias}}]
    stage.append({"uses": "s3.object", "with": {"bucket": world.name, "key": "clock.png", "sse_kms_key": world.alias}})
    path.write_text(f"{path.read_text()}stage: {stage!r}\n")
    names = ["--var", f"key={world.alias}", "--var", f"bucket={world.name}"]
    run = scene.begin("run", str(path), "--preset", "instant", "--json", *names)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    run.kill_both()
    assert scene.status() == 9
    done = scene.command("rollback", run.id)
    assert done.returncode == 0, done
    assert "abandoned" in done.stdout


STORIES: list[Story] = [
    the_runner_and_its_watchdog_are_killed,
    enable_is_refused_for_too_long,
    two_runs_are_finished_by_one_command,
    the_key_cannot_be_read_back,
    both_are_killed_in_the_baseline,
    the_embedded_lab_goes_with_its_run_and_leaves_nothing_to_put_back,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_incomplete(stories: Stories, story: Story) -> None:
    stories.end_of(story).assert_restored()
