"""Dashboards and alerts hold against Debian's real Prometheus, which scrapes a real watch and a real run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from exporters import grafana
from exporters.prometheus_families import FAMILIES
from gameday.lab import LabProcess, start
from gameday.schedule.numbers import Numbers

from .real_prometheus import MISSING, PROMTOOL, WHY, Prometheus, free_port

HERE = Path(grafana.__file__).parent
RULES = HERE / "stack" / "gameday.rules.yml"
CASES = Path(__file__).parent / "alerts" / "alerts.test.yml"
BOARDS = sorted(HERE.glob("*.json"))
GAMEDAY = str(Path(sys.executable).with_name("gameday"))
needs_prometheus = pytest.mark.skipif(MISSING, reason=WHY)
PLAYBOOK = """
playbook: live
vars: {key: alias/LiveKey}
stage:
  - uses: kms.key
    with: {alias: "${key}"}
  - uses: s3.object
    with: {bucket: gameday-live, key: clock.png, sse_kms_key: "${key}"}
  - uses: s3.object
    with: {bucket: gameday-live-plain, key: page.html}
probes:
  key-state:
    uses: kms.state
    with: {key: "${key}"}
    every: 200ms
    expect: {baseline: ok, fault: key_disabled, recovery: ok}
  read-clock:
    uses: s3.read
    with: {bucket: gameday-live, key: clock.png}
    every: 200ms
    expect: {baseline: ok, fault: key_disabled, recovery: ok}
guards:
  checkout:
    uses: s3.read
    with: {bucket: gameday-live-plain, key: page.html}
    every: 200ms
    fails: 3 of 5
faults:
  - uses: kms.disable_key
    with: {key: "${key}"}
timing: {hold: 6s, effect_within: 20s, max_fault: 40s}
blast_radius: {unexpected: fail}
"""
NO_DATA = {
    "schedule_next_due_timestamp_seconds": "gameday schedule serves it",
    "schedule_due_total": "gameday schedule serves it",
}


def panels(board: Path) -> Iterator[tuple[str, str]]:
    """Title and query of everything that a dashboard asks, its annotations among it."""
    made = json.loads(board.read_text())
    for annotation in made["annotations"]["list"]:
        yield f"{made['title']}: {annotation['name']}", annotation["expr"]
    below = [*made["panels"], *(child for row in made["panels"] for child in row.get("panels") or [])]
    for panel in below:
        for target in panel.get("targets") or []:
            yield f"{made['title']}: {panel['title']}", target["expr"]


def filled(query: str) -> str:
    """As Grafana sends it, for all playbooks on all targets."""
    for variable in ("$playbook", "$target", "$account", "$region"):
        query = query.replace(variable, ".*")
    return query.replace("$__rate_interval", "5s")


def test_the_dashboards_are_what_is_made() -> None:
    make = pytest.importorskip("exporters.grafana.make")
    assert {f"{board.uid}.json": make.build(board) for board in make.BOARDS} == {
        board.name: board.read_text() for board in BOARDS
    }, "make them with python -m exporters.grafana.make"


def test_dashboards_and_rules_ask_only_for_metrics_that_there_are() -> None:
    known = {f"gameday_{each.name}" for each in FAMILIES}
    known |= {f"gameday_{each.name}_bucket" for each in FAMILIES if each.kind == "histogram"}
    served = Numbers().registry.collect()
    known |= {family.name + ("_total" if family.type == "counter" else "") for family in served}
    asked = " ".join([RULES.read_text(), *(query for board in BOARDS for _, query in panels(board))])
    assert set(re.findall(r"\bgameday_\w+", re.sub(r"annotations:.*?(?=- alert|$)", "", asked, flags=re.S))) <= known
    recorded = {
        rule["record"]
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    assert set(re.findall(r"\bgameday:\w+:\w+", asked)) == recorded


@needs_prometheus
def test_every_alert_fires_and_resolves(tmp_path: Path) -> None:
    alerts = {
        r["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for r in group["rules"] if "alert" in r
    }
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    fires = {case["alertname"]: case["eval_time"] for case in cases if case["exp_alerts"]}
    last = {case["alertname"]: case for case in cases}
    assert set(fires) == alerts
    assert all(not case["exp_alerts"] for case in last.values()), "the last case of each alert is that it resolved"
    for file in (RULES, CASES):
        (tmp_path / file.name).write_text(file.read_text())
    said = subprocess.run([str(PROMTOOL), "test", "rules", CASES.name], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


@needs_prometheus
def test_what_is_written_out_is_a_configuration_that_prometheus_takes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run([GAMEDAY, "dashboards", "--output", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {board.name for board in (out / "dashboards").iterdir()} == {board.name for board in BOARDS}
    checked = subprocess.run([str(PROMTOOL), "check", "config", str(out / "prometheus.yml")], capture_output=True)
    assert checked.returncode == 0, checked.stderr
    services = yaml.safe_load((out / "compose.yaml").read_text())["services"]
    for volume in (v for service in services.values() for v in service["volumes"] if v.startswith("./")):
        assert (out / volume.split(":")[0]).exists()
    again = subprocess.run([GAMEDAY, "dashboards", "--output", str(out)], capture_output=True, text=True)
    assert again.returncode == 0
    (out / "prometheus.yml").write_text("mine")
    refused = subprocess.run([GAMEDAY, "dashboards", "--output", str(out)], capture_output=True, text=True)
    assert (refused.returncode, (out / "prometheus.yml").read_text()) == (5, "mine")
    assert "--force" in refused.stderr


@pytest.fixture(scope="module")
def lab() -> Iterator[LabProcess]:
    with start("instant") as running:
        yield running


def key_of(lab: LabProcess) -> tuple[Any, str]:
    """A client of the test's own, and the key."""
    who = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    kms = boto3.client("kms", endpoint_url=lab.url, **who)
    return kms, kms.describe_key(KeyId="alias/LiveKey")["KeyMetadata"]["Arn"]


