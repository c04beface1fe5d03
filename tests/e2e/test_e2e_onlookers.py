"""Halt, abandon, a lost hold, and someone else's call on the same key: a real command, a real journal, the lab."""

from __future__ import annotations

import sqlite3
import time

import pytest
from e2e_run import PATIENCE
from e2e_scene import Scene
from e2e_stories import Stories, Story

from gameday.journal.sql import SqlJournal

pytestmark = pytest.mark.timeout(90)
TURN = 2.5
"""Seconds: a halt is heard within one; the rest is for a machine whose cores are shared."""


def a_halt_rolls_back_within_a_second_and_refuses_until_it_is_ended(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="read-clock", phase="fault")
    journal = SqlJournal(str(scene.journal))
    halted = time.monotonic()
    journal.halt("ann", "the shop is down")
    while world.key_state != "Enabled":
        assert time.monotonic() < halted + PATIENCE, run.tale()
    took = time.monotonic() - halted
    finished = scene.ends(run, 3, "aborted")
    assert "the shop is down" in finished["story"]
    assert took < TURN, f"{took:.2f} s from halt to the key being enabled"
    refused = scene.start(world)
    assert refused.end() == 5, refused.tale()
    assert "the shop is down" in refused.finished["story"]
    journal.resume("ann")
    scene.assert_restored()


def an_abandoned_run_leaves_the_key_off_and_lets_go(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="read-clock", phase="fault")
    journal = SqlJournal(str(scene.journal))
    journal.abandon(run.id, "ann", "a real incident on this key")
    finished = scene.ends(run, 4, "abandoned")
    assert "ABANDONED" in finished["story"]
    assert world.key_state == "Disabled"
    assert [step.closed for step in journal.steps(run.id)] == ["abandoned"]
    assert not journal.holds()
    assert scene.command("rollback", run.id).returncode == 0, "nothing is open: next week's rollback must not enable it"
    assert world.key_state == "Disabled"
    assert "ABANDONED" in scene.command("show", run.id).stdout
    left = f"left off on purpose: {world.alias} ({world.key}), by ann since "
    said = scene.command("status", "--check", "--look")
    assert said.returncode == 4, said
    assert left in said.stdout
    assert "a real incident on this key" in said.stdout
    assert "it is still so: Disabled" in said.stdout
    assert "nothing is open" not in said.stdout
    metrics = scene.place / "status.prom"
    scene.command("status", "--metrics-textfile", str(metrics))
    (series,) = [line for line in metrics.read_text().splitlines() if line.startswith("gameday_left_on_purpose{")]
    assert series.endswith("} 1.0")
    world.aws.kms.enable_key(KeyId=world.key)
    said = scene.command("status", "--check")
    assert said.returncode == 4, "without a look nobody knows that the key was enabled"
    said = scene.command("status", "--check", "--look")
    assert said.returncode == 0, said
    assert "it reads as it was before the run: Enabled" in said.stdout
    assert "nothing is open" in said.stdout
    assert scene.command("verify", run.id).returncode == 0
    scene.assert_restored()


def an_abandonment_that_somebody_acknowledges_is_told_no_more(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="read-clock", phase="fault")
    assert scene.command("abandon", run.id).returncode == 2, "a reason is needed"
    assert scene.command("abandon", run.id, "--acknowledge").returncode == 5, "nothing is left yet"
    asked = scene.command("abandon", run.id, "--reason", "leaked")
    assert asked.returncode == 0, asked
    assert f"gameday abandon --acknowledge {run.id}" in asked.stdout
    scene.ends(run, 4, "abandoned")
    assert scene.status() == 4
    assert scene.command("abandon", "--acknowledge", run.id, "--reason", "INC-7").returncode == 0
    assert scene.status() == 0
    assert "acknowledged: INC-7" in scene.command("show", run.id).stdout
    assert scene.command("verify", run.id).returncode == 0
    world.aws.kms.enable_key(KeyId=world.key)


def someone_elses_call_on_the_key_is_said_at_once(scene: Scene) -> None:
    world, gate = scene.world(), scene.gate(open_=True)
    run = scene.start(world, gate=gate)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    scene.aws.kms.disable_key(KeyId=world.key)
    said = run.wait("foreign_change")
    assert (said["what"], said["source"], said["resource"]) == ("DisableKey", "CloudTrail", world.key)
    assert said["who"]
    gate.end_fault()
    run.wait("phase_entered", phase="recovery")
    gate.end_recovery()
    finished = scene.ends(run, 4, "inconclusive")
    assert "DisableKey" in finished["story"]
    shown = scene.command("show", run.id).stdout
    assert "OTHERS" in shown
    assert f"gameday abandon {run.id}" in shown
    scene.assert_restored()


def a_run_whose_hold_is_gone_ends_itself(scene: Scene) -> None:
    world = scene.world()
    run = scene.start(world, gate=scene.gate(open_=True))
    run.wait("expectation_met", probe="read-clock", phase="fault")
    with sqlite3.connect(scene.journal, timeout=10) as db:  # no command of gameday's can do this
        db.execute("DELETE FROM gameday_holds")
    db.close()
    finished = scene.ends(run, 3, "aborted")
    assert "no longer this run's" in finished["story"]
    scene.assert_restored()


STORIES: list[Story] = [
    a_halt_rolls_back_within_a_second_and_refuses_until_it_is_ended,
    an_abandoned_run_leaves_the_key_off_and_lets_go,
    an_abandonment_that_somebody_acknowledges_is_told_no_more,
    someone_elses_call_on_the_key_is_said_at_once,
    a_run_whose_hold_is_gone_ends_itself,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_onlookers(stories: Stories, story: Story) -> None:
    stories.end_of(story)
