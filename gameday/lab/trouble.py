"""Injected trouble: what AWS does to clients on a bad day, aimed at a call pattern."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from gameday.errors import LabError

from .call import Call
from .wire import AwsError

KINDS = ("throttle", "server_error", "hang", "lost_response", "late_effect", "refuse", "stale")


@dataclass(slots=True)
class Trouble:
    """One rule; the first that matches a call is taken."""

    service: str = "*"
    operation: str = "*"
    kind: str = "throttle"
    times: int | None = None
    """None: for ever."""
    rate: float = 1.0
    seconds: float = 30.0
    code: str = "AccessDeniedException"
    message: str = ""
    user_agent: str = ""
    """Only calls whose user agent contains this."""

    def matches(self, call: Call) -> bool:
        """Whether this rule is about the call, without the dice."""
        return (
            self.service in {"*", call.service}
            and self.operation in {"*", call.operation}
            and self.user_agent in call.user_agent
            and (self.times is None or self.times > 0)
        )


class Troubles:
    """The rules in force; thread-safe, since hung calls must hold up nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Trouble] = []

    def add(self, about: Mapping[str, Any]) -> Trouble:
        """Check and add a rule."""
        known = {field.name for field in fields(Trouble)}
        unknown = sorted(set(about) - known)
        if unknown:
            raise LabError(f"trouble has no {unknown[0]!r}; it has: {', '.join(sorted(known))}")
        rule = Trouble(**about)
        if rule.kind not in KINDS:
            raise LabError(f"the lab has no trouble of kind {rule.kind!r}; it has: {', '.join(KINDS)}")
        if rule.times is not None and (isinstance(rule.times, bool) or not isinstance(rule.times, int)):
            raise LabError(f"trouble's times is a whole number or null, not {rule.times!r}")
        for name in ("rate", "seconds"):
            if isinstance(getattr(rule, name), bool) or not isinstance(getattr(rule, name), int | float):
                raise LabError(f"trouble's {name} is a number, not {getattr(rule, name)!r}")
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """No trouble any more; what is under way stays under way."""
        with self._lock:
            self._rules.clear()

    def listed(self) -> list[dict[str, Any]]:
        """The rules, with what is left of their times."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def pick(self, call: Call) -> Trouble | None:
        """The trouble that meets this call, if any; counts it."""
        with self._lock:
            for rule in self._rules:
                # Dice for faults in a test bench, not for secrets.
                if rule.matches(call) and (rule.rate >= 1 or random.random() < rule.rate):
                    if rule.times is not None:
                        rule.times -= 1
                    return rule
        return None


def throttled(call: Call) -> AwsError:
    """AWS' throttling, as this service says it."""
    if call.service == "s3":
        return AwsError("SlowDown", "Please reduce your request rate.", 503)
    if call.service == "ec2":
        return AwsError("RequestLimitExceeded", "Request limit exceeded.", 503)
    if call.protocol == "query":
        return AwsError("Throttling", "Rate exceeded", 400)
    return AwsError("ThrottlingException", "Rate exceeded", 400)


def broken(call: Call) -> AwsError:
    """AWS' internal error, as this service says it."""
    code = {
        "kms": "KMSInternalException",
        "s3": "InternalError",
        "ec2": "InternalError",
    }.get(call.service, "InternalFailure")
    return AwsError(code, "An internal error has occurred. Please try your request again.", 500)


def unavailable(call: Call) -> AwsError:
    """What a hung call gets at last, without any effect."""
    code = "Unavailable" if call.service == "ec2" else "ServiceUnavailable"
    return AwsError(code, "The service is unavailable. Please try again shortly.", 503)
