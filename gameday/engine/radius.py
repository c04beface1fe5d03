"""The blast radius in a run: predicted in preflight and held to what the playbook allows, observed as evidence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gameday.aws.session import Session
from gameday.blastradius import (
    BucketSource,
    Embedded,
    FolderSource,
    KeyName,
    Progress,
    Source,
    Watch,
    Window,
    resolve_key,
)
from gameday.blastradius.grants import PERMISSIONS, principal
from gameday.blastradius.inventory import CALLS
from gameday.blastradius.lookup import Lookup, Pace
from gameday.blastradius.prediction import SHOWN, Limits, Prediction, predict
from gameday.blastradius.probe import ObservedRadius, Watched
from gameday.blastradius.trails import PERMISSIONS as TRAILS
from gameday.blastradius.trails import Trails
from gameday.blastradius.window import FaultWindow
from gameday.engine.job import Target
from gameday.engine.plan import Plan
from gameday.errors import Refused
from gameday.machine import Expect, ProbeSpec
from gameday.playbook import BlastRadius, Playbook
from gameday.sdk import AnyEvent, Cause, Note, Phase, PreflightChecked, ProbeFacts, RadiusPredicted

Emit = Callable[[AnyEvent], None]
NEEDED = ("cloudtrail:LookupEvents", *PERMISSIONS, *(call for calls in CALLS.values() for call in calls))
"""The IAM actions that looking up a blast radius needs; each but the first can be missing, and is then said."""
NEEDED_FOR_FILES = ("s3:ListBucket", "s3:GetObject", *TRAILS)
"""The further ones where log files are read in a bucket; the last three can be missing."""
_KEY = re.compile(r"arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:key/.+")
_EVERY, _TOLD = 2.0, 10.0


def wanted(playbook: Playbook, *, lab: bool) -> BlastRadius | None:
    """What the playbook says of it; on a real account, the defaults where it says nothing."""
    return playbook.blast_radius or (None if lab else BlastRadius())


def needed(playbook: Playbook) -> tuple[str, ...]:
    """The IAM actions that a playbook's blast radius needs; each but the first can be missing, and is then said."""
    source = playbook.blast_radius.source if playbook.blast_radius else "lookup"
    more = () if source == "lookup" else NEEDED_FOR_FILES if source.startswith("s3://") else TRAILS
    return tuple(dict.fromkeys((*NEEDED, *more)))


def keys(plan: Plan) -> dict[str, frozenset[str]]:
    """The keys that the faults take away, each with the undo steps that bring it back."""
    found: dict[str, frozenset[str]] = {}
    for record in plan.records.values():
        if not record.probe and _KEY.fullmatch(record.resource):
            found[record.resource] = found.get(record.resource, frozenset()) | {record.id}
    return found


def with_radius(playbook: Playbook, plan: Plan, target: Target, emit: Emit) -> Plan:
    """The plan with the looks that observe the blast radius; raises Refused when it is not what the playbook allows.

    What cannot be known is let pass by default where a run may also make what it needs, which is on a lab.
    """
    lab = target.stages
    settings = wanted(playbook, lab=lab)
    if settings is None:
        return plan
    for arn in keys(plan):
        survey = Survey.of(arn, settings, plan, target)
        prediction = survey.predict(emit)
        emit(_event(prediction))
        why = refusals(prediction, settings, lab=lab)
        emit(PreflightChecked(check=f"blast radius of {arn}", ok=not why, detail="; ".join(why) or _words(prediction)))
        if why:
            raise Refused(f"the blast radius of {arn} is not what the playbook allows: {'; '.join(why)}")
        plan = _watching(playbook, plan, survey, prediction, lab=lab, emit=emit)
    return plan


def foreseen(playbook: Playbook, plan: Plan, target: Target) -> list[tuple[str, str, str, Prediction]]:
    """For ``gameday plan``: each key, its blast radius in words, why a run is refused or ``""``, and the whole."""
    lab = target.stages
    settings = wanted(playbook, lab=lab)
    found: list[tuple[str, str, str, Prediction]] = []
    for arn in keys(plan) if settings else ():
        assert settings is not None
        prediction = Survey.of(arn, settings, plan, target).predict(lambda _: None)
        found.append((arn, _words(prediction), "; ".join(refusals(prediction, settings, lab=lab)), prediction))
    return found


def refusals(prediction: Prediction, settings: BlastRadius, *, lab: bool) -> list[str]:
    """Every reason not to begin."""
    unknown = settings.unknown or ("allow" if lab else "refuse")
    limits = Limits(
        roles=None if settings.allow_roles is None else tuple(settings.allow_roles),
        services=None if settings.allow_services is None else tuple(settings.allow_services),
        at_most={name: most for name, most in settings.at_most if most is not None},
        unknown=unknown == "allow",
        unrecoverable=settings.unrecoverable,
    )
    return limits.refusals(prediction)


