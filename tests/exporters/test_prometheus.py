"""What is exported is what is documented, and the other way round."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporters.prometheus import Metrics
from exporters.prometheus_families import Owned, Place, markdown
from exporters.prometheus_push import Push
from gameday.errors import Refused
from gameday.sdk import (
    AnyEvent,
    Cause,
    Observation,
    Phase,
    PhaseEntered,
    RunFinished,
    RunPrepared,
    RunStarted,
    Sealed,
    StepIntended,
    Verdict,
    WatchdogArmed,
    WatchdogLost,
    seal,
)

from .recorded import RUNS, Recorder, aborted, incomplete, passed, surprised

PROMTOOL = shutil.which("promtool")
DOCS = Path(__file__).parents[2] / "docs" / "observability.md"


def exported(metrics: Metrics) -> dict[str, tuple[str, frozenset[str]]]:
    """Each metric as a scraper sees it: its type and labels."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if family.samples:
            found[name] = (family.type, frozenset(labels))
    return found


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    rows = re.findall(r"^\| `(gameday_\w+)` \| (\w+) \| ([^|]*) \|", DOCS.read_text(), re.MULTILINE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def of(*runs: list[Sealed]) -> Metrics:
    metrics = Metrics(place=Place(**LAB))
    for events in runs:
        for sealed in events:
            metrics.consume(sealed)
    return metrics


LAB = {"target": "lab", "account": "123456789012", "region": "us-east-1"}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"gameday_{name}", {"playbook": "killswitch", **LAB, **labels})


def samples(metrics: Metrics) -> list[Sample]:
    text = generate_latest(metrics.registry).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def watch() -> Metrics:
    metrics = Metrics(source="watch", version="0.1.0", place=Place(**LAB))
    metrics.introduce("killswitch", "key-state", "kms.state", "arn:aws:iam::123456789012:role/path/app")
    metrics.look("killswitch", "key-state", "kms.state", Observation(cause=Cause.KEY_DISABLED, latency=0.02), False)
    metrics.late(0.003)
    metrics.skipped("killswitch", "key-state")
    metrics.watching(1, 16)
    metrics.reloaded(True)
    metrics.journal(up=True)
    return metrics


def test_each_documented_metric_is_exported_and_each_exported_one_documented() -> None:
    seen = {**exported(of(*(make() for make in RUNS.values()), passed(), surprised())), **exported(watch())}
    assert seen == documented()


def test_the_table_is_made_from_the_code() -> None:
    assert markdown() in DOCS.read_text(), "make it with python -m exporters.prometheus_families"


@pytest.mark.skipif(PROMTOOL is None and not os.environ.get("CI"), reason="promtool is not on PATH")
@pytest.mark.parametrize("make", [lambda: of(*(make() for make in RUNS.values())), watch])
def test_promtool_has_nothing_to_say(make: Callable[[], Metrics]) -> None:
    text = generate_latest(make().registry)
    said = subprocess.run([str(PROMTOOL), "check", "metrics"], input=text, capture_output=True)
    assert (said.returncode, said.stdout + said.stderr) == (0, b"")


def test_a_watch_forgets_a_probe_that_is_gone() -> None:
    metrics = watch()
    assert value(metrics, "probe_success", probe="key-state", phase="watch") == 0
    assert value(metrics, "key_state", probe="key-state", state="disabled") == 1
    assert value(metrics, "probe_info", probe="key-state", uses="kms.state", role="app") == 1
    metrics.forget("killswitch", "key-state")
    assert "key-state" not in generate_latest(metrics.registry).decode()


def test_the_run_stands_on_exemplars_which_only_openmetrics_carries() -> None:
    metrics = of(passed())
    port = metrics.serve(0)
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(urllib.request.Request(url, headers=accept), timeout=5) as answer:
        text = answer.read().decode()
    with urllib.request.urlopen(url, timeout=5) as answer:
        classic = answer.read().decode()
    metrics.close()
    assert '# {run="7f3a9c12"}' in text
    assert "7f3a9c12" not in classic
    families = {family.name: family for family in openmetrics(text)}
    counted = families["gameday_run_verdicts"].samples
    assert [s.exemplar.labels for s in counted if s.exemplar] == [{"run": "7f3a9c12"}]


