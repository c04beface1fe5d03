"""A run's metrics for Prometheus: one fold over the events of runs and the looks of a watch, with three ways out.

Scraped while it goes on, left as a textfile for the node exporter, or pushed to a Pushgateway.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatchmethod
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Metric,
    disable_created_metrics,
    start_http_server,
    write_to_textfile,
)

from exporters import prometheus_radius
from exporters.fold import RunView
from exporters.parts import KeyState, ProbeView, key_state
from exporters.prometheus_families import Families, Owned, Place, Source
from exporters.prometheus_probe import ProbeSeries
from exporters.prometheus_push import Push
from exporters.text import clean, wall_clock
from gameday.errors import Refused
from gameday.sdk import (
    Closed,
    Event,
    ExpectationMet,
    Exporter,
    ForeignChange,
    Interval,
    LeakSeen,
    Observation,
    Phase,
    PhaseEntered,
    ProbeFacts,
    ProbeObserved,
    RadiusObserved,
    RadiusPredicted,
    RollbackFinished,
    RunFinished,
    RunPrepared,
    RunStarted,
    Sealed,
    UndoTried,
    Verdict,
    WatchdogArmed,
)

_OUTCOMES = {True: "complete", False: "incomplete"}
_BY = {"runner": "runner", "watchdog": "watchdog", "gameday rollback": "command"}
WATCH = "watch"
"""The phase of looks between game days."""


class Polite(CollectorRegistry):
    """Lets others compute while it is scraped.

    A scrape of a thousand probes computes for a quarter of a second, and a look needs the interpreter a dozen times for
    a moment each: with Python's usual 5 ms for each turn, every look would stand behind the scrape. Shorter turns for
    all of the time would cost more than they give.
    """

    def collect(self) -> Iterator[Metric]:
        """All families, in short turns."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(min(usual, 0.0005))
        try:
            yield from super().collect()
        finally:
            sys.setswitchinterval(max(usual, 0.005))