@needs_prometheus
@pytest.mark.timeout(180)
def test_every_panel_has_data_and_an_alert_fires_and_resolves_live(lab: LabProcess, tmp_path: Path) -> None:
    playbook, journal, watched, served = tmp_path / "live.yaml", tmp_path / "journal.db", free_port(), free_port()
    playbook.write_text(PLAYBOOK)
    words = [str(playbook), f"--target=lab={lab.url}", f"--journal={journal}"]
    rules = re.sub(r"for: \d+[smh]", "for: 1s", RULES.read_text())
    watch = subprocess.Popen([GAMEDAY, "watch", *words, f"--metrics-port={watched}"], stderr=subprocess.DEVNULL)
    prometheus = Prometheus(tmp_path, {"gameday-watch": watched, "gameday-run": served}, rules)
    try:
        ask = lambda query: prometheus.ask("query", query=query)["result"]  # noqa: E731
        firing = lambda: {each["metric"]["alertname"] for each in ask('ALERTS{alertstate="firing"}')}  # noqa: E731
        prometheus.until(lambda: ask('gameday_probe_success{phase="watch"} == 1'))
        begun = time.time()
        run = subprocess.Popen([GAMEDAY, "run", *words, f"--metrics-port={served}"], stdout=subprocess.DEVNULL)
        prometheus.until(lambda: ask('gameday_fault_active{job="gameday-run"} == 1'))
        prometheus.until(lambda: ask('gameday_fault_active{job="gameday-watch"} == 1'))
        assert "GamedayProbeFailing" not in firing(), "a game day is no failing probe"
        assert run.wait(60) == 0

        # Somebody disables the key between game days.
        kms, key = key_of(lab)
        kms.disable_key(KeyId=key)
        prometheus.until(lambda: "GamedayProbeFailing" in firing())
        kms.enable_key(KeyId=key)
        prometheus.until(lambda: "GamedayProbeFailing" not in firing())
        assert not any(rule.get("lastError") for g in prometheus.ask("rules")["groups"] for rule in g["rules"])

        ended = {"start": str(begun - 5), "end": str(time.time()), "step": "1"}
        empty = [
            f"{title}: {query}"
            for board in BOARDS
            for title, query in panels(board)
            if not prometheus.ask("query_range", query=filled(query), **ended)["result"]
            and not any(name in query for name in NO_DATA)
        ]
        assert empty == []
        exemplars = prometheus.ask(
            "query_exemplars", query="gameday_run_verdicts_total", start=ended["start"], end=ended["end"]
        )
        assert re.fullmatch(r"[0-9a-f]{8}", exemplars[0]["exemplars"][0]["labels"]["run"])
    finally:
        prometheus.stop()
        watch.terminate()
        watch.wait(20)
