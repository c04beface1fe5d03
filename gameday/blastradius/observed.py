"""Who felt it while the key was away, as CloudTrail shows it, against who was expected to. Pure: no AWS, no clock."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gameday.blastradius._answer import Kind, Use
from gameday.blastradius._known import INTERNAL, REFUSALS
from gameday.blastradius.prediction import SHOWN, service_name
from gameday.sdk import Dependent, Fate, Gap, Seen


@dataclass(frozen=True)
class Away:
    """When a key was away, by the log's own clock.

    Parameters
    ----------
    on: when it was put back; None while it is away.
    denied: whether a key policy's explicit deny counts as refused: where that is what the fault did.
    """

    off: datetime
    on: datetime | None = None
    denied: bool = False


@dataclass(frozen=True)
class Behind:
    """The call of a service that a use of the key was made for, by their common request id.

    Parameters
    ----------
    call: its name, such as ``StartInstances``.
    resource: what it was about, or ``""``.
    own: whether gameday itself made it.
    """

    call: str
    resource: str = ""
    own: bool = False


@dataclass(frozen=True)
class Observed:
    """What became of whom.

    Parameters
    ----------
    own: refused calls of gameday's own probes.
    first_refused: when the first of either was refused.
    """

    seen: tuple[Seen, ...] = ()
    refused: int = 0
    own: int = 0
    first_refused: datetime | None = None

    @property
    def counts(self) -> dict[Fate, int]:
        """How many fared how."""
        found: dict[Fate, int] = {"as predicted": 0, "unexpected": 0, "spared": 0, "silent": 0}
        for one in self.seen:
            found[one.fate] += 1
        return found

    @property
    def unexpected(self) -> tuple[Seen, ...]:
        """Those that nobody expected."""
        return tuple(one for one in self.seen if one.fate == "unexpected")

    @property
    def shown(self) -> tuple[Seen, ...]:
        """As many as one event holds, the surprises first."""
        order: tuple[Fate, ...] = ("unexpected", "as predicted", "spared", "silent")
        return tuple(sorted(self.seen, key=lambda one: order.index(one.fate)))[:SHOWN]


Who = tuple[str, str, str, str]
"""Principal, service, resource, instance."""


@dataclass
class _Group:
    """The refused uses of one dependent.

    Parameters
    ----------
    apart: whether one of them is certainly not the run's own, although it may be by whom the run is.
    """

    refused: list[Use] = field(default_factory=list)
    apart: bool = False
    behind: dict[str, None] = field(default_factory=dict)


def observe(
    predicted: Sequence[Dependent],
    uses: Iterable[Use],
    away: Away,
    behind: Mapping[str, Behind] = {},
    own_requests: frozenset[str] = frozenset(),
) -> Observed:
    """Set what was refused against what was predicted.

    ``uses`` is every single use of the key from when it went until now. ``behind`` gives the calls that they were made
    for, by request id; ``own_requests`` the request ids of gameday's own calls, as the run itself knows them.
    """
    others: list[Use] = []
    own = 0
    groups: dict[Who, _Group] = {}
    felt: list[datetime] = []
    since = [use for use in uses if use.kind is not Kind.MANAGEMENT and use.time >= away.off]
    ours = _Ours.of(since, behind, own_requests)
    for use in sorted(since, key=lambda one: (one.time, one.event_id)):
        cause = behind.get(use.request_id)
        refused = _refused(use, away)
        felt += [use.time] if refused else []
        if ours.made(use):
            own += refused
            continue
        others.append(use)
        if refused:
            group = groups.setdefault(_who(use, cause), _Group())
            group.refused.append(use)
            group.apart = group.apart or ours.certainly_not(use)
            if cause is not None:
                group.behind[" ".join(filter(None, (cause.call, cause.resource)))] = None
    refused_ids = {id(use) for group in groups.values() for use in group.refused}
    worked = [use for use in others if id(use) not in refused_ids and not use.error_code]
    seen = [_refused_one(who, group, predicted, worked, away) for who, group in groups.items()]
    seen += _not_refused(predicted, list(groups), worked, away, felt[0] if felt else away.off)
    return Observed(tuple(seen), sum(one.refused for one in seen), own, felt[0] if felt else None)


@dataclass(frozen=True)
class _Ours:
    """Which calls are the run's own.

    Parameters
    ----------
    requests: the request ids of calls that are, and of EC2's calls that gameday made.
    instances: those that gameday started: EBS reads their volumes' keys under a request id of its own.
    named: principals of whom gameday's sessions are told from others by their name.
    """

    requests: frozenset[str]
    instances: frozenset[str]
    named: frozenset[str]

    @classmethod
    def of(cls, uses: Iterable[Use], behind: Mapping[str, Behind], own_requests: frozenset[str]) -> _Ours:
        """From what the log has of them."""
        started = {request: one for request, one in behind.items() if one.own}
        return cls(
            requests=(own_requests | frozenset(started)) - {""},
            instances=frozenset(one.resource for one in started.values() if one.resource.startswith("i-")),
            named=frozenset(use.principal for use in uses if use.session.startswith("gameday-")),
        )

    def made(self, use: Use) -> bool:
        """Whether gameday made it, or a service for it."""
        for_it = use.instance in self.instances and use.principal.endswith("aws:ec2-infrastructure")
        return use.kind is Kind.OWN or use.request_id in self.requests or for_it

    def certainly_not(self, use: Use) -> bool:
        """Whether it can be told from the run's own calls.

        A direct call tells its user agent and a role's session its name. What a service did for a user, or for
        credentials that were not made for the run, tells neither: it may have been for the run's own probe.
        """
        return _service(use) == "direct" or bool(use.session and use.principal in self.named)


def _refused(use: Use, away: Away) -> bool:
    if use.error_code.rpartition(".")[2] in REFUSALS:
        return True
    return away.denied and "AccessDenied" in use.error_code and "explicit deny" in use.error_message


def _who(use: Use, behind: Behind | None) -> Who:
    resource, instance = use.resource, use.instance
    if behind is not None and behind.resource:
        if re.fullmatch(r"i-[0-9a-f]{8,17}", behind.resource):
            instance = instance or behind.resource
        resource = resource or behind.resource
    return use.principal, _service(use), resource, instance


def _service(use: Use) -> str:
    """The service, or ``""`` where one called that does not say which.

    S3 calls as ``AWS Internal``, and a denied call of its has no encryption context that would tell.
    """
    hidden = {"AWS Internal", "internal.amazonaws.com"} & {use.user_agent, use.source_ip}
    return "" if use.service == INTERNAL or (use.service == "direct" and hidden) else use.service


def fits(one: Dependent, who: Who) -> bool:
    """Whether a refused call is one that the prediction spoke of.

    A call that names no resource fits whoever was predicted to use the same service: it cannot be told apart further.
    It does not fit a resource that is merely protected by the key, since then nobody was predicted.
    """
    principal, service, resource, instance = who
    if one.principal and one.principal != principal:
        return False
    if one.service and service and service_name(one.service) != service_name(service):
        return False
    if one.resource and (resource or instance):
        same = any(_same(name, resource) for name in (one.resource, *one.also)) if resource else False
        return same or bool(instance and instance in (one.instance, one.resource))
    return bool(one.principal)


def _same(one: str, other: str) -> bool:
    """The same resource: S3 objects belong to their bucket, which is all that Bucket Keys name; else by the id."""
    if ":s3:::" in one or ":s3:::" in other:
        return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
    return one == other or _id(one) == _id(other)


def _id(resource: str) -> str:
    return re.split(r"[:/]", resource.removesuffix(":*"))[-1] if resource.startswith("arn:") else resource


def _refused_one(who: Who, group: _Group, predicted: Sequence[Dependent], worked: Sequence[Use], away: Away) -> Seen:
    principal, service, resource, instance = who
    first, last = group.refused[0], group.refused[-1]
    mine = [use for use in worked if use.principal == principal and service in ("", use.service) and _may_be(use, who)]
    before = [use.time for use in mine if use.time <= first.time]
    after = next((use.time for use in mine if use.time >= last.time and use.time >= (away.on or last.time)), None)
    return Seen(
        fate="as predicted" if any(fits(one, who) for one in predicted if _may_be_it(one, group)) else "unexpected",
        principal=principal,
        service=service,
        resource=resource or instance,
        refused=len(group.refused),
        succeeded=len(mine),
        first_refused=_at(first.time),
        last_refused=_at(last.time),
        recovered_at=_at(after),
        effect=_gap(away.off, max(before, default=None), first.time),
        recover=_gap(away.on, last.time, after) if away.on else None,
        behind=tuple(group.behind)[:5],
    )


def _may_be_it(one: Dependent, group: _Group) -> bool:
    return one.why != "this run" or not group.apart


def _may_be(use: Use, who: Who) -> bool:
    resource = who[2]
    return not resource or not use.resource or _same(use.resource, resource) or use.instance == who[3] != ""


def _not_refused(
    predicted: Sequence[Dependent],
    refused: Sequence[Who],
    worked: Sequence[Use],
    away: Away,
    effective: datetime,
) -> Iterable[Seen]:
    """The predicted ones that nothing was refused to: seen all the same, or not seen, from the first refusal on."""
    during = [use for use in worked if use.time >= effective and (away.on is None or use.time < away.on)]
    whos = Counter(_who(use, None) for use in during)
    for one in predicted:
        if one.why == "this run" or any(fits(one, who) for who in refused):
            continue
        count = sum(number for who, number in whos.items() if fits(one, who))
        yield Seen(
            fate="spared" if count else "silent",
            principal=one.principal,
            service=one.service,
            resource=one.resource,
            succeeded=count,
        )


def _gap(since: datetime | None, old: datetime | None, new: datetime | None) -> Gap | None:
    if since is None or new is None:
        return None
    after = max(0.0, (old - since).total_seconds()) if old is not None else 0.0
    return Gap(after=after, by=max(after, (new - since).total_seconds()))


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""
