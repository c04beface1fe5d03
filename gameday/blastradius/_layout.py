"""Where CloudTrail puts its files, and which of them a question needs.

``AWSLogs/[o-…/]ACCOUNT/CloudTrail/REGION/yyyy/mm/dd/ACCOUNT_CloudTrail_REGION_yyyymmddThhmmZ_….json.gz``. What does not
look like that is read: a folder of files that someone copied together is as good.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from gameday.blastradius._question import Question

LATE = timedelta(days=1)
"""How much later than its event a file is looked for. Delivery takes about five minutes, without a guarantee."""

_FOLDER = re.compile(r"(?:^|/)(\d{12})/(CloudTrail[\w-]*)(?:/([a-z0-9-]+)(?:/(\d{4})(?:/(\d\d)(?:/(\d\d))?)?)?)?/?$")
_FILE = re.compile(r"(\d{12})_(CloudTrail[\w-]*)_([a-z0-9-]+)_(\d{8}T\d{4})Z")


@dataclass(frozen=True)
class Named:
    """What a file's name says."""

    account: str
    region: str
    time: datetime


def read_name(path: str) -> Named | None:
    """Account, Region and time of a log file by its name, or None when it is named otherwise."""
    found = _FILE.search(path.rsplit("/", 1)[-1])
    if not found or found.group(2) != "CloudTrail":
        return None
    try:
        time = datetime.strptime(found.group(4), "%Y%m%dT%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Named(found.group(1), found.group(3), time)


class Wanted:
    """Which folders and files a question needs; accounts are left out only when the question names others."""

    def __init__(self, question: Question) -> None:
        self._accounts, self._regions = question.accounts, question.reading_regions
        self.first = question.window.since.astimezone(UTC).date()
        self.last = (question.window.until.astimezone(UTC) + LATE).date()

    def folder(self, path: str) -> str:
        """Why a folder is left out, or ``""``: ``kind CloudTrail-Digest``, ``account``, ``region``, ``date``."""
        found = _FOLDER.search(path)
        if not found:
            return ""
        account, kind, region, year, month, day = found.groups()
        if kind != "CloudTrail":
            return f"kind {kind}"
        if why := self._elsewhere(account, region):
            return why
        return "" if self._dated(year, month, day) else "date"

    def file(self, path: str) -> str:
        """Why a file is left out by its name, or ``""``."""
        found = _FILE.search(path.rsplit("/", 1)[-1])
        if not found:
            return ""
        account, kind, region, time = found.groups()
        if kind != "CloudTrail":
            return f"kind {kind}"
        if why := self._elsewhere(account, region):
            return why
        return "" if self._dated(time[:4], time[4:6], time[6:8]) else "date"

    def _elsewhere(self, account: str, region: str | None) -> str:
        if self._accounts and account not in self._accounts:
            return "account"
        return "region" if region and self._regions and region not in self._regions else ""

    def _dated(self, year: str | None, month: str | None, day: str | None) -> bool:
        if not year:
            return True
        try:
            earliest = date(int(year), int(month or 1), int(day or 1))
            latest = date(int(year), int(month or 12), int(day or 28))
        except ValueError:  # no date after all
            return True
        if not day:
            latest += timedelta(days=3)  # a month's last days, and more than that does no harm
        return earliest <= self.last and latest >= self.first
