"""Every metric of gameday: its name, type, labels and meaning, as data from which the page in docs is made too.

Labels are bounded by what playbooks and targets say: playbooks, targets, accounts, Regions, probes, phases, causes and
states, never an ARN, a message or a run's id. A run's id stands on exemplars, which only OpenMetrics carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from exporters.text import clean
from gameday.sdk import TargetFacts

# An S3 read takes 5 ms to some seconds, a boot up to ten minutes; both are one histogram.
LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
# A watch that keeps up is a few milliseconds late; one that does not, as late as you like.
LATENESS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

Source = Literal["run", "watch", "status"]
ALL: tuple[Source, ...] = ("run", "watch", "status")


@dataclass(frozen=True)
class Family:
    """One metric.

    Parameters
    ----------
    name: without ``gameday_``.
    about: one sentence, for ``# HELP`` and for docs.
    of: which commands serve it; a ``watch`` and a ``status`` tell of the runs of the journal.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    about: str
    of: tuple[Source, ...] = ALL
    buckets: tuple[float, ...] = ()


class Place(NamedTuple):
    """Where a run or a watch is at work.

    Parameters
    ----------
    target: the target file's name, or ``lab`` or ``aws`` without one; ``""`` while it is unknown.
    """

    target: str = ""
    account: str = ""
    region: str = ""

    @classmethod
    def of(cls, facts: TargetFacts | None, otherwise: Place | None = None) -> Place:
        """The place of a target; ``otherwise`` while there is none."""
        if facts is None:
            return otherwise or cls()
        return cls(clean(facts.name) or facts.kind, clean(facts.account), clean(facts.region))


class Owned(NamedTuple):
    """The first labels of every series of a playbook; two targets of one playbook share no series."""

    playbook: str = ""
    target: str = ""
    account: str = ""
    region: str = ""

    @classmethod
    def by(cls, playbook: str, place: Place) -> Owned:
        """The labels of a playbook at a place."""
        return cls(clean(playbook), *place)


_PLACE = Place._fields
_BOOK = Owned._fields
_PROBE = (*_BOOK, "probe")
_LOOK = (*_PROBE, "phase")

