"""Dry runs: EC2's own proof of a permission, and what an endpoint that carries them out leaves behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection

from gameday.errors import CannotInject
from gameday.sdk._aws import AWS
from gameday.sdk._observation import Cause

_UNPROVEN = (Cause.ACCESS_DENIED, Cause.CREDENTIALS, Cause.UNREACHABLE, Cause.THROTTLED, Cause.SERVER_ERROR)
_ID = re.compile(r"\b(?:i|vol|snap)-[0-9a-f]{8,17}\b")


def dry_run(
    aws: AWS, action: str, call: Callable[[], object], *, find: str, fine: Collection[str] | None = None
) -> None:
    """Make one call with ``DryRun``; raises CannotInject unless the answer is DryRunOperation, or a fitting refusal.

    An endpoint that ignores ``DryRun`` answers with a plain yes, and has made the change: the run is refused before
    the next dry run is sent. Source: EC2 API Reference, common parameter ``DryRun``.

    ``action`` is the IAM action of ``call``; ``find`` says how a human finds what the call would have made or changed.
    ``fine`` are the codes of refusals that say nothing about the permission; None takes all that do not deny it.
    """
    said: object = None
    with aws.answering() as answer:
        said = call()
    if answer.ok:
        ids = sorted(set(_ID.findall(json.dumps(said, default=str))))
        named = f" (its answer names {', '.join(ids)})" if ids else ""
        raise CannotInject(
            f"the endpoint answered a dry run of {action} with a plain yes instead of DryRunOperation, so it may have "
            f"carried it out{named}: {find}. An endpoint that ignores DryRun cannot prove that the undo is permitted"
        )
    refused = answer.cause in _UNPROVEN if fine is None else answer.code not in fine
    if answer.code != "DryRunOperation" and refused:
        raise CannotInject(f"{action} is not permitted: {answer.code or answer.cause}: {answer.detail}")
