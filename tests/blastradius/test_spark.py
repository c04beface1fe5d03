"""A real Spark: one master and two workers on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gameday.aws.session import Session
from gameday.blastradius import Embedded, FolderSource, KeyName, Question, Spark, Watch, Window
from gameday.blastradius.lookup import Lookup, Pace
from gameday.cli.blast_radius_draw import as_json
from gameday.errors import Refused
from gameday.lab import LabControl
from tests.blastradius.corpus import lay_out, told
from tests.blastradius.shapes import KEY, QUESTION, put_text
from tests.blastradius.test_one_corpus import BUCKET, trail_of_the_lab

GAMEDAY = str(Path(sys.executable).parent / "gameday")

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(not os.environ.get("GAMEDAY_SPARK"), reason="a cluster of its own: set GAMEDAY_SPARK=1"),
]
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Five Java machines that live for seconds: half of the processor's time went into compiling what runs once."""
SETTINGS = f"""\
spark.sql.shuffle.partitions 2
spark.driver.memory 600m
spark.driver.extraJavaOptions {QUICK}
spark.executor.extraJavaOptions {QUICK}
"""
"""What whoever runs a cluster sets for it: 200 partitions (the default) are 200 tasks for six files."""


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("spark")
    (folder / "spark-defaults.conf").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch, cluster(folder) as url:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")  # else the driver serves on the machine's own address
        patch.setenv("SPARK_CONF_DIR", str(folder))
        yield url


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    import pyspark

    home = Path(pyspark.__file__).parent
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    env = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": str(home)}
    env |= {"SPARK_WORKER_DIR": str(folder), "SPARK_LOCAL_DIRS": str(folder), "SPARK_DAEMON_JAVA_OPTS": QUICK}
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: str) -> None:
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
        command += ["--host", "127.0.0.1", "--webui-port", "0", *arguments]
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True))

    def await_(process: subprocess.Popen[str], ready: str) -> None:
        assert process.stderr
        said = []
        for line in process.stderr:
            said.append(line)
            if re.search(ready, line):
                threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
                return
        pytest.fail("".join(said[-20:]))

    url = f"spark://127.0.0.1:{port}"
    try:
        start("master.Master", "--port", str(port))
        for _ in range(2):  # at once: they ask again until the master answers
            start("worker.Worker", "--cores", "1", "--memory", "1200m", url)
        for process, ready in zip(
            started, ("I have been elected leader", *2 * ["Successfully registered"]), strict=True
        ):
            await_(process, ready)
        yield url
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_cluster_gives_the_same_answer_and_counts_what_it_could_not_read(master: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    good = next(tmp_path.rglob("*_3.json.gz"))
    expected = Embedded(FolderSource(tmp_path)).ask(QUESTION)
    good.with_name(good.name.replace("_3.", "_cut.")).write_bytes(good.read_bytes()[:-30])
    put_text(tmp_path, '{"configurationItems": []}', name="AWSLogs/other.json.gz")
    # As a URL: then Hadoop lists, as it does for s3a.
    answer = Spark(master, tmp_path.as_uri()).ask(Question(KEY, QUESTION.window, detail=True), Watch())
    assert told(answer) == told(expected)
    assert len(answer.uses) == expected.totals.uses + expected.totals.own + expected.totals.management
    assert answer.coverage.skipped == {"broken gzip or empty": 1, "no log file": 1}
    assert (answer.coverage.files, answer.coverage.read_files) == (7, 5)
    assert answer.coverage.accounts == expected.coverage.accounts
    assert answer.coverage.excluded == expected.coverage.excluded == ("CloudTrail-Digest",)


def test_lookup_a_folder_a_bucket_and_a_cluster_answer_alike(
    master: str, aws: Session, client: Callable[..., Any], lab: LabControl, tmp_path: Path
) -> None:
    key = trail_of_the_lab(client, lab, tmp_path)
    ask = [GAMEDAY, "blast-radius", key, "--since", "1d", "--format", "json"]
    commands = {
        "folder": [*ask, "--source", str(tmp_path)],
        "bucket": [*ask, "--source", f"s3://{BUCKET}", "--target", f"lab={aws.endpoint}"],
        "spark": [*ask, "--source", "spark", "--master", master, "--logs", str(tmp_path)],
    }
    until = datetime.now(UTC) + timedelta(minutes=1)
    day = Window(until - timedelta(days=1), until)
    found = Embedded(Lookup([aws], refusals=day, pace=Pace(0.001))).ask(Question(KeyName.parse(key), day))
    shown = {way: subprocess.check_output(command, text=True) for way, command in commands.items()}
    shown["lookup"] = "".join(as_json(found, 40, "uses"))
    told_ = {way: alike(json.loads(text)) for way, text in shown.items()}
    # The refused Decrypt of S3 names no context: it is "AWS Internal", and nobody's own call.
    services = sorted(row["service"] for row in told_["folder"]["rows"])
    assert services == ["AWS Internal", "direct", "direct", "s3.amazonaws.com"]
    assert told_["folder"]["totals"]["refused"] == 2
    assert told_ == dict.fromkeys(shown, told_["folder"])


def alike(answer: dict[str, Any]) -> dict[str, Any]:
    """Without calls that only manage the key: to ask the lab is to make some."""
    totals = {name: value for name, value in answer["totals"].items() if name != "management"}
    return {"rows": answer["rows"], "own": answer["own"], "totals": totals}


def test_an_interrupted_job_is_cancelled(master: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    stopping = threading.Event()
    answer = Spark(master, str(tmp_path)).ask(QUESTION, Watch(lambda _: stopping.set(), stopping))
    assert answer.coverage.partial


def test_a_master_that_is_none_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Spark at nonsense"):
        Spark("nonsense", str(tmp_path)).ask(QUESTION, Watch())