FAMILIES = (
    Family("build_info", "gauge", (*_BOOK, "version"), "1; the version of gameday; only a run names its playbook."),
    Family(
        "probe_info",
        "gauge",
        (*_PROBE, "uses", "role"),
        "1; what the probe is (`s3.read` …) and the name of the role that it looks as (empty: the runner's own).",
    ),
    Family(
        "probe_success",
        "gauge",
        _LOOK,
        "1 if the probe's last look in that phase found it working, else 0. In the fault, 0 is what a kill switch "
        "wants. `watch` is a phase of its own.",
    ),
    Family(
        "probe_up", "gauge", _PROBE, "1 if the probe's very last look found it working, whatever the phase, else 0."
    ),
    Family(
        "probe_limit_seconds",
        "gauge",
        _LOOK,
        "How long the last run gave the probe to see what the phase expects (`within`).",
    ),
    Family(
        "probe_expected",
        "gauge",
        _PROBE,
        "1 if the last look saw what its phase expects (a watch: what the baseline expects), else 0.",
    ),
    Family(
        "probe_observations_total",
        "counter",
        (*_LOOK, "cause"),
        "Looks, by what came out: `ok`, `key_disabled`, `throttled` …",
    ),
    Family(
        "probe_latency_seconds",
        "histogram",
        _LOOK,
        "From the question to the answer; buckets from 5 ms to 10 s for reads, to 600 s for boots.",
        buckets=LATENCY,
    ),
    Family("probe_last_observation_timestamp_seconds", "gauge", _PROBE, "When the probe last looked."),
    Family(
        "key_state",
        "gauge",
        (*_PROBE, "state"),
        "1 for the state that a `kms.state` probe last read: `enabled`, `disabled`, `pending_deletion` or `other`; "
        "0 for the others.",
    ),
    Family(
        "fault_active",
        "gauge",
        _BOOK,
        "1 from the moment that a fault may be in place until it is proven restored.",
    ),
    Family(
        "fault_started_timestamp_seconds",
        "gauge",
        _BOOK,
        "When the fault that may be in place was begun; 0 when there is none.",
    ),
    Family("run_phase", "gauge", (*_BOOK, "phase"), "1 for the present phase; all 0 when no run goes on."),
    Family(
        "run_limit_seconds",
        "gauge",
        (*_BOOK, "limit"),
        "The limits of the last run, by their names in the playbook's `timing`: `max_fault`, `recover_within` …",
    ),
    Family("run_verdicts_total", "counter", (*_BOOK, "verdict"), "Runs finished."),
    Family(
        "run_last_verdict",
        "gauge",
        (*_BOOK, "verdict"),
        "1 for the last run's verdict, 0 for the others (a textfile's counters begin anew with each run; this does "
        "not).",
    ),
    Family("run_last_finished_timestamp_seconds", "gauge", _BOOK, "When the last run finished."),
    Family(
        "run_last_passed_timestamp_seconds", "gauge", _BOOK, "When a run last passed; missing where none has been seen."
    ),
    Family(
        "time_to_effect_seconds",
        "gauge",
        (*_PROBE, "bound"),
        'From the inject to the effect, which lies between `bound="after"` (the last old answer was asked for) and '
        '`bound="by"` (the first new one was there).',
    ),
    Family(
        "time_to_recover_seconds",
        "gauge",
        (*_PROBE, "bound"),
        "From the undo to recovery, likewise.",
    ),
    Family("rollback_seconds", "gauge", _BOOK, "How long the last rollback took."),
    Family("rollback_failures_total", "counter", _BOOK, "Attempts to undo a step that failed."),
    Family(
        "rollbacks_total",
        "counter",
        (*_BOOK, "outcome", "by"),
        "Rollbacks finished, `complete` or `incomplete`, by who did it: `runner`, `watchdog`, `command` or `other`.",
    ),
    Family(
        "undo_steps_open",
        "gauge",
        _BOOK,
        "Undo steps whose change may be in place, a probe's own among them (an instance that it stopped).",
    ),
    Family(
        "undo_steps_oldest_timestamp_seconds",
        "gauge",
        _BOOK,
        "When the oldest open undo step was written down; 0 when none is open. `time()` minus it is its age.",
    ),
    Family(
        "left_on_purpose",
        "gauge",
        _BOOK,
        "Changes that `gameday abandon` left in place (a key that is off), until `gameday status --look` finds them as "
        "they were, or somebody acknowledges them.",
    ),
    Family(
        "dead_man_switch_armed",
        "gauge",
        _BOOK,
        "How many schedules in AWS will put things back by themselves: made, read back, and not yet deleted.",
    ),
    Family(
        "watchdog_armed",
        "gauge",
        _BOOK,
        "1 from the moment that the run's watchdog has rehearsed the undo until it is lost or the run is over.",
    ),
    Family(
        "foreign_changes_total",
        "counter",
        _BOOK,
        "Changes by others to what a run held, as CloudTrail or a read showed them.",
    ),
    Family(
        "radius_predicted",
        "gauge",
        (*_BOOK, "of"),
        "How large the blast radius was expected to be, by what is counted: `dependents`, `principals`, `services`, "
        "`resources`; `latent` is what fails or comes back later, `unknown` how many reasons there are to doubt it.",
    ),
    Family(
        "radius_observed",
        "gauge",
        (*_BOOK, "fate"),
        "What became of them in the last run, as CloudTrail shows: `as predicted`, `unexpected`, `spared`, `silent`.",
    ),
    Family("radius_refused_calls", "gauge", _BOOK, "Refused calls of the last run, gameday's own left out."),
    Family(
        "radius_detection_seconds",
        "gauge",
        (*_BOOK, "of"),
        "How long it took in the last run until CloudTrail was seen to show it: `refused_call`, from the first call "
        "that was refused to when the log of the fault was read (once it was whole); `put_back`, from the answer to "
        "the undo to its record.",
    ),
    Family("leaks_total", "counter", _PROBE, "Looks that succeeded after the effect had been seen."),
    Family("guard_fails", "gauge", _PROBE, "How many of a guard's last looks failed."),
    Family("guard_fails_limit", "gauge", _PROBE, "With how many of them the guard ends the fault."),
    Family("journal_up", "gauge", _PLACE, "1 if the journal was read when it was last tried.", of=("watch", "status")),
    Family("watch_probes", "gauge", _PLACE, "Probes that are watched.", of=("watch",)),
    Family("watch_workers", "gauge", _PLACE, "Threads that look; more than 16 mean that targets hang.", of=("watch",)),
    Family(
        "watch_lateness_seconds",
        "histogram",
        _PLACE,
        "How late a look began; the 99th percentile says whether the watch keeps up.",
        of=("watch",),
        buckets=LATENESS,
    ),
    Family(
        "watch_skipped_total",
        "counter",
        _PROBE,
        "Looks left out because the one before had not been answered yet.",
        of=("watch",),
    ),
    Family(
        "watch_config_last_reload_successful",
        "gauge",
        _PLACE,
        "1 if the playbooks were read when that was last asked for (SIGHUP); with 0 the ones before are watched.",
        of=("watch",),
    ),
    Family(
        "watch_config_last_reload_success_timestamp_seconds",
        "gauge",
        _PLACE,
        "When the playbooks that are watched were read.",
        of=("watch",),
    ),
)


class Families:
    """The metrics that one command serves, registered; those that have no series yet are not seen."""

    def __init__(self, registry: CollectorRegistry, source: Source) -> None:
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        for each in FAMILIES:
            name, labels, about = f"gameday_{each.name}", each.labels, each.about.replace("`", "")
            if source not in each.of:
                continue
            if each.kind == "gauge":
                self._gauges[each.name] = Gauge(name, about, labels, registry=registry)
            elif each.kind == "counter":
                self._counters[each.name] = Counter(name, about, labels, registry=registry)
            else:
                self._histograms[each.name] = Histogram(name, about, labels, registry=registry, buckets=each.buckets)

    def gauge(self, name: str) -> Gauge:
        """The gauge of that name."""
        return self._gauges[name]

    def counter(self, name: str) -> Counter:
        """The counter of that name."""
        return self._counters[name]

    def histogram(self, name: str) -> Histogram:
        """The histogram of that name."""
        return self._histograms[name]

    def forget(self, of: Owned, probe: str | None = None) -> None:
        """Drop the series of a probe that is watched no more; without one, all that are so labelled."""
        every = {**self._gauges, **self._counters, **self._histograms}
        labels = of._asdict() | ({} if probe is None else {"probe": probe})
        for each in FAMILIES:
            if each.name in every and {*labels} <= {*each.labels}:
                every[each.name].remove_by_labels(labels)


def markdown() -> str:
    """The table of docs/observability.md: ``python -m exporters.prometheus_families``; a test holds it to the code."""
    rows = ["| metric | type | labels | served by | meaning |", "|---|---|---|---|---|"]
    for each in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        of = "all" if each.of == ALL else ", ".join(each.of)
        rows.append(f"| `gameday_{each.name}` | {each.kind} | {labels} | {of} | {each.about} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())  # noqa: T201 - what the command is for
