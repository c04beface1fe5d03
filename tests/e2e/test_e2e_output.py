"""What comes out: lines, JSON, colours, metrics; and readers that leave."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
import urllib.request
from contextlib import suppress

import pytest
from e2e_run import GAMEDAY, PATIENCE
from e2e_scene import Scene, variables

from tests.processes import eventually

pytestmark = pytest.mark.timeout(60)
COLOUR = re.compile(r"\x1b\[[0-9;]*[349][0-7](;[0-9;]*)?m")


def words(scene: Scene, *more: str, **playbook: object) -> list[str]:
    world = scene.world()
    path = str(scene.playbook(world, **playbook))
    return [*GAMEDAY, "run", path, "--target", f"lab={scene.lab.url}", *variables(world), *more]


@pytest.mark.parametrize("json", [[], ["--json"]], ids=["plain", "json"])
def test_a_reader_that_leaves_after_one_line_does_not_disturb_the_run(scene: Scene, json: list[str]) -> None:
    with subprocess.Popen(
        words(scene, *json), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=scene.env, cwd=scene.place
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
    assert scene.worlds[0].disables() == 1
    scene.assert_restored()


def test_every_line_of_json_is_an_event_of_one_chain_and_people_read_stderr(scene: Scene) -> None:
    run = scene.start(scene.world())
    scene.ends(run, 0, "passed")
    assert len(run.sealed()) == len(run.lines)
    assert {event["kind"] for event in run.events} >= {"run_started", "run_prepared", "step_closed", "run_finished"}
    assert "PASSED" in run.errors
    assert "\x1b" not in run.errors


def test_plain_lines_name_the_verdict_and_the_times(scene: Scene) -> None:
    done = subprocess.run(
        words(scene), env=scene.env, cwd=scene.place, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    for word in ("PASSED", "to effect", "to recover", "read-clock", str(scene.journal)):
        assert word in done.stdout


@pytest.mark.parametrize("no_color", [False, True], ids=["colour", "NO_COLOR"])
def test_a_terminal_gets_a_picture_and_no_colour_where_none_is_wanted(scene: Scene, no_color: bool) -> None:
    ours, theirs = pty.openpty()
    env = {k: v for k, v in scene.env.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"} | ({"NO_COLOR": "1"} if no_color else {})
    seen: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(ours, 65536):
                seen.append(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with subprocess.Popen(
        words(scene, timing={"hold": "500ms"}), stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=scene.place
    ) as process:
        os.close(theirs)
        assert process.wait(PATIENCE) == 0
    reader.join(PATIENCE)
    os.close(ours)
    text = b"".join(seen).decode()
    assert "PASSED" in text
    assert bool(COLOUR.search(text)) is not no_color
    scene.assert_restored()


def test_metrics_are_served_during_the_fault_and_left_as_a_textfile(scene: Scene) -> None:
    gate = scene.gate(open_=True)
    left = scene.place / "gameday.prom"
    run = scene.start(scene.world(), "--metrics-port", "0", "--metrics-textfile", str(left), gate=gate)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+/metrics", run.errors)

    def served(sample: str) -> bool:
        """Each listener has a thread of its own: what the JSON lines say already, the metrics say soon."""
        page = urllib.request.urlopen(url, timeout=10).read().decode()
        return re.search(f"^{sample}$", page, re.M) is not None

    eventually(lambda: served(r'gameday_fault_active\{.*playbook="killswitch".*target="lab"\} 1\.0'), "the fault")
    eventually(lambda: served(r'gameday_probe_success\{.*probe="read-clock".*\} 0\.0'), "the probe that fails")
    gate.end_fault()
    run.wait("phase_entered", phase="recovery")
    gate.end_recovery()
    scene.ends(run, 0, "passed")
    text = left.read_text()
    assert re.search(r'^gameday_fault_active\{.*playbook="killswitch".*target="lab"\} 0\.0$', text, re.M)
    assert re.search(r'^gameday_run_verdicts_total\{.*verdict="passed".*\} 1\.0$', text, re.M)
    scene.assert_restored()


def test_every_change_is_told_with_the_request_id_that_cloudtrail_has(scene: Scene) -> None:
    run = scene.start(scene.world())
    scene.ends(run, 0, "passed")
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "DisableKey"}]
    trail = scene.aws.cloudtrail.lookup_events(LookupAttributes=wanted)["Events"]
    (injected,) = run.of("step_injected")
    assert injected["request_id"] in {re.findall(r'"requestID": ?"([^"]+)"', e["CloudTrailEvent"])[0] for e in trail}
    assert all(event["request_id"] for event in run.of("undo_tried"))
