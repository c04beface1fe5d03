"""IAM's policy language: parse a document, and say what it makes of one request. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .call import Caller

ALLOW, DENY = "Allow", "Deny"


class MalformedError(ValueError):
    """Not a policy."""


@dataclass(frozen=True, slots=True)
class Request:
    """What someone wants to do; an empty resource is one that the lab does not know, and matches any."""

    action: str
    resource: str
    caller: Caller
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one policy says: denied, allowed to the caller himself, allowed to his account."""

    denied: bool = False
    allowed: bool = False
    delegated: bool = False
    """Allowed to the account, which leaves it to the caller's own policies."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement."""

    effect: str
    actions: tuple[str, ...]
    not_actions: bool
    resources: tuple[str, ...]
    not_resources: bool
    principals: tuple[tuple[str, str], ...] | None
    not_principals: bool
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]


@lru_cache(maxsize=1024)
def parse(text: str, *, resource_policy: bool) -> tuple[Statement, ...]:
    """The statements of a document; MalformedError says what is wrong with it."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MalformedError(f"it is no JSON: {error}") from error
    if not isinstance(document, dict) or "Statement" not in document:
        raise MalformedError("it has no Statement")
    if document.get("Version", "2008-10-17") not in {"2008-10-17", "2012-10-17"}:
        raise MalformedError("its Version is unknown")
    found = document["Statement"]
    return tuple(_statement(one, resource_policy) for one in (found if isinstance(found, list) else [found]))


def _statement(raw: Any, resource_policy: bool) -> Statement:
    if not isinstance(raw, dict):
        raise MalformedError("a Statement is no object")
    known = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal"}
    unknown = set(raw) - known - {"Condition"}
    if unknown:
        raise MalformedError(f"a Statement has an unknown element {sorted(unknown)[0]}")
    if raw.get("Effect") not in {ALLOW, DENY}:
        raise MalformedError("a Statement's Effect is neither Allow nor Deny")
    actions = _listed(raw, "Action", "NotAction")
    if not actions or not all(a == "*" or re.fullmatch(r"[\w-]+:[\w*?]+", a) for a in actions):
        raise MalformedError("a Statement's Action is no action")
    resources = _listed(raw, "Resource", "NotResource")
    if not resources:
        raise MalformedError("a Statement has no Resource")
    named = "NotPrincipal" if "NotPrincipal" in raw else "Principal"
    if resource_policy and named not in raw:
        raise MalformedError("a Statement has no Principal")
    return Statement(
        raw["Effect"],
        actions,
        "NotAction" in raw,
        resources,
        "NotResource" in raw,
        _principals(raw[named]) if resource_policy else None,
        named == "NotPrincipal",
        _conditions(raw.get("Condition", {})),
    )


def _listed(raw: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    value: Any = next((raw[name] for name in names if name in raw), [])
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise MalformedError(f"{names[0]} holds something that is no text")
    return tuple(values)


def _principals(raw: Any) -> tuple[tuple[str, str], ...]:
    if raw == "*":
        return (("AWS", "*"),)
    if not isinstance(raw, dict):
        raise MalformedError("a Principal is neither * nor an object")
    return tuple((kind, one) for kind in raw for one in _listed(raw, kind))


def _conditions(raw: Any) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    if not isinstance(raw, dict) or not all(isinstance(keys, dict) for keys in raw.values()):
        raise MalformedError("a Condition is no object of objects")
    found = []
    for operator, keys in raw.items():
        if _base(operator) not in OPERATORS and _base(operator) != "Null":
            raise MalformedError(f"the condition operator {operator} is unknown")
        for key, value in keys.items():
            values = value if isinstance(value, list) else [value]
            texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
            found.append((operator, key, tuple(texts)))
    return tuple(found)


def _base(operator: str) -> str:
    return operator.split(":")[-1].removesuffix("IfExists")


# --- matching


@lru_cache(maxsize=4096)
def _pattern(text: str, fold: bool) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in text), re.IGNORECASE if fold else 0)


def like(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Whether a text matches a pattern with * and ?."""
    return _pattern(pattern, fold).fullmatch(text) is not None


