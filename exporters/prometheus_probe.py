"""What every look of a probe counts, in a run and in a watch."""

from __future__ import annotations

import math

from prometheus_client import Counter

from exporters.prometheus_families import Families, Owned
from exporters.text import clean
from gameday.sdk import Cause, Observation, Outcome


class ProbeSeries:
    """The series of one probe in one phase, found once: a watch counts a thousand looks a second.

    Parameters
    ----------
    owned: of which playbook, on which target.
    probe, phase: their labels, as they came from the playbook.
    """

    def __init__(self, families: Families, owned: Owned, probe: str, phase: str) -> None:
        of, here = (*owned, clean(probe)), (*owned, clean(probe), phase)
        self._success = families.gauge("probe_success").labels(*here)
        self._up = families.gauge("probe_up").labels(*of)
        self._last = families.gauge("probe_last_observation_timestamp_seconds").labels(*of)
        self._latency = families.histogram("probe_latency_seconds").labels(*here)
        self._expected, self._of = families.gauge("probe_expected"), of
        self._observations, self._here = families.counter("probe_observations_total"), here
        self._causes: dict[Cause, Counter] = {}

    def count(self, seen: Observation, meets: bool | None, wall: float, run: str = "") -> None:
        """A look came back: what it saw, whether that was expected, when, and for which run's sake."""
        exemplar, outcome = {"run": run} if run else None, seen.outcome
        self._success.set(outcome is Outcome.OK)
        self._up.set(outcome is Outcome.OK)
        self._last.set(wall)
        if (counter := self._causes.get(seen.cause)) is None:
            counter = self._causes[seen.cause] = self._observations.labels(*self._here, seen.cause.value)
        counter.inc(1, exemplar)
        if meets is not None and outcome is not Outcome.UNKNOWN:
            self._expected.labels(*self._of).set(meets)
        if math.isfinite(seen.latency):
            self._latency.observe(max(seen.latency, 0.0), exemplar)
