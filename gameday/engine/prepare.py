"""Before anything is touched: the stage, the pinning, and every reason not to begin.

The proof that the undo is permitted (EnableKey on a key that is still enabled) is the machine's, once the hold is
taken: it is the undo itself, and must not enable a key that another run has disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from gameday.engine.harbour import under_key
from gameday.engine.iam import simulated
from gameday.engine.job import Target, undoers
from gameday.engine.plan import Plan, make_plan
from gameday.engine.simulator import Simulated
from gameday.engine.switch import checks, role_of
from gameday.errors import CannotInject, JournalError, Refused
from gameday.journal import HoldRecord, Journal, StepRecord
from gameday.playbook import Playbook
from gameday.rollback.receipts import merge
from gameday.rollback.recovery import lands_for
from gameday.sdk import AWS, AnyEvent, PreflightChecked, Staged, Step, format_duration

Emit = Callable[[AnyEvent], None]
MARGIN = timedelta(minutes=5)
"""For so much longer than a run's own limits the credentials must last."""


def prepare(
    playbook: Playbook,
    target: Target,
    *,
    journal: Journal,
    finish_with: str,
    emit: Emit,
) -> Plan:
    """Make everything ready, or raise Refused with the reason; nothing is changed that is not already so."""
    for said in merge(journal):
        emit(PreflightChecked(check="receipts", ok=True, detail=said))
    aws, facts = target.session, target.facts
    who = f"{facts.caller} in account {facts.account}, {facts.region}"
    if facts.rollback_caller:
        who += f"; puts back as {facts.rollback_caller}"
    emit(PreflightChecked(check="target", ok=True, detail=who))
    _stage(playbook, aws, emit, may_stage=target.stages)
    plan = make_plan(playbook, aws, facts, aws.run, finish_with)
    for name, said in plan.samples.items():
        emit(PreflightChecked(check=f"sample of {name}", ok=True, detail=said))
    resources = ", ".join(sorted({record.resource for record in plan.records.values()}))
    emit(PreflightChecked(check="resources", ok=True, detail=resources))
    if warning := under_key(journal.place, {record.resource for record in plan.records.values()}, aws):
        emit(PreflightChecked(check="journal", ok=True, detail=f"WARNING: {warning}"))
    for check, why, shown in _checks(playbook, plan, target, journal):
        emit(PreflightChecked(check=check, ok=not why, detail=why or shown))
        if why:
            raise Refused(why)
    if playbook.blast_radius or not target.stages:
        from gameday.engine.radius import with_radius  # brings its own engines, which other runs need not load

        plan = with_radius(playbook, plan, target, emit)
    _release_dead_holds(plan, journal)
    return plan


def foreseeable(playbook: Playbook, plan: Plan, target: Target, journal: Journal) -> tuple[list[str], list[str]]:
    """Every reason not to begin that can be seen without a call that might write, and what else a check shows."""
    found = list(_checks(playbook, plan, target, journal))
    return [why for _, why, _ in found if why], [
        f"{check}: {shown}" for check, why, shown in found if shown and not why
    ]


def _stage(playbook: Playbook, aws: AWS, emit: Emit, *, may_stage: bool) -> None:
    for use in playbook.stage:
        missing = use.part.check(aws)
        if missing and may_stage:
            use.part.make(aws)
            missing = use.part.check(aws)
            emit(Staged(uses=use.uses, detail=missing or "made"))
        if missing:
            why = f"{missing} (gameday stage makes what is missing)"
            emit(PreflightChecked(check=f"stage {use.uses}", ok=False, detail=why))
            raise Refused(why)


def _checks(playbook: Playbook, plan: Plan, target: Target, journal: Journal) -> Iterator[tuple[str, str, str]]:
    """What is checked, why not or ``""``, and what it shows; one after the other, as far as the reader goes.

    What needs the dead man's switch needs none on a lab, which is where a run may make what it needs.
    """
    aws, facts = target.session, target.facts
    yield "halt", _halted(journal), ""
    yield "faults", twice(plan.records), ""
    yield "credentials", _too_short(playbook, target), ""
    yield "holds", _held(plan, journal), ""
    for fault in plan.faults:
        if fault.needs_switch and not target.stages and not plan.switches:
            why = (
                f"{fault.uses} needs the dead man's switch on a real account, for left alone it would end in a loss: "
                "give the playbook a dead_man_switch, or rehearse it on the lab"
            )
            yield f"fault {fault.uses}", why, ""
    for name, probe in plan.probes.items():
        yield f"probe {name}", probe.refusal(aws), ""
    yield "permissions", *_permitted(facts.caller, simulated(plan, aws, facts.caller))
    if facts.rollback_caller:
        found = simulated(plan, aws, facts.rollback_caller, only_undo=True)
        yield "permissions to put back", *_permitted(facts.rollback_caller, found)
    yield from checks(plan.switches, aws)
    switch = (role_of(playbook.dead_man_switch, aws),) if playbook.dead_man_switch else ()
    aws = aws.but(callers=(*aws.callers, *switch))  # whether it stands behind this run's faults or another's
    for id_, step in plan.steps.items():
        yield f"state {id_}", _why_not(step, aws), ""


