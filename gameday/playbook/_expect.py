"""``expect:`` in its several spellings, read into one."""

from __future__ import annotations

import re
from datetime import timedelta

from gameday.playbook._document import Data
from gameday.playbook._model import Expect
from gameday.playbook._problems import Path, Problems, did_you_mean, shown
from gameday.playbook._text import CODE_PATTERN, EXPECTED_PHASES
from gameday.sdk import Cause, Phase, parse_duration

_CAUSES = [cause.value for cause in Cause]
_SAMPLED = (Phase.BASELINE, Phase.FAULT, Phase.RECOVERY)
_ALL = "always"
_KNOWN = [*(phase.value for phase in EXPECTED_PHASES), _ALL]


def read_expect(data: Data, path: Path, problems: Problems, *, faults: bool) -> dict[Phase, Expect]:
    """What each phase must show; incomplete where problems were noted."""
    if data is None or data == {}:
        problems.add(path, "expects nothing; name at least one phase, such as 'baseline: ok'")
        return {}
    if not isinstance(data, dict):
        problems.add(path, "must be a mapping of phases to causes, such as {baseline: ok, fault: key_disabled}")
        return {}
    found: dict[Phase, Expect] = {}
    for name, said in data.items():
        where = (*path, name)
        if name not in _KNOWN:
            known = ", ".join(_KNOWN[:-1])
            hint = did_you_mean(name, _KNOWN)
            problems.add(where, f"unknown phase; there are {known}, and {_ALL} for the first three{hint}", key=True)
        elif name == _ALL:
            causes = _causes(said, where, problems)
            _no_contradiction(data, where, problems)
            found |= {phase: Expect(causes) for phase in _SAMPLED if causes and (faults or phase is Phase.BASELINE)}
        else:
            phase = Phase(name)
            if not faults and phase in (Phase.FAULT, Phase.RECOVERY):
                problems.add(where, "this phase never comes, since the playbook has no faults", key=True)
            if one := _one(said, where, problems):
                found[phase] = one
    return found


def _no_contradiction(data: dict[str, Data], path: Path, problems: Problems) -> None:
    also = [phase.value for phase in _SAMPLED if phase.value in data]
    if also:
        problems.add(path, f"already speaks for {' and '.join(also)}; name either {_ALL} or the phases", key=True)


def _one(said: Data, path: Path, problems: Problems) -> Expect | None:
    if not isinstance(said, dict):
        causes = _causes(said, path, problems)
        return Expect(causes) if causes else None
    for name in said:
        if name not in ("becomes", "within"):
            hint = did_you_mean(name, ("becomes", "within"))
            problems.add((*path, name), f"unknown key; known here: becomes, within{hint}", key=True)
    if "becomes" not in said:
        problems.add(path, "must say what it becomes, such as {becomes: key_disabled, within: 3m}")
        return None
    causes = _causes(said["becomes"], (*path, "becomes"), problems)
    within = _within(said.get("within"), (*path, "within"), problems)
    return Expect(causes, within) if causes else None


def _within(said: Data, path: Path, problems: Problems) -> timedelta | None:
    if said is None:
        return None
    if not isinstance(said, str):
        problems.add(path, "must be a duration, such as 10s or 5m")
        return None
    try:
        value = parse_duration(said)
    except (ValueError, OverflowError) as error:
        problems.add(path, str(error) if isinstance(error, ValueError) else f"{shown(said)} is too long")
        return None
    if not value and path[-2] != Phase.BASELINE:
        problems.add(path, "must be longer than 0s")
    return value if isinstance(value, timedelta) else None


def _causes(said: Data, path: Path, problems: Problems) -> frozenset[str]:
    """The causes and codes named; empty when there is a mistake among them."""
    if said is None or said == []:
        problems.add(path, "names no cause; write one, such as ok or key_disabled, or a list of which any will do")
        return frozenset()
    if isinstance(said, dict):
        problems.add(path, "must be a cause or a list of causes")
        return frozenset()
    named: list[tuple[Path, Data]] = [(path, said)]
    if isinstance(said, list):
        named = [((*path, index), one) for index, one in enumerate(said)]
    for where, one in named:
        if not isinstance(one, str):
            problems.add(where, "must be a cause, such as ok or key_disabled")
    sound = [one for where, one in named if isinstance(one, str) and _is_cause(one, where, problems)]
    return frozenset(sound) if len(sound) == len(named) else frozenset()


def _is_cause(said: str, path: Path, problems: Problems) -> bool:
    if said in _CAUSES or (re.fullmatch(CODE_PATTERN, said) and said.lower() not in _CAUSES):
        return True
    known = did_you_mean(said, _CAUSES) or f"; the causes are {', '.join(_CAUSES)}"
    problems.add(path, f"{shown(said)} is neither a cause nor an AWS error code such as KMS.DisabledException{known}")
    return False
