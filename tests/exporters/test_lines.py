# ruff: noqa: RUF001  (a dash between two numbers is an en dash)
"""Plain lines say what is worth a line, once; JSON lines say everything."""

from __future__ import annotations

import json

import pytest

from exporters.json_lines import JsonLines
from exporters.lines import PlainLines, checked, replay
from gameday.sdk import (
    SEALED,
    Cause,
    Closed,
    Observation,
    Phase,
    PreflightChecked,
    RunPrepared,
    Staged,
    StepFacts,
    StepInjected,
    TargetFacts,
    chain_is_whole,
)

from .recorded import KEY, RUNS, Recorder, Stream, aborted, failed, incomplete, inconclusive, passed, refused


def said(events: list, journal: str = "") -> list[str]:
    stream = Stream()
    replay(events, stream, journal)
    return stream.text.splitlines()


def test_a_change_of_cause_is_a_line_and_a_sample_is_not() -> None:
    lines = [line for line in said(passed()) if "s fault" in line and "read-clock:" in line]
    assert lines == [
        "   46.1s fault     read-clock: ok → key_disabled (KMS.DisabledException), 5.2 s after the inject",
        "   46.1s fault     read-clock: effect after 3.1–5.2 s: key_disabled",
    ]


def test_the_end_of_a_passing_run() -> None:
    who = "assumed-role/voclabs/gameday-7f3a9c12"
    end = said(passed(), "/var/lib/gameday/journal.db")
    start = end.index(" PASSED   killswitch  run 7f3a9c12  lab 123456789012/us-east-1  2 min 18 s")
    assert end[start + 1 :] == [
        "With the key disabled 3 probes went dark within 32 s, and all came back within 38 s.",
        "",
        "probe          baseline  to effect  cause seen                                      leaks  to recover",
        "read-clock     ok 41 ms  3.1–5.2 s  key_disabled KMS.DisabledException              0      2.4–4.4 s",
        "boot-instance  ok 31 s   14–32 s    boot_refused Client.InvalidKMSKey.InvalidState  0      2.4–38 s",
        "key-state      ok 41 ms  0.2–4.2 s  key_disabled KMS.DisabledException              0      0.1–3.4 s",
        "checkout       ok 41 ms  stays up   ok                                              –      –",
        "",
        "rollback  complete after 0.4 s",
        "restored  key/12ab34cd…  kms.disable_key",
        "restored  instance/i-0abc123def4567890  ec2.boot",
        f"evidence  CreateGrant  DisabledException  2026-03-03T10:00:52Z  by {who} via ec2.amazonaws.com",
        "",
        "journal   /var/lib/gameday/journal.db",
        "again     gameday show 7f3a9c12",
    ]


def test_an_incomplete_rollback_is_the_first_thing_said_and_the_last() -> None:
    end = said(incomplete())
    assert " ROLLBACK INCOMPLETE   killswitch  run 7f3a9c12  lab 123456789012/us-east-1  3 min 18 s" in end
    headline = next(number for number, line in enumerate(end) if "ROLLBACK INCOMPLETE   killswitch" in line)
    assert end[headline + 1].strip() == "STILL CHANGED, or could not be read back", "before anything else"
    assert "is still Disabled: AccessDeniedException" in end[headline + 2]
    assert end[-1] == "Finish it with:  gameday rollback 7f3a9c12"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (failed(), "BROKEN: expected key_disabled or boot_refused within 3 min, saw ok"),
        (failed(), "LEAK: it succeeded after the effect had been seen"),
        (aborted(), "guard checkout BREACHED: 3 of the last 5 failed: unhealthy 503"),
        (aborted(), "attempt 2: FAILED: ThrottlingException: Rate exceeded"),
        (aborted(), "SIGINT (ignored: rolling back already)"),
        (refused(), "NOT OK  kms.disable_key: the key is already Disabled"),
        (inconclusive(), "smoking-gun: INCONCLUSIVE: no event within 20 min"),
        (inconclusive(), "drifted key/12ab34cd… (kms.disable_key): PendingDeletion since"),
    ],
)
def test_what_goes_wrong_is_said(events: list, expected: str) -> None:
    assert any(expected in line for line in said(events))


def test_the_leaking_probe_still_shows_the_cause_of_its_effect() -> None:
    row = next(line for line in said(failed()) if line.startswith("read-clock"))
    assert "key_disabled KMS.DisabledException  1 " in row


