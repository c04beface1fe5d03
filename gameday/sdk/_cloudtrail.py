"""CloudTrail's record, read tolerantly: old records lack fields, services and errors put the same fact elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import JsonValue

_KEY_ARN = re.compile(r"arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")
_EC2_INFRASTRUCTURE = re.compile(r"aws:ec2-infrastructure[:/](i-[0-9a-f]+)")
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
_WORD = re.compile(r"[\w+=.@:/*$-]+")

REHEARSAL = "gameday-rehearsal"
"""In the user agent of a call that only proved a permission: it is evidence of nothing."""
_GRANTS = frozenset({"CreateGrant", "RetireGrant", "RevokeGrant"})
"""Services make and retire grants all day; none of them changes what a run has to put back."""


@dataclass(frozen=True)
class TrailRecord:
    """One CloudTrail record.

    Parameters
    ----------
    event_id, name, source, region, time: what happened, at which service (``kms.amazonaws.com``), where and when.
    request_id: shared by the KMS records and the EC2 call that caused them, except ``ebs.amazonaws.com``'s Decrypt.
    error_code, error_message: ``""`` for a call that succeeded.
    principal: the caller's ARN, else its id or the service that called.
    invoked_by: the AWS service that called on the principal's behalf, or ``""``.
    user_agent: as sent; holds ``gameday/<run>`` for gameday's own calls.
    keys: the KMS key ARNs that it names anywhere.
    instance: the EC2 instance that it was done for, or ``""``.
    context: the encryption context, which names what was encrypted.
    raw: the record as delivered.
    """

    event_id: str
    name: str
    source: str
    region: str
    time: datetime
    request_id: str
    error_code: str
    error_message: str
    principal: str
    invoked_by: str
    user_agent: str
    keys: tuple[str, ...]
    instance: str
    context: Mapping[str, str]
    raw: dict[str, JsonValue] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> TrailRecord:
        """Read a record from JSON, as in LookupEvents' ``CloudTrailEvent``; raises ValueError when it is none."""
        raw: JsonValue = json.loads(text)
        if not isinstance(raw, dict):
            raise ValueError("a CloudTrail record is a JSON object")
        return cls.read(raw)

    @classmethod
    def read(cls, raw: dict[str, JsonValue]) -> TrailRecord:
        """Read a record from its dict; whatever is missing or of an unknown kind becomes empty."""
        identity = _dict(raw.get("userIdentity"))
        principal = _text(identity.get("arn")) or _text(identity.get("principalId")) or _text(identity.get("invokedBy"))
        return cls(
            event_id=_text(raw.get("eventID")),
            name=_text(raw.get("eventName")),
            source=_text(raw.get("eventSource")),
            region=_text(raw.get("awsRegion")),
            time=_time(raw.get("eventTime")),
            request_id=_text(raw.get("requestID")),
            error_code=_text(raw.get("errorCode")),
            error_message=_text(raw.get("errorMessage")),
            principal=principal,
            invoked_by=_text(identity.get("invokedBy")),
            user_agent=_text(raw.get("userAgent")),
            keys=_keys(raw),
            instance=_instance(raw, identity),
            context=_context(_dict(raw.get("requestParameters"))),
            raw=raw,
        )

    @property
    def rehearsal(self) -> bool:
        """Whether it is a call of gameday's that only proved a permission."""
        return REHEARSAL in self.user_agent

    @property
    def changed(self) -> bool:
        """Whether it made a change that a run on the same resource should hear of; grants are none."""
        done = not self.error_code and self.raw.get("readOnly") is False
        return done and self.name not in _GRANTS and not self.name.startswith(("Tag", "Untag"))

    def mentions(self, resource: str) -> bool:
        """Whether the record is about ``resource``: an ARN, an id, an alias or a name.

        It may stand in the resources, the request's parameters (the encryption context among them), the answer, the
        error's sentence (the only place, when a service's call was denied), or in who it was done for. Whole names
        only: ``alias/app`` is not in ``alias/app/v2``, nor the bucket ``data`` in ``data.backup``. A key's or an
        instance's ARN is also recognised by its tail: KMS writes bare ids at times, and EC2 writes nothing else.
        """
        wanted = {resource}
        if re.match(r"arn:[\w-]+:(kms|ec2):[^:]*:[^:]*:", resource):
            tail = resource.split(":", 5)[5]
            wanted.add(tail if tail.startswith("alias/") else tail.partition("/")[2] or tail)
        return bool(resource) and any(not wanted.isdisjoint(_names(text)) for text in self._texts())

    def made_by(self, run: str) -> bool:
        """Whether its user agent says that this run of gameday made it; another run's id may begin with this one's."""
        return f"gameday/{run}" in re.split(r"[\s\[\],;()]+", self.user_agent)

    def _texts(self) -> Iterator[str]:
        for part in ("resources", "requestParameters", "responseElements"):
            yield from _leaves(self.raw.get(part))
        yield from (word.rstrip(".,:;") for word in _WORD.findall(self.error_message))
        identity = _dict(self.raw.get("userIdentity"))
        yield from _leaves(identity.get("inScopeOf"))
        yield self.instance


def _names(text: str) -> Iterator[str]:
    """What one text names: itself, and where it is an ARN its resource, without its type, and an object's bucket."""
    yield text
    parts = text.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return
    resource = parts[5]
    yield resource
    if parts[2] == "s3":
        bucket = resource.partition("/")[0]
        yield bucket
        yield ":".join((*parts[:5], bucket))
    elif not resource.startswith("alias/"):
        kind = re.match(r"[\w-]+[:/]", resource)
        yield resource[kind.end() :] if kind else resource


def _keys(raw: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """A service's Decrypt names its key in ``resources`` only, a denied call in ``errorMessage`` only."""
    texts = (text for part in ("resources", "requestParameters", "errorMessage") for text in _leaves(raw.get(part)))
    return tuple(dict.fromkeys(arn for text in texts for arn in _KEY_ARN.findall(text)))


def _instance(raw: Mapping[str, JsonValue], identity: Mapping[str, JsonValue]) -> str:
    """In ``inScopeOf.credentialsIssuedTo``, or behind ``aws:ec2-infrastructure``, as caller or as grantee."""
    issued = _INSTANCE_ID.search(_text(_dict(identity.get("inScopeOf")).get("credentialsIssuedTo")))
    if issued:
        return issued.group()
    grantee = _text(_dict(raw.get("requestParameters")).get("granteePrincipal"))
    places = (_text(identity.get("arn")), _text(identity.get("principalId")), grantee)
    return next((found.group(1) for place in places if (found := _EC2_INFRASTRUCTURE.search(place))), "")


def _context(parameters: Mapping[str, JsonValue]) -> dict[str, str]:
    constraints = _dict(parameters.get("constraints"))
    places = (
        parameters.get("encryptionContext"),
        constraints.get("encryptionContextSubset"),
        constraints.get("encryptionContextEquals"),
    )
    return {name: _text(value) for place in places for name, value in _dict(place).items()}


def _leaves(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _time(value: JsonValue) -> datetime:
    """``2026-11-23T10:07:41Z``; a time that cannot be read is the oldest there is, so that it is in no window."""
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
