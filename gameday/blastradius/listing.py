"""Asking any service for all it has of something, where not being allowed to is an answer too."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

from gameday.aws.session import Session
from gameday.sdk import Cause

Item = Mapping[str, object]
_AGAIN = (Cause.THROTTLED, Cause.SERVER_ERROR, Cause.UNREACHABLE)
_ATTEMPTS = 5


class Listing:
    """Calls that only read, by the names that boto3 gives them; what was not answered is kept in ``missing``.

    Parameters
    ----------
    session: as who to ask.
    deadline: on ``time.monotonic``; what is not answered by then is missing.
    """

    def __init__(self, session: Session, deadline: float) -> None:
        self.session, self._deadline = session, deadline
        self.missing: dict[str, str] = {}
        self.asked: list[str] = []

    def all(self, service: str, operation: str, key: str, **parameters: object) -> Iterator[Item]:
        """Each item under ``key`` of every page of a list call."""
        self._note(service, operation)
        token: dict[str, object] = {}
        client = self._client(service)
        while True:
            page = self._ask(service, operation, {**parameters, **token})
            if page is None:
                return
            for item in cast("list[object]", page.get(key) or []):
                yield item if isinstance(item, Mapping) else {"": item}
            token = _next(client, operation, page)
            if not token:
                return

    def one(self, service: str, operation: str, **parameters: object) -> Item | None:
        """The answer of one call, or None."""
        self._note(service, operation)
        return self._ask(service, operation, parameters)

    def _note(self, service: str, operation: str) -> None:
        name = f"{service}:{_camel(operation)}"
        if name not in self.asked:
            self.asked.append(name)

    def _ask(self, service: str, operation: str, parameters: Mapping[str, object]) -> Item | None:
        name = f"{service}:{_camel(operation)}"
        for attempt in range(_ATTEMPTS):
            if time.monotonic() >= self._deadline:
                self.missing.setdefault(name, "the time that it may take was used up")
                return None
            with self.session.answering() as answer:
                call: Any = getattr(self._client(service), operation)
                return cast("Item", call(**parameters))
            if answer.cause is Cause.NOT_FOUND or answer.code in _NONE:
                return None  # gone since it was listed, or nothing configured
            if answer.cause not in _AGAIN:
                why = "not permitted" if answer.cause in _DENIED else f"{answer.code or answer.cause}: {answer.detail}"
                self.missing.setdefault(name, why)
                return None
            self.session.wait(min(0.25 * 2**attempt, 4.0))
        self.missing.setdefault(name, f"no answer in {_ATTEMPTS} attempts ({answer.cause})")
        return None

    def _client(self, service: str) -> Any:
        # One of boto3's overloads a service; the name is a value here.
        return self.session.client(cast("Any", service))


_DENIED = (Cause.ACCESS_DENIED, Cause.KEY_POLICY_DENIED)
_NONE = ("ServerSideEncryptionConfigurationNotFoundError", "NoSuchBucket")


def _camel(operation: str) -> str:
    """IAM's name of a call: ``describe_db_instances`` is ``DescribeDBInstances``."""
    words = {"db": "DB", "ec2": "EC2"}
    return "".join(words.get(part, part.capitalize()) for part in operation.split("_"))


def _next(client: Any, operation: str, page: Item) -> dict[str, object]:
    """The parameter that asks for the next page, by boto3's own table of how each call pages."""
    if not client.can_paginate(operation):
        return {}
    paginator = client.get_paginator(operation)
    known: dict[str, object] = paginator._pagination_cfg  # botocore's table; its own loop would hide which page failed
    outputs, inputs = _listed(known["output_token"]), _listed(known["input_token"])
    values = {name: page.get(source.split(" || ")[0]) for name, source in zip(inputs, outputs, strict=True)}
    return {name: value for name, value in values.items() if value}


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
