"""The entries of a playbook's sections: what each uses, with which parameters, and how it is watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from gameday.playbook._document import Data
from gameday.playbook._expect import read_expect
from gameday.playbook._model import Fails, FaultUse, GuardUse, ProbeUse, StageUse
from gameday.playbook._problems import Path, Problems, did_you_mean, shown
from gameday.playbook._pydantic import validated
from gameday.playbook._text import FaultText, GuardText, IdentitiesText, ProbeText, UseText, check_name
from gameday.sdk import Fault, InvasiveProbe, Part, Phase, Probe, StageStep

P = TypeVar("P", bound=Part)
T = TypeVar("T", bound=UseText)

NOT_YET = "this version of gameday does not have it yet"
_TIMEOUT, _INVASIVE_TIMEOUT = timedelta(seconds=10), timedelta(minutes=10)
_EVERY, _EVIDENCE_EVERY = timedelta(seconds=1), timedelta(seconds=2)


@dataclass(frozen=True)
class Registries:
    """What a playbook may use."""

    probes: Mapping[str, type[Probe]]
    faults: Mapping[str, type[Fault]]
    stages: Mapping[str, type[StageStep]]


def present(data: Data) -> Data:
    """A mapping of gameday's own keys, where one with nothing behind it is as if it were not there."""
    return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class Entries:
    """Reads what can be read of each section, so that a mistake in one entry hides none in another."""

    def __init__(
        self, sections: Mapping[str, Data], registries: Registries, problems: Problems, roles: Mapping[str, str] = {}
    ) -> None:
        self._sections, self._registries, self._problems = sections, registries, problems
        self._has_faults = bool(sections.get("faults"))
        self._identities = {**self._roles(), **roles}

    def stage(self) -> tuple[StageUse, ...]:
        """The resources that are needed."""
        used = self._listed("stage", self._registries.stages, "stage step", UseText)
        return tuple(StageUse(text.uses, part) for text, part in used)

    def faults(self) -> tuple[FaultUse, ...]:
        """What is broken."""
        used = self._listed("faults", self._registries.faults, "fault", FaultText)
        return tuple(FaultUse(text.uses, part, text.keep) for text, part in used)

    def probes(self) -> dict[str, ProbeUse]:
        """What is looked at."""
        found = {name: self._probe(path, name, data) for path, name, data in self._named("probes")}
        return {name: probe for name, probe in found.items() if probe is not None}

    def guards(self) -> dict[str, GuardUse]:
        """What must stay up."""
        found = {name: self._guard(path, name, data) for path, name, data in self._named("guards")}
        return {name: guard for name, guard in found.items() if guard is not None}

    def _listed(
        self, section: str, registry: Mapping[str, type[P]], kind: str, model: type[T]
    ) -> Iterator[tuple[T, P]]:
        items = self._sections.get(section, [])
        if not isinstance(items, list):
            self._problems.add((section,), "must be a list (lines that begin with '- ')")
            return
        for index, data in enumerate(items):
            path = (section, index)
            text = validated(model, present(data), path, self._problems)
            part = self._part(path, data, self._class(path, data, registry, kind))
            if text is not None and part is not None:
                yield text, part

    def _named(self, section: str) -> Iterator[tuple[Path, str, Data]]:
        entries = self._sections.get(section, {})
        if not isinstance(entries, dict):
            self._problems.add((section,), "must be a mapping of names, each with 'uses:' and what belongs to it")
            return
        for name, data in entries.items():
            try:
                check_name(name)
            except ValueError as error:
                self._problems.add((section, name), str(error), key=True)
            yield (section, name), name, data

    def _class(self, path: Path, data: Data, registry: Mapping[str, type[P]], kind: str) -> type[P] | None:
        """The class behind ``uses``, or None with the reason noted (or left to who checks the types)."""
        uses = data.get("uses") if isinstance(data, dict) else None
        if not isinstance(uses, str):
            return None
        where = (*path, "uses")
        known = list(registry)  # asking a registry whether it has a name would load the part
        if uses not in known:
            hint = did_you_mean(uses, known) or f"; there are {', '.join(known)}"
            self._problems.add(where, f"there is no {kind} {shown(uses)}{hint}")
            return None
        try:
            return registry[uses]
        except Exception as error:  # noqa: BLE001 - importing another team's package may raise anything
            why = " ".join(f"{type(error).__name__}: {error}".split())
            self._problems.add(where, f"the {kind} {shown(uses)} cannot be loaded: {why}")
            return None

    def _part(self, path: Path, data: Data, cls: type[P] | None) -> P | None:
        if cls is None or not isinstance(data, dict):
            return None
        given = data.get("with")
        if given is not None and not isinstance(given, dict):
            return None  # the entry's own types say so
        return validated(cls, given or {}, (*path, "with"), self._problems)

    def _probe(self, path: Path, name: str, data: Data) -> ProbeUse | None:
        cls = self._class(path, data, self._registries.probes, "probe")
        part = self._part(path, data, cls)
        given = present(data)
        invasive = cls is not None and issubclass(cls, InvasiveProbe)
        text = validated(ProbeText, given, path, self._problems)
        identity = self._identity(path, given, invasive=invasive)
        self._pace(path, given, invasive=invasive)
        if not isinstance(given, dict):
            return None
        expect = read_expect(given.get("expect"), (*path, "expect"), self._problems, faults=self._has_faults)
        if text is None or part is None:
            return None
        every = _EVIDENCE_EVERY if set(expect) == {Phase.EVIDENCE} else _EVERY
        return ProbeUse(
            name=name,
            uses=text.uses,
            part=part,
            expect=expect,
            every=text.every or every,
            timeout=text.timeout or (_INVASIVE_TIMEOUT if invasive else _TIMEOUT),
            once=text.once is not None or invasive,
            identity=identity,
        )

    def _roles(self) -> dict[str, str]:
        """The roles that probes may look as, by name; one that is no role is noted, and known all the same."""
        written = self._sections.get("identities", {})
        validated(IdentitiesText, {"identities": written}, (), self._problems)
        if not isinstance(written, dict):
            self._problems.broken(("identities",))
            return {}
        for name in written:
            try:
                check_name(name)
            except ValueError as error:
                self._problems.add(("identities", name), str(error), key=True)
        return {name: str(role) for name, role in written.items()}

    def _identity(self, path: Path, given: Data, *, invasive: bool) -> str:
        """The role behind ``as``, or ``""``."""
        name = given.get("as") if isinstance(given, dict) else None
        if not isinstance(name, str):
            return ""
        where = (*path, "as")
        if invasive:
            what = "changes its resource at each look, and the runner undoes it: it looks as the runner too"
            self._problems.add(where, what, key=True)
        elif name not in self._identities and not self._problems.is_broken(("identities",)):
            self._problems.add(where, f"there is no {shown(name)} in identities{did_you_mean(name, self._identities)}")
        return self._identities.get(name, "")

    def _pace(self, path: Path, given: Data, *, invasive: bool) -> None:
        if isinstance(given, dict) and "every" in given:
            if "once" in given:
                self._problems.add((*path, "every"), "excludes 'once'; keep one of the two", key=True)
            elif invasive:
                what = "changes its resource at each look, so it cannot repeat; write 'once: per phase'"
                self._problems.add((*path, "every"), what, key=True)

    def _guard(self, path: Path, name: str, data: Data) -> GuardUse | None:
        if not self._has_faults:
            self._problems.add(path, "guards nothing, since the playbook has no faults")
        probes = self._sections.get("probes")
        if isinstance(probes, dict) and name in probes:
            self._problems.add(path, "is the name of a probe too; each probe and guard has its own", key=True)
        cls = self._class(path, data, self._registries.probes, "probe")
        part = self._part(path, data, cls)
        later = {"expect": "a guard expects ok throughout; what may change belongs to a probe"}
        text = validated(GuardText, present(data), path, self._problems, later)
        identity = self._identity(path, present(data), invasive=False)
        if cls is not None and issubclass(cls, InvasiveProbe):
            self._problems.add((*path, "uses"), "changes its resource at each look, so it cannot guard")
        if text is None or part is None:
            return None
        return GuardUse(
            name, text.uses, part, text.every, text.timeout or _TIMEOUT, Fails(*text.fails), identity=identity
        )
