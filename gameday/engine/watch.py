"""The probes that never sleep: those of playbooks that change nothing, look after look, until somebody ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from gameday.aws.resolve import pin
from gameday.aws.session import Session
from gameday.engine.looks import look_once
from gameday.engine.sample import spread
from gameday.engine.wheel import Target, Told, Wheel
from gameday.errors import Refused
from gameday.playbook import GuardUse, Playbook, ProbeUse
from gameday.sdk import AWS, Observation, Phase


class Shown(Told, Protocol):
    """Who is told of a watch."""

    def introduce(self, playbook: str, probe: str, uses: str, role: str = "") -> None:
        """A probe is watched from now on."""


def targets(playbooks: Iterable[Playbook], aws: AWS) -> tuple[Target, ...]:
    """Every probe that can be watched, with its names resolved; raises Refused where one is not one clear thing.

    Left out are probes that change what they look at, and those that speak of a run only (its evidence).
    """
    found: list[Target] = []
    for playbook in playbooks:
        known: dict[str, str] = {}
        if any(playbook.name == other.playbook for other in found):
            raise Refused(f"two of the playbooks are called {playbook.name}: their metrics could not be told apart")
        uses: list[ProbeUse | GuardUse] = [*playbook.probes.values(), *playbook.guards.values()]
        watched, _ = spread((use for use in uses if _watchable(use)), aws)
        found += [_target(playbook.name, use, aws, known) for use in watched]
    if not found:
        raise Refused("none of the playbooks has a probe that can be watched: all change something, or are evidence")
    return tuple(found)


def _watchable(use: ProbeUse | GuardUse) -> bool:
    return isinstance(use, GuardUse) or (not use.invasive and set(use.expect) != {Phase.EVIDENCE})


def _target(playbook: str, use: ProbeUse | GuardUse, aws: AWS, known: dict[str, str]) -> Target:
    steady = use.expect if isinstance(use, GuardUse) else use.expect.get(Phase.BASELINE)
    return Target(
        playbook=playbook,
        name=use.name,
        uses=use.uses,
        probe=pin(use.part, aws, known),
        every=use.every.total_seconds(),
        timeout=use.timeout.total_seconds(),
        role=use.identity,
        expect=steady.causes if steady is not None else None,
    )


class Watch:
    """Looks with the probes of playbooks, and takes others in their place.

    Parameters
    ----------
    session: what they look with.
    shown: who is told.
    """

    def __init__(self, session: Session, shown: Shown) -> None:
        self._session, self._shown = session, shown
        self._watched: frozenset[Target] = frozenset()
        self._wheel = Wheel(self._look, shown)

    def start(self) -> None:
        """Begin to look."""
        self._wheel.start()

    def take(self, wanted: Sequence[Target]) -> None:
        """Watch these from now on; a probe that stays as it is keeps its turns."""
        gone = self._watched - {*wanted}
        self._wheel.watch(wanted)
        for playbook, name in {(t.playbook, t.name) for t in gone} - {(t.playbook, t.name) for t in wanted}:
            self._shown.forget(playbook, name)
        for target in wanted:
            self._shown.introduce(target.playbook, target.name, target.uses, target.role)
        self._watched = frozenset(wanted)

    def _look(self, target: Target, stop: threading.Event) -> Observation | None:
        return look_once(target.probe, target.name, self._session, target.role, stop)
