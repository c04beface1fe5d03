"""What a report says: the shape of the JSON report, and what the other formats are written from.

Times named ``at``, ``began`` and ``ended`` are seconds since the run's start; those named ``utc`` are ISO 8601.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gameday.sdk import Gap, Interval, Latent, Outcome, Phase, PreflightChecked, ProbeFacts, Sizes

FORMAT = "gameday.report/1"
"""Changes when a reader of the JSON would have to."""


class Part(BaseModel):
    """Base of everything in a report."""

    model_config = ConfigDict(frozen=True)


class Ending(Part):
    """How the run ended, or that it has not."""

    verdict: str
    """A verdict, ``unfinished``, ``under way``, or ``rollback incomplete``, which outranks them."""
    exit_code: int | None = None
    story: str
    reasons: tuple[str, ...] = ()
    incomplete: bool = False
    still_changed: tuple[str, ...] = ()
    finish_with: str = ""


class Surroundings(Part):
    """Where it ran, on what, and who ran it."""

    target: str
    """``lab`` or ``aws``."""
    account: str
    region: str
    endpoint: str = ""
    caller: str = ""
    """The ARN that STS gave for the credentials."""
    details: dict[str, str] = {}
    """What else the target says of itself: role, session tags, profile."""
    machine: str = ""
    pid: int = 0
    version: str = ""


class PhaseSpan(Part):
    """A phase and when it was on."""

    phase: Phase
    began: float
    ended: float


class Segment(Part):
    """Looks in a row with the same answer."""

    began: float
    ended: float
    phase: Phase
    cause: str
    code: str = ""
    outcome: Outcome
    tone: str
    """``good``, ``dark`` (as expected in the fault), ``waiting``, ``bad``, ``none``."""
    looks: int = 1


class Point(Part):
    """How long one look took."""

    at: float
    seconds: float


class Expectation(Part):
    """One probe in one phase: what was expected, and what came."""

    phase: Phase
    expected: tuple[str, ...]
    within: float | None = None
    result: Literal["met", "held", "broken", "inconclusive", "not reached"]
    """``held`` is a guard's, which has to hold throughout."""
    cause: str = ""
    code: str = ""
    interval: Interval | None = None
    seconds: float | None = None
    """How long it was waited for, until it was met or given up; of a guard, how long it was watched."""
    why: str = ""


class ProbeReport(Part):
    """A probe or guard through the whole run."""

    facts: ProbeFacts
    expectations: tuple[Expectation, ...] = ()
    leaks: tuple[float, ...] = ()
    """When it succeeded although the effect had been seen."""
    looks: int = 0
    segments: tuple[Segment, ...] = ()
    latency: tuple[Point, ...] = ()
    latency_of: int = 0
    """From how many looks the points of ``latency`` were picked."""
    median: float | None = None
    longest: float | None = None


class Call(Part):
    """A call that changed something, or was meant to."""

    does: Literal["inject", "undo"]
    utc: str
    """When it was asked for."""
    at: float
    seconds: float
    answer: Literal["done", "unknown", "refused", "failed"]
    """``unknown``: no certain answer came; an inject then counts as done, an undo is made again."""
    detail: str = ""
    request_id: str = ""
    event_id: str = ""
    """CloudTrail's record of it, when one was seen."""
    sought: bool = False
    """Whether CloudTrail was asked for it."""


class Found(Part):
    """A read-back."""

    utc: str
    at: float
    found: str
    detail: str = ""


class Change(Part):
    """An undo step: what was changed, and how it was proven restored."""

    step: str
    uses: str
    resource: str
    state: str
    detail: str = ""
    is_open: bool = False
    calls: tuple[Call, ...] = ()
    read_backs: tuple[Found, ...] = ()


class Rollback(Part):
    """One rollback."""

    began: float
    by: str
    reason: str
    attempts: int
    failures: int
    seconds: float | None
    complete: bool | None


class Evidence(Part):
    """A CloudTrail record that a probe found."""

    probe: str
    utc: str
    name: str
    source: str
    principal: str
    invoked_by: str = ""
    error_code: str = ""
    error_message: str = ""
    event_id: str = ""
    request_id: str = ""
    raw: dict[str, JsonValue] = {}


class Affected(Part):
    """Someone or something in the blast radius: what was predicted, and what became of it."""

    principal: str = ""
    service: str = ""
    resource: str = ""
    why: str = ""
    """Why it was predicted: used, granted, protected, this run; ``""`` when it was not."""
    fate: str = ""
    """``as predicted``, ``unexpected``, ``spared``, ``silent``; ``""`` when CloudTrail was not asked."""
    uses: int = 0
    last_used: str = ""
    refused: int = 0
    effect: Gap | None = None
    recover: Gap | None = None


class Radius(Part):
    """The blast radius of one key: predicted, observed, latent, and what could not be seen."""

    key: str
    since: str
    until: str
    sizes: Sizes
    affected: tuple[Affected, ...] = ()
    latent: tuple[Latent, ...] = ()
    left_out: int = 0
    observed: bool = False
    counts: dict[str, int] = {}
    refused: int = 0
    own: int = 0
    unknown: tuple[str, ...] = ()
    """Why more may be affected than is known."""
    coverage: tuple[str, ...] = ()


class Moment(Part):
    """Something that was said during the run."""

    at: float
    kind: Literal["interruption", "guard", "note", "others", "watchdog", "abandoned"]
    text: str


class Chain(Part):
    """What the report was made from, and whether it is all there, as it was written."""

    events: int
    head: str
    """The last event's hash, which depends on every one before it."""
    whole: bool
    playbook_hash: str = ""


class Report(Part):
    """A run, as the journal tells it."""

    format: str = Field(default=FORMAT, pattern=r"^gameday\.report/1$")
    run: str
    playbook: str
    description: str = ""
    started: str
    """UTC, ISO 8601."""
    seconds: float
    ending: Ending
    surroundings: Surroundings
    limits: dict[str, float] = {}
    changed_at: float | None = None
    """When the first fault was injected."""
    changed_for: float | None = None
    """Seconds from then until the last of the faults' steps was closed."""
    phases: tuple[PhaseSpan, ...] = ()
    probes: tuple[ProbeReport, ...] = ()
    changes: tuple[Change, ...] = ()
    rollbacks: tuple[Rollback, ...] = ()
    radius: tuple[Radius, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    evidence_left_out: int = 0
    """Records beyond those shown; the journal has them all."""
    checks: tuple[PreflightChecked, ...] = ()
    moments: tuple[Moment, ...] = ()
    chain: Chain
