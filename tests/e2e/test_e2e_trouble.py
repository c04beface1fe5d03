"""AWS on a bad day, while gameday changes a key: the key is enabled at the end, and the exit code is right.

These wait for backoffs and time-outs, so they are stories: told side by side while other tests run.
"""

from __future__ import annotations

import time
from signal import SIGINT
from typing import Any

import pytest
from e2e_run import PATIENCE, Run
from e2e_scene import Gate, Scene
from e2e_stories import Stories, Story

pytestmark = pytest.mark.timeout(120)


def troubled(scene: Scene, kind: str, operation: str, **about: Any) -> tuple[Run, Gate]:
    """A run in its baseline, whose calls of one operation will be met by trouble; the gate is before the fault."""
    timing = about.pop("timing", {})
    gate = scene.gate()
    run = scene.start(scene.world(), gate=gate, every="300ms", timing=timing)
    run.wait("expectation_met", probe="read-clock", phase="baseline")
    scene.lab.trouble(kind, "kms", operation, user_agent=f"gameday/{run.id}", **about)
    return run, gate


def to_the_end(run: Run, gate: Gate) -> None:
    """Let each phase end as soon as it may."""
    gate.end_baseline()
    run.wait("expectation_met", probe="read-clock", phase="fault")
    gate.end_fault()
    run.wait("phase_entered", phase="recovery")
    gate.end_recovery()


def met_by_trouble(scene: Scene, rule: str) -> None:
    """Wait until the rule has met its one call, which is on the wire from then on."""
    deadline = time.monotonic() + PATIENCE
    while any(each["user_agent"] == rule and each["times"] for each in scene.lab.troubles()):
        assert time.monotonic() < deadline, "the call never came"


def undone(run: Run) -> list[bool]:
    return [bool(event["ok"]) for event in run.of("undo_tried")]


def enable_throttled_ten_times(scene: Scene) -> None:
    run, gate = troubled(scene, "throttle", "EnableKey", times=10)
    to_the_end(run, gate)
    scene.ends(run, 0, "passed")
    assert undone(run) == [False] * 10 + [True]


def enable_answered_500_three_times(scene: Scene) -> None:
    run, gate = troubled(scene, "server_error", "EnableKey", times=3)
    to_the_end(run, gate)
    scene.ends(run, 0, "passed")
    assert undone(run) == [False] * 3 + [True]


def enable_hangs_once(scene: Scene) -> None:
    run, gate = troubled(scene, "hang", "EnableKey", times=1, seconds=60)
    to_the_end(run, gate)
    scene.ends(run, 0, "passed")
    assert undone(run) == [False, True]
    assert run.of("rollback_finished")[0]["seconds"] < 12


def enable_loses_its_response(scene: Scene) -> None:
    run, gate = troubled(scene, "lost_response", "EnableKey", times=1)
    to_the_end(run, gate)
    scene.ends(run, 0, "passed")
    assert undone(run)[0] is False


def disable_loses_its_response(scene: Scene) -> None:
    run, gate = troubled(scene, "lost_response", "DisableKey", times=1)
    to_the_end(run, gate)
    scene.ends(run, 0, "passed")
    assert [event["certain"] for event in run.of("step_injected")] == [False]
    assert scene.worlds[0].disables() == 1, "a change is asked for once"


def disable_lands_three_seconds_after_its_call_timed_out(scene: Scene) -> None:
    run, gate = troubled(scene, "late_effect", "DisableKey", times=1, seconds=8, timing={"settle": "5s"})
    to_the_end(run, gate)
    scene.ends(run, 0, "passed")
    (injected,) = run.of("step_injected")
    assert not injected["certain"]
    effect = next(e for e in run.of("expectation_met") if (e["probe"], e["phase"]) == ("read-clock", "fault"))
    assert effect["interval"]["by"] > 7
    assert scene.worlds[0].disables() == 1


def disable_lands_when_the_run_has_rolled_back_already(scene: Scene) -> None:
    run, gate = troubled(scene, "late_effect", "DisableKey", times=1, seconds=8, timing={"settle": "5s"})
    gate.end_baseline()
    run.wait("phase_entered", phase="fault")
    met_by_trouble(scene, f"gameday/{run.id}")
    run.send(SIGINT)
    run.wait("undo_tried", ok=True)
    assert scene.worlds[0].key_state == "Enabled"  # it has not landed yet
    scene.ends(run, 3, "aborted")
    assert scene.worlds[0].disables() == 1, "it landed while the run was still there to see it"
    assert len(undone(run)) >= 2


def disable_denied(scene: Scene) -> None:
    run, gate = troubled(scene, "refuse", "DisableKey", code="AccessDeniedException")
    gate.end_baseline()
    assert "AccessDenied" in scene.ends(run, 5, "refused")["story"]
    assert not run.of("step_injected")


def disable_throttled(scene: Scene) -> None:
    run, gate = troubled(scene, "throttle", "DisableKey", times=1)
    gate.end_baseline()
    scene.ends(run, 5, "refused")
    assert not run.of("step_injected")


def disable_answered_500_and_not_done(scene: Scene) -> None:
    run, gate = troubled(scene, "server_error", "DisableKey", times=1, timing={"effect_within": "1s"})
    gate.end_baseline()
    scene.ends(run, 1, "failed")
    assert [event["certain"] for event in run.of("step_injected")] == [False]


STORIES: list[Story] = [
    enable_throttled_ten_times,
    disable_lands_when_the_run_has_rolled_back_already,
    disable_lands_three_seconds_after_its_call_timed_out,
    enable_hangs_once,
    enable_answered_500_three_times,
    enable_loses_its_response,
    disable_loses_its_response,
    disable_answered_500_and_not_done,
    disable_denied,
    disable_throttled,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_trouble(stories: Stories, story: Story) -> None:
    scene = stories.end_of(story)
    scene.assert_restored()
    (world,) = scene.worlds
    assert world.key_state == "Enabled", "it stays so: nothing that was on its way lands afterwards"
