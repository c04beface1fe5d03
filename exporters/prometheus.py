"""A run's metrics for Prometheus: scraped while it goes on, or left as a textfile for the node exporter.

Labels are bounded: playbooks, probes, phases, causes and states, never an ARN, a message or a run's id.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from functools import singledispatchmethod
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
    write_to_textfile,
)

from exporters.fold import RunView
from exporters.parts import KeyState, KeyView, ProbeView
from exporters.text import clean
from gameday.errors import Refused
from gameday.sdk import (
    Event,
    ExpectationMet,
    Exporter,
    Interval,
    LeakSeen,
    Outcome,
    Phase,
    PhaseEntered,
    ProbeObserved,
    RollbackFinished,
    RunFinished,
    RunPrepared,
    RunStarted,
    Sealed,
    UndoTried,
    Verdict,
)

# An S3 read takes 5 ms to some seconds, a boot up to ten minutes; both are one histogram.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_OUTCOMES = {True: "complete", False: "incomplete"}


class Families:
    """The metrics, as documented in ``docs/observability.md``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"gameday_{name}", about, labels, registry=registry)

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"gameday_{name}", about, labels, registry=registry)

        sample = ("playbook", "probe", "phase")
        self.build = gauge("build_info", "The version of gameday that made the run.", "version")
        self.success = gauge("probe_success", "Whether the probe's last look in the phase found it working.", *sample)
        self.observations = counter("probe_observations_total", "Looks of a probe by their cause.", *sample, "cause")
        self.latency = Histogram(
            "gameday_probe_latency_seconds",
            "Seconds from a probe's question to the answer.",
            sample,
            buckets=BUCKETS,
            registry=registry,
        )
        self.observed = gauge(
            "probe_last_observation_timestamp_seconds", "When the probe last looked.", "playbook", "probe"
        )
        self.key = gauge("key_state", "1 for the state that the key was last read in.", "playbook", "probe", "state")
        self.active = gauge("fault_active", "Whether what a fault changed may still be changed.", "playbook")
        self.phase = gauge("run_phase", "1 for the phase that the run is in.", "playbook", "phase")
        self.verdicts = counter("run_verdicts_total", "Runs finished, by verdict.", "playbook", "verdict")
        self.verdict = gauge("run_last_verdict", "1 for the verdict of the last run.", "playbook", "verdict")
        self.finished = gauge("run_last_finished_timestamp_seconds", "When the last run finished.", "playbook")
        bound = ("playbook", "probe", "bound")
        self.effect = gauge("time_to_effect_seconds", "From the inject to the effect: after and by when.", *bound)
        self.recover = gauge("time_to_recover_seconds", "From the undo to recovery: after and by when.", *bound)
        self.rollback = gauge("rollback_seconds", "How long the last rollback took.", "playbook")
        self.failures = counter("rollback_failures_total", "Attempts to undo a step that failed.", "playbook")
        self.rollbacks = counter("rollbacks_total", "Rollbacks finished, by outcome.", "playbook", "outcome")
        self.open = gauge("undo_steps_open", "Undo steps whose change may be in place.", "playbook")
        self.leaks = counter("leaks_total", "Looks that succeeded after the effect was seen.", "playbook", "probe")


