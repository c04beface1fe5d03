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
_SHARED = re.compile(r"(?:^|/)AWSLogs/(?:o-[a-z0-9]+/)?\d{12}/([A-Za-z][\w.-]*)(?:/|$)")
"""``AWSLogs/ACCOUNT/`` is where Config, load balancers, flow logs, WAF and Route 53 put their files, too."""
_NAMED = re.compile(r"_CloudTrail_[a-z0-9-]+_\d{8}T\d{4}Z")
READ = (
    ".json", ".gz", ".jsonl", ".ndjson", ".log", ".txt", ".csv", ".tsv", ".zip", ".zst", ".zstd", ".tgz", ".tar",
    ".bz2", ".tbz2", ".xz", ".txz", ".gzip", ".bak", ".old", ".orig",
)  # fmt: skip
FORMATS = (
    ".parquet", ".orc", ".avro", ".7z", ".rar", ".lz4", ".lzo", ".snappy", ".br", ".z", ".xlsx", ".evtx", ".db",
    ".sqlite", ".part", ".partial", ".crdownload", ".tmp", ".enc", ".gpg", ".age", ".lz",
)  # fmt: skip
"""Endings of files that may well hold records, and that nothing here opens."""
_THUMBNAILS = ("thumbs.db", "ehthumbs.db")
"""What Windows leaves in folders, though its ending is a database's."""
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


def bears_name(path: str) -> bool:
    """Whether a file is named as CloudTrail names its own, so that it must hold records."""
    return _NAMED.search(path.rsplit("/", 1)[-1]) is not None


def other_kind(path: str) -> str:
    """Whose folder below ``AWSLogs/ACCOUNT/`` a path is in, where it is not CloudTrail's; else ``""``."""
    found = _SHARED.search(path)
    return "" if not found or found.group(1).startswith("CloudTrail") else found.group(1)


def month_of(path: str) -> str:
    """``2023-07`` for a folder or file of that month, ``2023`` for a year's folder, ``""`` where no date is told."""
    if file := _FILE.search(path.rsplit("/", 1)[-1]):
        return f"{file.group(4)[:4]}-{file.group(4)[4:6]}"
    folder = _FOLDER.search(path)
    return "-".join(filter(None, folder.group(4, 5))) if folder else ""


def ending(path: str) -> str:
    """A file's ending in small letters, ``""`` where it has none; a number behind it (``.log.1``) is none."""
    name = re.sub(r"(?:\.\d+)+$", "", path.rsplit("/", 1)[-1].lower())
    return name[name.rindex(".") :] if "." in name[1:] and len(name) - name.rindex(".") <= 11 else ""


class Wanted:
    """Which folders and files a question needs; accounts are left out only when the question names others."""

    def __init__(self, question: Question) -> None:
        self._accounts, self._regions = question.accounts, question.reading_regions
        self.first = question.window.since.astimezone(UTC).date()
        self.last = (question.window.until.astimezone(UTC) + LATE).date()

    def folder(self, path: str) -> str:
        """Why a folder is left out, or ``""``: ``kind CloudTrail-Digest``, ``account``, ``region``, ``date``."""
        if kind := other_kind(path):
            return f"kind {kind}"
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
        """Why a file is left out by its name, or ``""``; ``format .parquet`` is no good reason."""
        if kind := other_kind(path):
            return f"kind {kind}"
        end = ending(path)
        if end in FORMATS and path.rsplit("/", 1)[-1].lower() not in _THUMBNAILS:
            return f"format {end}"
        if end and end not in READ and not bears_name(path):
            return f"ending {end}"
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
