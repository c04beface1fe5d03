"""``gameday watch`` as it is run: a process, a lab, signals and scrapes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_rig import ACCOUNT
from prometheus_client.parser import text_string_to_metric_families

from gameday.lab import LabControl
from gameday.stages.s3_object import S3Object

PLAYBOOK = """
playbook: watched
vars: {key: alias/MyKMSKey}
probes:
  key-state:
    uses: kms.state
    with: {key: "${key}"}
    every: 200ms
    expect: {baseline: ok, fault: key_disabled}
  read-clock:
    uses: s3.read
    with: {bucket: gameday-clock, key: clock.png}
    every: 200ms
    timeout: 1s
    expect: {baseline: ok, fault: key_disabled}
  boots:
    uses: ec2.boot
    with: {instance: LabInstance}
    once: per phase
    expect: {baseline: ok}
faults:
  - uses: kms.disable_key
    with: {key: "${key}"}
"""
GAMEDAY = [str(Path(sys.executable).with_name("gameday"))]


WHERE = {"target": "lab", "account": ACCOUNT, "region": "us-east-1"}


def _values(labels: dict[str, str]) -> list[str]:
    """What a series says beside where it is from, which every one says."""
    assert labels.items() >= WHERE.items(), labels
    return [value for name, value in sorted(labels.items()) if name not in WHERE]


class Watching:
    """A ``gameday watch`` that runs."""

    def __init__(self, lab: LabControl, folder: Path) -> None:
        self.playbook = folder / "watched.yaml"
        self.playbook.write_text(PLAYBOOK)
        self.journal = folder / "journal.db"
        self.words = [*GAMEDAY, "watch", str(self.playbook), "--target", f"lab={lab.url}"]
        self.words += ["--journal", str(self.journal), "--metrics-port", "0"]
        self.process = subprocess.Popen(self.words, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said: list[str] = []
        self.url = re.findall(r"http://\S+/metrics", self.hear("metrics on"))[0]

    def hear(self, words: str) -> str:
        """The next line with these words in it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}: {self.said}")

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            text = answer.read().decode()
        return {
            sample.name.removeprefix("gameday_")
            + "".join(f" {value}" for value in _values(sample.labels)): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def until(self, name: str, fits: Callable[[float], bool], seconds: float = 15) -> None:
        end, seen = time.monotonic() + seconds, None
        while time.monotonic() < end:
            seen = self.metrics().get(name)
            if seen is not None and fits(seen):
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} stayed {seen}")


@pytest.fixture
def watching(lab: LabControl, clock: S3Object, tmp_path: Path) -> Iterator[Watching]:
    made = Watching(lab, tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()


def test_a_key_is_watched_between_game_days(
    watching: Watching, lab: LabControl, key: str, client: Callable[[str], Any]
) -> None:
    watching.until("probe_success watch watched read-clock", lambda value: value == 1)
    assert not any("boots" in name for name in watching.metrics())
    assert not any("arn:" in name for name in watching.metrics())

    # Somebody disables the key: both probes see it, with its cause, and the steady state does not hold.
    client("kms").disable_key(KeyId=key)
    watching.until("probe_success watch watched read-clock", lambda value: value == 0)
    watching.until("key_state watched key-state disabled", lambda value: value == 1)
    watching.until("probe_expected watched read-clock", lambda value: value == 0)
    assert watching.metrics()["probe_observations_total key_disabled watch watched read-clock"] >= 1
    client("kms").enable_key(KeyId=key)
    watching.until("probe_expected watched read-clock", lambda value: value == 1)

    # S3 hangs for one probe; the other keeps its pace.
    lab.trouble("hang", service="s3", operation="GetObject", seconds=20, times=50)
    watching.until("probe_observations_total unreachable watch watched read-clock", lambda value: value >= 2)
    before = watching.metrics()["probe_observations_total ok watch watched key-state"]
    watching.until("probe_observations_total ok watch watched key-state", lambda value: value >= before + 5, 3)
    lab.clear_trouble()

    # A broken playbook is reported, and what was watched stays.
    watching.playbook.write_text(PLAYBOOK.replace("every: 200ms", "evry: 200ms"))
    watching.process.send_signal(signal.SIGHUP)
    watching.hear("are watched as they were")
    assert "evry" in watching.hear("evry")
    watching.until("watch_config_last_reload_successful", lambda value: value == 0)
    assert watching.metrics()["watch_probes"] == 2

    # A good one takes its place: one probe has another name, and its old series are gone.
    watching.playbook.write_text(PLAYBOOK.replace("read-clock", "read-again"))
    watching.process.send_signal(signal.SIGHUP)
    watching.hear("read again: 2 probes")
    watching.until("probe_success watch watched read-again", lambda value: value == 1)
    assert not any("read-clock" in name for name in watching.metrics())
    assert watching.metrics()["watch_config_last_reload_successful"] == 1

    watching.process.send_signal(signal.SIGTERM)
    assert watching.process.wait(10) == 0


def test_a_run_on_the_same_journal_is_seen_whether_it_ends_or_dies(
    watching: Watching, lab: LabControl, key: str, client: Callable[[str], Any], tmp_path: Path
) -> None:
    book = tmp_path / "run.yaml"
    passing = PLAYBOOK.replace("playbook: watched", "playbook: quick").replace("    every: 200ms", "    every: 50ms")
    book.write_text(passing[: passing.index("  boots:")] + passing[passing.index("faults:") :])
    run = [*GAMEDAY, "run", str(book), "--target", f"lab={lab.url}", "--journal", str(watching.journal)]
    ended = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    watching.until("run_last_verdict quick passed", lambda value: value == 1)
    metrics = watching.metrics()
    assert metrics["run_verdicts_total quick passed"] == 1
    assert metrics["time_to_effect_seconds by quick read-clock"] > 0
    assert metrics["undo_steps_open quick"] == 0

    book.write_text(book.read_text() + "timing: {hold: 60s, max_fault: 2m}\n")
    dying = subprocess.Popen(run, stdout=subprocess.DEVNULL)
    watching.until("fault_active quick", lambda value: value == 1)
    watching.until("probe_observations_total key_disabled fault quick read-clock", lambda value: value >= 8)
    dying.kill()
    dying.wait()
    watching.until("run_phase fault quick", lambda value: value == 0)
    if watching.metrics()["fault_active quick"]:  # without a watchdog
        assert 0 < time.time() - watching.metrics()["undo_steps_oldest_timestamp_seconds quick"] < 60
        back = [*GAMEDAY, "rollback", "--all", "--journal", str(watching.journal)]
        assert subprocess.run(back, capture_output=True, timeout=60).returncode == 0
    watching.until("undo_steps_open quick", lambda value: value == 0)
    watching.until("fault_active quick", lambda value: value == 0)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["audit-trail.yaml", "--target", "lab=http://127.0.0.1:1"], 5, "does not answer"),
        (["nothing.yaml"], 2, "nothing.yaml"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_a_sentence(words: list[str], code: int, why: str, tmp_path: Path) -> None:
    env = {**os.environ, "GAMEDAY_JOURNAL": str(tmp_path / "j.db")}
    ended = subprocess.run([*GAMEDAY, "watch", *words], capture_output=True, text=True, timeout=60, env=env)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert why in ended.stderr