def test_a_fault_has_a_beginning_and_steps_have_an_age_while_they_are_open() -> None:
    metrics, began, oldest = Metrics(place=Place(**LAB)), set(), set()
    for sealed in passed():
        metrics.consume(sealed)
        if value(metrics, "fault_active"):
            began.add(value(metrics, "fault_started_timestamp_seconds"))
            oldest.add(value(metrics, "undo_steps_oldest_timestamp_seconds"))
    assert all(1772532000 < at < 1772532140 for at in began | oldest)
    assert value(metrics, "fault_started_timestamp_seconds") == 0
    assert value(metrics, "undo_steps_oldest_timestamp_seconds") == 0


class Gateway(BaseHTTPRequestHandler):
    """Remembers what is pushed; its server says how it behaves."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, self.headers.get("authorization"), body.decode()))
        if self.server.hangs:
            self.server.over.wait(20)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def gateway() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.got, server.hangs, server.status, server.over = [], False, 202, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def test_metrics_are_pushed_at_each_phase_with_credentials_that_nobody_reads(gateway: ThreadingHTTPServer) -> None:
    said: list[str] = []
    url = f"http://me:s%40cret@127.0.0.1:{gateway.server_port}"
    metrics = Metrics(push=Push(url, said.append), place=Place(**LAB))
    for sealed in passed():
        metrics.consume(sealed)
    metrics.close()
    assert len(gateway.got) == sum(isinstance(e.event, PhaseEntered | RunFinished) for e in passed())
    path, authorization, body = gateway.got[-1]
    assert path == "/metrics/job/gameday/account/123456789012/playbook/killswitch/region/us-east-1/target/lab"
    assert base64.b64decode(authorization.split()[1]) == b"me:s@cret"
    assert "gameday_run_last_finished_timestamp_seconds" in body
    gateway.status = 500
    Push(url, said.append).push(metrics.registry, Owned("p"))
    Push("http://me:s%40cret@127.0.0.1:1/?token=s%40cret", said.append).push(metrics.registry, Owned("p"))
    assert len(said) == 2
    assert all("could not be pushed to http://127.0.0.1" in text for text in said)
    assert not any("s@cret" in text or "s%40cret" in text for text in said)


def test_a_gateway_that_hangs_is_left_behind(gateway: ThreadingHTTPServer) -> None:
    gateway.hangs, said = True, []
    push = Push(f"http://127.0.0.1:{gateway.server_port}", said.append)
    begun = time.monotonic()
    push.push(Metrics(version="1").registry, Owned("p"))
    assert time.monotonic() - begun < 2
    assert len(said) == 1


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://", "http://user:pw@"])
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Refused, match="is no address of a Pushgateway") as error:
        Push(url, print)
    assert "pw" not in str(error.value)


def test_names_and_labels_follow_the_conventions_and_nothing_grows_without_end() -> None:
    for sample in samples(of(*(make() for make in RUNS.values()))):
        assert re.fullmatch(r"gameday_[a-z_]+", sample.name)
        for text in sample.labels.values():
            assert "arn:" not in text
            assert "7f3a9c12" not in text
            assert len(text) < 40


def at(target: str) -> list[Sealed]:
    """The same run on another target."""
    run, previous = [], ""
    for number, event in enumerate(sealed.event for sealed in surprised()):
        if isinstance(event, RunPrepared):
            event = event.model_copy(update={"target": event.target.model_copy(update={"name": target})})
        if isinstance(event, RunStarted):
            event = event.model_copy(update={"run": target})
        run.append(seal(target, number, "2026-03-10T10:00:00+00:00", previous, event))
        previous = run[-1].hash
    return run


def series(*runs: list[Sealed]) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    return [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples(of_nowhere(*runs))]


def of_nowhere(*runs: list[Sealed]) -> Metrics:
    metrics = Metrics(version="1")
    for sealed in (sealed for run in runs for sealed in run):
        metrics.consume(sealed)
    return metrics


def test_two_targets_of_one_playbook_share_no_series_in_two_files_and_merge_in_none() -> None:
    staging, prod = series(at("staging")), series(at("prod"))
    assert not {*staging} & {*prod}
    assert {dict(labels)["target"] for _, labels in staging} == {"staging"}
    both = of_nowhere(at("staging"), at("prod"))
    for target in ("staging", "prod"):
        assert value(both, "run_verdicts_total", target=target, verdict="failed") == 1
        assert value(both, "radius_predicted", target=target, of="dependents") is not None


def test_a_run_that_ends_before_it_says_its_name_has_a_playbook_all_the_same() -> None:
    done = RunFinished(at=1, verdict=Verdict.ABORTED, exit_code=3, story="SIGTERM")
    last = seal("d1", 0, "2026-03-10T10:00:00+00:00", "", done)
    ran, followed = Metrics(place=Place(**LAB), playbook="killswitch"), Metrics(source="watch")
    ran.consume(last)
    followed.meet("d1", "killswitch", Place(**LAB))
    followed.consume(last)
    for metrics in (ran, followed):
        assert value(metrics, "run_last_verdict", verdict="aborted") == 1
        assert all(sample.labels["playbook"] == "killswitch" for sample in samples(metrics))


def test_a_run_that_is_met_before_each_of_its_events_keeps_what_was_counted() -> None:
    """As whoever follows a journal meets it."""
    once, followed = Metrics(source="watch"), Metrics(source="watch")
    run = surprised()
    once.meet(run[0].run, "killswitch", Place(**LAB))
    for sealed in run:
        once.consume(sealed)
        followed.meet(sealed.run, "killswitch", Place(**LAB))
        followed.consume(sealed)
    assert value(followed, "radius_observed", fate="unexpected") == 1
    assert value(followed, "radius_refused_calls") is not None
    assert samples(followed) == samples(once)


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
    assert value(metrics, "rollbacks_total", outcome="complete", by="runner") == 1
    assert value(metrics, "rollback_failures_total") == 0
    assert value(metrics, "fault_active") == 0
    assert value(metrics, "undo_steps_open") == 0
    assert value(metrics, "leaks_total", probe="read-clock") == 0
    assert value(metrics, "run_last_finished_timestamp_seconds") == pytest.approx(1772532138.5)
    assert {value(metrics, "run_phase", phase=phase.value) for phase in Phase} == {0}


def test_a_guard_has_no_time_to_effect() -> None:
    assert value(of(aborted()), "time_to_effect_seconds", probe="checkout", bound="by") is None


def test_the_fault_is_active_while_it_may_be_in_place() -> None:
    metrics, seen = Metrics(place=Place(**LAB)), []
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


def test_the_watchdog_is_armed_until_it_is_lost_or_the_run_is_over() -> None:
    def over(*events: AnyEvent) -> list[float | None]:
        run, metrics, seen = Recorder(), Metrics(place=Place(**LAB)), []
        run.prepare()
        run.emit(*events)
        for sealed in run.events:
            metrics.consume(sealed)
            seen.append(value(metrics, "watchdog_armed"))
        return seen[-len(events) :]

    armed, lost = WatchdogArmed(at=1, pid=7), WatchdogLost(at=2, why="killed")
    done = RunFinished(at=3, verdict=Verdict.PASSED, exit_code=0, story="")
    assert over(armed, lost, done) == [1, 0, 0]
    assert over(armed, done) == [1, 0]


def test_how_late_cloudtrail_showed_it_is_of_the_last_run() -> None:
    metrics = of(surprised())
    assert value(metrics, "radius_detection_seconds", of="put_back") == 4.2
    late = value(metrics, "radius_detection_seconds", of="refused_call")
    assert late is not None and late > 0
    metrics = of(surprised(), surprised()[:2])
    assert value(metrics, "radius_detection_seconds", of="put_back") is None


def test_it_serves_what_it_holds_on_any_free_port() -> None:
    metrics = of(passed())
    port = metrics.serve(0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    metrics.close()
    where = 'account="123456789012",playbook="killswitch",region="us-east-1",target="lab"'
    assert f'gameday_run_verdicts_total{{{where},verdict="passed"}} 1.0' in text
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
            assert re.search(r'gameday_run_phase{[^}]*phase="fault",playbook="killswitch".*} 1.0', path.read_text())
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
