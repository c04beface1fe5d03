"""One CloudTrail record as a flat line of text: the columns that the definition in ``_sql`` reads.

Tolerant: what is missing or of an unknown kind becomes empty. Nothing is decided here, and nothing heavy is imported:
the processes that scan files import this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue

COLUMNS = (
    "event_id",
    "shared_event_id",
    "request_id",
    "event_time",
    "event_source",
    "event_name",
    "error_code",
    "error_message",
    "user_agent",
    "source_ip",
    "region",
    "recipient_account",
    "identity_type",
    "identity_arn",
    "principal_id",
    "identity_account",
    "issuer_arn",
    "invoked_by",
    "issued_to",
    "event_category",
    "request_parameters",
    "resources",
)
CONTEXTS = ("encryptionContext", "sourceEncryptionContext", "destinationEncryptionContext")
CONSTRAINTS = ("encryptionContextSubset", "encryptionContextEquals")
LONGEST = 8192
"""Characters kept of one value; AWS' own limits are below it. KMS takes 8 kB of encryption context."""
_MOST = 65536
"""Characters kept of the parameters, and of the resources."""
_NAMED = ("keyId", "sourceKeyId", "destinationKeyId", "granteePrincipal")


def flat(record: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The record's values in the order of ``COLUMNS``; of the request's parameters only what the definition reads."""
    identity = _dict(record.get("userIdentity"))
    issuer = _dict(_dict(identity.get("sessionContext")).get("sessionIssuer"))
    return (
        _text(_dict(record.get("addendum")).get("originalEventID")) or _text(record.get("eventID")),
        _text(record.get("sharedEventID")),
        _text(record.get("requestID")),
        _text(record.get("eventTime")),
        _text(record.get("eventSource")),
        _text(record.get("eventName")),
        _text(record.get("errorCode")),
        _text(record.get("errorMessage")),
        _text(record.get("userAgent")),
        _text(record.get("sourceIPAddress")),
        _text(record.get("awsRegion")),
        _text(record.get("recipientAccountId")),
        _text(identity.get("type")),
        _text(identity.get("arn")),
        _text(identity.get("principalId")),
        _text(identity.get("accountId")),
        _text(issuer.get("arn")),
        _text(identity.get("invokedBy")),
        _text(_dict(identity.get("inScopeOf")).get("credentialsIssuedTo")),
        _text(record.get("eventCategory")),
        _parameters(_dict(record.get("requestParameters"))),
        _resources(record.get("resources")),
    )


def _parameters(parameters: Mapping[str, JsonValue]) -> str:
    kept: dict[str, object] = {name: parameters[name] for name in _NAMED if _text(parameters.get(name))}
    kept |= {name: context for name in CONTEXTS if (context := _texts(parameters.get(name)))}
    constraints = _dict(parameters.get("constraints"))
    if limits := {name: context for name in CONSTRAINTS if (context := _texts(constraints.get(name)))}:
        kept["constraints"] = limits
    text = json.dumps(kept, ensure_ascii=False)
    if len(text) > _MOST:
        text = json.dumps({name: kept[name] for name in _NAMED if name in kept}, ensure_ascii=False)
    return text


def _resources(resources: JsonValue) -> str:
    """The keys' ARNs with commas between; old records lack the type."""
    listed = [_dict(each) for each in resources] if isinstance(resources, list) else []
    arns = (_text(each.get("ARN")) for each in listed)
    return ",".join(dict.fromkeys(arn for arn in arns if ":key/" in arn))[:_MOST]


def _texts(value: JsonValue) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in _dict(value).items() if isinstance(text, str)}


def _text(value: JsonValue) -> str:
    """NUL and halves of surrogate pairs are legal in JSON, and no database keeps them."""
    if not isinstance(value, str):
        return ""
    text = value[:LONGEST]
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _dict(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
