"""The hands for probes: every look on a thread of its own, so that one that hangs delays nobody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from gameday.aws.session import Session
from gameday.errors import Interrupted
from gameday.machine.commands import Sample
from gameday.machine.inputs import Observed
from gameday.rollback.hands import Clock, Post
from gameday.sdk import Cause, Observation, Probe

log = logging.getLogger(__name__)


def look_once(probe: Probe, name: str, session: Session, role: str, stop: threading.Event) -> Observation | None:
    """One look, whatever the probe does; None when it was stopped. ``role`` is who looks, ``""`` the session itself."""
    try:
        fence = session.may_change
        aws = session.as_role(role) if role else session
        return probe.observe(aws.but(stopping=stop, fence=lambda: fence() and not stop.is_set()))
    except Interrupted:
        return None
    except Exception as error:  # a probe's own bug is a finding about the probe, and must not end the run
        log.exception("probe %s failed", name)
        return Observation(cause=Cause.OTHER, detail=f"the probe itself failed: {type(error).__name__}")


class Looks:
    """Carries out samples.

    Parameters
    ----------
    probes: probes and guards by name.
    identities: the roles that some of them look as, by the probe's name.
    session: what they look with, and what assumes those roles.
    post: takes the answers; called from many threads.
    clock: the run's steady clock.
    """

    def __init__(
        self, probes: Mapping[str, Probe], identities: Mapping[str, str], session: Session, post: Post, clock: Clock
    ) -> None:
        self._probes, self._identities = probes, identities
        self._session, self._post, self._clock = session, post, clock
        self._stops: dict[int, threading.Event] = {}

    def start(self, sample: Sample) -> None:
        """Begin a look."""
        stop = self._stops[sample.sample] = threading.Event()
        name = f"look {sample.sample} {sample.probe}"
        try:
            threading.Thread(target=self._look, args=(sample, stop), name=name, daemon=True).start()
        except RuntimeError as error:  # no more threads to be had: nothing was seen
            seen = Observation(cause=Cause.UNREACHABLE, detail=f"the look could not begin: {error}")
            self._post(Observed(self._clock(), sample.sample, seen))

    def cancel(self, sample: int) -> None:
        """Stop a look at its next pause or change; a passive one just ends."""
        if stop := self._stops.get(sample):
            stop.set()

    def _look(self, sample: Sample, stop: threading.Event) -> None:
        role = self._identities.get(sample.probe, "")
        observation = look_once(self._probes[sample.probe], sample.probe, self._session, role, stop)
        self._stops.pop(sample.sample, None)
        self._post(Observed(self._clock(), sample.sample, observation))
