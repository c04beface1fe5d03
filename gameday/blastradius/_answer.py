"""What is answered: each use, their sums, and what was looked at for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from gameday.blastradius._question import Window

T = TypeVar("T")


class Kind(StrEnum):
    """Whose calls, and of which sort."""

    USE = "use"
    """Fails while the key is disabled: cryptography, CreateGrant, GetPublicKey."""
    OWN = "own"
    """The same, by gameday itself."""
    MANAGEMENT = "management"
    """Describes or changes the key and works while it is disabled; nobody goes dark for it."""
    DRY_RUN = "dry run"
    """Asked whether a call would succeed; neither a use nor a failure."""


@dataclass(frozen=True, slots=True)
class Use:
    """One call on the key, as one record tells it.

    Parameters
    ----------
    principal: the role, user or service; never the session.
    session: the role session's name, or ``""``.
    service: the AWS service that called on the principal's behalf (``s3.amazonaws.com``), or ``direct``.
    resource: what was encrypted, as the encryption context names it (an ARN, ``vol-…``), or ``""`` when nothing does.
    instance: the EC2 instance that it was done for, or ``""``.
    request_id: shared with the EC2 call behind it, except for ``ebs.amazonaws.com``'s Decrypt.
    shared_event_id: shared by the copies of one call in several accounts, which count once.
    account: whose log it was found in.
    error_code, error_message: ``""`` for a call that succeeded.
    """

    event_id: str
    shared_event_id: str
    request_id: str
    time: datetime
    kind: Kind
    action: str
    principal: str
    session: str
    service: str
    resource: str
    instance: str
    error_code: str
    error_message: str
    user_agent: str
    source_ip: str
    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Row:
    """What one principal did through one service to one resource.

    Parameters
    ----------
    uses: all calls, refused ones among them.
    errors: those that failed, for whatever reason.
    refused: those that failed because the key could not be used (``REFUSALS``); AccessDenied is not among them.
    first_refused, last_refused, last_succeeded: None when there was none.
    accounts, regions: whose logs, and of which Regions, they were found in.
    issued_to: the Lambda functions or instances that had the principal's credentials, as far as records tell.
    """

    principal: str
    service: str
    resource: str
    uses: int
    errors: int
    refused: int
    first_used: datetime
    last_used: datetime
    first_refused: datetime | None
    last_refused: datetime | None
    last_succeeded: datetime | None
    actions: tuple[str, ...]
    error_codes: tuple[str, ...]
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    sessions: int
    issued_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all rows; ``own`` and ``management`` are calls that no row counts."""

    uses: int = 0
    errors: int = 0
    refused: int = 0
    principals: int = 0
    services: int = 0
    resources: int = 0
    rows: int = 0
    first_used: datetime | None = None
    last_used: datetime | None = None
    own: int = 0
    management: int = 0
    dry_runs: int = 0

    def but(self, **changes: object) -> Totals:
        """The same with something else about it."""
        return replace(self, **changes)  # type: ignore[arg-type]  # replace checks the names


@dataclass(frozen=True, slots=True)
class Trail:
    """A trail, as far as it matters here; None where it could not be asked."""

    name: str
    excludes_kms: bool | None = None
    data_events: bool | None = None
    every_region: bool | None = None
    logging: bool | None = None


@dataclass(frozen=True)
class Coverage:
    """What was looked at for an answer, and what was not. Parts from several sources add up with ``+``.

    Parameters
    ----------
    sources: where was looked, in words: ``files under /logs``, ``event history of 123456789012/us-east-1``.
    accounts, regions: those whose records were read, as far as the source says.
    trails: what is known of the trails; empty when nobody could be asked.
    files, read_files, bytes, raw_bytes: log files in reach and read, their sizes compressed and not.
    records: records looked at; ``estimated_records`` when only estimated, for files that do not hold the key's name.
    hits: records about the key in the window, after repeated ones were left out.
    repeated: deliveries of a record already counted.
    undated: records about the key whose time cannot be read, so that no window holds them.
    unattributed: refused KMS calls that name no key at all, where the source saw them.
    earliest, latest: the times that the files or pages read carry.
    excluded: kinds of files or events left out on purpose, such as ``CloudTrail-Digest``.
    left_out: files and folders that were not read since the question does not need them or they hold no calls, by
        reason.
    outside: the first and the last month of those that are outside the window.
    gaps: what was asked for and is not there, a sentence each; the answer is then incomplete.
    skipped: files or pages that should have been read, by reason: truncated, unreadable, too large …
    examples: some of those by name, with the reason.
    throttled: how many requests were answered with "slow down"; asked again until ``partial``.
    partial: why the answer is incomplete (interrupted, budget used up), or ``""``.
    notes: further sentences of the source's own.
    """

    sources: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    trails: tuple[Trail, ...] = ()
    files: int = 0
    read_files: int = 0
    bytes: int = 0
    raw_bytes: int = 0
    records: int = 0
    estimated_records: int = 0
    hits: int = 0
    repeated: int = 0
    undated: int = 0
    unattributed: int = 0
    earliest: datetime | None = None
    latest: datetime | None = None
    excluded: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    outside: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[tuple[str, str], ...] = ()
    throttled: int = 0
    partial: str = ""
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all was read that should have been."""
        blind = bool(self.trails) and all(trail.excludes_kms for trail in self.trails)
        return not (self.partial or self.skipped or self.gaps or blind)

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            sources=_union(self.sources, other.sources),
            accounts=tuple(sorted({*self.accounts, *other.accounts})),
            regions=tuple(sorted({*self.regions, *other.regions})),
            trails=_union(self.trails, other.trails),
            files=self.files + other.files,
            read_files=self.read_files + other.read_files,
            bytes=self.bytes + other.bytes,
            raw_bytes=self.raw_bytes + other.raw_bytes,
            records=self.records + other.records,
            estimated_records=self.estimated_records + other.estimated_records,
            hits=self.hits + other.hits,
            repeated=self.repeated + other.repeated,
            undated=self.undated + other.undated,
            unattributed=self.unattributed + other.unattributed,
            earliest=min(filter(None, (self.earliest, other.earliest)), default=None),
            latest=max(filter(None, (self.latest, other.latest)), default=None),
            excluded=tuple(sorted({*self.excluded, *other.excluded})),
            left_out=_sum(self.left_out, other.left_out),
            outside=_span(self.outside, other.outside),
            gaps=_union(self.gaps, other.gaps),
            skipped=_sum(self.skipped, other.skipped),
            examples=(*self.examples, *other.examples)[:10],
            throttled=self.throttled + other.throttled,
            partial="; ".join(filter(None, (self.partial, other.partial))),
            notes=_union(self.notes, other.notes),
        )

    def but(self, **changes: object) -> Coverage:
        """The same with something else about it."""
        return replace(self, **changes)  # type: ignore[arg-type]  # replace checks the names


@dataclass(frozen=True)
class Answer:
    """The blast radius as the log shows it.

    Parameters
    ----------
    rows: who used the key, the most uses first.
    own, management: the same for gameday's own calls, and for calls that a disabled key does not refuse.
    uses: each single call of all three kinds, oldest first, when the question asked for detail.
    """

    key: str
    window: Window
    rows: tuple[Row, ...]
    totals: Totals
    coverage: Coverage
    own: tuple[Row, ...] = ()
    management: tuple[Row, ...] = ()
    uses: tuple[Use, ...] = ()


def _span(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    both = (*one, *other)
    return (min(both), max(both)) if both else ()


def _union(one: tuple[T, ...], other: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}
