"""What no single entry can know: whether the sections fit together, and whether the times do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from gameday.playbook._document import Data
from gameday.playbook._model import Expect, FaultUse, ProbeUse
from gameday.playbook._problems import Path, Problems
from gameday.playbook._text import Timing
from gameday.sdk import Phase, format_duration

_CAPPED = {Phase.BASELINE: "baseline_within", Phase.EVIDENCE: "evidence_within"}
"""Phases whose limit is one for all probes; in the others it is only the default of ``within``."""


def whole(sections: Mapping[str, Data], problems: Problems) -> None:
    """Whether there is anything to do."""
    if not sections.get("probes") and not sections.get("faults"):
        problems.add((), "has neither probes nor faults, so there is nothing to do")


def faults(found: Sequence[FaultUse], problems: Problems) -> None:
    """Whether a fault is injected twice: the second would find its resource broken already."""
    for index, fault in enumerate(found):
        first = found.index(fault)
        if first < index:
            problems.add(("faults", index), f"is the same as faults[{first}]; once is enough")


def timing(times: Timing, probes: Mapping[str, ProbeUse], problems: Problems, *, has_faults: bool) -> None:
    """Whether every phase can end well within its limits."""
    if has_faults:
        if times.hold > times.max_fault:
            what = f"{_text(times.hold)} is longer than max_fault ({_text(times.max_fault)})"
            problems.add(("timing", "hold"), f"{what}, so the effect could never be held that long")
        elif times.effect_within + times.hold > times.max_fault:
            _effect_too_late(times, problems)
    for probe in probes.values():
        for phase, expect in probe.expect.items():
            if expect.within is not None:
                _within(times, phase, expect, ("probes", probe.name, "expect", phase.value, "within"), problems)


def _effect_too_late(times: Timing, problems: Problems) -> None:
    """Said at what was written, since the other two may be defaults."""
    written = [name for name in ("effect_within", "hold", "max_fault") if name in times.model_fields_set]
    problems.add(
        ("timing", written[0]),
        f"effect_within ({_text(times.effect_within)}) and hold ({_text(times.hold)}) together are longer than "
        f"max_fault ({_text(times.max_fault)})",
    )


def _within(times: Timing, phase: Phase, expect: Expect, path: Path, problems: Problems) -> None:
    assert expect.within is not None
    if phase is Phase.FAULT and times.hold <= times.max_fault < expect.within + times.hold:
        problems.add(
            path,
            f"{_text(expect.within)} and hold ({_text(times.hold)}) together are longer than "
            f"max_fault ({_text(times.max_fault)})",
        )
    elif phase in _CAPPED:
        cap: timedelta = getattr(times, _CAPPED[phase])
        if expect.within > cap:
            problems.add(path, f"{_text(expect.within)} is longer than timing.{_CAPPED[phase]} ({_text(cap)})")


def _text(value: timedelta) -> str:
    return format_duration(value)
