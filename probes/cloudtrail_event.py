"""Find in CloudTrail what must have been recorded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from gameday.sdk import AWS, Cause, Observation, Probe, ResourceRef, TrailRecord

_PAGES = 2
"""LookupEvents allows two requests a second to the whole account; with the one that joins, three a look."""
_SHOWN = 5


class CloudTrailEvent(Probe):
    """Look in CloudTrail's event history for an event of this run; ``found`` or ``not_found``.

    Events arrive after about five minutes, without a guarantee, so this belongs in the evidence phase. Event history
    keeps KMS's events even where the account's trail leaves them out; S3's GetObject is a data event and not in it.

    The smoking gun of a boot with a disabled key is EC2's CreateGrant with ``error: DisabledException``. Such a
    record has neither parameters nor resources: the key stands in its message only, and the instance nowhere. So
    ``about`` an instance also takes a record that shares its request id with a StartInstances of that instance.
    """

    uses: ClassVar[str] = "cloudtrail.event"
    permissions: ClassVar[tuple[str, ...]] = ("cloudtrail:LookupEvents",)

    name: str = Field(min_length=1)
    """The event's name, e.g. ``CreateGrant``."""
    error: str = ""
    """The error code that it must carry."""
    about: ResourceRef = ""
    """A key, an instance, a bucket …, that it must name."""
    source: str = ""
    """The service that recorded it, e.g. ``kms.amazonaws.com``."""

    def observe(self, aws: AWS) -> Observation:
        """At most three pages of LookupEvents, the newest events of the run."""
        seen: list[TrailRecord] = []
        found: list[TrailRecord] = []
        with aws.answering() as answer:
            seen = _lookup(aws, self.name, _PAGES)
            candidates = [record for record in seen if self._fits(record)]
            found = [record for record in candidates if not self.about or record.mentions(self.about)]
            if candidates and not found and re.search(r"(^|/)i-[0-9a-f]{8,17}$", self.about):
                starts = [record for record in _lookup(aws, "StartInstances", 1) if record.mentions(self.about)]
                requests = {record.request_id for record in starts} - {""}
                found = [record for record in candidates if record.request_id in requests]
        if not answer.ok:
            return answer.observation()
        found.sort(key=lambda record: record.time)
        if not found:
            detail = f"none of the {len(seen)} {self.name} records since the run began"
            return answer.observation(detail).model_copy(update={"cause": Cause.NOT_FOUND})
        facts = {"cause": Cause.FOUND, "request_id": found[0].request_id}
        return answer.observation(_story(found)).model_copy(
            update={**facts, "records": tuple(record.raw for record in found[:_SHOWN])}
        )

    def _fits(self, record: TrailRecord) -> bool:
        """Services put their name before an error code of KMS's: ``KMS.DisabledException``."""
        error = not self.error or record.error_code == self.error or record.error_code.endswith(f".{self.error}")
        return error and self.source in ("", record.source) and not record.rehearsal


def _lookup(aws: AWS, name: str, pages: int) -> list[TrailRecord]:
    """The newest records of that name since the run began, oldest first; by whole seconds, as records have them."""
    since = aws.started.replace(microsecond=0)
    records: list[TrailRecord] = []
    token = ""
    for _ in range(pages):
        more: dict[str, str] = {"NextToken": token} if token else {}
        page = aws.client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            StartTime=since,
            EndTime=since + timedelta(days=1),
            **more,  # type: ignore[arg-type]  # a token that is absent, not empty
        )
        records += [TrailRecord.parse(event.get("CloudTrailEvent", "{}")) for event in page["Events"]]
        token = page.get("NextToken", "")
        if not token:
            break
    return [record for record in reversed(records) if record.time >= since]


def _story(found: Sequence[TrailRecord]) -> str:
    first = found[0]
    via = f" via {first.invoked_by}" if first.invoked_by and first.invoked_by != first.principal else ""
    count = "1 record" if len(found) == 1 else f"{len(found)} records"
    what = f": {first.error_message}" if first.error_message else ""
    return f"{count}; first by {first.principal or 'unknown'}{via} at {first.time:%Y-%m-%dT%H:%M:%SZ}{what}"
