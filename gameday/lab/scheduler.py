"""EventBridge Scheduler: universal targets fire, under their own role, whether or not anyone is left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gameday.partitions import partition

from .clock import wall
from .wire import Answer, AwsError, error_in
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call, Caller

UNIVERSAL = re.compile(r"arn:([\w-]+):scheduler:::aws-sdk:([a-z0-9]+):([a-zA-Z0-9]+)")
AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
UNITS = {"minute": 60, "hour": 3600, "day": 86400}
READ_ONLY = ("get", "describe", "list", "head", "poll", "search", "scan", "query", "select", "read")
RETRY_AFTER = 60.0

Performer = Callable[[str, str, dict[str, Any], "Caller", str], Answer]
"""Carries out (service, operation, parameters) as a caller, in a Region."""


class Scheduler:
    """The scheduler's hooks."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour(
            "scheduler",
            "at(…) and rate(…) fire universal targets of KMS, S3 and EC2 under their role",
            "documented",
        ),
        Behaviour("scheduler", "read-only actions are refused as universal targets", "documented"),
        Behaviour("scheduler", "the role must exist and trust scheduler.amazonaws.com", "documented"),
        Behaviour(
            "scheduler",
            "ActionAfterCompletion DELETE; retries after a minute, as often as asked",
            "documented",
        ),
        Behaviour("scheduler", "it fires on the second, AWS within the minute", "invented"),
        Behaviour("scheduler", "cron(…) never fires, dead-letter queues stay empty", "invented"),
    )

    def __init__(self, world: World, perform: Performer) -> None:
        self._world = world
        self._perform = perform
        self._turns: dict[tuple[str, str], int] = {}

    def reset(self) -> None:
        """Forget what was planned."""
        self._turns.clear()

    def before(self, call: Call) -> Answer | None:
        """Refuse schedules that could not fire."""
        if call.operation in {"CreateSchedule", "UpdateSchedule"}:
            self._check(call.region, _body(call))
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """Plan what was asked for; forget what was deleted."""
        if answer.status >= 400 or call.operation not in {
            "CreateSchedule",
            "UpdateSchedule",
            "DeleteSchedule",
        }:
            return
        name = call.environ["PATH_INFO"].rsplit("/", 1)[1]
        turn = self._turns.get((call.region, name), 0) + 1
        self._turns[call.region, name] = turn
        data = _body(call)
        if call.operation == "DeleteSchedule" or data.get("State", "ENABLED") != "ENABLED":
            return
        group = data.get("GroupName") or "default"
        self._plan(call.region, group, name, turn, data)

    def _check(self, region: str, data: dict[str, Any]) -> None:
        target = data.get("Target") or {}
        found = _universal(region, str(target.get("Arn", "")))
        if found and found[1].startswith(READ_ONLY):
            raise AwsError("ValidationException", f"{target['Arn']} is not a supported universal target.", 400)
        expression = str(data.get("ScheduleExpression", ""))
        if not (AT.fullmatch(expression) or RATE.fullmatch(expression) or expression.startswith("cron(")):
            raise AwsError("ValidationException", f"Invalid Schedule Expression {expression}.", 400)
        trust = self._world.moto.trust_policy(region, str(target.get("RoleArn", "")))
        if trust is None or "scheduler.amazonaws.com" not in trust:
            raise AwsError(
                "ValidationException",
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
                400,
            )

    def _plan(self, region: str, group: str, name: str, turn: int, data: dict[str, Any]) -> None:
        expression = str(data["ScheduleExpression"])
        rate = RATE.fullmatch(expression)
        wait = _until(expression, str(data.get("ScheduleExpressionTimezone") or "UTC"))
        if rate:
            wait = int(rate.group(1)) * UNITS[rate.group(2)]
        if wait is None:
            return

        def due() -> None:
            if self._turns.get((region, name)) != turn:
                return
            if rate:
                self._plan(region, group, name, turn, data)
            tries = (data["Target"].get("RetryPolicy") or {}).get("MaximumRetryAttempts", 185)
            self._fire(region, group, name, turn, data, tries)

        self._world.agenda.after(wait, due)

    def _fire(self, region: str, group: str, name: str, turn: int, data: dict[str, Any], tries: int) -> None:
        if self._turns.get((region, name)) != turn:
            return
        target = data["Target"]
        found = _universal(region, str(target["Arn"]))
        caller = self._world.moto.principal(region, str(target["RoleArn"]))
        if found and caller is not None:
            operation = found[1][:1].upper() + found[1][1:]
            caller.arn = f"arn:{partition(region)}:sts::{caller.account}:assumed-role/{caller.name}/{name}"
            caller.role_id, caller.principal_id = caller.principal_id, f"{caller.principal_id}:{name}"
            answer = self._perform(found[0], operation, json.loads(target.get("Input") or "{}"), caller, region)
            if error_in(answer) and tries > 0:
                again = self._fire
                self._world.agenda.after(RETRY_AFTER, lambda: again(region, group, name, turn, data, tries - 1))
                return
        once = AT.fullmatch(str(data["ScheduleExpression"]))
        if once and data.get("ActionAfterCompletion") == "DELETE":
            self._world.moto.delete_schedule(region, group, name)


def _universal(region: str, arn: str) -> tuple[str, str] | None:
    """The service and the call of a universal target in a Region's partition."""
    found = UNIVERSAL.fullmatch(arn)
    return (found[2], found[3]) if found and found[1] == partition(region) else None


def _body(call: Call) -> dict[str, Any]:
    try:
        data = json.loads(call.body or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _until(expression: str, zone: str) -> float | None:
    """Seconds until an at(…) is due; None when it is another expression."""
    found = AT.fullmatch(expression)
    if not found:
        return None
    try:
        when = datetime.fromisoformat(found.group(1)).replace(tzinfo=ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise AwsError("ValidationException", f"Invalid Schedule Expression {expression}.", 400) from error
    return max(0.0, (when.astimezone(UTC) - wall()) / timedelta(seconds=1))
