"""The calls behind refused uses: EC2 asks KMS under the request id of the call that it works for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gameday.aws.session import Session
from gameday.blastradius._answer import Use
from gameday.blastradius._question import Window
from gameday.blastradius.lookup import Pace, newest
from gameday.blastradius.observed import Behind
from gameday.blastradius.prediction import service_name
from gameday.sdk import TrailRecord

CALLS = ("StartInstances", "RunInstances", "AttachVolume", "CreateVolume")
"""EC2's calls that need a volume's key. S3's reads and writes are data events: event history does not have them."""
_RESOURCE = re.compile(r"\b(i|vol)-[0-9a-f]{8,17}\b")


def behind(
    session: Session, pace: Pace, uses: Iterable[Use], window: Window, run: str, away: Window | None = None
) -> dict[str, Behind]:
    """EC2's calls behind those of ``uses`` that KMS refused, or had while the key was ``away``, by request id.

    ``run`` is what gameday's own calls carry in their user agent.
    """
    of_ec2 = (use for use in uses if service_name(use.service) == "ec2")
    wanted = {use.request_id for use in of_ec2 if use.error_code or _within(use, away)} - {""}
    found: dict[str, Behind] = {}
    for name in CALLS:
        if not wanted - set(found):
            break
        records, _ = newest(session, pace, "EventName", name, window)
        found |= {one.request_id: _behind(one, run) for one in records if one.request_id in wanted}
    return found


def _within(use: Use, away: Window | None) -> bool:
    return away is not None and away.since <= use.time < away.until


def _behind(record: TrailRecord, run: str) -> Behind:
    resource = _RESOURCE.search(str(record.raw.get("requestParameters")) + str(record.raw.get("responseElements")))
    return Behind(record.name, resource.group() if resource else "", f"gameday/{run}" in record.user_agent)
