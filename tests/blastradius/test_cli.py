"""``gameday blast-radius`` from outside: no AWS at all, every form harmless, Ctrl-C gives what was found."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.blastradius.shapes import ARN, made, put

GAMEDAY = str(Path(sys.executable).parent / "gameday")
NO_AWS = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_CONFIG_FILE": "/nonexistent", "COLUMNS": "140"}
EVIL = "\x1b]0;owned\x07\x1b[31m<script>alert(1)</script>\x9b\u202e=cmd()"


def gameday(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [GAMEDAY, "blast-radius", *arguments, "--since", "2026-11-01", "--until", "2026-11-30"]
    return subprocess.run(command, capture_output=True, text=True, env=NO_AWS, timeout=60)


@pytest.mark.parametrize("form", ["table", "json", "csv", "mermaid"])
def test_each_form_shows_what_came_from_logs_harmlessly(form: str, tmp_path: Path) -> None:
    put(
        tmp_path, made(requestParameters={"encryptionContext": {"aws:s3:arn": EVIL}}), made(eventID="2", userAgent=EVIL)
    )
    shown = gameday(ARN, "--source", str(tmp_path), "--format", form)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert not [sign for sign in "\x1b\x07\x9b\u202e" if sign in shown.stdout]
    if form == "json":
        told = json.loads(shown.stdout)
        assert {"key", "window", "rows", "totals", "coverage"} <= told.keys()
        assert told["totals"]["uses"] == 2
    if form == "csv":
        assert {row["uses"] for row in csv.DictReader(io.StringIO(shown.stdout))} == {"1"}
    if form == "mermaid":
        assert "<script>" not in shown.stdout


def test_what_was_logged_in_this_second_is_read(tmp_path: Path) -> None:
    put(tmp_path, made(eventTime=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
    command = [GAMEDAY, "blast-radius", ARN, "--source", str(tmp_path), "--format", "json"]
    assert json.loads(subprocess.check_output(command, env=NO_AWS))["totals"]["uses"] == 1


def test_an_empty_answer_says_why_it_may_be_empty(tmp_path: Path) -> None:
    shown = gameday(ARN, "--source", str(tmp_path))
    assert "no proof that nobody depends on it" in shown.stdout
    assert "no record at all was read" in shown.stdout


def test_what_could_not_be_read_is_an_exit_code_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, made()).with_name("b.json.gz").write_bytes(b"\x1f\x8b")
    shown = gameday(ARN, "--source", str(tmp_path))
    assert shown.returncode == 4
    assert "every number is a lower bound" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["alias/MyKMSKey", "--source", "."], 5, "log files do not say which key an alias stands for"),
        (["nonsense", "--source", "."], 5, "names no KMS key"),
        ([ARN, "--source", "/nonexistent"], 5, "there is no folder or file"),
        ([ARN, "--source", "s3://bucket"], 2, "needs an AWS"),
        ([ARN, "--source", ""], 2, "--source is empty"),
        ([ARN[:-1], "--source", "."], 5, "one may be missing"),
        ([ARN, "--source", ".", "--only-account", "prod"], 2, "12 digits"),
        ([ARN, "--source", ".", "--account", "111122223333"], 2, "--only-account"),
        ([ARN, "--source", "spark"], 2, "needs --master"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(arguments: list[str], code: int, said: str) -> None:
    shown = gameday(*arguments)
    assert (shown.returncode, said in shown.stderr, shown.stdout) == (code, True, "")


def test_ctrl_c_gives_what_was_found_marked_as_partial(tmp_path: Path) -> None:
    one = put(tmp_path, made(requestID=os.urandom(30_000).hex()))
    for number in range(3000):
        os.link(one, tmp_path / f"{number}.json.gz")
    command = [GAMEDAY, "blast-radius", ARN, "--source", str(tmp_path), "--format", "json", "--since", "2026-11-01"]
    asking = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=NO_AWS)
    children, waiting = Path(f"/proc/{asking.pid}/task"), threading.Event()
    while asking.poll() is None and not any((task / "children").read_text() for task in children.iterdir()):
        waiting.wait(0.01)
    asking.send_signal(signal.SIGINT)
    told = json.loads(asking.communicate(timeout=60)[0])
    assert asking.returncode == 3
    assert told["partial"]
    assert told["coverage"]["partial"] == "interrupted"


def table(*arguments: str, columns: int = 80) -> list[str]:
    command = [GAMEDAY, "blast-radius", *arguments, "--since", "2026-11-01", "--until", "2026-11-30"]
    shown = subprocess.run(command, capture_output=True, text=True, env=NO_AWS | {"COLUMNS": str(columns)}, timeout=60)
    return shown.stdout.splitlines()


def as_role(name: str) -> dict[str, object]:
    identity = dict(made()["userIdentity"])
    identity["arn"] = f"arn:aws:sts::111122223333:assumed-role/{name}/s"
    return identity | {"sessionContext": {}}


def test_every_principal_is_seen_at_80_columns(tmp_path: Path) -> None:
    objects = [{"encryptionContext": {"aws:s3:arn": f"arn:aws:s3:::data/part-{number:03}"}} for number in range(50)]
    many = [made(eventID=f"o{n}", requestParameters=each) for n, each in enumerate(objects)]
    names = [f"a-long-name-that-all-begin-with-{number:02}" for number in range(45)]
    put(tmp_path, *many, *(made(eventID=name, userIdentity=as_role(name)) for name in names))
    lines = table(ARN, "--source", str(tmp_path))
    assert max(len(line) for line in lines if not line.startswith("KEY")) <= 80
    assert next(line for line in lines if line.startswith("role/team/app")).split()[2:4] == ["50", "resources:"]
    text = " ".join(lines)
    assert [name for name in names if name[-2:] + " " not in text and name not in text] == []


def test_the_most_recent_come_first_where_that_is_asked_for(tmp_path: Path) -> None:
    late = made(eventID="3", eventTime="2026-11-25T00:00:00Z", userIdentity=as_role("late"))
    put(tmp_path, made(eventID="1"), made(eventID="2"), late)
    first = [table(ARN, "--source", str(tmp_path), "--sort", how)[4].split()[0] for how in ("uses", "recent")]
    assert first == ["role/team/app", "role/late"]
    assert "1 use," in " ".join(table(ARN, "--source", str(put(tmp_path / "one", made()))))


def test_a_pipeline_may_fail_where_the_key_is_used(tmp_path: Path) -> None:
    put(tmp_path, made())
    assert [gameday(ARN, "--source", str(tmp_path), *more).returncode for more in ((), ("--fail-if-used",))] == [0, 1]
    unused = ARN[:-1] + "1"
    assert gameday(unused, "--source", str(tmp_path), "--fail-if-used").returncode == 0


@pytest.mark.parametrize("form", ["csv", "mermaid"])
def test_what_has_no_room_for_it_says_on_standard_error_what_is_missing(form: str, tmp_path: Path) -> None:
    put(tmp_path, made()).with_name("b.json.gz").write_bytes(b"\x1f\x8b")
    shown = gameday(ARN, "--source", str(tmp_path), "--format", form)
    assert (shown.returncode, "every number is a lower bound" in shown.stderr) == (4, True)
