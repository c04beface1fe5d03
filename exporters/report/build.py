"""From a run's events to its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporters.parts import InPhase, ProbeView, StepView, Tone
from exporters.report.collect import Collected, Strip
from exporters.report.model import (
    Call,
    Change,
    Ending,
    Evidence,
    Expectation,
    PhaseSpan,
    ProbeReport,
    Report,
    Rollback,
    Segment,
    Surroundings,
)
from exporters.report.radius import tell_radius
from gameday.sdk import Phase, Sealed, TrailRecord

RECORDS = 60
"""CloudTrail records that a report carries; the journal has them all."""
_KNOWN = {"kind", "account", "region", "endpoint", "caller", "lab_pid"}


def build(events: Iterable[Sealed], *, alive: bool = False) -> Report:
    """Tell a run from its events alone: a finished one, or the part of it that there is."""
    collected = Collected()
    collected.view.alive = alive
    for sealed in events:
        collected.consume(sealed)
    return report(collected)


def report(collected: Collected) -> Report:
    """Tell what was collected so far."""
    view = collected.view
    records = [(probe, record) for probe in view.probes.values() for record in probe.records.values()]
    observed = {key: one.observed for key, one in view.radius.items() if one.observed is not None}
    event_ids = {record.request_id: record.event_id for _, record in records}
    event_ids |= {request: event for one in observed.values() for request, event in one.records.items()}
    steps = [
        (step, tuple(_with_record(call, event_ids, sought=step.facts.resource in observed) for call in calls))
        for calls, step in ((collected.calls[id_], step) for id_, step in _changed(collected))
    ]
    return Report(
        run=view.run,
        playbook=view.playbook,
        description=view.description,
        started=collected.utc(0.0),
        seconds=view.now,
        ending=_ending(collected),
        surroundings=_surroundings(collected),
        limits=view.limits,
        changed_at=view.fault_since,
        changed_for=_changed_for(view.fault_steps, view.now),
        phases=_phases(collected),
        probes=tuple(_probe(probe, collected.strips[name], collected) for name, probe in list(view.probes.items())),
        changes=tuple(_change(step, calls, collected) for step, calls in steps),
        rollbacks=tuple(
            Rollback(
                began=one.began,
                by=one.by,
                reason=one.reason,
                attempts=one.attempts,
                failures=one.failures,
                seconds=one.seconds,
                complete=one.complete,
            )
            for one in view.rollbacks
        ),
        radius=tuple(tell_radius(one) for one in view.radius.values()),
        evidence=tuple(_evidence(probe.facts.name, record) for probe, record in records[:RECORDS]),
        evidence_left_out=max(len(records) - RECORDS, 0),
        checks=tuple(view.checks),
        moments=tuple(collected.moments),
        chain=collected.chain(),
    )


def _changed(collected: Collected) -> list[tuple[str, StepView]]:
    return [
        (id_, step) for id_, step in collected.view.steps.items() if collected.calls[id_] or step.changed_at is not None
    ]


def _ending(collected: Collected) -> Ending:
    view = collected.view
    finished = view.finished
    verdict = "unfinished" if finished is None else finished.verdict.value
    under_way = view.alive and finished is None
    is_open = not under_way and (view.incomplete or (finished is None and bool(view.open_steps)))
    story = finished.story if finished else "The run has not ended, or died without a word."
    if under_way:
        verdict, story = "under way", "The run is under way, and puts back what it changes."
    if view.finished_later:
        story += " What it left changed has been put back since."
    return Ending(
        verdict="rollback incomplete" if view.incomplete and not under_way else verdict,
        exit_code=finished.exit_code if finished else None,
        story=story,
        reasons=finished.reasons if finished else (),
        incomplete=view.incomplete and not under_way,
        still_changed=tuple(view.still_changed) if is_open else (),
        finish_with=(finished.finish_with if finished else "") or (f"gameday rollback {view.run}" if is_open else ""),
    )


def _surroundings(collected: Collected) -> Surroundings:
    target, started = collected.view.target, collected.started
    facts = target.model_dump(mode="json", exclude_defaults=True) if target else {}
    return Surroundings(
        target=target.kind if target else "",
        account=target.account if target else "",
        region=target.region if target else "",
        endpoint=target.endpoint if target else "",
        caller=target.caller if target else "",
        details={name: _told(value) for name, value in facts.items() if name not in _KNOWN and value},
        machine=started.machine if started else "",
        pid=started.pid if started else 0,
        version=started.version if started else "",
    )


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={inner}" for name, inner in value.items())
    return str(value)


def _changed_for(steps: list[StepView], now: float) -> float | None:
    began = [step.changed_at for step in steps if step.changed_at is not None]
    if not began:
        return None
    ended = [step.closed.at if step.closed else now for step in steps if step.changed_at is not None]
    return max(max(ended) - min(began), 0.0)


def _phases(collected: Collected) -> tuple[PhaseSpan, ...]:
    phases = list(collected.phases)
    if phases:
        phases[-1] = phases[-1].model_copy(update={"ended": max(collected.view.now, phases[-1].ended)})
    return tuple(phases)


def _probe(probe: ProbeView, strip: Strip, collected: Collected) -> ProbeReport:
    return ProbeReport(
        facts=probe.facts,
        expectations=tuple(_expectation(probe, phase, collected) for phase in Phase if phase in probe.facts.expect),
        leaks=tuple(strip.leaks),
        looks=strip.looks,
        segments=tuple(_judged(segment, probe) for segment in strip.segments),
        latency=strip.points(),
        latency_of=len(strip.latency),
        median=strip.median(),
        longest=strip.longest(),
    )


def _expectation(probe: ProbeView, phase: Phase, collected: Collected) -> Expectation:
    here = probe.phases.get(phase) or InPhase()
    breached = probe.breached if probe.breached is not None and probe.breached.phase is phase else None
    seen = here.fitting or here.last
    if here.broken is not None or breached is not None:
        seen = here.unfitting or here.last
    return Expectation(
        phase=phase,
        expected=probe.facts.expect[phase],
        within=probe.facts.within.get(phase),
        result=_result(probe, here, broken=breached is not None),
        cause=seen.cause.value if seen else "",
        code=seen.code if seen else "",
        interval=here.met.interval if here.met else None,
        seconds=_waited(probe, phase, here, collected),
        why=breached.why if breached else here.broken.why if here.broken else "",
    )


def _judged(segment: Segment, probe: ProbeView) -> Segment:
    """What one waited to see change is bad once it is known that it never did."""
    here = probe.phases.get(segment.phase)
    never = here is not None and here.met is None and here.broken is not None and not here.broken.inconclusive
    return segment.model_copy(update={"tone": Tone.BAD.value}) if never and segment.tone == Tone.WAITING else segment


def _waited(probe: ProbeView, phase: Phase, here: InPhase, collected: Collected) -> float | None:
    if here.met is not None:
        return here.met.interval.by
    view = collected.view
    since = {
        Phase.FAULT: view.fault_since,
        Phase.RECOVERY: view.rollbacks[0].began if view.rollbacks else None,
    }.get(phase)
    since = view.began.get(phase) if since is None else since
    if since is None:
        return None
    ends = [one.ended for one in _phases(collected) if one.phase is phase]
    until = ends[-1] if ends else view.now
    if here.broken is not None:
        until = here.broken.at
    elif probe.breached is not None and probe.breached.phase is phase:
        until = probe.breached.at
    return max(until - since, 0.0)


def _result(probe: ProbeView, here: InPhase, *, broken: bool) -> str:
    if here.broken is not None:
        return "inconclusive" if here.broken.inconclusive else "broken"
    if broken:
        return "broken"
    if here.met is not None:
        return "met"
    return "held" if probe.is_guard and here.last is not None else "not reached"


def _with_record(call: Call, event_ids: Mapping[str, str], *, sought: bool) -> Call:
    if not call.request_id:
        return call
    found = event_ids.get(call.request_id, "")
    return call.model_copy(update={"event_id": found, "sought": sought or bool(found)})


def _change(step: StepView, calls: tuple[Call, ...], collected: Collected) -> Change:
    return Change(
        step=step.facts.id,
        uses=step.facts.uses,
        resource=step.facts.resource,
        state=step.status,
        detail=step.closed.detail if step.closed else "",
        is_open=step.open,
        calls=calls,
        read_backs=tuple(collected.read_backs[step.facts.id]),
    )


def _evidence(probe: str, record: TrailRecord) -> Evidence:
    return Evidence(
        probe=probe,
        utc=f"{record.time:%Y-%m-%dT%H:%M:%SZ}" if record.time.year > 1 else "",
        name=record.name,
        source=record.source,
        principal=record.principal,
        invoked_by=record.invoked_by,
        error_code=record.error_code,
        error_message=record.error_message,
        event_id=record.event_id,
        request_id=record.request_id,
        raw=record.raw,
    )
