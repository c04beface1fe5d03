"""Aliases and names become ARNs: once, in preflight, and pinned for the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from gameday.errors import Refused
from gameday.sdk import AWS, Answer, Cause, Fault, Part, Ref, RefKind

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef, VolumeTypeDef
    from types_boto3_kms.type_defs import KeyMetadataTypeDef

P = TypeVar("P", bound=Part)
F = TypeVar("F", "InstanceTypeDef", "VolumeTypeDef")

_GONE = ("terminated", "shutting-down", "deleting", "deleted")
"""States of an instance, and of a volume, that is there in name only."""


def pin(part: P, aws: AWS, known: dict[str, str]) -> P:
    """The part with each reference replaced by what it points at; raises Refused when that is not one clear thing.

    ``known`` maps a value as it is written to what it became, and is added to. A reference to anything becomes what
    another field became, so the parts that name keys and instances are pinned first.
    """
    pinned: dict[str, str] = {}
    for name, field in type(part).model_fields.items():
        kinds = [mark.kind for mark in field.metadata if isinstance(mark, Ref)]
        value: object = getattr(part, name)
        if kinds and kinds[0] is RefKind.PARTITION:
            pinned[name] = aws.partition
            continue
        if not kinds or not isinstance(value, str) or not value:
            continue
        if kinds[0] is RefKind.ANY:
            pinned[name] = _recall(value, known)
            continue
        if value not in known:
            known[value] = _RESOLVE[kinds[0]](value, aws)
        pinned[name] = known[value]
        if kinds[0] is RefKind.KEY and isinstance(part, Fault):
            _refuse_foreign(value, known[value], aws)
    return part.model_copy(update=pinned)


def _recall(value: str, known: dict[str, str]) -> str:
    """What the value became elsewhere: as written, as an alias without its prefix, or as the tail of an ARN."""
    for candidate in (value, f"alias/{value}"):
        if candidate in known:
            return known[candidate]
    return next((arn for arn in known.values() if arn.rsplit("/", 1)[-1] == value), value)


def _key(value: str, aws: AWS) -> str:
    region = _region_of(value)
    if region not in ("", aws.region):
        raise Refused(f"key {value} is in {region}, but this run is in {aws.region}: name a key of that Region")
    found: KeyMetadataTypeDef | None = None
    with aws.answering() as answer:
        found = aws.client("kms").describe_key(KeyId=value)["KeyMetadata"]
    if found is None:
        raise Refused(_why("key", value, aws, answer))
    if found.get("KeyManager") != "CUSTOMER":
        raise Refused(
            f"key {value} in {_where(aws)} is managed by AWS, and nobody can disable it: name a customer-managed key"
        )
    return found["Arn"]


def _refuse_foreign(value: str, arn: str, aws: AWS) -> None:
    owner = arn.split(":")[4]
    if owner != aws.account:
        raise Refused(
            f"key {value} belongs to account {owner}, but this run is in {_where(aws)}: run it there, as its owner"
        )


def _instance(value: str, aws: AWS) -> str:
    def described(by: _By) -> list[InstanceTypeDef]:
        pages = aws.client("ec2").get_paginator("describe_instances")
        wanted = pages.paginate(InstanceIds=[by.id]) if by.id else pages.paginate(Filters=[by.name])
        return [each for page in wanted for group in page["Reservations"] for each in group["Instances"]]

    return _one_of(
        "instance", r"i-[0-9a-f]{8,17}", value, aws, described, lambda each: (each["InstanceId"], each["State"]["Name"])
    )


def tagged(tag: Sequence[tuple[str, str]], aws: AWS) -> list[str]:
    """The ARNs of the instances that carry every one of these tags and are not gone, by their ids.

    Raises Refused where there is none, or where EC2 does not say.
    """
    text = " and ".join(f"{key}={value}" for key, value in tag)
    filters: list[FilterTypeDef] = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tag]
    found: list[InstanceTypeDef] = []
    with aws.answering() as answer:
        pages = aws.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
        found = [each for page in pages for group in page["Reservations"] for each in group["Instances"]]
    if not answer.ok:
        raise Refused(_why("instance tagged", text, aws, answer))
    wanted = [{"Key": key, "Value": value} for key, value in tag]  # the filters read * and ? as wildcards
    alive = [
        each["InstanceId"]
        for each in found
        if each["State"]["Name"] not in _GONE and all(one in each.get("Tags", []) for one in wanted)
    ]
    if not alive:
        raise Refused(_missing("instance tagged", text, aws))
    return [f"arn:{aws.partition}:ec2:{aws.region}:{aws.account}:instance/{each}" for each in sorted(alive)]


def _volume(value: str, aws: AWS) -> str:
    def described(by: _By) -> list[VolumeTypeDef]:
        pages = aws.client("ec2").get_paginator("describe_volumes")
        wanted = pages.paginate(VolumeIds=[by.id]) if by.id else pages.paginate(Filters=[by.name])
        return [each for page in wanted for each in page["Volumes"]]

    return _one_of(
        "volume", r"vol-[0-9a-f]{8,17}", value, aws, described, lambda each: (each["VolumeId"], each["State"])
    )


@dataclass(frozen=True)
class _By:
    """How EC2 is asked for one thing: by its id, or by its Name tag where it was not named by an id."""

    id: str
    value: str

    @property
    def name(self) -> FilterTypeDef:
        return {"Name": "tag:Name", "Values": [self.value]}


def _one_of(
    what: str,
    id_pattern: str,
    value: str,
    aws: AWS,
    described: Callable[[_By], Sequence[F]],
    about: Callable[[F], tuple[str, str]],
) -> str:
    """The ARN of the one instance or volume that an id, an ARN or a Name tag means; ``about`` says id and state."""
    bare = value.rsplit("/", 1)[-1] if value.startswith("arn:") else value
    region = _region_of(value)
    if region not in ("", aws.region):
        raise Refused(f"{what} {value} is in {region}, but this run is in {aws.region}: name one of that Region")
    by = _By(bare if re.fullmatch(id_pattern, bare) else "", value)
    found: Sequence[F] = ()
    with aws.answering() as answer:
        found = described(by)
    if not answer.ok:
        raise Refused(_why(what, value, aws, answer))
    meant = [about(each) for each in found if (about(each)[0] == by.id if by.id else _is(each, value))]
    there = [id_ for id_, state in meant if state not in _GONE]
    if not there:
        raise Refused(_missing(what, value, aws))
    if len(there) > 1:
        raise Refused(f"{len(there)} {what}s are named {value} in {_where(aws)} ({', '.join(there)}): name one by id")
    return f"arn:{aws.partition}:ec2:{aws.region}:{aws.account}:{what}/{there[0]}"


_RESOLVE = {RefKind.KEY: _key, RefKind.INSTANCE: _instance, RefKind.VOLUME: _volume}


def _is(found: InstanceTypeDef | VolumeTypeDef, value: str) -> bool:
    """EC2's filters read ``*`` and ``?`` as wildcards; a name means itself."""
    return any(tag["Key"] == "Name" and tag["Value"] == value for tag in found.get("Tags", []))


def _region_of(value: str) -> str:
    parts = value.split(":")
    return parts[3] if len(parts) > 5 else ""


def _where(aws: AWS) -> str:
    return f"account {aws.account} in {aws.region}"


def _missing(what: str, value: str, aws: AWS) -> str:
    bare = what == "key" and not re.match(r"arn:|alias/|mrk-|[0-9a-f]{8}-", value)
    hint = f" (an alias is written alias/{value})" if bare else ""
    return f"there is no {what} {value} in {_where(aws)}{hint}: make it with gameday stage, or name another with --var"


def _why(what: str, value: str, aws: AWS, answer: Answer) -> str:
    if answer.cause is Cause.NOT_FOUND:
        return _missing(what, value, aws)
    said = ": ".join(filter(None, (answer.code, answer.detail))) or answer.cause
    return f"{what} {value} in {_where(aws)} could not be looked up ({said}): allow it to be described, or name another"
