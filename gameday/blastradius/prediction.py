"""Who is expected to feel it when a key goes: the look-back, the key's grants, and what the key protects today."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gameday.aws.session import Session
from gameday.blastradius._answer import Answer, Row
from gameday.blastradius._known import INTERNAL
from gameday.blastradius._question import KeyName, Question, Window
from gameday.blastradius._source import Engine, Watch
from gameday.blastradius._words import coverage_sentences
from gameday.blastradius.grants import granted, service_of
from gameday.blastradius.inventory import IRREVERSIBLE, take
from gameday.blastradius.recovery import RECOVERY
from gameday.sdk import Cause, Dependent, Latent, Sizes, Why

SHOWN = 250
"""Dependents, and as many latent ones, that one event holds: some 60 kB."""


@dataclass(frozen=True)
class Prediction:
    """What is expected, and what it rests on.

    Parameters
    ----------
    dependents: used ones first, the most used first.
    unknown: why more may depend on the key than is known; empty when all could be looked at.
    coverage: what was looked at, and what was not, in sentences.
    """

    key: str
    window: Window
    dependents: tuple[Dependent, ...]
    latent: tuple[Latent, ...] = ()
    unknown: tuple[str, ...] = ()
    coverage: tuple[str, ...] = ()

    @property
    def sizes(self) -> Sizes:
        """How large it is; this run itself is not counted."""
        return sizes(self.dependents)

    @property
    def unrecoverable(self) -> tuple[Latent, ...]:
        """What enabling the key does not bring back by itself."""
        return tuple(one for one in self.latent if one.unrecoverable)


def sizes(dependents: Iterable[Dependent]) -> Sizes:
    """How large a set of dependents is."""
    counted = [one for one in dependents if one.why != "this run"]
    return Sizes(
        dependents=len(counted),
        principals=len({one.principal for one in counted} - {""}),
        services=len({one.service for one in counted} - {""}),
        resources=len({one.resource for one in counted} - {""}),
        uses=sum(one.uses for one in counted),
    )


def predict(
    session: Session, key: KeyName, window: Window, engine: Engine, *, runners: Sequence[str] = (), watch: Watch
) -> Prediction:
    """Ask everyone who may know. Raises Refused only when a source of the look-back is not there at all.

    ``engine`` answers from CloudTrail for the look-back, ``session`` asks for grants and the inventory; ``runners`` are
    the principals as whom this run itself uses the key.
    """
    answer = engine.ask(Question(key, window), watch)
    grants, no_grants = granted(session, key)
    inventory = take(session, key)
    dependents = (
        *merged([*(_used(row) for row in answer.rows), *grants, *inventory.protected]),
        *(Dependent(principal=one, why="this run", detail="its probes") for one in runners),
    )
    unknown = [*_log_unknown(answer), *_last_use(session, key, answer)]
    if no_grants:
        unknown.append(f"the key's grants could not be listed: {no_grants}")
    unknown += [
        f"what {service} keeps under the key does not come back by enabling it, and could not be listed: {why}"
        for service, why in inventory.missing.items()
        if service in IRREVERSIBLE
    ]
    missing = [f"not in the inventory: {service} ({why})" for service, why in inventory.missing.items()]
    return Prediction(
        key=str(key),
        window=window,
        dependents=dependents,
        latent=(*inventory.latent, *_latent(dependents, inventory.latent)),
        unknown=tuple(unknown),
        coverage=(*coverage_sentences(answer), *missing),
    )


def merged(found: Iterable[Dependent]) -> list[Dependent]:
    """Each dependent once: who used it outranks who may, and both outrank what is only protected.

    What is left out gives the instance and the further names that it knew to those that stay.
    """
    order: tuple[Why, ...] = ("used", "granted", "protected")
    kept: dict[tuple[str, str, str], Dependent] = {}
    by_resource: dict[str, list[tuple[str, str, str]]] = {}
    for one in sorted(found, key=lambda each: order.index(each.why)):
        name = (one.principal, service_name(one.service), one.resource)
        same = [name] if name in kept else by_resource.get(one.resource, []) if one.why == "protected" else []
        for other in same:
            known = kept[other]
            also = tuple(dict.fromkeys((*known.also, *one.also)))
            kept[other] = known.model_copy(update={"instance": known.instance or one.instance, "also": also})
        if not same:
            kept[name] = one
            by_resource.setdefault(one.resource, []).append(name)
    return list(kept.values())


def _used(row: Row) -> Dependent:
    return Dependent(
        principal=row.principal,
        service="" if row.service == INTERNAL else row.service,
        resource=row.resource,
        why="used",
        uses=row.uses,
        last_used=f"{row.last_used:%Y-%m-%dT%H:%M:%SZ}",
        detail=", ".join(row.actions),
    )


def _latent(dependents: Sequence[Dependent], known: Sequence[Latent]) -> list[Latent]:
    """What does not come back by itself, and is only known from the log or a grant."""
    listed = {one.resource for one in known}
    found: dict[tuple[str, str], Latent] = {}
    for one in dependents:
        fact = RECOVERY.get(one.service)
        if fact is None or not fact.unrecoverable or one.resource in listed or one.why == "protected":
            continue
        resource = one.resource or f"what {one.service} keeps for {one.principal}"
        found[one.service, resource] = Latent(
            service=one.service,
            resource=resource,
            when=fact.when,
            needs=fact.needs,
            by=fact.by,
            unrecoverable=True,
            source=fact.source,
        )
    return list(found.values())


def _log_unknown(answer: Answer) -> list[str]:
    """Why the look-back is not all that there was."""
    coverage = answer.coverage
    found = [f"the look-back is incomplete: {coverage.partial}"] if coverage.partial else []
    found += [f"{count} files or pages were not read: {why}" for why, count in coverage.skipped.items()]
    found += [*coverage.gaps]
    found += [f"trail {one.name} leaves KMS out" for one in coverage.trails if one.excludes_kms]
    return found


def _last_use(session: Session, key: KeyName, answer: Answer) -> list[str]:
    """KMS' own word on the last use, as a check on the log: it is cheap, and knows of uses that a log may not hold.

    It lags by up to an hour and counts what succeeded only (KMS API reference, GetKeyLastUsage), so only a use that
    the log should hold and does not is taken for a sign that the log is blind.
    """
    with session.answering() as said:
        usage = session.client("kms").get_key_last_usage(KeyId=str(key)).get("KeyLastUsage", {})
    uses = answer.totals.uses + answer.totals.own
    if not said.ok or said.cause is not Cause.OK:
        why = said.code or said.cause
        return [] if uses else [f"no use of the key was found, and kms:GetKeyLastUsage was not answered: {why}"]
    if "Timestamp" not in usage:
        return []
    last = usage["Timestamp"].astimezone(UTC)
    if uses or not answer.window.since <= last < answer.window.until:
        return []
    operation = usage.get("Operation", "use")
    return [f"KMS says that the key was last used at {_at(last)} ({operation}), and the log that was read has no use"]


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


# What a playbook allows


@dataclass(frozen=True)
class Limits:
    """What a playbook allows a blast radius to be; see docs/blast-radius.md.

    Parameters
    ----------
    roles, services: those that may depend on the key; None allows any.
    at_most: limits by the names of ``Sizes``.
    unknown: whether the run may begin although more may depend on the key than is known.
    unrecoverable: names of what may be in it although enabling the key does not bring it back.
    """

    roles: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None
    at_most: Mapping[str, int] | None = None
    unknown: bool = False
    unrecoverable: tuple[str, ...] = ()

    def refusals(self, found: Prediction) -> list[str]:
        """Every reason not to begin, one sentence each."""
        said = [] if self.unknown else [f"it is not known for certain: {why}" for why in found.unknown]
        runners = {one.principal for one in found.dependents if one.why == "this run"}
        others = [one for one in found.dependents if one.why != "this run" and one.principal not in runners]
        if self.roles is not None:
            strangers = sorted({one.principal for one in others if one.principal and not self._knows(one.principal)})
            said += [f"{_some(strangers)} may not depend on the key (allow_roles)"] if strangers else []
        if self.services is not None:
            allowed = {service_name(one) for one in self.services}
            foreign = sorted(
                {one.service for one in others if one.service and service_name(one.service) not in allowed}
            )
            said += [f"{_some(foreign)} may not depend on the key (allow_services)"] if foreign else []
        sizes_ = found.sizes
        for name, most in (self.at_most or {}).items():
            have: int = getattr(sizes_, name)
            if have > most:
                said.append(f"{have} {name} depend on the key, and at most {most} may (at_most)")
        named = [one for one in found.unrecoverable if not self._names(one)]
        said += [
            f"{one.resource} ({one.service}) does not come back by enabling the key: {one.needs}"
            + (f", within {one.by}" if one.by else "")
            + " (name it in unrecoverable to go on)"
            for one in named[:10]
        ]
        said += [f"and {len(named) - 10} more that do not come back"] if len(named) > 10 else []
        return said

    def _knows(self, principal: str) -> bool:
        """AWS' own infrastructure (``role/aws:ec2-infrastructure``) and services work for others who are named."""
        tail = principal.rpartition(":")[2] if ":role/aws:" not in principal else "aws:"
        if tail.startswith("aws:") or service_of(principal):
            return True
        return any(name in (principal, tail, tail.rpartition("/")[2]) for name in self.roles or ())

    def _names(self, one: Latent) -> bool:
        tails = {one.resource, *re.split(r"[:/]", one.resource)[-1:], service_name(one.service)}
        return any(name in tails for name in self.unrecoverable)


def service_name(service: str) -> str:
    """``s3`` for ``s3.amazonaws.com``; ``kms`` for who calls KMS directly."""
    return {"direct": "kms", "ebs": "ec2"}.get(short := service.partition(".")[0], short)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def shortened(found: Prediction) -> Prediction:
    """The first of the dependents and of the latent ones, as many as one event holds."""
    return replace(found, dependents=found.dependents[:SHOWN], latent=found.latent[:SHOWN])
