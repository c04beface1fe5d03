"""The parts of a run's view: a probe, an undo step, a key, a rollback."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from gameday.sdk import (
    OK_CAUSES,
    Cause,
    ExpectationBroken,
    ExpectationMet,
    GuardBreached,
    Interval,
    Observation,
    Outcome,
    Phase,
    ProbeFacts,
    ProbeObserved,
    RollbackFinished,
    StepClosed,
    StepFacts,
    StepInjected,
    StepIntended,
    StepReadBack,
    StepRefused,
    SwitchArmed,
    TrailRecord,
    UndoTried,
)

STRIP = 24
"""How many of a probe's last outcomes are kept for its strip."""
_LARGEST_WINDOW = 1000


class Tone(StrEnum):
    """How a look is to be taken: good, dark on purpose, on the way, or trouble."""

    GOOD = "good"
    DARK = "dark"
    WAITING = "waiting"
    BAD = "bad"
    NONE = "none"


class KeyState(StrEnum):
    """The states of a key that a reader tells apart."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    PENDING_DELETION = "pending_deletion"
    OTHER = "other"


_KEY_STATES = {
    Cause.OK: KeyState.ENABLED,
    Cause.KEY_DISABLED: KeyState.DISABLED,
    Cause.KEY_PENDING_DELETION: KeyState.PENDING_DELETION,
}


_KMS_WORDS = {
    "Enabled": KeyState.ENABLED,
    "Disabled": KeyState.DISABLED,
    "PendingDeletion": KeyState.PENDING_DELETION,
}
"""AWS KMS API Reference, KeyMetadata, KeyState."""


def is_key(resource: str) -> bool:
    """Whether it is the ARN of a KMS key."""
    return resource.split(":")[2:3] == ["kms"]


def key_view(resource: str, word: str, at: float) -> KeyView | None:
    """A key's state by KMS's own word for it, or None where no key said one."""
    if not (word and is_key(resource)):
        return None
    return KeyView("", resource, _KMS_WORDS.get(word, KeyState.OTHER), at)


def key_state(uses: str, seen: Observation) -> KeyState | None:
    """What a look says of a key's state, where it says anything."""
    if uses != "kms.state" or seen.outcome is Outcome.UNKNOWN:
        return None
    return _KEY_STATES.get(seen.cause, KeyState.OTHER)


@dataclass(frozen=True)
class KeyView:
    """A key's state, and when it was read."""

    probe: str
    resource: str
    state: KeyState
    read_at: float


@dataclass(frozen=True)
class Look:
    """One sample in a strip."""

    at: float
    outcome: Outcome
    tone: Tone


@dataclass
class InPhase:
    """What one probe saw in one phase, and what became of its expectation."""

    last: Observation | None = None
    fitting: Observation | None = None
    """The last look that was as expected."""
    unfitting: Observation | None = None
    """The last one that was not."""
    met: ExpectationMet | None = None
    broken: ExpectationBroken | None = None