class Metrics(Exporter):
    """Keeps the metrics of the runs whose events it is given.

    Parameters
    ----------
    textfile: where to leave them for the node exporter's textfile collector: at each phase, so that a run that
        was killed is seen too, and at the end.
    version: gameday's, for ``gameday_build_info``; a run's own replaces it.
    """

    def __init__(self, textfile: Path | None = None, version: str = "") -> None:
        if textfile is not None:
            _refuse_textfile(textfile)
        # The client's own _created series would double every counter; a switch for the process is all it has.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the client's one function without annotations
        self.registry = CollectorRegistry()
        self._families, self._textfile = Families(self.registry), textfile
        if version:
            self._families.build.labels(clean(version)).set(1)
        self._views: dict[str, RunView] = {}
        self._servers: list[WSGIServer] = []

    def serve(self, port: int, addr: str = "127.0.0.1") -> int:
        """Serve ``/metrics`` from now on and say on which port; port 0 is any free one."""
        try:
            server, _ = start_http_server(port, addr, self.registry)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Refused(
                f"metrics cannot be served on {addr} port {port}: {why}; choose another --metrics-port, or 0 for any"
            ) from error
        self._servers.append(server)
        return server.server_port

    def write_textfile(self, path: Path) -> None:
        """Write all metrics into a file, which is at no moment half written."""
        write_to_textfile(str(path), self.registry)

    def consume(self, sealed: Sealed) -> None:
        """Take the next event."""
        view = self._views.setdefault(sealed.run, RunView())
        view.consume(sealed)
        playbook = clean(view.playbook)
        self._count(sealed.event, view, playbook, _wall(sealed.at))
        self._count_open(view.playbook)
        if view.finished is not None and not view.open_steps:
            del self._views[sealed.run]
        if self._textfile is not None and isinstance(sealed.event, PhaseEntered | RunFinished):
            self.write_textfile(self._textfile)

    def _count_open(self, playbook: str) -> None:
        """What an earlier run of the playbook left open in this process is not hidden by the next."""
        views = [view for view in self._views.values() if view.playbook == playbook]
        self._families.active.labels(clean(playbook)).set(any(view.fault_active for view in views))
        self._families.open.labels(clean(playbook)).set(sum(len(view.open_steps) for view in views))

    def close(self) -> None:
        """Leave the textfile and stop serving."""
        try:
            if self._textfile is not None:
                self.write_textfile(self._textfile)
        finally:
            while self._servers:
                server = self._servers.pop()
                server.shutdown()
                server.server_close()

    # One method an event that is counted

    @singledispatchmethod
    def _count(self, event: Event, view: RunView, playbook: str, wall: float) -> None:
        """An event that no metric of its own counts."""

    @_count.register
    def _(self, event: RunStarted, view: RunView, playbook: str, wall: float) -> None:
        families = self._families
        if event.version:
            families.build.clear()
            families.build.labels(clean(event.version)).set(1)
        # A series that begins at 0 shows its first increase.
        families.failures.labels(playbook)
        for verdict in Verdict:
            families.verdicts.labels(playbook, verdict.value)
        for outcome in _OUTCOMES.values():
            families.rollbacks.labels(playbook, outcome)
        _state_set(families.phase, (playbook,), Phase, Phase.PREFLIGHT)

    @_count.register
    def _(self, event: RunPrepared, view: RunView, playbook: str, wall: float) -> None:
        for probe in view.probes.values():
            if probe.goes_dark:
                self._families.leaks.labels(playbook, clean(probe.facts.name))
            for family in (self._families.effect, self._families.recover):
                for bound in ("after", "by"):  # of the last run; this one has yet to see any
                    family.remove(playbook, clean(probe.facts.name), bound)

    @_count.register
    def _(self, event: PhaseEntered, view: RunView, playbook: str, wall: float) -> None:
        _state_set(self._families.phase, (playbook,), Phase, event.phase)

    @_count.register
    def _(self, event: ProbeObserved, view: RunView, playbook: str, wall: float) -> None:
        families, seen, probe = self._families, event.observation, clean(event.probe)
        families.success.labels(playbook, probe, event.phase.value).set(seen.outcome is Outcome.OK)
        families.observations.labels(playbook, probe, event.phase.value, seen.cause.value).inc()
        families.observed.labels(playbook, probe).set(wall)
        if math.isfinite(seen.latency):
            families.latency.labels(playbook, probe, event.phase.value).observe(max(seen.latency, 0.0))
        key: KeyView | None = view.probe(event.probe).key
        if key is not None:
            _state_set(families.key, (playbook, probe), KeyState, key.state)

    @_count.register
    def _(self, event: ExpectationMet, view: RunView, playbook: str, wall: float) -> None:
        probe: ProbeView = view.probe(event.probe)
        for family, interval in (
            (self._families.effect, probe.time_to_effect),
            (self._families.recover, probe.time_to_recover),
        ):
            if interval is not None:
                _bounds(family, playbook, clean(event.probe), interval)

    @_count.register
    def _(self, event: LeakSeen, view: RunView, playbook: str, wall: float) -> None:
        self._families.leaks.labels(playbook, clean(event.probe)).inc()

    @_count.register
    def _(self, event: UndoTried, view: RunView, playbook: str, wall: float) -> None:
        self._families.failures.labels(playbook).inc(not event.ok)

    @_count.register
    def _(self, event: RollbackFinished, view: RunView, playbook: str, wall: float) -> None:
        self._families.rollback.labels(playbook).set(event.seconds)
        self._families.rollbacks.labels(playbook, _OUTCOMES[event.complete]).inc()

    @_count.register
    def _(self, event: RunFinished, view: RunView, playbook: str, wall: float) -> None:
        families = self._families
        families.verdicts.labels(playbook, event.verdict.value).inc()
        _state_set(families.verdict, (playbook,), Verdict, event.verdict)
        families.finished.labels(playbook).set(wall)
        for phase in Phase:
            families.phase.labels(playbook, phase.value).set(0)


def _state_set(gauge: Gauge, labels: tuple[str, ...], states: Iterable[str], now: str) -> None:
    """1 for the state that holds, 0 for all others, so that a query can ask for any."""
    for state in states:
        gauge.labels(*labels, str(state)).set(state == now)


def _bounds(gauge: Gauge, playbook: str, probe: str, interval: Interval) -> None:
    gauge.labels(playbook, probe, "after").set(interval.after)
    gauge.labels(playbook, probe, "by").set(interval.by)


def _wall(at: str) -> float:
    """The wall clock of an event in seconds since 1970; a time that cannot be read is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def _refuse_textfile(path: Path) -> None:
    """Say at once what the node exporter would silently skip, or what could not be written when all is over."""
    if path.suffix != ".prom":
        raise Refused(f"the metrics' textfile {path} must end in .prom, or the node exporter does not read it")
    if not path.parent.is_dir():
        raise Refused(f"the metrics' textfile {path} cannot be written: there is no directory {path.parent}")
