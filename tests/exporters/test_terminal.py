"""The live view: what it draws, that it fits, that foreign text stays text, and what it leaves behind."""

from __future__ import annotations

import re
import threading

import pytest
from rich.console import Console

from exporters.fold import RunView
from exporters.frame import frame
from exporters.terminal import TerminalView, print_summary
from gameday.sdk import (
    AnyEvent,
    Cause,
    Event,
    ExpectationBroken,
    ExpectationMet,
    Interval,
    Note,
    Observation,
    Outcome,
    Phase,
    PhaseEntered,
    ProbeFacts,
    RollbackStarted,
    RunFinished,
    RunPrepared,
    RunStarted,
    Sealed,
    StateRead,
    StepFacts,
    StepInjected,
    StepIntended,
    StepReadBack,
    TargetFacts,
    UndoTried,
)

from .recorded import RUNS, Recorder, Stream, failed, incomplete, passed

KMS = "arn:aws:kms:us-east-1:123456789012"


def until(events: list[Sealed], kind: type[Event], number: int = 1) -> list[Sealed]:
    """The run up to and with the ``number``-th event of a kind."""
    where = [index for index, sealed in enumerate(events) if isinstance(sealed.event, kind)]
    return events[: where[number - 1] + 1]


def drawn(events: list[Sealed], width: int = 80, height: int = 23, later: float = 0.0) -> list[str]:
    view = RunView.of(events)
    return [line.plain for line in frame(view, view.now + later, width, height)]


def before_rollback() -> list[Sealed]:
    events = passed()
    where = next(
        i for i, s in enumerate(events) if isinstance(s.event, PhaseEntered) and s.event.phase is Phase.ROLLBACK
    )
    return events[:where]


def test_the_fault_at_80_columns() -> None:
    assert drawn(before_rollback(), later=0.5) == [
        "KILLSWITCH  run 7f3a9c12  lab 123456789012/us-east-1                       01:18",
        " FAULT   key off 00:37   put back within 04:22            [Ctrl-C = restore now]",
        "key     key/12ab34cd…  DISABLED (read 20 s ago)",
        "",
        "GOES DARK",
        "  read-clock     key_disabled after 5.2 s       ▁██████████████  leaks 0",
        "  boot-instance  boot_refused after 32 s        ▁█               leaks 0",
        "  key-state      key_disabled after 4.2 s       ▁▁██             leaks 0",
        "",
        "STAYS UP",
        "  checkout       ok 41 ms                       ▁▁▁▁▁▁▁          fails 0 of 5",
        "",
        "EVIDENCE",
        "  smoking-gun    looked for after recovery",
        "",
        "CHANGED",
        "  key/12ab34cd…                 kms.disable_key  changed",
        "  instance/i-0abc123def4567890  ec2.boot         changed",
        "",
        "NEXT    hold 10 s → put back → recovery",
    ]


def test_time_goes_on_between_events() -> None:
    early, late = drawn(before_rollback(), later=0.0), drawn(before_rollback(), later=250.0)
    assert "put back within 04:22" in early[1]
    assert "put back within 00:12" in late[1]
    assert "read 4 min 30 s ago" in late[2]


def test_a_wide_terminal_says_more() -> None:
    text = "\n".join(drawn(before_rollback(), 140, 40))
    assert "ok → key_disabled after 5.2 s" in text
    assert "fails 0 of 5, aborts at 3" in text


def test_a_low_terminal_gives_up_blank_lines_then_rows_but_not_the_way_out() -> None:
    for height in (15, 12, 10):
        lines = drawn(before_rollback(), 80, height)
        assert len(lines) <= height
        assert "put back within" in lines[1]
        assert "" not in lines
        assert lines[-1].startswith("NEXT")


def test_trouble_is_the_last_to_give_way() -> None:
    where = next(i for i, s in enumerate(failed()) if isinstance(s.event, ExpectationBroken))
    lines = drawn(failed()[: where + 1], 80, 9)
    assert [line[:15] for line in lines[3:6]] == ["GOES DARK", "  boot-instance", "  … 1 not as ex"]


