"""Trails: what they select, delivered as gz files to their buckets every so often."""

from __future__ import annotations

import gzip
import json
import random
import string
from typing import TYPE_CHECKING, Any

from .clock import wall
from .trail import Event
from .wire import Answer
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

READERS = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions", "GetObject", "HeadObject"})


class Trails:
    """The hooks of trails; LookupEvents is in ``cloudtrail``."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("cloudtrail", "a logging trail writes gz files under AWSLogs/… to its bucket", "documented"),
        Behaviour(
            "cloudtrail",
            "event selectors: ReadWriteType, ExcludeManagementEventSources, S3 data",
            "documented",
        ),
        Behaviour("cloudtrail", "of advanced selectors eventCategory, eventSource and readOnly count", "invented"),
        Behaviour("cloudtrail", "the trail's bucket needs no policy, its files are not encrypted", "invented"),
        Behaviour("cloudtrail", "files come every cloudtrail_file_interval; at 0 when someone reads", "invented"),
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._written: dict[str, int] = {}
        self._planned = False

    def reset(self) -> None:
        """Forget what was written."""
        self._written.clear()
        self._planned = False

    def before(self, call: Call) -> Answer | None:
        """With no interval, files are written when someone comes to read them."""
        if self._written and call.operation in READERS and self._world.knobs.cloudtrail_file_interval <= 0:
            self._deliver()
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """Notice trails that start."""
        if answer.status >= 400 or call.service != "cloudtrail":
            return
        if call.operation == "StartLogging":
            for trail in self._logging():
                self._written.setdefault(trail.arn, self._world.trail.next_turn)
            self._plan()
        if call.operation in {"StartLogging", "StopLogging", "PutEventSelectors", "DeleteTrail"}:
            self._world.trail.data_wanted = any(_wants_data(trail) for trail in self._logging())

    def _logging(self) -> list[Any]:
        return [trail for trail in self._world.moto.trails() if trail.status.is_logging]

    def _plan(self) -> None:
        if self._planned:
            return
        self._planned = True

        def due() -> None:
            self._planned = False
            self._deliver()
            if self._logging():
                self._plan()

        # At 0 the chain only watches for the knob to change; readers are served by ``before``.
        self._world.agenda.after(self._world.knobs.cloudtrail_file_interval or 5.0, due)

    def _deliver(self) -> None:
        now = self._world.agenda.now()
        for trail in self._logging():
            since = self._written.get(trail.arn, self._world.trail.next_turn)
            fresh = [e for e in self._world.trail.events if e.turn >= since and e.visible_at <= now]
            if fresh:
                self._written[trail.arn] = max(event.turn for event in fresh) + 1
                self._write(trail, [event for event in fresh if _selects(trail, event)])

    def _write(self, trail: Any, events: list[Event]) -> None:
        for region in sorted({event.record["awsRegion"] for event in events}):
            if region != trail.region_name and not trail.is_multi_region:
                continue
            records = [event.record for event in events if event.record["awsRegion"] == region]
            body = gzip.compress(json.dumps({"Records": records}).encode())
            self._world.moto.put_object(trail.region_name, trail.bucket_name, _file_name(trail, region), body)


def _file_name(trail: Any, region: str) -> str:
    now, account = wall(), trail.account_id
    unique = "".join(random.choices(string.ascii_letters + string.digits, k=16))
    prefix = f"{trail.s3_key_prefix}/" if trail.s3_key_prefix else ""
    return (
        f"{prefix}AWSLogs/{account}/CloudTrail/{region}/{now:%Y/%m/%d}/"
        f"{account}_CloudTrail_{region}_{now:%Y%m%dT%H%MZ}_{unique}.json.gz"
    )


def _selects(trail: Any, event: Event) -> bool:
    management = event.record["managementEvent"]
    if trail.advanced_event_selectors:
        return any(_advanced(one, event) for one in trail.advanced_event_selectors)
    if not trail.event_selectors:
        return bool(management)
    return any(_basic(one, event, bool(management)) for one in trail.event_selectors)


def _basic(selector: dict[str, Any], event: Event, management: bool) -> bool:
    kind = selector.get("ReadWriteType", "All")
    if kind != "All" and (kind == "ReadOnly") != bool(event.record.get("readOnly")):
        return False
    if management:
        excluded = selector.get("ExcludeManagementEventSources") or []
        return bool(selector.get("IncludeManagementEvents", True)) and event.record["eventSource"] not in excluded
    arns = [r["ARN"] for r in event.record.get("resources") or []]
    wanted = [
        value
        for resource in selector.get("DataResources") or []
        if resource.get("Type") == "AWS::S3::Object"
        for value in resource.get("Values") or []
    ]
    return any(arn.startswith(value) for arn in arns for value in wanted)


def _advanced(selector: dict[str, Any], event: Event) -> bool:
    have = {
        "eventCategory": event.record["eventCategory"],
        "eventSource": event.record["eventSource"],
        "readOnly": str(event.record.get("readOnly", False)).lower(),
    }
    fields = selector.get("FieldSelectors") or []
    return any(f.get("Field") == "eventCategory" for f in fields) and all(
        (not f.get("Equals") or have[f["Field"]] in f["Equals"])
        and (not f.get("NotEquals") or have[f["Field"]] not in f["NotEquals"])
        for f in fields
        if f.get("Field") in have
    )


def _wants_data(trail: Any) -> bool:
    text = json.dumps([trail.event_selectors, trail.advanced_event_selectors])
    return "AWS::S3::Object" in text
