"""Before anything is touched: the stage, the pinning, and every reason not to begin.

The proof that the undo is permitted (EnableKey on a key that is still enabled) is the machine's, once the hold is
taken: it is the undo itself, and must not enable a key that another run has disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from gameday.engine.iam import denied
from gameday.engine.plan import Plan, make_plan
from gameday.engine.switch import checks
from gameday.errors import CannotInject, JournalError, Refused
from gameday.journal import HoldRecord, Journal
from gameday.playbook import Playbook
from gameday.sdk import AWS, AnyEvent, PreflightChecked, Staged, Step, TargetFacts, format_duration

Emit = Callable[[AnyEvent], None]


def prepare(
    playbook: Playbook,
    aws: AWS,
    target: TargetFacts,
    *,
    may_stage: bool,
    journal: Journal,
    finish_with: str,
    emit: Emit,
) -> Plan:
    """Make everything ready, or raise Refused with the reason; nothing is changed that is not already so.

    ``may_stage`` is true on a lab: there a run makes what it needs, and nothing needs the dead man's switch.
    """
    who = f"{target.caller} in account {target.account}, {target.region}"
    emit(PreflightChecked(check="target", ok=True, detail=who))
    _stage(playbook, aws, emit, may_stage=may_stage)
    plan = make_plan(playbook, aws, target, aws.run, finish_with)
    resources = ", ".join(sorted({record.resource for record in plan.records.values()}))
    emit(PreflightChecked(check="resources", ok=True, detail=resources))
    for check, why, shown in _checks(plan, aws, journal, target.caller, may_stage=may_stage):
        emit(PreflightChecked(check=check, ok=not why, detail=why or shown))
        if why:
            raise Refused(why)
    _release_dead_holds(plan, journal)
    return plan


def refusals(plan: Plan, aws: AWS, journal: Journal, caller: str, *, may_stage: bool) -> list[str]:
    """Every reason not to begin that can be seen without a call that might write."""
    return [why for _, why, _ in _checks(plan, aws, journal, caller, may_stage=may_stage) if why]


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


def _checks(plan: Plan, aws: AWS, journal: Journal, caller: str, *, may_stage: bool) -> Iterator[tuple[str, str, str]]:
    """What is checked, why not or ``""``, and what it shows; one after the other, as far as the reader goes."""
    yield "halt", _halted(journal), ""
    yield "holds", _held(plan, journal), ""
    for fault in plan.faults:
        if fault.needs_switch and not may_stage and not plan.switches:
            why = (
                f"{fault.uses} needs the dead man's switch on a real account, for left alone it would end in a loss: "
                "give the playbook a dead_man_switch, or rehearse it on the lab"
            )
            yield f"fault {fault.uses}", why, ""
    for name, probe in plan.probes.items():
        yield f"probe {name}", probe.refusal(aws), ""
    refused = ", ".join(denied(plan, aws, caller))
    yield "permissions", refused and f"{caller} is not allowed {refused}; gameday iam-policy prints what is needed", ""
    yield from checks(plan.switches, aws)
    for id_, step in plan.steps.items():
        yield f"state {id_}", _why_not(step, aws), ""


def _halted(journal: Journal) -> str:
    halt = journal.halted()
    return f"game days are {halt}; gameday resume ends that" if halt else ""


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
        return f", which has been running for {_lasting(journal.run(hold.run).age)}"
    except JournalError:  # a drill's hold has no run
        return f" since {hold.taken_at[:19]}Z"


def _lasting(seconds: float) -> str:
    return format_duration(timedelta(seconds=max(0, round(seconds))))


def _holder_lives(hold: HoldRecord, journal: Journal) -> bool:
    try:
        return journal.run(hold.run).alive()
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
