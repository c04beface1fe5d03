"""Which probes, faults, stage steps and exporters there are: entry points, read once and loaded by name.

A team ships its own in a package of its own, with an entry point in the group of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from pydantic import JsonValue

from gameday.sdk._parts import Fault, InvasiveProbe, Part, Probe, StageStep, Step, Switch

P = TypeVar("P", bound=Part)


class Registry(Mapping[str, type[P]], Generic[P]):
    """The names of one kind; a class is imported only when it is asked for."""

    def __init__(self, group: str, base: type[P]) -> None:
        self._group, self._base = group, base

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self._group)}

    def __getitem__(self, name: str) -> type[P]:
        """Load the class behind a name; raises KeyError for an unknown one, TypeError for one of another kind."""
        found: object = self._points[name].load()
        if not (isinstance(found, type) and issubclass(found, self._base)):
            raise TypeError(f"the entry point {name!r} in {self._group} is not a {self._base.__name__}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._points  # without importing what is behind it

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._points))

    def __len__(self) -> int:
        return len(self._points)


# The bases are abstract on purpose: an entry point must name a class below one of them.
PROBES: Registry[Probe] = Registry("gameday.probes", Probe)  # type: ignore[type-abstract]
FAULTS: Registry[Fault] = Registry("gameday.faults", Fault)  # type: ignore[type-abstract]
STAGES: Registry[StageStep] = Registry("gameday.stages", StageStep)  # type: ignore[type-abstract]
SWITCHES: Registry[Switch] = Registry("gameday.switches", Switch)  # type: ignore[type-abstract]


def rebuild_step(uses: str, params: Mapping[str, JsonValue], step: str) -> Step:
    """Make a step again from what the journal holds; raises KeyError when this installation lacks the part."""
    registries: tuple[Registry[Fault] | Registry[Probe] | Registry[Switch], ...] = (FAULTS, SWITCHES, PROBES)
    registry = next((found for found in registries if uses in found), PROBES)
    part: Part = registry[uses].model_validate(params)
    steps = part.steps() if isinstance(part, Fault | InvasiveProbe | Switch) else ()
    return next(candidate for candidate in steps if candidate.step == step)