def test_a_run_that_did_not_finish_says_so_and_what_is_open() -> None:
    end = said(passed()[:50])
    assert any(line.startswith(" NOT FINISHED ") for line in end)
    assert end[-1] == "Finish it with:  gameday rollback 7f3a9c12"


def test_no_line_holds_an_escape_sequence() -> None:
    run = Recorder("[red]\x1b[2J")
    seen = Observation(cause=Cause.OTHER, code="\x1b]0;owned\x07", detail="\x1b[31m")
    run.look("\x1b[1mname", Phase.BASELINE, seen, False)
    text = "\n".join(said(run.events, "\x1b[3m"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text


@pytest.mark.parametrize("name", RUNS)
def test_json_lines_hold_the_run_as_it_was(name: str) -> None:
    stream, events = Stream(), RUNS[name]()
    exporter = JsonLines(stream)
    for sealed in events:
        exporter.consume(sealed)
    exporter.close()
    read = [SEALED.validate_json(line) for line in stream.text.splitlines()]
    assert read == events
    assert chain_is_whole(read)
    assert json.loads(stream.text.splitlines()[0])["event"]["kind"] == "run_started"


@pytest.mark.parametrize("exporter", [JsonLines, PlainLines])
def test_a_reader_that_leaves_is_no_error(exporter: type[JsonLines | PlainLines]) -> None:
    class Gone(Stream):
        tried = 0

        def write(self, text: str) -> int:
            Gone.tried += 1
            raise BrokenPipeError

    broken = exporter(Gone())
    for sealed in passed():
        broken.consume(sealed)
    broken.close()
    assert Gone.tried == 1


def test_a_breached_guard_shows_what_broke_it() -> None:
    row = next(line for line in said(aborted()) if line.startswith("checkout"))
    assert row.split() == ["checkout", "ok", "41", "ms", "broke", "unhealthy", "503", "–", "–"]


def test_a_reason_that_is_said_at_the_end_is_not_said_twice() -> None:
    end = said(incomplete())
    end = end[next(n for n, line in enumerate(end) if " ROLLBACK INCOMPLETE  " in line) :]
    assert sum("is still Disabled" in line for line in end) == 1


def test_what_preflight_does_carries_the_time_of_its_envelope() -> None:
    run = Recorder()
    run.at = 14.9
    run.emit(Staged(uses="kms.key", detail="made"))
    assert said(run.events)[1] == "   14.9s preflight staged kms.key: made"


def test_of_a_fault_with_several_steps_the_step_is_named() -> None:
    """Of one with a single step it is not: there is nothing to tell it from."""
    run = Recorder("encrypt-root-volume")
    uses = "ec2.encrypt_root_volume"
    volume = "arn:aws:ec2:us-east-1:123456789012:volume/vol-1"
    facts = [StepFacts(id=f"{uses}/{step}", uses=uses, step=step, resource=volume) for step in ("detach", "attach")]
    facts += [StepFacts(id="kms.disable_key/disable", uses="kms.disable_key", step="disable", resource=KEY)]
    target = TargetFacts(kind="lab", account="1", region="r")
    run.emit(RunPrepared(target=target, probes=(), steps=tuple(facts), limits={}))
    run.emit(*(StepInjected(step=one.id, asked=0, answered=0, certain=True) for one in facts))
    run.undo(facts[0].id, 1, ok=True)
    for one in facts:
        run.close(one.id, Closed.RESTORED)
    lines = said(run.events)
    whole = "\n".join(lines)
    assert "changed volume/vol-1 (ec2.encrypt_root_volume: detach)\n" in whole
    assert "changed volume/vol-1 (ec2.encrypt_root_volume: attach)\n" in whole
    assert "undo volume/vol-1 (ec2.encrypt_root_volume: detach), attempt 1: answered\n" in whole
    assert "changed key/12ab34cd… (kms.disable_key)\n" in whole
    assert "restored  volume/vol-1  ec2.encrypt_root_volume: attach" in lines


def test_a_check_that_passed_says_what_it_found() -> None:
    assert checked(PreflightChecked(check="halt", ok=True)) == "no halt is in force"
    assert checked(PreflightChecked(check="state kms/key", ok=True)) == "state kms/key"
    assert checked(PreflightChecked(check="target", ok=True, detail="ann")) == "target: ann"
    assert checked(PreflightChecked(check="halt", ok=False, detail="an incident")) == "halt: an incident"
