"""What the trails record that write the log files: one that leaves KMS out is blind to every use of a key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gameday.aws.session import Session
from gameday.blastradius._answer import Coverage, Trail
from gameday.blastradius._question import Question
from gameday.blastradius._source import Hits, Watch
from gameday.blastradius.listing import Item, Listing

PERMISSIONS = ("cloudtrail:DescribeTrails", "cloudtrail:GetEventSelectors", "cloudtrail:GetTrailStatus")
_KMS = "kms.amazonaws.com"


@dataclass(frozen=True)
class Trails:
    """A source of no records: it says which trails write the log files, and what they leave out.

    Parameters
    ----------
    bucket: only those that deliver there; ``""`` for all that the Region knows.
    """

    session: Session
    bucket: str = ""
    seconds: float = 15.0

    @classmethod
    def behind(cls, session: Session, place: str) -> Trails:
        """Those that write the log files in a place: a bucket's own (``s3://…``), or else all that the Region knows."""
        where = urlsplit(place)
        return cls(session, where.netloc if where.scheme in ("s3", "s3a") else "")

    def read(self, _question: Question, _hits: Hits, _watch: Watch) -> Coverage:
        """Ask; what may not be asked is a note, since the files themselves can still be read."""
        return self.told()

    def told(self) -> Coverage:
        """The trails, and what could not be asked of them."""
        ask = Listing(self.session, time.monotonic() + self.seconds)
        found = [
            _trail(ask, one)
            for one in ask.all("cloudtrail", "describe_trails", "trailList")
            if self.bucket in ("", one.get("S3BucketName"))
        ]
        notes = tuple(
            f"What trails record is not known for certain: {call} {why}." for call, why in ask.missing.items()
        )
        return Coverage(trails=tuple(found), notes=notes)


def _trail(ask: Listing, one: Item) -> Trail:
    arn = str(one.get("TrailARN") or one.get("Name"))
    chosen = ask.one("cloudtrail", "get_event_selectors", TrailName=arn)
    status = ask.one("cloudtrail", "get_trail_status", Name=arn)
    kms, data = (None, None) if chosen is None else _recorded(chosen)
    return Trail(
        name=str(one.get("Name")),
        excludes_kms=None if kms is None else not kms,
        data_events=data,
        every_region=bool(one.get("IsMultiRegionTrail")),
        logging=None if status is None else bool(status.get("IsLogging")),
    )


def _recorded(chosen: Item) -> tuple[bool, bool]:
    """Whether KMS' calls are recorded, and any data events (CloudTrail API reference, GetEventSelectors)."""
    plain = _items(chosen, "EventSelectors")
    kms = any(
        one.get("IncludeManagementEvents", True) and _KMS not in _texts(one, "ExcludeManagementEventSources")
        for one in plain
    )
    data = any(_items(one, "DataResources") for one in plain)
    for one in _items(chosen, "AdvancedEventSelectors"):
        fields = {str(each.get("Field")): each for each in _items(one, "FieldSelectors")}
        category = _texts(fields.get("eventCategory", {}), "Equals")
        kms = kms or ("Management" in category and _takes(fields.get("eventSource", {})))
        data = data or "Data" in category
    return kms or not (plain or chosen.get("AdvancedEventSelectors")), data


def _takes(source: Item) -> bool:
    only = _texts(source, "Equals")
    return _KMS not in _texts(source, "NotEquals") and (not only or _KMS in only)


def _items(one: Item, name: str) -> list[Item]:
    listed = one.get(name)
    return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def _texts(one: Item, name: str) -> list[str]:
    listed = one.get(name)
    return [str(each) for each in listed] if isinstance(listed, list) else []
