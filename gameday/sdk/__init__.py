"""All that a probe, fault, stage step or exporter may import of gameday (besides its errors)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gameday.errors import CannotInject, Interrupted
from gameday.sdk._aws import (
    AWS,
    Answer,
)
from gameday.sdk._causes import classify
from gameday.sdk._cloudtrail import REHEARSAL, TrailRecord
from gameday.sdk._exporter import (
    Exporter,
)
from gameday.sdk._fields import (
    Duration,
    InstanceId,
    KeyId,
    Ref,
    RefKind,
    ResourceRef,
    format_duration,
    parse_duration,
)
from gameday.sdk._observation import (
    OK_CAUSES,
    UNKNOWN_CAUSES,
    Cause,
    Observation,
    Outcome,
)
from gameday.sdk._parts import (
    Before,
    Calls,
    Drifted,
    Fault,
    InvasiveProbe,
    Part,
    Probe,
    Rank,
    ReadBack,
    Restored,
    StageStep,
    Step,
    StepFault,
    StillOurs,
    Unknown,
)
from gameday.sdk._registry import (
    FAULTS,
    PROBES,
    STAGES,
    Registry,
    rebuild_step,
)
from gameday.sdk._words import Closed, Phase, Verdict

if TYPE_CHECKING:
    from gameday.sdk._events import (
        SEALED,
        AnyEvent,
        Event,
        ExpectationBroken,
        ExpectationMet,
        ForeignChange,
        GuardBreached,
        HoldReleased,
        HoldTaken,
        Interruption,
        Interval,
        LeakSeen,
        Note,
        OthersWatched,
        PhaseEntered,
        PreflightChecked,
        ProbeFacts,
        ProbeObserved,
        RollbackFinished,
        RollbackStarted,
        RunAbandoned,
        RunFinished,
        RunPrepared,
        RunStarted,
        Sealed,
        Staged,
        StepClosed,
        StepFacts,
        StepInjected,
        StepIntended,
        StepReadBack,
        StepRefused,
        TargetFacts,
        UndoTried,
        chain_is_whole,
        first_broken,
        seal,
    )
else:

    def __getattr__(name: str) -> object:
        """The events are two dozen models; a command that emits none does not make them."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(import_module("gameday.sdk._events"), name)


__all__ = [
    "AWS",
    "FAULTS",
    "OK_CAUSES",
    "PROBES",
    "REHEARSAL",
    "SEALED",
    "STAGES",
    "UNKNOWN_CAUSES",
    "Answer",
    "AnyEvent",
    "Before",
    "Calls",
    "CannotInject",
    "Cause",
    "Closed",
    "Drifted",
    "Duration",
    "Event",
    "ExpectationBroken",
    "ExpectationMet",
    "Exporter",
    "Fault",
    "ForeignChange",
    "GuardBreached",
    "HoldReleased",
    "HoldTaken",
    "InstanceId",
    "Interrupted",
    "Interruption",
    "Interval",
    "InvasiveProbe",
    "KeyId",
    "LeakSeen",
    "Note",
    "Observation",
    "OthersWatched",
    "Outcome",
    "Part",
    "Phase",
    "PhaseEntered",
    "PreflightChecked",
    "Probe",
    "ProbeFacts",
    "ProbeObserved",
    "Rank",
    "ReadBack",
    "Ref",
    "RefKind",
    "Registry",
    "ResourceRef",
    "Restored",
    "RollbackFinished",
    "RollbackStarted",
    "RunAbandoned",
    "RunFinished",
    "RunPrepared",
    "RunStarted",
    "Sealed",
    "StageStep",
    "Staged",
    "Step",
    "StepClosed",
    "StepFacts",
    "StepFault",
    "StepInjected",
    "StepIntended",
    "StepReadBack",
    "StepRefused",
    "StillOurs",
    "TargetFacts",
    "TrailRecord",
    "UndoTried",
    "Unknown",
    "Verdict",
    "chain_is_whole",
    "classify",
    "first_broken",
    "format_duration",
    "parse_duration",
    "rebuild_step",
    "seal",
]
