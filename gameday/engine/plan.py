"""From a playbook to what the machine needs: every name resolved once, every part pinned for the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gameday.aws.resolve import pin
from gameday.engine.sample import spread
from gameday.engine.switch import switches
from gameday.journal import StepRecord
from gameday.machine import Expect, ProbeSpec, Spec, StepSpec, Timing
from gameday.playbook import GuardUse, Playbook, ProbeUse
from gameday.sdk import (
    AWS,
    Exporter,
    Fault,
    InvasiveProbe,
    Part,
    Phase,
    Probe,
    ProbeFacts,
    RunPrepared,
    Step,
    StepFacts,
    Switch,
    TargetFacts,
)
from gameday.urls import shown

GUARDED = (Phase.BASELINE, Phase.FAULT)
"""Where a guard looks: a breach before the fault refuses, one during it rolls back."""


@dataclass(frozen=True)
class Plan:
    """A run, ready to begin.

    Parameters
    ----------
    probes: probes and guards by name, pinned.
    identities: the ARNs of the roles that some of them look as, by the probe's name.
    faults: the faults in order, pinned.
    switches: what the cloud does by itself should everyone be dead; nothing where the playbook does not ask for it.
    steps: the undo steps by id.
    records: the same steps as the journal keeps them, still without the state before.
    samples: what was taken of how many, by the playbook's names of the probes that name a tag.
    listeners: who needs the run's events to do its part.
    """

    spec: Spec
    probes: Mapping[str, Probe]
    identities: Mapping[str, str]
    faults: tuple[Fault, ...]
    switches: tuple[Switch, ...]
    steps: Mapping[str, Step]
    records: Mapping[str, StepRecord]
    prepared: RunPrepared
    samples: Mapping[str, str] = field(default_factory=dict)
    listeners: tuple[Exporter, ...] = ()


def make_plan(playbook: Playbook, aws: AWS, target: TargetFacts, run: str, finish_with: str) -> Plan:
    """Resolve and pin everything; raises Refused when a name is not one clear resource."""
    known: dict[str, str] = {}
    faults = tuple(pin(use.part, aws, known) for use in playbook.faults)
    uses, sampled = spread([*playbook.probes.values(), *playbook.guards.values()], aws)
    # Invasive probes name instances that others may refer to, so they are resolved first.
    uses_in_order = sorted(uses, key=lambda use: not isinstance(use.part, InvasiveProbe))
    pinned = {use.name: pin(use.part, aws, known) for use in uses_in_order}
    probes = {use.name: pinned[use.name] for use in uses}
    armed = switches(playbook, faults, aws, run)
    names = {arn: written for written, arn in reversed(known.items()) if written != arn}
    steps = _steps(faults, probes, armed, run, names, playbook.timing.settle.total_seconds())
    records = {record.id: record for record, _ in steps}
    kept = {chain for chain, use in enumerate(playbook.faults) if use.keep}
    spec = Spec(
        probes=tuple(_probe_spec(playbook, use, records) for use in uses),
        steps=tuple(_step_spec(record, step, keep=record.chain in kept) for record, step in steps),
        timing=_timing(playbook),
        finish_with=finish_with,
    )
    named = {became: written for written, became in known.items() if written != became}
    return Plan(
        spec=spec,
        probes=probes,
        identities={use.name: _role(use.identity, aws) for use in uses if use.identity},
        faults=faults,
        switches=armed,
        steps={record.id: step for record, step in steps},
        records=records,
        prepared=RunPrepared(
            target=target,
            probes=tuple(_facts(use, probes[use.name], spec.probe(use.name), sampled.places) for use in uses),
            steps=tuple(_step_facts(record, spec, named) for record in records.values()),
            limits={name: value.total_seconds() for name, value in playbook.timing if name in LIMITS},
        ),
        samples=sampled.said,
    )


def _step_facts(record: StepRecord, spec: Spec, named: Mapping[str, str]) -> StepFacts:
    switch = any(step.id == record.id for step in spec.switch_steps)
    return StepFacts(
        id=record.id,
        uses=record.uses,
        step=record.step,
        resource=record.resource,
        switch=switch,
        named=named.get(record.resource, ""),
    )


LIMITS = ("effect_within", "hold", "max_fault", "rollback_within", "recover_within", "evidence_within")


def _role(identity: str, aws: AWS) -> str:
    return identity if identity.startswith("arn:") else f"arn:{aws.partition}:iam::{aws.account}:{identity}"


def _steps(
    faults: tuple[Fault, ...],
    probes: Mapping[str, Probe],
    armed: tuple[Switch, ...],
    run: str,
    names: Mapping[str, str],
    settle: float,
) -> list[tuple[StepRecord, Step]]:
    """Every undo step with its place; a chain is one fault's or one probe's steps, or one switch."""
    chains: list[tuple[str, Part, tuple[Step, ...], str]] = []
    for number, fault in enumerate(faults, 1):
        again = any(fault.uses == other.uses for other in faults[: number - 1])
        chains.append((f"{fault.uses}#{number}" if again else fault.uses, fault, fault.steps(), ""))
    chains += [(name, p, p.steps(), name) for name, p in probes.items() if isinstance(p, InvasiveProbe)]
    chains += [(f"dead-man-switch#{n}", switch, switch.steps(), "") for n, switch in enumerate(armed, 1)]
    return [
        (
            StepRecord(
                run=run,
                id=f"{prefix}/{step.step}",
                uses=part.uses,
                params=part.model_dump(mode="json"),
                step=step.step,
                resource=step.resource,
                rank=step.rank,
                chain=chain,
                order=order,
                before={},
                probe=probe,
                named=names.get(step.resource, ""),
                settle=settle,
            ),
            step,
        )
        for chain, (prefix, part, steps, probe) in enumerate(chains)
        for order, step in enumerate(steps)
    ]


def _step_spec(record: StepRecord, step: Step, *, keep: bool) -> StepSpec:
    return StepSpec(
        id=record.id,
        uses=record.uses,
        step=record.step,
        resource=record.resource,
        rank=step.rank,
        chain=record.chain,
        order=record.order,
        probe=record.probe,
        keep=keep,
        by_hand=step.by_hand,
    )


def _probe_spec(playbook: Playbook, use: ProbeUse | GuardUse, records: Mapping[str, StepRecord]) -> ProbeSpec:
    every, timeout = use.every.total_seconds(), use.timeout.total_seconds()
    if isinstance(use, GuardUse):
        expect = {phase: Expect(use.expect.causes, timeout) for phase in GUARDED}
        return ProbeSpec(use.name, expect, every, timeout=timeout, fails=use.fails.count, of=use.fails.of)
    steps = tuple(id_ for id_, record in records.items() if record.probe == use.name)
    expect = {
        phase: Expect(wanted.causes, playbook.within(phase, wanted).total_seconds())
        for phase, wanted in use.expect.items()
    }
    return ProbeSpec(use.name, expect, every, once=use.once, timeout=timeout, steps=steps)


def _timing(playbook: Playbook) -> Timing:
    timing = playbook.timing
    return Timing(
        hold=timing.hold.total_seconds(),
        max_fault=timing.max_fault.total_seconds(),
        rollback_within=timing.rollback_within.total_seconds(),
        settle=timing.settle.total_seconds(),
    )


def _shown(value: object) -> str:
    """A parameter as a reader may see it: of a URL neither who logs in nor what is asked."""
    text = str(value)
    if "://" not in text:
        return text
    return shown(text)


def _facts(use: ProbeUse | GuardUse, part: Probe, spec: ProbeSpec, places: Mapping[str, str]) -> ProbeFacts:
    return ProbeFacts(
        name=use.name,
        uses=use.uses,
        resource=" ".join(_shown(value) for value in part.model_dump(mode="json", exclude_unset=True).values())
        + (f" as {use.identity}" if use.identity else "")
        + (f", {places[use.name]}" if use.name in places else ""),
        expect={phase: tuple(sorted(wanted.causes)) for phase, wanted in spec.expect.items()},
        within={phase: wanted.within for phase, wanted in spec.expect.items()},
        guard=str(use.fails) if isinstance(use, GuardUse) else "",
        aborts_at=use.fails.count if isinstance(use, GuardUse) else 0,
        window=use.fails.of if isinstance(use, GuardUse) else 0,
        role=use.identity,
    )