def fleet(phase: Phase, broken: int | None, probes: int = 30, reads: list[AnyEvent] | None = None) -> list[str]:
    """A run with many reads and no probe of the key, at 80x24, in which one read may not have gone dark."""
    wanted = {Phase.BASELINE: ("ok",), Phase.FAULT: ("key_disabled",), Phase.RECOVERY: ("ok",)}
    names = [f"read-{number:03}" for number in range(probes)]
    key = StepFacts(id="k/key", uses="kms.deny", step="key", resource=f"{KMS}:key/1", named="alias/payments")
    run = Recorder()
    run.emit(
        RunStarted(run="7f3a9c12", playbook="killswitch"),
        PhaseEntered(phase=Phase.PREFLIGHT, at=0),
        Note(at=0.5, text="said in preflight"),
        RunPrepared(
            target=TargetFacts(kind="lab", account="123456789012", region="us-east-1"),
            probes=tuple(ProbeFacts(name=name, uses="s3.read", expect=wanted) for name in names),
            steps=(key,),
            limits={"max_fault": 300.0},
        ),
        PhaseEntered(phase=Phase.BASELINE, at=1),
        PhaseEntered(phase=Phase.FAULT, at=5),
        StepIntended(step="k/key", at=5),
        StepInjected(step="k/key", asked=5, answered=5.1, certain=True),
    )
    for number, name in enumerate(names):
        if number == broken:
            run.emit(ExpectationBroken(probe=name, phase=Phase.FAULT, at=65, why="still readable"))
        else:
            met = ExpectationMet(probe=name, phase=Phase.FAULT, cause="key_disabled", interval=Interval(after=1, by=3))
            run.emit(met)
    if phase is Phase.ROLLBACK:
        run.emit(PhaseEntered(phase=phase, at=66), RollbackStarted(at=66, reason="all seen", by="runner"))
    run.emit(*(reads or []))
    return drawn(run.events)


@pytest.mark.parametrize("phase", [Phase.FAULT, Phase.ROLLBACK])
@pytest.mark.parametrize("probes", [30, 200])
def test_the_one_that_failed_is_first_and_the_rest_are_folded(phase: Phase, probes: int) -> None:
    lines = fleet(phase, 21, probes)
    assert len(lines) <= 23
    where = next(number for number, line in enumerate(lines) if "DARK" in line)
    assert lines[where + 1].startswith("  read-021  still readable")
    assert lines[where + 2] == f"  … {probes - 1} dark"


@pytest.mark.parametrize("phase", [Phase.FAULT, Phase.ROLLBACK])
def test_the_key_has_its_alias_and_its_time_whatever_the_probes(phase: Phase) -> None:
    lines = fleet(phase, None)
    assert "key off 0" in lines[1]
    assert lines[2].startswith("key     alias/payments  CHANGED (by gameday, 0")
    assert not any("said in preflight" in line for line in lines)
    assert any(re.fullmatch(r"  … \d+ dark", line) for line in lines)


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        ([StateRead(at=65, resource=f"{KMS}:key/1", state="Disabled")], "DISABLED (read 1 s ago)"),
        ([StateRead(at=65, resource=f"{KMS}:key/1", state="PendingDeletion")], "PENDING DELETION (read 1 s ago)"),
        (
            [
                StateRead(at=65, resource=f"{KMS}:key/1", state="Disabled"),
                StepReadBack(step="k/key", at=66, found="restored", detail="Enabled", state="Enabled"),
            ],
            "ENABLED (read 0 s ago)",
        ),
        (
            [
                StepReadBack(step="k/key", at=66, found="restored", detail="Enabled", state="Enabled"),
                StateRead(at=65, resource=f"{KMS}:key/1", state="Disabled"),  # came late, and is older
            ],
            "ENABLED (read 0 s ago)",
        ),
    ],
)
def test_the_keys_line_says_what_gameday_itself_read(reads: list[AnyEvent], said: str) -> None:
    assert fleet(Phase.ROLLBACK, None, reads=reads)[2] == f"key     alias/payments  {said}"


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(("width", "height"), [(20, 8), (40, 12), (80, 23), (100, 29), (140, 39), (300, 99)])
def test_every_picture_fits(name: str, width: int, height: int) -> None:
    view = RunView()
    for sealed in RUNS[name]():
        view.consume(sealed)
        lines = frame(view, view.now + 1, width, height)
        assert len(lines) <= height
        assert max(line.cell_len for line in lines) <= width


def test_a_failing_rollback_says_so_while_it_tries() -> None:
    lines = drawn(until(incomplete(), UndoTried, 3), 100)
    assert "!       undo failed 3 times, trying again: AccessDeniedException" in "\n".join(lines)


HOSTILE = ("[red]bucket", "\x1b]0;owned\x07", "\x1b[2J\x1b[H", "a\u202eb", "\x9b31m")


