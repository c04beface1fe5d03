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


def behind(session: Session, pace: Pace, uses: Iterable[Use], window: Window, run: str) -> dict[str, Behind]:
    """The calls behind those of ``uses`` that EC2 made and KMS refused, by request id.

    ``run`` is what gameday's own calls carry in their user agent.
    """
    wanted = {use.request_id for use in uses if use.error_code and service_name(use.service) == "ec2"} - {""}
    found: dict[str, Behind] = {}
    for name in CALLS:
        if not wanted - set(found):
            break
        records, _ = newest(session, pace, "EventName", name, window)
        found |= {one.request_id: _behind(one, run) for one in records if one.request_id in wanted}
    return found


def _behind(record: TrailRecord, run: str) -> Behind:
    resource = _RESOURCE.search(str(record.raw.get("requestParameters")) + str(record.raw.get("responseElements")))
    return Behind(record.name, resource.group() if resource else "", f"gameday/{run}" in record.user_agent)
