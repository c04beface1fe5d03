"""Conditions and variables of IAM's policy language. Pure.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "… multivalued context keys" and
"… Variables and tags".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

Test = Callable[[str, str], bool]
SETS = ("ForAllValues", "ForAnyValue")
_VARIABLE = re.compile(r"\$\{\s*([^},]+?)\s*(?:,\s*'([^']*)')?\s*\}")
_LITERAL = {"*": "[*]", "?": "[?]", "$": "$"}
"""What stands for a sign itself; brackets keep it from being taken for a wildcard."""


@lru_cache(maxsize=4096)
def _pattern(text: str, fold: bool) -> re.Pattern[str]:
    parts = {"*": ".*", "?": ".", "[*]": r"\*", "[?]": r"\?"}
    pieces = re.findall(r"\[[*?]\]|.", text, re.DOTALL)
    made = "".join(parts.get(piece, re.escape(piece)) for piece in pieces)
    return re.compile(made, (re.IGNORECASE if fold else 0) | re.DOTALL)


def like(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Whether a text matches a pattern with * and ?."""
    return _pattern(pattern, fold).fullmatch(text) is not None


def _plain(want: str) -> str:
    return want.replace("[*]", "*").replace("[?]", "?")


def _arn(want: str, have: str) -> bool:
    """ARNs are compared part by part: no * reaches past a colon of the first five."""
    wanted, had = want.split(":", 5), have.split(":", 5)
    return len(wanted) == len(had) == 6 and all(map(like, wanted, had))


def _number(test: Callable[[float, float], bool]) -> Test:
    return lambda want, have: test(float(have), float(want))


def _moment(text: str) -> float:
    """A date of the W3C's kinds, or seconds since 1970."""
    if re.fullmatch(r"\d{5,}(\.\d+)?", text):
        return float(text)
    if re.fullmatch(r"\d{4}(-\d\d)?", text):
        text = f"{text}-01-01"[:10]
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def _date(test: Callable[[float, float], bool]) -> Test:
    return lambda want, have: test(_moment(have), _moment(want))


def _in_network(want: str, have: str) -> bool:
    return ipaddress.ip_address(have) in ipaddress.ip_network(want, strict=False)


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


POSITIVE: dict[str, Test] = {
    "StringEquals": lambda want, have: _plain(want) == have,
    "StringEqualsIgnoreCase": lambda want, have: _plain(want).lower() == have.lower(),
    "StringLike": like,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "Bool": lambda want, have: _flag(want) == (have.lower() == "true"),
    "BinaryEquals": lambda want, have: base64.b64decode(want) == base64.b64decode(have),
    "NumericEquals": _number(float.__eq__),
    "NumericLessThan": _number(float.__lt__),
    "NumericLessThanEquals": _number(float.__le__),
    "NumericGreaterThan": _number(float.__gt__),
    "NumericGreaterThanEquals": _number(float.__ge__),
    "DateEquals": _date(float.__eq__),
    "DateLessThan": _date(float.__lt__),
    "DateLessThanEquals": _date(float.__le__),
    "DateGreaterThan": _date(float.__gt__),
    "DateGreaterThanEquals": _date(float.__ge__),
    "IpAddress": _in_network,
}
NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
NAMES = {name.lower(): name for name in (*POSITIVE, *NEGATED, "Null")}
_CHECKS: dict[str, Callable[[str], object]] = {
    "Numeric": float,
    "Date": _moment,
    "Bool": _flag,
    "Null": _flag,
    "IpAddress": lambda text: ipaddress.ip_network(text, strict=False),
    "NotIpAddress": lambda text: ipaddress.ip_network(text, strict=False),
    "Binary": lambda text: base64.b64decode(text, validate=True),
}


def parts(operator: str) -> tuple[str, str, bool]:
    """An operator's set (or ""), its own name, and whether an absent key will do; ValueError for an unknown one."""
    given, _, own = operator.rpartition(":")
    chosen = next((one for one in SETS if one.lower() == given.lower()), "")
    if_exists = own.lower().endswith("ifexists")
    name = NAMES.get((own[:-8] if if_exists else own).lower(), "")
    if not name or bool(given) != bool(chosen) or (name == "Null" and (chosen or if_exists)):
        raise ValueError(f"the condition operator {operator} is unknown")
    return chosen, name, if_exists


def check(operator: str, values: tuple[str, ...]) -> None:
    """Raise ValueError for an operator that IAM does not have, or a value that is none of its kind."""
    _, name, _ = parts(operator)
    for kind, test in _CHECKS.items():
        if name.startswith(kind):
            for value in values:
                if "${" not in value:
                    test(value)


def filled(text: str, context: Mapping[str, str]) -> str | None:
    """A text with its policy variables filled in; None when one of them has no value.

    ``context`` has its names in lower case.
    """
    if "${" not in text:
        return text
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name = found[1]
        if name in _LITERAL:
            return _LITERAL[name]
        have = context.get(name.lower(), found[2])
        missing = missing or have is None
        return (have or "").replace("*", "[*]").replace("?", "[?]")

    made = _VARIABLE.sub(value, text)
    return None if missing else made


def holds(
    operator: str, key: str, values: tuple[str, ...], context: Mapping[str, str], *, variables: bool = True
) -> bool:
    """Whether a condition holds; ``context`` has its names in lower case, several values of one key on lines."""
    chosen, name, if_exists = parts(operator)
    text = context.get(key.lower())
    if name == "Null":
        return (text is None) == _flag(values[0]) if values else False
    if text is None:
        return if_exists or chosen == "ForAllValues" or (name in NEGATED and not chosen)
    wanted = [filled(value, context) for value in values] if variables else list(values)
    test = POSITIVE[NEGATED.get(name, name)]

    def one(have: str) -> bool:
        found = any(_fits(test, want, have) for want in wanted if want is not None)
        return not found if name in NEGATED else found

    have = text.split("\n") if text else [""]
    if chosen == "ForAllValues":
        return all(map(one, have))
    if name in NEGATED and not chosen:
        return all(map(one, have))
    return any(map(one, have))


def _fits(test: Test, want: str, have: str) -> bool:
    try:
        return test(want, have)
    except (ValueError, binascii.Error):
        return False  # the request's value is none of the operator's kind
