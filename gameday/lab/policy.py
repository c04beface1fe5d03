"""IAM's policy language: parse a document, and say what it makes of one request. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from . import conditions
from .call import Caller
from .conditions import filled, like

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
    variables: bool = True
    """Whether ${…} is a variable: since Version 2012-10-17."""


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
    variables = document.get("Version") == "2012-10-17"
    statements = found if isinstance(found, list) else [found]
    return tuple(_statement(one, resource_policy, variables) for one in statements)


def with_resource(trust: str) -> str:
    """A trust policy as a policy about everything; MalformedError for what is none."""
    try:
        document = json.loads(trust)
    except ValueError as error:
        raise MalformedError(f"it is no JSON: {error}") from error
    found: Any = document.get("Statement") if isinstance(document, dict) else None
    statements: list[Any] = found if isinstance(found, list) else [found]
    if not statements or not all(isinstance(one, dict) for one in statements):
        raise MalformedError("it has no Statement")
    if any("Resource" in one or "NotResource" in one for one in statements):
        raise MalformedError("Has prohibited field Resource")
    return json.dumps(document | {"Statement": [{**one, "Resource": "*"} for one in statements]})


def _statement(raw: Any, resource_policy: bool, variables: bool) -> Statement:
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
        variables,
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
        for key, value in keys.items():
            values = value if isinstance(value, list) else [value]
            texts = tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
            try:
                conditions.check(operator, texts)
            except ValueError as error:
                raise MalformedError(str(error)) from error
            found.append((operator, key, texts))
    return tuple(found)


# --- matching


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
    if caller.kind != "Anonymous" and (
        value == caller.account or re.fullmatch(rf"arn:[\w-]+:iam::{caller.account}:root", value)
    ):
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
    context = {name.lower(): value for name, value in request.context.items()}
    if request.resource:
        named = [filled(r, context) if statement.variables else r for r in statement.resources]
        fits = any(r is not None and like(r, request.resource) for r in named)
        if fits == statement.not_resources:
            return False
    variables = statement.variables
    return all(conditions.holds(*one, context, variables=variables) for one in statement.conditions)


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