@pytest.mark.parametrize("name", HOSTILE)
def test_foreign_text_stays_text(name: str) -> None:
    stream = Stream()
    console = Console(file=stream, force_terminal=True, width=100, height=30, color_system="truecolor", _environ={})
    run = Recorder(name)
    run.prepare()
    seen = Observation(cause=Cause.OTHER, code=name, detail=name, records=({"eventName": name, "eventID": name},))
    run.look(name, Phase.FAULT, seen, False)
    run.look("smoking-gun", Phase.EVIDENCE, seen, True)
    run.finish_with(name)
    view = RunView.of(run.events)
    for line in frame(view, 1.0, 100, 30):
        console.print(line)
    print_summary(view, console, name)
    # All that is left when rich's own colours are taken away must be printable.
    left = re.sub(r"\x1b\[[0-9;]*m", "", stream.text).replace("\n", "")
    assert left.isprintable()
    assert ("[red]bucket" in left) == (name == "[red]bucket")
    assert "\x1b[31m[" not in stream.text


def live(stream: Stream, **environ: str) -> Console:
    return Console(
        file=stream,
        force_terminal=True,
        width=80,
        height=24,
        color_system="truecolor",
        _environ=environ,
        legacy_windows=False,
    )


class Drawn(Stream):
    """A stream that tells when the first picture was drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if "put back within" in text:
            self.seen.set()
        return written


def test_it_draws_by_itself_takes_the_picture_away_and_leaves_the_summary() -> None:
    stream = Drawn()
    view = TerminalView(live(stream), "/j.db", refresh=100.0)
    events = passed()
    fault = len(until(events, StepInjected, 2))
    for sealed in events[:fault]:
        view.consume(sealed)
    assert stream.seen.wait(10)
    for sealed in events[fault:]:
        view.consume(sealed)
    view.close()
    assert "GOES DARK" in stream.text
    end = stream.text[stream.text.rindex("NEXT") :]
    assert "PASSED" in end
    assert "\x1b[?25h" in stream.text  # the cursor is back
    assert "/j.db" in end


def test_nothing_is_drawn_while_nothing_changes() -> None:
    stream = Drawn()
    view = TerminalView(live(stream), clock=lambda: 41.4, refresh=500.0)
    for sealed in until(passed(), StepInjected, 2):
        view.consume(sealed)
    assert stream.seen.wait(10)
    view.close()
    # Events may come between two pictures, so a few differ; unchanged ones are not drawn again.
    assert stream.text.count("put back within") <= 2


def test_no_color_is_respected() -> None:
    stream = Drawn()
    view = TerminalView(live(stream, NO_COLOR="1"), refresh=100.0)
    for sealed in passed()[:-1]:
        view.consume(sealed)
    for sealed in passed()[-1:]:
        view.consume(sealed)
    view.close()
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|4[0-7]|9[0-7]|38|48)[;m]", stream.text)


def test_where_there_is_no_terminal_only_the_summary_is_printed() -> None:
    stream = Stream()
    view = TerminalView(Console(file=stream, width=80))
    for sealed in passed():
        view.consume(sealed)
    view.close()
    assert "NEXT" not in stream.text
    assert "\x1b" not in stream.text
    assert stream.text.splitlines()[1].startswith(" PASSED   killswitch")


def test_a_terminal_that_is_gone_is_no_error() -> None:
    class Gone(Stream):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def flush(self) -> None:
            raise OSError(5, "Input/output error")

    view = TerminalView(live(Gone()), refresh=500.0)
    for sealed in passed():
        view.consume(sealed)
    view.close()


def test_the_alarm_is_the_last_thing_on_the_screen() -> None:
    stream = Stream()
    print_summary(RunView.of(incomplete()), Console(file=stream, width=80))
    lines = stream.text.splitlines()
    assert lines[1].startswith(" ROLLBACK INCOMPLETE ")
    assert lines[-1] == "Finish it with:  gameday rollback 7f3a9c12"


def test_the_command_to_finish_with_is_never_broken_over_lines() -> None:
    stream = Stream()
    run = Recorder()
    command = "gameday rollback 7f3a9c12 --journal postgresql://journal.example:5432/gameday --target staging.yaml"
    run.finish_with(command)
    print_summary(RunView.of(run.events), Console(file=stream, width=60))
    assert command in stream.text


def test_the_signs_are_for_the_eye() -> None:
    from exporters.rows import SIGNS

    assert SIGNS == {Outcome.OK: "▁", Outcome.FAILED: "█", Outcome.UNKNOWN: "·"}


def test_a_finished_run_stands_still() -> None:
    events = passed()
    assert isinstance(events[-1].event, RunFinished)
    assert drawn(events, later=0)[1] == " EVIDENCE   over: passed"