def twice(records: Mapping[str, StepRecord]) -> str:
    """Why two faults, or two probes, get in each other's way, or ``""``: the second captures what the first changed."""
    chains: dict[tuple[str, str, str], int] = {}
    for record in records.values():
        kind = "probes" if record.probe else "faults"
        if chains.setdefault((kind, record.uses, record.resource), record.chain) != record.chain:
            return f"two {kind} {record.uses} name {record.resource}; let one of them do it"
    return ""


def _halted(journal: Journal) -> str:
    halt = journal.halted()
    return f"game days are {halt}; gameday resume ends that" if halt else ""


def _too_short(playbook: Playbook, target: Target) -> str:
    """Whether credentials may end, without a human to renew them, before everything is put back."""
    from gameday.aws.lasting import lasting  # loads botocore, as the run is doing on this thread anyhow

    timing = playbook.timing
    needed = timing.baseline_within + timing.max_fault + timing.rollback_within + MARGIN
    now = datetime.now(UTC)
    why = (lasting(who).refusal(needed.total_seconds(), now) for who in undoers(target))
    return next((one for one in why if one), "")


def _permitted(caller: str, found: Simulated) -> tuple[str, str]:
    """Why not, and what is not known: silence is no yes, and is said where it can still be acted upon."""
    if found.denied:
        what = f"{caller} is not allowed {', '.join(found.denied)}; gameday iam-policy prints what is needed"
        return what, ""
    if not found.unanswered:
        return "", ""
    unknown = f"whether {caller} may do all that this run calls is not known before something is changed"
    return "", f"WARNING: the policy simulator could not be asked: {found.unanswered}; {unknown}"


def _held(plan: Plan, journal: Journal) -> str:
    """A resource that a dead run left changed must be mended first; one that a live run holds is left to it."""
    ours = {record.resource for record in plan.records.values()}
    for step in journal.steps(only_open=True):
        # A switch may still act on what it stands behind.
        if step.record.resource in ours or step.record.params.get("about") in ours:
            run = journal.run(step.record.run)
            state = f"has been running for {_lasting(run.age)}" if run.alive() else "did not finish"
            return (
                f"{step.record.resource} has an open undo step of run {step.record.run} ({run.owner}), which {state}; "
                f"finish it with: gameday rollback {step.record.run}"
            )
    for hold in journal.holds():
        if hold.resource in ours and _holder_lives(hold, journal):
            return f"{hold.resource} is held by run {hold.run} ({hold.owner}){_for_how_long(hold, journal)}"
    return ""


def _for_how_long(hold: HoldRecord, journal: Journal) -> str:
    try:
        run = journal.run(hold.run)
        if not run.alive():
            return f", which has ended; a call of its may still land for {_lasting(lands_for(run))}"
        return f", which has been running for {_lasting(run.age)}"
    except JournalError:  # a drill's hold has no run
        return f" since {hold.taken_at[:19]}Z"


def _lasting(seconds: float) -> str:
    return format_duration(timedelta(seconds=max(0, round(seconds))))


def _holder_lives(hold: HoldRecord, journal: Journal) -> bool:
    """Whether the holder's calls may still come in: it is there, or has only just died."""
    try:
        run = journal.run(hold.run)
        return run.alive() or lands_for(run) > 0
    except JournalError:  # a drill's hold has no run
        return hold.owner.alive() is not False


def _release_dead_holds(plan: Plan, journal: Journal) -> None:
    """Holds of runs that died before they changed anything: no step is open under them."""
    ours = {record.resource for record in plan.records.values()}
    for hold in journal.holds():
        if hold.resource in ours and not _holder_lives(hold, journal):
            journal.release(hold.run, hold.resource)


def _why_not(step: Step, aws: AWS) -> str:
    try:
        step.check(aws)
    except CannotInject as error:
        return str(error)
    return ""
