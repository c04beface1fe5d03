"""Which probes, faults, prerequisites, switches and exporters there are.

gameday's own are found by their file: ``s3.read`` is the class below the kind's base in ``probes/s3_read.py``. Another
package ships its own with an entry point in the group of its kind. Nothing is imported before it is asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Generic, TypeVar

from pydantic import JsonValue

from gameday.sdk._exporter import EnvironmentExporter, Exporter
from gameday.sdk._parts import Fault, InvasiveProbe, Part, Probe, StageStep, Step, Switch

P = TypeVar("P", bound=Part | Exporter)


class Registry(Mapping[str, type[P]], Generic[P]):
    """The parts of one kind by their names; a class is imported only when it is asked for.

    Parameters
    ----------
    group: the entry points' group, ``gameday.probes``.
    base: the class that each part of the kind stands below.
    room: the package with gameday's own, a file each; what begins with an underscore is no part.
    """

    def __init__(self, group: str, base: type[P], room: str) -> None:
        self._group, self._base, self._room = group, base, room

    @cached_property
    def _loaders(self) -> dict[str, Callable[[], object]]:
        spec = find_spec(self._room)
        files = iter_modules(spec.submodule_search_locations) if spec else ()
        own = {file.name.replace("_", ".", 1): file.name for file in files if not file.name.startswith("_")}
        others = {point.name: point.load for point in entry_points(group=self._group)}
        return {**others, **{name: partial(self._own, name, file) for name, file in own.items()}}

    def _own(self, name: str, file: str) -> object:
        """The part in a file of the room. Raises TypeError when the file holds no part of that name."""
        module = import_module(f"{self._room}.{file}")
        for found in vars(module).values():
            if isinstance(found, type) and issubclass(found, self._base) and getattr(found, "uses", "") == name:
                return found
        raise TypeError(f"{module.__file__} holds no {self._base.__name__} with uses = {name!r}")

    def __getitem__(self, name: str) -> type[P]:
        """Load the class behind a name. Raises KeyError for an unknown one, TypeError for one of another kind."""
        found = self._loaders[name]()
        if not (isinstance(found, type) and issubclass(found, self._base)):
            raise TypeError(f"the entry point {name!r} in {self._group} is not a {self._base.__name__}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._loaders  # without importing what is behind it

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._loaders))

    def __len__(self) -> int:
        return len(self._loaders)


# The bases are abstract on purpose: an entry point must name a class below one of them.
PROBES: Registry[Probe] = Registry("gameday.probes", Probe, "probes")  # type: ignore[type-abstract]
FAULTS: Registry[Fault] = Registry("gameday.faults", Fault, "gameday.faults")  # type: ignore[type-abstract]
STAGES: Registry[StageStep] = Registry("gameday.stages", StageStep, "gameday.stages")  # type: ignore[type-abstract]
SWITCHES: Registry[Switch] = Registry("gameday.switches", Switch, "gameday.switches")  # type: ignore[type-abstract]

EXPORTERS: Registry[EnvironmentExporter] = Registry("gameday.exporters", EnvironmentExporter, "exporters.environment")  # type: ignore[type-abstract]


def rebuild_step(uses: str, params: Mapping[str, JsonValue], step: str) -> Step:
    """Make a step again from what the journal holds; raises KeyError when this installation lacks the part."""
    registries: tuple[Registry[Fault] | Registry[Probe] | Registry[Switch], ...] = (FAULTS, SWITCHES, PROBES)
    registry = next((found for found in registries if uses in found), PROBES)
    part: Part = registry[uses].model_validate(params)
    steps = part.steps() if isinstance(part, Fault | InvasiveProbe | Switch) else ()
    return next(candidate for candidate in steps if candidate.step == step)
