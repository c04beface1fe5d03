"""The lab as a process: its URL, its owner, its port, its knobs, and how light its import is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gameday.lab import LabControl, LabError, describe, start

from .conftest import until


def alive(pid):
    try:
        with Path(f"/proc/{pid}/stat").open() as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_says_who_it_is(process, lab):
    assert lab.health() == {
        "ok": True,
        "account": process.account,
        "region": process.region,
        "preset": "instant",
        "version": "1",
    }
    assert process.url.startswith("http://127.0.0.1:")


def test_knobs_and_preset_at_start_and_ctrl_c_does_not_end_it():
    with start("brisk", boot_seconds=7, enforce_key=False) as running:
        knobs = running.control.knobs()
        assert (knobs["boot_seconds"], knobs["enforce_key"], knobs["kms_propagation"]) == (7.0, False, 1.5)
        assert running.control.health()["preset"] == "brisk"
        os.kill(running.pid, signal.SIGINT)
        os.kill(running.pid, signal.SIGHUP)
        assert running.control.health()["ok"]
        assert os.getsid(running.pid) == running.pid
        duplicate = os.dup(running.owner_pipe)
        running._process.stdin.close()
        assert running.control.health()["ok"]
        os.close(duplicate)
        until(lambda: running._process.poll() is not None)
        running.stop()


def test_a_killed_owner_leaves_no_lab():
    script = "import time; from gameday.lab import start; lab = start(); print(lab.pid, flush=True); time.sleep(60)"
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(owner.stdout.readline())
    assert alive(pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: not alive(pid))


def test_a_taken_port_gets_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LabError, match=f"^port {port} on 127.0.0.1 is taken"):
            start(port=port)
        command = [sys.executable, "-m", "gameday.lab", "--port", str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 5
    assert ended.stderr.count("\n") == 1


def test_wrong_presets_and_knobs_get_one_sentence():
    with pytest.raises(LabError, match="no knob 'bot_seconds'"):
        start(bot_seconds=3)
    with pytest.raises(LabError, match="invalid choice"):
        start("fast")


def test_nobody_answers():
    with pytest.raises(LabError, match="no lab answers at"):
        LabControl("http://127.0.0.1:9").health()


def test_importing_the_package_loads_neither_moto_nor_flask():
    script = "import sys, gameday.lab; print({'moto', 'flask', 'boto3', 'werkzeug'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_everything_it_does_has_a_standing():
    standings = {"recorded", "documented", "observed", "inferred", "invented", "not enforced"}
    assert {found["standing"] for found in describe()} <= standings
    assert len(describe()) > 30


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"Origin": "http://127.0.0.1:8000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost.evil.example:80"}, 403),
    ],
)
def test_no_web_page_reaches_the_control_path(lab: LabControl, headers: dict[str, str], status: int) -> None:
    lab.knobs(boot_seconds=7)
    request = Request(f"{lab.url}/_lab/reset", data=b"{}", headers={"Content-Type": "text/plain", **headers})
    try:
        with urlopen(request, timeout=10) as answer:
            assert answer.status == status
    except HTTPError as refusal:
        assert refusal.code == status