def _not(test: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
    return lambda want, have: not test(want, have)


def _number(test: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda want, have: test(float(have), float(want))


def _in_network(want: str, have: str) -> bool:
    return ipaddress.ip_address(have) in ipaddress.ip_network(want, strict=False)


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringNotEquals": _not(str.__eq__),
    "StringEqualsIgnoreCase": lambda want, have: want.lower() == have.lower(),
    "StringNotEqualsIgnoreCase": lambda want, have: want.lower() != have.lower(),
    "StringLike": like,
    "StringNotLike": _not(like),
    "ArnEquals": like,
    "ArnLike": like,
    "ArnNotEquals": _not(like),
    "ArnNotLike": _not(like),
    "Bool": lambda want, have: want.lower() == have.lower(),
    "NumericEquals": _number(float.__eq__),
    "NumericNotEquals": _number(float.__ne__),
    "NumericLessThan": _number(float.__lt__),
    "NumericLessThanEquals": _number(float.__le__),
    "NumericGreaterThan": _number(float.__gt__),
    "NumericGreaterThanEquals": _number(float.__ge__),
    "DateLessThan": lambda want, have: have < want,
    "DateGreaterThan": lambda want, have: have > want,
    "IpAddress": _in_network,
    "NotIpAddress": _not(_in_network),
}


def _holds(operator: str, key: str, values: tuple[str, ...], context: Mapping[str, str]) -> bool:
    folded = {name.lower(): value for name, value in context.items()}
    have = folded.get(key.lower())
    base = _base(operator)
    if base == "Null":
        return (have is None) == (values[0].lower() == "true")
    if have is None:
        return operator.endswith("IfExists") or operator.startswith("ForAllValues:") or "Not" in base
    test = OPERATORS[base]
    # Several values mean any of them; for a negated operator none of them.
    return all(test(v, have) for v in values) if "Not" in base else any(test(v, have) for v in values)


def _names(statement: Statement, caller: Caller) -> str:
    """How a resource policy's statement names the caller: "himself", "account" or ""."""
    if statement.principals is None:
        return "himself"
    found = {_name(kind, value, caller) for kind, value in statement.principals} - {""}
    if statement.not_principals:
        return "" if found else "himself"
    return "himself" if "himself" in found else "account" if found else ""


def _name(kind: str, value: str, caller: Caller) -> str:
    if kind != "AWS":
        return ""
    if value == "*" or (caller.arn and value in {caller.arn, caller.role_arn}):
        return "himself"
    if caller.kind != "Anonymous" and value in {caller.account, f"arn:aws:iam::{caller.account}:root"}:
        return "account"
    return ""


def judge(text: str, request: Request, *, resource_policy: bool) -> Verdict:
    """What a policy says of a request."""
    denied = allowed = delegated = False
    for statement in parse(text, resource_policy=resource_policy):
        if not _about(statement, request):
            continue
        named = _names(statement, request.caller)
        if not named:
            continue
        if statement.effect == DENY:
            denied = True
        elif named == "himself" or request.caller.kind == "Root":
            allowed = True
        else:
            delegated = True
    return Verdict(denied, allowed, delegated)


def _about(statement: Statement, request: Request) -> bool:
    acts = any(like(a, request.action, fold=True) for a in statement.actions) != statement.not_actions
    if not acts:
        return False
    if request.resource:
        fits = any(like(r, request.resource) for r in statement.resources)
        if fits == statement.not_resources:
            return False
    return all(_holds(*condition, request.context) for condition in statement.conditions)


NARROWING = ("aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:principalorgid", "aws:sourcearn",
             "aws:sourceaccount", "aws:principalaccount", "aws:principalarn", "aws:userid")  # fmt: skip


def is_public(text: str) -> bool:
    """Whether a bucket policy opens something to the world, as Block Public Access counts it."""
    return any(
        statement.effect == ALLOW
        and (statement.not_principals or ("AWS", "*") in (statement.principals or ()))
        and not any(key.lower() in NARROWING for _, key, _ in statement.conditions)
        for statement in parse(text, resource_policy=True)
    )
