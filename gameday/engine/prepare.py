"""Before anything is touched: the stage, the pinning, and every reason not to begin.

The one call that is not a read is the undo itself (EnableKey on a key that is enabled): the only proof that it is
permitted, since the policy simulator cannot see key policies for roles.
"""

from __future__ import annotations

from collections.abc import Callable

from gameday.engine.plan import Plan, make_plan
from gameday.errors import CannotInject, Refused
from gameday.journal import Journal
from gameday.playbook import Playbook
from gameday.rollback.hands import explain
from gameday.sdk import AWS, AnyEvent, PreflightChecked, Staged, TargetFacts

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
    """Make everything ready, or raise Refused with the reason; nothing is changed that is not already so."""
    who = f"{target.caller} in account {target.account}, {target.region}"
    emit(PreflightChecked(check="target", ok=True, detail=who))
    _stage(playbook, aws, emit, may_stage=may_stage)
    plan = make_plan(playbook, aws, target, aws.run, finish_with)
    _passed(emit, "resources", ", ".join(sorted({record.resource for record in plan.records.values()})))
    _no_open_steps(plan, journal, emit)
    _probes_may_run(plan, aws, emit)
    _steps_can_be_undone(plan, aws, emit)
    return plan


def _passed(emit: Emit, check: str, detail: str = "") -> None:
    emit(PreflightChecked(check=check, ok=True, detail=detail))


def _failed(emit: Emit, check: str, why: str) -> Refused:
    emit(PreflightChecked(check=check, ok=False, detail=why))
    return Refused(why)


def _stage(playbook: Playbook, aws: AWS, emit: Emit, *, may_stage: bool) -> None:
    for use in playbook.stage:
        missing = use.part.check(aws)
        if missing and may_stage:
            use.part.make(aws)
            missing = use.part.check(aws)
            emit(Staged(uses=use.uses, detail=missing or "made"))
        if missing:
            raise _failed(emit, f"stage {use.uses}", f"{missing} (gameday stage makes what is missing)")


def _no_open_steps(plan: Plan, journal: Journal, emit: Emit) -> None:
    """A resource that a dead run left changed must be mended first; one that a live run holds is left to it."""
    ours = {record.resource for record in plan.records.values()}
    for step in journal.steps(only_open=True):
        if step.record.resource in ours:
            owner = journal.run(step.record.run).owner
            state = "is still running" if owner.alive() else "did not finish"
            raise _failed(
                emit,
                "holds",
                f"{step.record.resource} has an open undo step of run {step.record.run} ({owner}), which {state}; "
                f"finish it with: gameday rollback {step.record.run}",
            )
    for hold in journal.holds():
        if hold.resource in ours and hold.owner.alive() is not False:
            since = f"since {hold.taken_at}"
            raise _failed(emit, "holds", f"{hold.resource} is held by run {hold.run} ({hold.owner}) {since}")
        if hold.resource in ours:  # its run died before it changed anything there: no step is open
            journal.release(hold.run, hold.resource)
    _passed(emit, "holds", "no other run holds these resources")


def _probes_may_run(plan: Plan, aws: AWS, emit: Emit) -> None:
    for name, probe in plan.probes.items():
        if why := probe.refusal(aws):
            raise _failed(emit, f"probe {name}", why)
    _passed(emit, "probes", "none would harm what it looks at")


def _steps_can_be_undone(plan: Plan, aws: AWS, emit: Emit) -> None:
    for id_, step in plan.steps.items():
        try:
            step.capture(aws)
        except CannotInject as error:
            raise _failed(emit, f"capture {id_}", str(error)) from error
        try:
            step.rehearse(aws)
        except Exception as error:
            why = f"the undo of {id_} on {step.resource} was rehearsed and refused: {explain(error)}"
            raise _failed(emit, f"rehearse {id_}", why) from error
        _passed(emit, f"undo {id_}", "captured and rehearsed")