@dataclass
class ProbeView:
    """A probe or guard: what it last saw, and how its expectations stand."""

    facts: ProbeFacts
    strip: deque[Look] = field(default_factory=lambda: deque(maxlen=STRIP))
    window: deque[bool] = field(default_factory=deque)
    """A guard's last looks, True where one failed."""
    aborts_at: int = 0
    last: Observation | None = None
    last_phase: Phase | None = None
    last_at: float = 0.0
    phases: dict[Phase, InPhase] = field(default_factory=dict)
    leaks: int = 0
    breached: GuardBreached | None = None
    key: KeyView | None = None
    records: dict[str, TrailRecord] = field(default_factory=dict)

    @classmethod
    def unknown(cls, name: str) -> ProbeView:
        """A probe of which only the name is known yet."""
        return cls(ProbeFacts(name=name, uses="", expect={}))

    def introduce(self, facts: ProbeFacts) -> None:
        """Take what preflight settled."""
        self.facts = facts
        aborts_at, window = facts.aborts_at, facts.window
        # Versions before 0.4 told of a guard in words only.
        if not window and (told := re.fullmatch(r"\s*(\d{1,4})\s+of\s+(\d{1,4})\s*", facts.guard)):
            aborts_at, window = int(told[1]), int(told[2])
        if window:
            self.aborts_at = aborts_at
            self.window = deque(self.window, maxlen=min(max(window, 1), _LARGEST_WINDOW))

    @property
    def is_guard(self) -> bool:
        """Whether its breach rolls back at once."""
        return bool(self.facts.guard)

    @property
    def goes_dark(self) -> bool:
        """Whether the fault is meant to break it."""
        wanted = self.facts.expect.get(Phase.FAULT, ())
        return bool(wanted) and not self.is_guard and not any(cause in OK_CAUSES for cause in wanted)

    @property
    def stays_up(self) -> bool:
        """Whether the fault must not break it."""
        return self.is_guard or (Phase.FAULT in self.facts.expect and not self.goes_dark)

    @property
    def is_evidence(self) -> bool:
        """Whether it speaks in the evidence phase."""
        return Phase.EVIDENCE in self.facts.expect

    @property
    def fails(self) -> int:
        """How many looks in a guard's window failed."""
        return sum(self.window)

    @property
    def time_to_effect(self) -> Interval | None:
        """Since the inject; None until it was seen, or where the fault is not meant to break it."""
        return self._interval(Phase.FAULT)

    @property
    def time_to_recover(self) -> Interval | None:
        """Since the undo; None until it was seen, or where there was nothing to recover from."""
        return self._interval(Phase.RECOVERY)

    @property
    def broken(self) -> list[ExpectationBroken]:
        """The expectations that did not hold."""
        return [seen.broken for seen in self.phases.values() if seen.broken is not None]

    def within(self, phase: Phase) -> InPhase:
        """What it saw in one phase."""
        return self.phases.setdefault(phase, InPhase())

    def observed(self, event: ProbeObserved) -> None:
        """Take one look."""
        seen = event.observation
        self.strip.append(Look(event.answered, seen.outcome, self._tone(event)))
        if self.is_guard and event.meets is not None:
            self.window.append(not event.meets)
        self.last, self.last_phase, self.last_at = seen, event.phase, event.answered
        here = self.within(event.phase)
        here.last = seen
        if event.meets:
            here.fitting = seen
        elif event.meets is not None:
            here.unfitting = seen
        state = key_state(self.facts.uses, seen)
        if state is not None:
            self.key = KeyView(self.facts.name, self.facts.resource, state, event.answered)
        for raw in seen.records:
            record = TrailRecord.read(raw)
            self.records[record.event_id or repr(record)] = record

    def _tone(self, event: ProbeObserved) -> Tone:
        if event.observation.outcome is Outcome.UNKNOWN or event.meets is None:
            return Tone.NONE
        if event.meets:
            return Tone.GOOD if event.observation.outcome is Outcome.OK else Tone.DARK
        # Before the effect, and before recovery, an old answer is only what one waits to see change.
        waits = event.phase in (Phase.FAULT, Phase.RECOVERY, Phase.EVIDENCE) and self.within(event.phase).met is None
        return Tone.WAITING if waits and not self.stays_up else Tone.BAD

    def _interval(self, phase: Phase) -> Interval | None:
        met = self.within(phase).met if self.goes_dark else None
        return met.interval if met is not None else None


@dataclass
class StepView:
    """An undo step: what was changed, and how it was put back."""

    facts: StepFacts
    changed_at: float | None = None
    change: StepInjected | None = None
    why_refused: str = ""
    undos: int = 0
    undo_failures: int = 0
    last_undo: UndoTried | None = None
    read_back: StepReadBack | None = None
    closed: StepClosed | None = None
    armed: SwitchArmed | None = None
    """For a dead man's switch: that it was read back as asked, and when it fires."""

    @classmethod
    def unknown(cls, name: str) -> StepView:
        """A step of which only the id is known yet."""
        return cls(StepFacts(id=name, uses="", step="", resource=""))

    @property
    def open(self) -> bool:
        """Whether its change may be in place."""
        return self.changed_at is not None and self.closed is None

    @property
    def status(self) -> str:
        """One or a few words."""
        if self.closed is not None:
            return self.closed.closed.value
        if self.why_refused:
            return "not changed"
        if self.changed_at is None:
            return "untouched"
        if self.undos:
            return f"putting back, {self.undos} tried" if self.undos > 1 else "putting back"
        if self.change is None:
            return "changing"
        return "changed" if self.change.certain else "changed, perhaps"

    def intended(self, event: StepIntended) -> None:
        """The change may follow; a step that was closed (an invasive probe's) is open again."""
        self.changed_at = event.at
        self.change, self.closed, self.why_refused, self.undos = None, None, "", 0

    def injected(self, event: StepInjected) -> None:
        """The change was made, or may have been."""
        self.change, self.changed_at = event, event.asked

    def refused(self, event: StepRefused) -> None:
        """The change was definitely not made."""
        self.why_refused, self.changed_at = event.why or "refused", None

    def undo_tried(self, event: UndoTried) -> None:
        """An attempt to put it back."""
        self.undos, self.last_undo = self.undos + 1, event
        self.undo_failures += not event.ok


@dataclass
class RollbackView:
    """One rollback: by whom, why, and whether everything was put back."""

    began: float
    reason: str = ""
    by: str = "runner"
    attempts: int = 0
    failures: int = 0
    trouble: str = ""
    """What the last failed attempt was answered."""
    seconds: float | None = None
    complete: bool | None = None
    """None until it finished."""
    open: tuple[str, ...] = ()

    def undo_tried(self, event: UndoTried) -> None:
        """An attempt to put a step back."""
        self.attempts += 1
        if not event.ok:
            self.failures, self.trouble = self.failures + 1, event.detail

    def finish(self, event: RollbackFinished) -> None:
        """It is over, one way or the other."""
        self.seconds, self.complete, self.open = event.seconds, event.complete, event.open
