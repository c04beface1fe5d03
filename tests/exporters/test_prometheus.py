"""What is exported is what is documented, and the other way round."""

from __future__ import annotations

import re
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporters.prometheus import Metrics
from gameday.errors import Refused
from gameday.sdk import Phase, RunStarted, Sealed, StepIntended, seal

from .recorded import RUNS, Recorder, aborted, incomplete, passed

DOCS = Path(__file__).parents[2] / "docs" / "observability.md"


def exported(metrics: Metrics) -> dict[str, tuple[str, frozenset[str]]]:
    """Each metric as a scraper sees it: its type and labels."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, frozenset(labels))
    return found


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    rows = re.findall(r"^\| `(gameday_\w+)` \| (\w+) \| ([^|]*) \|", DOCS.read_text(), re.MULTILINE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def of(*runs: list[Sealed]) -> Metrics:
    metrics = Metrics()
    for events in runs:
        for sealed in events:
            metrics.consume(sealed)
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"gameday_{name}", {"playbook": "killswitch", **labels})


def samples(metrics: Metrics) -> list[Sample]:
    text = generate_latest(metrics.registry).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def test_each_documented_metric_is_exported_and_each_exported_one_documented() -> None:
    assert exported(of(*(make() for make in RUNS.values()), passed())) == documented()


def test_names_and_labels_follow_the_conventions_and_nothing_grows_without_end() -> None:
    for sample in samples(of(*(make() for make in RUNS.values()))):
        assert re.fullmatch(r"gameday_[a-z_]+", sample.name)
        for text in sample.labels.values():
            assert "arn:" not in text
            assert "7f3a9c12" not in text
            assert len(text) < 40


def test_a_passing_run() -> None:
    metrics = of(passed())
    assert value(metrics, "probe_success", probe="read-clock", phase="fault") == 0
    assert value(metrics, "probe_success", probe="read-clock", phase="recovery") == 1
    assert value(metrics, "probe_observations_total", probe="read-clock", phase="fault", cause="key_disabled") == 14
    assert value(metrics, "probe_latency_seconds_bucket", probe="read-clock", phase="fault", le="0.05") == 17
    assert value(metrics, "time_to_effect_seconds", probe="read-clock", bound="after") == 3.1
    assert value(metrics, "time_to_recover_seconds", probe="boot-instance", bound="by") == 38.4
    assert value(metrics, "key_state", probe="key-state", state="enabled") == 1
    assert value(metrics, "key_state", probe="key-state", state="disabled") == 0
    assert value(metrics, "run_verdicts_total", verdict="passed") == 1
    assert value(metrics, "run_verdicts_total", verdict="failed") == 0
    assert value(metrics, "rollbacks_total", outcome="complete") == 1
    assert value(metrics, "rollback_failures_total") == 0
    assert value(metrics, "fault_active") == 0
    assert value(metrics, "undo_steps_open") == 0
    assert value(metrics, "leaks_total", probe="read-clock") == 0
    assert value(metrics, "run_last_finished_timestamp_seconds") == pytest.approx(1772532138.5)
    assert {value(metrics, "run_phase", phase=phase.value) for phase in Phase} == {0}


def test_a_guard_has_no_time_to_effect() -> None:
    assert value(of(aborted()), "time_to_effect_seconds", probe="checkout", bound="by") is None


def test_the_fault_is_active_while_it_may_be_in_place() -> None:
    metrics, seen = Metrics(), []
    for sealed in passed():
        metrics.consume(sealed)
        seen.append((sealed.event.kind, value(metrics, "fault_active"), value(metrics, "run_phase", phase="fault")))
    assert ("step_intended", 1, 1) in seen
    assert ("step_closed", 0, 0) in seen
    assert seen[-1][1] == 0


def test_what_an_earlier_run_left_open_is_not_hidden_by_the_next() -> None:
    second = [event.event for event in passed()]
    previous, other = "", []
    for number, event in enumerate(second):
        renamed = event.model_copy(update={"run": "other"}) if isinstance(event, RunStarted) else event
        other.append(seal("other", number, "2026-03-10T10:00:00+00:00", previous, renamed))
        previous = other[-1].hash
    metrics = of(incomplete(), other)
    assert value(metrics, "fault_active") == 1
    assert value(metrics, "undo_steps_open") == 2
    assert value(metrics, "run_last_verdict", verdict="passed") == 1


def test_times_of_the_last_run_do_not_stand_for_the_next() -> None:
    run = Recorder()
    run.prepare()
    metrics = of(passed(), run.events)
    assert value(metrics, "time_to_effect_seconds", probe="read-clock", bound="by") is None


def test_it_serves_what_it_holds_on_any_free_port() -> None:
    metrics = of(passed())
    port = metrics.serve(0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    metrics.close()
    assert 'gameday_run_verdicts_total{playbook="killswitch",verdict="passed"} 1.0' in text
    assert "_created" not in text
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_taken_port_is_refused_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"port {port}: Address already in use; choose another --metrics-port"):
            Metrics().serve(port)


@pytest.mark.parametrize(("port", "addr"), [(70000, "127.0.0.1"), (0, "no.such.host.invalid")])
def test_an_address_that_cannot_be_served_is_refused(port: int, addr: str) -> None:
    with pytest.raises(Refused, match="metrics cannot be served"):
        Metrics().serve(port, addr)


def test_the_textfile_is_there_in_the_fault_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "gameday.prom"
    metrics = Metrics(textfile=path)
    for sealed in passed():
        metrics.consume(sealed)
        if isinstance(sealed.event, StepIntended) and sealed.event.step == "key":
            assert 'gameday_run_phase{phase="fault",playbook="killswitch"} 1.0' in path.read_text()
    metrics.close()
    assert "gameday_run_last_finished_timestamp_seconds" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]
    assert list(text_string_to_metric_families(path.read_text()))


@pytest.mark.parametrize(
    ("name", "why"), [("gameday.txt", "must end in .prom"), ("none/g.prom", "there is no directory")]
)
def test_a_textfile_that_would_not_be_read_is_refused_at_once(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        Metrics(textfile=tmp_path / name)
