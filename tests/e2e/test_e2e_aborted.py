"""Guards, limits and signals: whatever ends a run early, the key comes back."""

from __future__ import annotations

import signal
from signal import SIGHUP, SIGINT, SIGTERM

import pytest
from e2e_run import Run
from e2e_scene import Gate, Scene, together
from e2e_stories import Stories, Story

pytestmark = pytest.mark.timeout(90)
SIGNALS = (SIGINT, SIGTERM, SIGHUP)
NEVER = {"evidence": {"name": "NobodyCallsThis"}, "timing": {"evidence_within": "30s"}}


def test_a_guard_that_breaks_in_the_fault_aborts(scene: Scene) -> None:
    world, shop = scene.world(), scene.line()
    run = scene.start(world, gate=scene.gate(open_=True), guard=shop)
    run.wait("step_injected")
    shop.say(500)
    finished = scene.ends(run, 3, "aborted")
    assert "shop" in finished["story"]
    assert run.of("guard_breached")[0]["phase"] == "fault"
    assert "recovery" in {e["phase"] for e in run.of("phase_entered")}, "a guard's abort still watches the recovery"
    assert world.disables() == 1
    scene.assert_restored()


def test_a_guard_that_is_broken_before_the_fault_refuses(scene: Scene) -> None:
    world = scene.world()
    finished = scene.ends(scene.start(world, guard=scene.line(500)), 5, "refused")
    assert "shop" in finished["story"]
    assert world.disables() == 0
    scene.assert_restored()


