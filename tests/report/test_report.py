"""The report says what the events say, in every format, whatever the events are."""

from __future__ import annotations

import io
import json
import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.lines import replay
from exporters.report.build import build
from exporters.report.files import SUFFIXES, save_all, written
from exporters.report.model import Report
from gameday.sdk import (
    AnyEvent,
    Cause,
    Dependent,
    Gap,
    Latent,
    Note,
    Observation,
    Phase,
    ProbeFacts,
    ProbeObserved,
    RadiusObserved,
    RadiusPredicted,
    RunPrepared,
    RunStarted,
    Sealed,
    Seen,
    Sizes,
    StepFacts,
    StepInjected,
    TargetFacts,
    seal,
)
from tests.exporters.recorded import GRANT, RUNS, abandoned, aborted, failed, incomplete, passed

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e`|](http://x)@everyone"
LIMIT = 400_000


def sealed(events: list[AnyEvent]) -> list[Sealed]:
    out: list[Sealed] = []
    for seq, event in enumerate(events):
        at = f"2026-03-03T10:00:{seq % 60:02}.000000+00:00"
        out.append(seal("7f3a9c12", seq, at, out[-1].hash if out else "", event))
    return out


@pytest.mark.parametrize("name", RUNS)
def test_every_ending_can_be_told_in_every_format(name: str, tmp_path: Path) -> None:
    paths = save_all(RUNS[name](), tmp_path)
    assert [path.suffix for path in paths] == list(SUFFIXES.values())
    report = Report.model_validate_json(paths[1].read_text())
    assert report.ending.verdict in unescape(paths[0].read_text())
    assert paths[0].stat().st_size < LIMIT
    ElementTree.fromstring(paths[2].read_text())
    assert paths[3].read_text().startswith("### ")


def test_what_a_passing_run_tells() -> None:
    report = build(passed())
    read = next(probe for probe in report.probes if probe.facts.name == "read-clock")
    fault = next(one for one in read.expectations if one.phase is Phase.FAULT)
    assert (report.ending.verdict, report.ending.exit_code, report.chain.whole) == ("passed", 0, True)
    assert (fault.result, fault.cause, fault.code) == ("met", "key_disabled", "KMS.DisabledException")
    assert [segment.cause for segment in read.segments][:2] == ["ok", "ok"]  # baseline, then the fault's first looks
    assert {"key_disabled"} == {one.cause for one in read.segments if one.tone == "dark"}
    calls = [(call.does, call.answer, call.utc[:4], call.utc[-1]) for one in report.changes for call in one.calls]
    assert ("inject", "done", "2026", "Z") in calls and ("undo", "done", "2026", "Z") in calls
    assert all(change.state == "restored" and change.read_backs for change in report.changes)
    assert report.changed_for is not None and report.changed_at is not None
    assert [record.name for record in report.evidence] == ["CreateGrant"]


def test_an_incomplete_rollback_is_the_loudest_thing_in_every_format() -> None:
    report = build(incomplete())
    command = "gameday rollback 7f3a9c12"
    assert report.ending.verdict == "rollback incomplete" and report.ending.still_changed
    for form in SUFFIXES:
        assert command in unescape(written(report, form)), form
    failures = ElementTree.fromstring(written(report, "junit")).findall(
        ".//testcase[@name='everything is put back']/failure"
    )
    assert [failure.get("message") for failure in failures] == [command]


def test_what_somebody_left_as_it_is_is_called_put_back_in_no_format() -> None:
    report = build(abandoned())
    assert report.ending.verdict == "abandoned"
    told = {form: unescape(written(report, form)) for form in SUFFIXES}
    for form, text in told.items():
        assert "abandoned by ann@desk".replace("@", "@\N{ZERO WIDTH SPACE}" if form == "markdown" else "@") in text, (
            form
        )
    (case,) = ElementTree.fromstring(told["junit"]).findall(".//testcase[@name='everything is put back']")
    error = case.find("error")
    assert error is not None and error.get("type") == "abandoned"
    assert report.changes[0].resource in (error.text or "")
    put_back = sum(change.state == "restored" for change in report.changes)
    assert (put_back, len(report.changes)) == (1, 2)
    assert "1 of 2 put back and read back" in told["markdown"]
    assert re.search(
        r"Put back and read back</dt>.{0,200}?1 of 2|1 of 2.{0,200}?Put back and read back", told["html"], re.S
    )


def test_junit_counts_what_broke_once_and_says_how_long_it_was_waited_for() -> None:
    suite = ElementTree.fromstring(written(build(failed()), "junit"))[0]
    broken = [case for case in suite if case.find("failure") is not None]
    assert [case.get("name") for case in broken] == ["boot-instance is key_disabled or boot_refused"]
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    assert float(broken[0].get("time", "")) == pytest.approx(19.2)
    (verdict,) = suite.findall("testcase[@name='verdict']")
    assert str(verdict.findtext("system-out")).startswith("failed: boot-instance stayed up")
    aborted_suite = ElementTree.fromstring(written(build(aborted()), "junit"))[0]
    assert (aborted_suite.get("failures"), aborted_suite.get("errors")) == ("1", "0")
    assert int(aborted_suite.get("skipped", "")) > 0, "what was not reached is skipped, not passed"


def test_a_probe_that_never_went_dark_is_red_and_counted_out() -> None:
    page = written(build(failed()), "html")
    assert '<div class="bad"><dt>Went dark</dt><dd>2 of 3 <small>not boot-instance</small>' in page
    assert "All dark after" not in page
    assert "<dt>All back after</dt><dd>4.4 s <small>read-clock</small>" in page, "only what went dark comes back"
    [boot] = [probe for probe in build(failed()).probes if probe.facts.name == "boot-instance"]
    assert {segment.tone for segment in boot.segments if segment.phase is Phase.FAULT} == {"bad"}
    assert "All dark after" in written(build(passed()), "html")


def test_what_an_abort_left_unchecked_is_not_called_unseen() -> None:
    stream = io.StringIO()
    replay(aborted(), stream)
    [boot] = [line for line in stream.getvalue().splitlines() if line.startswith("boot-instance  ok")]
    assert "not checked" in boot
    assert "not seen" not in boot
    assert "<b>not checked</b>" in written(build(aborted()), "html")


def test_the_json_report_is_as_its_published_schema_says() -> None:
    schema = Report.model_json_schema(mode="serialization")
    for run in RUNS.values():
        jsonschema.validate(json.loads(written(build(run()), "json")), schema)


def test_an_altered_event_shows_in_the_report() -> None:
    events = passed()
    noted = next(i for i, one in enumerate(events) if one.event.kind == "step_closed")
    altered = events[noted].event.model_copy(update={"detail": "nothing to see"})
    events[noted] = events[noted].model_copy(update={"event": altered})
    report = build(events)
    assert not report.chain.whole
    assert "The chain of events is broken" in written(report, "html")
    assert "BROKEN" in written(report, "markdown")


def hostile_run() -> list[Sealed]:
    seen = Observation(
        cause=Cause.OTHER, code=HOSTILE, detail=HOSTILE, request_id=HOSTILE, records=({**GRANT, "userAgent": HOSTILE},)
    )
    facts = ProbeFacts(name=HOSTILE, uses=HOSTILE, resource=HOSTILE, expect={Phase.FAULT: (HOSTILE,)})
    step = StepFacts(id=HOSTILE, uses=HOSTILE, step=HOSTILE, resource=HOSTILE)
    target = TargetFacts(kind="lab", account=HOSTILE, region=HOSTILE, caller=HOSTILE, endpoint=HOSTILE)
    return sealed(
        [
            RunStarted(run=HOSTILE, playbook=HOSTILE, description=HOSTILE, version=HOSTILE, machine=HOSTILE),
            RunPrepared(target=target, probes=(facts,), steps=(step,), limits={HOSTILE: 1.0}),
            ProbeObserved(probe=HOSTILE, phase=Phase.FAULT, asked=1, answered=2, observation=seen, meets=False),
            StepInjected(step=HOSTILE, asked=1, answered=2, certain=True, detail=HOSTILE, request_id=HOSTILE),
            Note(at=3, text=HOSTILE),
        ]
    )


def test_what_came_from_outside_stays_text() -> None:
    report = build(hostile_run())
    page, markdown, junit = (written(report, form) for form in ("html", "markdown", "junit"))
    assert page.count("<script>") == 1, "only the page's own"
    assert "&lt;script&gt;" in page
    for text in (page, markdown, junit):
        assert "\x1b" not in text and "\u202e" not in text
    outside = re.sub(r"`[^`\n]*`", "", markdown.replace("\\`", ""))  # in a code span all is text
    assert "@everyone" not in outside and "<script>" not in outside and "](" not in outside.replace("\\]", "")
    ElementTree.fromstring(junit)


def test_a_huge_run_makes_a_page_that_a_mail_can_carry() -> None:
    names = [f"probe-{number}" for number in range(300)]
    facts = tuple(ProbeFacts(name=n, uses="s3.read", expect=dict.fromkeys(list(Phase)[1:], ("ok",))) for n in names)
    records = [{**GRANT, "eventID": str(n), "requestParameters": {"x": '"<&' * 3000}} for n in range(70)]
    events: list[AnyEvent] = [
        RunPrepared(target=TargetFacts(kind="lab", account="1", region="r"), probes=facts, steps=(), limits={})
    ]
    for look in range(9000):
        cause = Cause.OK if look // 100 % 2 else Cause.KEY_DISABLED
        seen = Observation(cause=cause, records=tuple(records) if look == 5 else ())
        name = names[look % 100]
        events.append(ProbeObserved(probe=name, phase=Phase.FAULT, asked=look, answered=look + 1, observation=seen))
    page = written(build(sealed(events)), "html")
    assert len(page.encode()) < LIMIT


causes = st.sampled_from(list(Cause))
phases = st.sampled_from(list(Phase))
times = st.floats(0, 1e6, allow_nan=False)
parts = st.recursive(
    st.text(max_size=30), lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b<", ""]), phases, times, times, causes, st.text(max_size=20)), max_size=30
    ),
    st.randoms(use_true_random=False),
    st.dictionaries(st.text(max_size=10), parts, max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_any_events_in_any_order_make_a_report(
    looks: list[tuple[str, Phase, float, float, Cause, str]], random: object, raw: dict[str, object]
) -> None:
    events: list[AnyEvent] = [
        ProbeObserved(
            probe=probe,
            phase=phase,
            asked=asked,
            answered=answered,
            observation=Observation(cause=cause, code=text, records=({**raw, "eventName": text},)),  # type: ignore[dict-item]
        )
        for probe, phase, asked, answered, cause, text in looks
    ]
    events += [one.event for one in passed()]
    random.shuffle(events)  # type: ignore[attr-defined]
    report = build(sealed(events))
    for form in SUFFIXES:
        written(report, form)
    json.loads(written(report, "json"))
    ElementTree.fromstring(written(report, "junit"))


def radius_run() -> list[Sealed]:
    used = Dependent(
        principal="arn:aws:iam::1:role/app", service="s3.amazonaws.com", resource="b/k", why="used", uses=9
    )
    late = [Dependent(principal=f"arn:aws:iam::1:role/r{n}", resource=HOSTILE, why="granted") for n in range(40)]
    gone = Seen(fate="as predicted", principal=used.principal, service=used.service, resource=used.resource, refused=2)
    mallory = Seen(
        fate="unexpected", principal=HOSTILE, service="ssm.amazonaws.com", refused=1, recover=Gap(after=1, by=2)
    )
    latent = Latent(
        service="rds.amazonaws.com", resource="db", when="7 days after", needs="a restore", unrecoverable=True
    )
    key = "arn:aws:kms:us-east-1:1:key/12ab34cd-56ef-7890-abcd-1234567890ab"
    predicted = RadiusPredicted(
        key=key,
        since="2026-01-01",
        until="2026-03-03",
        sizes=Sizes(dependents=41),
        dependents=(used, *late),
        latent=(latent,),
    )
    counts = {"as predicted": 1, "unexpected": 1}
    observed = RadiusObserved(key=key, at=9, off="", on="", counts=counts, refused=3, own=1, seen=(gone, mallory))  # type: ignore[arg-type]
    return sealed([*(one.event for one in passed()[:3]), predicted, observed, *(one.event for one in passed()[3:])])


def test_a_call_whose_record_is_not_known_says_why() -> None:
    def told(events: list[Sealed]) -> set[tuple[str, bool]]:
        page = written(build(events), "html")
        calls = [call for change in build(events).changes for call in change.calls if call.request_id]
        found = {(call.event_id, call.sought) for call in calls}
        assert ("not looked up" in page) == (("", False) in found)
        assert ("not delivered yet" in page) == (("", True) in found)
        assert all(id_ in page for id_, _ in found)
        return found

    injected = next(e.event for e in passed() if isinstance(e.event, StepInjected) and e.event.request_id)
    resource = next(one.resource for one in build(passed()).changes if one.step == injected.step)
    assert told(passed()) == {("", False)}
    seen = RadiusObserved(key=resource, at=9, off="", on="", counts={})
    asked = [RadiusPredicted(key=resource, since="", until="", sizes=Sizes()), seen]
    assert told(sealed([*(one.event for one in passed()), *asked])) == {("", True)}
    asked[1] = seen.model_copy(update={"records": {injected.request_id: "e1"}})
    assert ("e1", True) in told(sealed([*(one.event for one in passed()), *asked]))


def test_the_blast_radius_brings_predicted_and_observed_together() -> None:
    (radius,) = build(radius_run()).radius
    assert radius.affected[0].fate == "unexpected" and radius.affected[0].why == ""
    app = next(one for one in radius.affected if one.principal.endswith("role/app"))
    assert (app.why, app.uses, app.fate, app.refused) == ("used", 9, "as predicted", 2)
    assert len(radius.affected) == 42 and radius.latent[0].unrecoverable
    page = written(build(radius_run()), "html")
    assert page.count("<rect") < 45, "what has no room of its own shares a box"
    assert "29 more" in page and "a restore" in page and page.count("<script>") == 1