@dataclass(frozen=True)
class Survey:
    """What looking at one key needs, shared by the prediction and the look at what came of it.

    Parameters
    ----------
    runners: the principals as whom the run itself uses the key.
    steps: the undo steps that bring it back.
    """

    key: KeyName
    settings: BlastRadius
    aws: Session
    runners: tuple[str, ...]
    steps: frozenset[str]
    pace: Pace

    @classmethod
    def of(cls, arn: str, settings: BlastRadius, plan: Plan, target: Target) -> Survey:
        """The survey of one of a plan's keys."""
        aws = target.session
        runners = dict.fromkeys([principal(target.facts.caller), *plan.identities.values()])
        return cls(resolve_key(arn, (), aws, must=False), settings, aws, tuple(runners), keys(plan)[arn], Pace())

    def files(self) -> tuple[Source, ...]:
        """The log files that are read besides, or instead of, event history."""
        source = self.settings.source
        if source == "lookup":
            return ()
        aws, trails = self.aws, Trails.behind(self.aws, source)
        if source.startswith("s3://"):
            return (BucketSource(source, region=aws.region, endpoint=aws.endpoint, keys=aws.current_keys), trails)
        return (FolderSource(Path(source).expanduser()), trails)

    def predict(self, emit: Emit) -> Prediction:
        """Look back, and ask for grants and what the key protects."""
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        window = Window(until - self.settings.look_back, until)
        engine = Embedded(*(self.files() or (Lookup((self.aws,), budget=self.settings.budget, pace=self.pace),)))
        watch = Watch(_telling(self.aws, emit))
        return predict(self.aws, self.key, window, engine, runners=self.runners, watch=watch)


def _telling(aws: Session, emit: Emit) -> Callable[[Progress], None]:
    """Say now and then how far the look-back is: it may take minutes."""
    last = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < _TOLD:
            return
        last = time.monotonic()
        at = (datetime.now(UTC) - aws.started).total_seconds()
        far = progress.note or f"{progress.files} of {progress.files_in_all} files"
        emit(Note(at=at, text=f"looking back for uses of the key: {far}, {progress.hits:,} found"))

    return tell


def _watching(playbook: Playbook, plan: Plan, survey: Survey, prediction: Prediction, *, lab: bool, emit: Emit) -> Plan:
    """The plan with a look at the key in the evidence phase."""
    settings = survey.settings
    name = _free("blast-radius", [probe.name for probe in plan.spec.probes])
    window = FaultWindow(survey.steps)
    within = playbook.timing.evidence_within.total_seconds()
    look = ObservedRadius.of(
        Watched(
            key=survey.key,
            window=window,
            prediction=prediction,
            pace=survey.pace,
            budget=min(settings.budget, playbook.timing.evidence_within / 2),
            sources=survey.files(),
            denied=any(plan.steps[step].denies for step in survey.steps),
            must_know=settings.unknown == "refuse" or (settings.unknown is None and not lab),
            within=within,
            fails=settings.unexpected == "fail",
        ),
        emit,
    )
    expect = {Phase.EVIDENCE: Expect(frozenset({Cause.FOUND}), within, breaks=frozenset({Cause.UNEXPECTED}))}
    spec = ProbeSpec(name, expect, every=_EVERY, once=True, timeout=within)
    facts = ProbeFacts(
        name=name,
        uses=look.uses,
        resource=look.key,
        expect={Phase.EVIDENCE: (Cause.FOUND.value,)},
        within={Phase.EVIDENCE: within},
    )
    return replace(
        plan,
        spec=replace(plan.spec, probes=(*plan.spec.probes, spec)),
        probes={**plan.probes, name: look},
        prepared=plan.prepared.model_copy(update={"probes": (*plan.prepared.probes, facts)}),
        listeners=(*plan.listeners, window),
    )


def _free(name: str, taken: Sequence[str]) -> str:
    return next(each for each in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if each not in taken)


def _event(found: Prediction) -> RadiusPredicted:
    sizes = found.sizes
    return RadiusPredicted(
        key=found.key,
        since=f"{found.window.since:%Y-%m-%dT%H:%M:%SZ}",
        until=f"{found.window.until:%Y-%m-%dT%H:%M:%SZ}",
        sizes=sizes,
        dependents=found.dependents[:SHOWN],
        latent=found.latent[:SHOWN],
        left_out=max(0, len(found.dependents) - SHOWN) + max(0, len(found.latent) - SHOWN),
        unknown=found.unknown,
        coverage=found.coverage,
    )


def _words(found: Prediction) -> str:
    """``4 dependents: 2 principals, 2 services, 3 resources; 1 latent``, and what is not known."""
    sizes = found.sizes
    named = ", ".join(f"{getattr(sizes, name)} {name}" for name in ("principals", "services", "resources"))
    latent = f"; {len(found.latent)} latent" if found.latent else ""
    unknown = f"; not known for certain: {'; '.join(found.unknown)}" if found.unknown else ""
    return f"{sizes.dependents} predicted: {named}{latent}{unknown}"