class Metrics(Exporter):
    """Keeps the metrics of the runs whose events it is given.

    Parameters
    ----------
    textfile: where to leave them for the node exporter's textfile collector: at each phase, so that a run that
        was killed is seen too, and at the end.
    version: gameday's, for ``gameday_build_info``; a run's own replaces it.
    source: which command serves them.
    push: where to push them to, at the same moments as the textfile.
    place: where a watch is at work; of a run, what is known of its target before it is opened.
    playbook: of a run, which may end before it has said so.
    """

    def __init__(
        self,
        textfile: Path | None = None,
        version: str = "",
        source: Source = "run",
        push: Push | None = None,
        place: Place | None = None,
        playbook: str = "",
    ) -> None:
        if textfile is not None:
            refuse_textfile(textfile)
        # The client's own _created series would double every counter; a switch for the process is all it has.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the client's one function without annotations
        self.registry = Polite() if source == "watch" else CollectorRegistry()
        self._families, self._textfile, self._push = Families(self.registry, source), textfile, push
        self._source, self._place, self._playbook = source, place or Place(), playbook
        if version:
            self._families.gauge("build_info").labels(*Owned.by(playbook, self._place), clean(version)).set(1)
        self._views: dict[str, RunView] = {}
        self._places: dict[str, Place] = {}
        self._last = Owned.by(playbook, self._place)
        self._probes: dict[tuple[Owned, str, str], ProbeSeries] = {}
        self._servers: list[WSGIServer] = []
        self._fresh = True

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
        view = self._views.setdefault(sealed.run, RunView(run=sealed.run, playbook=self._playbook))
        view.consume(sealed)
        if view.target is not None and Place.of(view.target) != self._place_of(sealed.run):
            self.take_place(sealed.run, Place.of(view.target))
        of = self._last = self._owned(view)
        self._count(sealed.event, view, of, wall_clock(sealed.at))
        self._count_open(of)
        if view.finished is not None and not view.open_steps:
            self._drop(sealed.run)
        self._fresh = True
        if isinstance(sealed.event, PhaseEntered | RunFinished):
            self._hand_on()

    def meet(self, run: str, playbook: str, place: Place | None) -> None:
        """A journal's run, which may have ended before its events said of which playbook it is, and where."""
        view = self._views.setdefault(run, RunView(run=run, playbook=playbook))
        if not view.started:
            self._places[run] = place or Place()
        elif place is not None:
            self.take_place(run, place)

    def take_place(self, run: str, place: Place) -> None:
        """A run is at work there; what was counted of it under another place before is counted under this one."""
        view, moves = self._views.get(run), self._place_of(run) != place
        if view is not None and moves:
            before = self._owned(view)
            if self._source == "run":  # a journal's other runs may have been counted there too
                self._families.forget(before)
            for phase in Phase if self._source != "run" else ():
                self._families.gauge("run_phase").labels(*before, phase.value).set(0)
        self._places[run] = place
        if view is not None and moves:  # a run that stays keeps what was counted: to begin again would take some back
            self._begin(view, self._owned(view))
            if view.radius:
                prometheus_radius.predicted(self._families, self._owned(view), view)

    def _place_of(self, run: str) -> Place:
        return self._places.get(run, self._place if self._source == "run" else Place())

    def _owned(self, view: RunView) -> Owned:
        return Owned.by(view.playbook, self._place_of(view.run))

    def _drop(self, run: str) -> None:
        del self._views[run]
        self._places.pop(run, None)

    def close(self) -> None:
        """Leave the textfile, push, and stop serving."""
        try:
            self._hand_on()
        finally:
            while self._servers:
                server = self._servers.pop()
                server.shutdown()
                server.server_close()

    def _hand_on(self) -> None:
        if not self._fresh:
            return
        self._fresh = False
        if self._textfile is not None:
            self.write_textfile(self._textfile)
        if self._push is not None:
            self._push.push(self.registry, self._last)

    def died(self, run: str) -> None:
        """A run ended without a word: it is in no phase any more; what it left open stays."""
        view = self._views.get(run)
        if view is not None and view.finished is None:
            for phase in Phase:
                self._families.gauge("run_phase").labels(*self._owned(view), phase.value).set(0)
            if not view.open_steps:
                self._drop(run)

    # What a watch says

    def introduce(self, playbook: str, probe: str, uses: str, role: str = "") -> None:
        """A probe is watched from now on; ``role`` is the name or ARN of who looks."""
        of = Owned.by(playbook, self._place)
        self._introduce(of, probe, uses, role)
        self._families.counter("watch_skipped_total").labels(*of, clean(probe))

    def _introduce(self, of: Owned, probe: str, uses: str, role: str) -> None:
        name = role.rpartition("/")[2]
        self._families.gauge("probe_info").labels(*of, clean(probe), clean(uses), clean(name)).set(1)

    def look(self, playbook: str, probe: str, uses: str, seen: Observation, meets: bool | None) -> None:
        """A look of a watch."""
        of = Owned.by(playbook, self._place)
        self._series(of, probe, WATCH).count(seen, meets, time.time())
        self._key(of, clean(probe), key_state(uses, seen))

    def forget(self, playbook: str, probe: str) -> None:
        """A probe is watched no more."""
        of = Owned.by(playbook, self._place)
        for key in [key for key in self._probes if key[:2] == (of, probe)]:
            del self._probes[key]
        self._families.forget(of, clean(probe))

    def late(self, seconds: float) -> None:
        """A look of a watch began so late."""
        self._families.histogram("watch_lateness_seconds").labels(*self._place).observe(max(seconds, 0.0))

    def skipped(self, playbook: str, probe: str) -> None:
        """A look of a watch was left out."""
        self._families.counter("watch_skipped_total").labels(*Owned.by(playbook, self._place), clean(probe)).inc()

    def watching(self, probes: int, workers: int) -> None:
        """How much a watch has to do, and with how many threads."""
        self._families.gauge("watch_probes").labels(*self._place).set(probes)
        self._families.gauge("watch_workers").labels(*self._place).set(workers)

    def reloaded(self, good: bool) -> None:
        """A watch read its playbooks, or could not."""
        self._families.gauge("watch_config_last_reload_successful").labels(*self._place).set(good)
        if good:
            self._families.gauge("watch_config_last_reload_success_timestamp_seconds").labels(
                *self._place
            ).set_to_current_time()

    def journal(self, up: bool) -> None:
        """Whether the journal could be read."""
        self._families.gauge("journal_up").labels(*self._place).set(up)

    def left_open(self, of: Owned, since: Sequence[str]) -> None:
        """When each undo step was written down that is open, by the journal itself.

        It outranks the events: a step is in the journal before its event is, and a run may die in between.
        """
        self._families.gauge("undo_steps_open").labels(*of).set(len(since))
        oldest = min((wall_clock(at) for at in since), default=0.0)
        self._families.gauge("undo_steps_oldest_timestamp_seconds").labels(*of).set(oldest)

    def left_on_purpose(self, of: Owned, changes: int) -> None:
        """How many changes ``gameday abandon`` left in place, and nobody has ended since."""
        self._families.gauge("left_on_purpose").labels(*of).set(changes)

    # What both count

    def _series(self, of: Owned, probe: str, phase: str) -> ProbeSeries:
        key = (of, probe, phase)
        found = self._probes.get(key)
        if found is None:
            found = self._probes[key] = ProbeSeries(self._families, *key)
        return found

    def _key(self, of: Owned, probe: str, state: KeyState | None) -> None:
        if state is not None:
            _state_set(self._families.gauge("key_state"), (*of, probe), KeyState, state)

    def _count_open(self, of: Owned) -> None:
        """What an earlier run of the playbook left open in this process is not hidden by the next."""
        views = [view for view in self._views.values() if self._owned(view) == of]
        families = self._families
        active = [view for view in views if view.fault_active]
        families.gauge("fault_active").labels(*of).set(bool(active))
        families.gauge("undo_steps_open").labels(*of).set(sum(len(view.open_steps) for view in views))
        closed = [step.closed.closed for view in views for step in view.steps.values() if step.closed is not None]
        families.gauge("left_on_purpose").labels(*of).set(closed.count(Closed.ABANDONED))
        families.gauge("dead_man_switch_armed").labels(*of).set(sum(len(view.armed) for view in views))
        guarded = [view for view in views if isinstance(view.watchdog, WatchdogArmed) and view.finished is None]
        families.gauge("watchdog_armed").labels(*of).set(bool(guarded))
        began = [wall_clock(view.started) + (view.fault_since or 0.0) for view in active]
        families.gauge("fault_started_timestamp_seconds").labels(*of).set(min(began, default=0.0))
        opened = [wall_clock(view.started) + (step.changed_at or 0.0) for view in views for step in view.open_steps]
        families.gauge("undo_steps_oldest_timestamp_seconds").labels(*of).set(min(opened, default=0.0))

    # One method an event that is counted

    @singledispatchmethod
    def _count(self, event: Event, view: RunView, of: Owned, wall: float) -> None:
        """An event that no metric of its own counts."""

    @_count.register
    def _(self, event: RunStarted, view: RunView, of: Owned, wall: float) -> None:
        self._begin(view, of)

    def _begin(self, view: RunView, of: Owned) -> None:
        """What a run's series are before anything is counted."""
        families = self._families
        if view.version and self._source == "run":
            families.gauge("build_info").clear()
            families.gauge("build_info").labels(*of, clean(view.version)).set(1)
        # A series that begins at 0 shows its first increase.
        families.counter("rollback_failures_total").labels(*of)
        families.counter("foreign_changes_total").labels(*of)
        for verdict in Verdict:
            families.counter("run_verdicts_total").labels(*of, verdict.value)
        for outcome in _OUTCOMES.values():
            families.counter("rollbacks_total").labels(*of, outcome, "runner")
        _state_set(families.gauge("run_phase"), of, Phase, view.phase or Phase.PREFLIGHT)

    @_count.register
    def _(self, event: RunPrepared, view: RunView, of: Owned, wall: float) -> None:
        families = self._families
        for limit, seconds in event.limits.items():
            families.gauge("run_limit_seconds").labels(*of, clean(limit)).set(seconds)
        for probe in view.probes.values():
            name = clean(probe.facts.name)
            self._introduce(of, probe.facts.name, probe.facts.uses, _role(probe.facts))
            for phase, seconds in probe.facts.within.items():
                if not probe.is_guard:  # which has nothing to become
                    families.gauge("probe_limit_seconds").labels(*of, name, phase.value).set(seconds)
            if probe.goes_dark:
                families.counter("leaks_total").labels(*of, name)
            for family in ("time_to_effect_seconds", "time_to_recover_seconds"):
                for bound in ("after", "by"):  # of the last run; this one has yet to see any
                    families.gauge(family).remove(*of, name, bound)
            if probe.is_guard:
                families.gauge("guard_fails").labels(*of, name).set(0)
                families.gauge("guard_fails_limit").labels(*of, name).set(probe.aborts_at)

    @_count.register
    def _(self, event: PhaseEntered, view: RunView, of: Owned, wall: float) -> None:
        _state_set(self._families.gauge("run_phase"), of, Phase, event.phase)

    @_count.register
    def _(self, event: ProbeObserved, view: RunView, of: Owned, wall: float) -> None:
        probe, name = view.probe(event.probe), clean(event.probe)
        series = self._series(of, event.probe, event.phase.value)
        series.count(event.observation, event.meets, wall, view.run)
        self._key(of, name, probe.key.state if probe.key is not None else None)
        if probe.is_guard:
            self._families.gauge("guard_fails").labels(*of, name).set(probe.fails)

    @_count.register
    def _(self, event: ExpectationMet, view: RunView, of: Owned, wall: float) -> None:
        probe: ProbeView = view.probe(event.probe)
        for family, interval in (
            ("time_to_effect_seconds", probe.time_to_effect),
            ("time_to_recover_seconds", probe.time_to_recover),
        ):
            if interval is not None:
                _bounds(self._families.gauge(family), of, clean(event.probe), interval)

    @_count.register
    def _(self, event: RadiusPredicted, view: RunView, of: Owned, wall: float) -> None:
        prometheus_radius.predicted(self._families, of, view)

    @_count.register
    def _(self, event: RadiusObserved, view: RunView, of: Owned, wall: float) -> None:
        prometheus_radius.observed(self._families, of, view, event, wall)

    @_count.register
    def _(self, event: LeakSeen, view: RunView, of: Owned, wall: float) -> None:
        self._families.counter("leaks_total").labels(*of, clean(event.probe)).inc(1, {"run": view.run})

    @_count.register
    def _(self, event: ForeignChange, view: RunView, of: Owned, wall: float) -> None:
        self._families.counter("foreign_changes_total").labels(*of).inc()

    @_count.register
    def _(self, event: UndoTried, view: RunView, of: Owned, wall: float) -> None:
        if not event.ok:
            self._families.counter("rollback_failures_total").labels(*of).inc(1, {"run": view.run})

    @_count.register
    def _(self, event: RollbackFinished, view: RunView, of: Owned, wall: float) -> None:
        self._families.gauge("rollback_seconds").labels(*of).set(event.seconds)
        by = _BY.get(view.rollback.by, "other") if view.rollback is not None else "other"
        counter = self._families.counter("rollbacks_total").labels(*of, _OUTCOMES[event.complete], by)
        counter.inc(1, {"run": view.run})

    @_count.register
    def _(self, event: RunFinished, view: RunView, of: Owned, wall: float) -> None:
        families = self._families
        families.counter("run_verdicts_total").labels(*of, event.verdict.value).inc(1, {"run": view.run})
        _state_set(families.gauge("run_last_verdict"), of, Verdict, event.verdict)
        families.gauge("run_last_finished_timestamp_seconds").labels(*of).set(wall)
        if event.verdict is Verdict.PASSED:
            families.gauge("run_last_passed_timestamp_seconds").labels(*of).set(wall)
        for phase in Phase:
            families.gauge("run_phase").labels(*of, phase.value).set(0)


def _role(facts: ProbeFacts) -> str:
    """The name or ARN of the role that a probe looks as; versions before 0.4 told it behind its resource only."""
    if facts.role:
        return facts.role
    return facts.resource.rpartition(" as ")[2].rpartition("/")[2] if " as " in facts.resource else ""


def _state_set(gauge: Gauge, labels: tuple[str, ...], states: Iterable[str], now: str) -> None:
    """1 for the state that holds, 0 for all others, so that a query can ask for any."""
    for state in states:
        gauge.labels(*labels, str(state)).set(state == now)


def _bounds(gauge: Gauge, of: Owned, probe: str, interval: Interval) -> None:
    gauge.labels(*of, probe, "after").set(interval.after)
    gauge.labels(*of, probe, "by").set(interval.by)


def refuse_textfile(path: Path) -> None:
    """Say at once what the node exporter would silently skip, or what could not be written when all is over.

    Raises Refused.
    """
    if path.suffix != ".prom":
        raise Refused(f"the metrics' textfile {path} must end in .prom, or the node exporter does not read it")
    if not path.parent.is_dir():
        raise Refused(f"the metrics' textfile {path} cannot be written: there is no directory {path.parent}")
