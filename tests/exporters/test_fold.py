"""The fold says what the events say, and takes them in any order."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from rich.console import Console

from exporters.fold import RunView
from exporters.frame import frame
from exporters.lines import PlainLines
from exporters.parts import KeyState
from exporters.prometheus import Metrics
from exporters.report.build import build
from exporters.summary import summary
from exporters.terminal import TerminalView
from gameday.sdk import (
    AnyEvent,
    Cause,
    Closed,
    Observation,
    Phase,
    PhaseEntered,
    RollbackFinished,
    RollbackStarted,
    Sealed,
    StepClosed,
    StepIntended,
    Verdict,
    _events,
    _radius,
    chain_is_whole,
)

from .recorded import RUN, RUNS, Recorder, Stream, aborted, failed, incomplete, inconclusive, passed, refused


@pytest.mark.parametrize("name", RUNS)
def test_the_recorded_runs_are_whole(name: str) -> None:
    assert chain_is_whole(RUNS[name]())


def test_a_passing_run() -> None:
    view = RunView.of(passed())
    assert (view.run, view.playbook, view.phase) == (RUN, "killswitch", Phase.EVIDENCE)
    assert view.finished is not None
    assert view.finished.verdict is Verdict.PASSED
    reader = view.probes["read-clock"]
    assert reader.goes_dark
    assert reader.time_to_effect is not None
    assert reader.time_to_effect.by == 5.2
    assert reader.time_to_recover is not None
    assert (reader.leaks, reader.broken) == (0, [])
    assert not view.open_steps
    assert not view.holds
    assert not view.incomplete
    assert [key.state for key in view.keys] == [KeyState.ENABLED]
    (record,) = view.probes["smoking-gun"].records.values()
    assert (record.name, record.error_code, record.invoked_by) == (
        "CreateGrant",
        "DisabledException",
        "ec2.amazonaws.com",
    )


def test_a_guard_stays_up_has_no_time_to_effect_and_counts_its_window() -> None:
    guard = RunView.of(aborted()).probes["checkout"]
    assert guard.stays_up
    assert not guard.goes_dark
    assert guard.time_to_effect is None
    assert (guard.fails, guard.window.maxlen, guard.aborts_at) == (3, 5, 3)
    assert guard.breached is not None


def test_a_guards_window_forgets() -> None:
    events = failed()
    assert RunView.of(events).probes["checkout"].fails == 0


def test_the_fault_is_active_from_the_intent_until_it_is_closed() -> None:
    view = RunView()
    seen = []
    for sealed in passed():
        view.consume(sealed)
        seen.append((sealed.event.kind, view.fault_active))
    active = [kind for kind, on in seen if on]
    assert active[0] == "step_intended"
    assert active[-1] == "step_read_back"
    assert ("step_injected", False) in seen  # the boot's own step is no fault


def test_what_is_still_changed_names_every_open_step_once() -> None:
    view = RunView.of(incomplete())
    assert view.incomplete
    assert view.fault_active
    assert [("is still Disabled" in one, "i-0abc" in one) for one in view.still_changed] == [
        (True, False),
        (False, True),
    ]


def test_a_later_rollback_completes_what_the_run_left() -> None:
    events = incomplete()
    later = Recorder.after(events)
    later.emit(RollbackStarted(at=900, reason="asked for", by="gameday rollback"))
    later.emit(
        StepClosed(step="key", at=901, closed=Closed.RESTORED), StepClosed(step="boot", at=901, closed=Closed.RESTORED)
    )
    later.emit(RollbackFinished(at=901, seconds=1, complete=True))
    view = RunView.of(later.events)
    assert not view.incomplete
    assert view.still_changed == []


def test_a_run_that_made_its_incomplete_rollback_good_itself_is_not_headed_incomplete() -> None:
    """Exit code 9 is the run's own word for it; what it put back before it ended is put back."""
    run = Recorder.after([sealed for sealed in incomplete() if sealed.event.kind != "run_finished"])
    assert RunView.of(run.events).incomplete
    run.emit(
        StepClosed(step="key", at=900, closed=Closed.RESTORED), StepClosed(step="boot", at=900, closed=Closed.RESTORED)
    )
    run.finish(Verdict.ABORTED, 3, "The run was cut short.", "SIGTERM")
    view = RunView.of(run.events)
    assert not view.incomplete
    console = Console(width=100, record=True, file=StringIO())
    console.print(*summary(view))
    assert "ROLLBACK INCOMPLETE " not in console.export_text()
    assert build(run.events).ending.verdict == "aborted"