class Signalled:
    """Three runs of the same kind, one for each signal; the one for SIGTERM boots an instance."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.runs: dict[signal.Signals, Run] = {}
        self.gates: dict[signal.Signals, Gate] = {}

    def start(self, *, gate_open: bool, **options: object) -> None:
        for number in SIGNALS:
            world = self.scene.world(instance=number is SIGTERM)
            gate = self.gates[number] = self.scene.gate(open_=gate_open)
            self.runs[number] = self.scene.start(world, gate=gate, **options)

    def end(self, wait: object) -> None:
        """Send each its signal once ``wait`` returns for it, and see all of them aborted and restored."""
        assert callable(wait)

        def one(number: signal.Signals) -> None:
            run = self.runs[number]
            wait(run)
            run.send(number)
            finished = self.scene.ends(run, 3, "aborted")
            assert number.name in finished["story"], finished
            assert [e["why"] for e in run.of("interruption")] == [number.name]
            run.sealed()

        together(one, SIGNALS)
        self.scene.assert_restored()

    def touched(self) -> list[int]:
        return [world.disables() for world in self.scene.worlds]


HELD_UP = {"DescribeKey": {"kind": "preflight_checked", "check": "target"}, "EnableKey": {"kind": "hold_taken"}}
"""Calls of preflight that hang, and what has been told by then: resolving the key, and rehearsing the undo."""


@pytest.mark.parametrize("operation", HELD_UP)
def test_signals_in_preflight(rough: Scene, operation: str) -> None:
    case = Signalled(rough)
    rough.lab.trouble("hang", "kms", operation, seconds=30, user_agent="gameday/")
    case.start(gate_open=True)
    case.end(lambda run: run.wait(**HELD_UP[operation]))
    assert case.touched() == [0, 0, 0]


def test_signals_in_the_baseline(scene: Scene) -> None:
    case = Signalled(scene)
    case.start(gate_open=False)
    case.end(lambda run: run.wait("expectation_met", probe="read-clock", phase="baseline"))
    assert case.touched() == [0, 0, 0]


def test_a_signal_while_the_instance_is_stopped_by_the_boot_probe(rough: Scene) -> None:
    rough.lab.knobs(stop_seconds=1, boot_seconds=1)
    world = rough.world(instance=True)
    rough.lab.advance(2)
    world.before = "running"
    run = rough.start(world)
    run.wait("step_injected", step="boot-instance/power")
    run.send(SIGINT)
    rough.ends(run, 3, "aborted")
    assert world.disables() == 0
    rough.assert_restored()


def test_signals_in_the_fault(scene: Scene) -> None:
    case = Signalled(scene)
    case.start(gate_open=True)

    def dark(run: Run) -> None:
        run.wait("expectation_met", probe="read-clock", phase="fault")

    case.end(dark)
    assert case.touched() == [1, 1, 1]
    for run in case.runs.values():
        asked = run.of("interruption")[0]["at"]
        assert run.of("rollback_started")[0]["at"] - asked < 1


def test_signals_while_the_boot_probe_waits_in_the_fault(rough: Scene) -> None:
    rough.lab.knobs(boot_seconds=1.5)
    world = rough.world(instance=True)
    rough.lab.advance(2)
    world.before = "running"
    run = rough.start(world)
    run.wait("step_injected", step="kms.disable_key/disable")
    run.send(SIGTERM)
    rough.ends(run, 3, "aborted")
    rough.assert_restored()


def test_signals_in_the_rollback_do_not_disturb_it(scene: Scene) -> None:
    case = Signalled(scene)
    case.start(gate_open=True)

    def rolling_back(run: Run) -> None:
        run.wait("step_injected", step="kms.disable_key/disable")
        scene.lab.trouble("throttle", "kms", "EnableKey", times=4, user_agent=f"gameday/{run.id}")
        next(gate for number, gate in case.gates.items() if case.runs[number] is run).end_fault()
        run.wait("undo_tried", ok=False)

    case.end(rolling_back)
    for run in case.runs.values():
        assert run.of("interruption")[0]["ignored"]
        tried = [e["ok"] for e in run.of("undo_tried") if e["step"] == "kms.disable_key/disable"]
        assert tried == [False] * 4 + [True]


def test_signals_in_the_recovery(scene: Scene) -> None:
    case = Signalled(scene)
    case.start(gate_open=True)
    for number in SIGNALS:
        case.runs[number].wait("step_injected", step="kms.disable_key/disable")
        case.gates[number].end_fault()
    case.end(lambda run: run.wait("phase_entered", phase="recovery"))


def test_signals_while_the_evidence_is_awaited(scene: Scene) -> None:
    case = Signalled(scene)
    case.start(gate_open=True, **NEVER)
    for number in SIGNALS:
        case.runs[number].wait("step_injected", step="kms.disable_key/disable")
        case.gates[number].end_fault()
        case.runs[number].wait("phase_entered", phase="recovery")
        case.gates[number].end_recovery()
    case.end(lambda run: run.wait("probe_observed", probe="smoking-gun"))


def test_an_impatient_human_does_no_harm(scene: Scene) -> None:
    run = scene.start(scene.world(instance=True), gate=scene.gate(open_=True))
    run.wait("step_injected", step="kms.disable_key/disable")
    for number in (SIGINT, SIGINT, SIGTERM, SIGINT, SIGHUP, SIGINT):
        run.send(number)
    scene.ends(run, 3, "aborted")
    scene.assert_restored()


def max_fault_ends_the_fault_even_while_the_inject_hangs(scene: Scene) -> None:
    world, gate = scene.world(), scene.gate()
    unwatched = {"key-state": {"uses": "kms.state", "with": {"key": "${key}"}, "expect": {"baseline": "ok"}}}
    gate.probe["expect"] = {"baseline": gate.probe["expect"]["baseline"]}
    timing = {"max_fault": "1s", "effect_within": "1s", "settle": "1s"}
    run = scene.start(world, read=False, state=False, gate=gate, probes=unwatched, timing=timing)
    scene.lab.trouble("hang", "kms", "DisableKey", times=1, seconds=30, user_agent=f"gameday/{run.id}")
    gate.end_baseline()
    finished = scene.ends(run, 3, "aborted")
    assert "max_fault" in finished["story"]
    fault = next(e for e in run.of("phase_entered") if e["phase"] == "fault")
    assert run.of("rollback_started")[0]["at"] - fault["at"] < 2


STORIES: list[Story] = [max_fault_ends_the_fault_even_while_the_inject_hangs]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_aborted(stories: Stories, story: Story) -> None:
    stories.end_of(story).assert_restored()