def test_who_comes_later_in_vain_has_the_last_word() -> None:
    later = Recorder.after(passed())
    later.emit(RollbackStarted(at=900, reason="asked for", by="gameday rollback"))
    later.emit(RollbackFinished(at=901, seconds=1, complete=False, open=("the key is still Disabled",)))
    assert RunView.of(later.events).incomplete


def test_a_probes_step_that_is_intended_again_is_open_again() -> None:
    run = Recorder()
    run.prepare()
    run.emit(StepIntended(step="boot", at=1), StepClosed(step="boot", at=2, closed=Closed.RESTORED))
    run.emit(StepIntended(step="boot", at=3))
    assert [step.facts.id for step in RunView.of(run.events).open_steps] == ["boot"]


def test_drift_is_closed_and_not_incomplete() -> None:
    view = RunView.of(inconclusive())
    assert view.steps["key"].status == "drifted"
    assert not view.incomplete
    assert view.probes["smoking-gun"].broken[0].inconclusive


def test_a_refused_run_has_touched_nothing() -> None:
    view = RunView.of(refused())
    assert view.fault_since is None
    assert [check.ok for check in view.checks] == [True, False]


def test_it_can_begin_in_the_middle() -> None:
    view = RunView.of(passed()[30:])
    assert view.run == RUN
    assert view.probes["read-clock"].last is not None


def everything(events: list[Sealed], width: int, height: int) -> None:
    """Every reader takes every event and shows what it made of it."""
    stream, metrics = Stream(), Metrics()
    terminal = TerminalView(Console(file=Stream(), width=width, height=height, force_terminal=False))
    lines = PlainLines(stream)
    view = RunView()
    for sealed in events:
        for reader in (view, lines, metrics, terminal):
            reader.consume(sealed)
        shown = frame(view, view.now, width, height)
        assert len(shown) <= height
        assert all(line.cell_len <= width for line in shown)
        assert not any("\x1b" in line.plain or "\n" in line.plain for line in shown)
    assert not any("\x1b" in line.plain for line in summary(view, "j", width))
    lines.close()
    metrics.close()
    terminal.close()
    assert "\x1b" not in stream.text


names = st.sampled_from(["read-clock", "checkout", "key", "boot", "", "[red]x", "\x1b[31mx", "\ud800", "宽" * 30])


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
members = st.sampled_from(["eventID", "eventName", "eventTime", "errorCode", "userIdentity", "arn", "invokedBy"])
records = st.dictionaries(members, jsons | st.dictionaries(members, jsons, max_size=3), max_size=4)
st.register_type_strategy(
    Observation,
    st.builds(
        Observation,
        cause=st.sampled_from(Cause),
        code=st.text(max_size=8),
        latency=st.floats(),
        records=st.lists(records, max_size=2).map(tuple),
    ),
)


def kinds() -> st.SearchStrategy[AnyEvent]:
    """Any event with any values that its types allow, names that meet one another among them."""
    for model in [*vars(_events).values(), *vars(_radius).values()]:
        if isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel:
            model.model_rebuild()  # events are built when first used; Hypothesis reads their signatures before that
    made = [st.builds(kind) for kind in AnyEvent.__args__]
    named = [
        st.builds(kind, **{field: names for field in ("probe", "step", "guard") if field in kind.model_fields})
        for kind in AnyEvent.__args__
    ]
    return st.one_of(*made, *named)


@settings(max_examples=150, deadline=None)
@given(st.lists(kinds(), max_size=25), st.integers(1, 160), st.integers(1, 50))
def test_any_events_in_any_order_are_taken(events: list[AnyEvent], width: int, height: int) -> None:
    everything([sealed(number, event) for number, event in enumerate(events)], width, height)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_real_run_with_events_lost_and_moved_is_taken(data: st.DataObject) -> None:
    events = RUNS[data.draw(st.sampled_from(sorted(RUNS)))]()
    kept = data.draw(st.lists(st.sampled_from(events), max_size=40))
    everything(kept, data.draw(st.sampled_from([20, 80, 140])), data.draw(st.sampled_from([5, 24, 40])))


def sealed(number: int, event: AnyEvent) -> Sealed:
    return Sealed(run="r", seq=number, at="", previous="", hash="", event=event)


def test_a_phase_without_a_known_limit_shows() -> None:
    everything([sealed(0, PhaseEntered(phase=Phase.FAULT, at=float("nan"), limit=float("inf")))], 80, 24)
