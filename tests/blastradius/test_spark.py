"""A real Spark: one master and two workers on loopback."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from gameday.blastradius import Embedded, FolderSource, Question, Spark, Watch
from gameday.errors import Refused
from tests.blastradius.corpus import lay_out, told
from tests.blastradius.shapes import KEY, QUESTION

pytestmark = pytest.mark.timeout(400)
SETTINGS = """\
spark.sql.shuffle.partitions 2
spark.driver.memory 600m
"""
"""What whoever runs a cluster sets for it: 200 partitions (the default) are 200 tasks for six files."""


def missing() -> str:
    if not find_spec("pyspark"):
        return "pyspark is not installed: pip install -e '.[spark]'"
    return "" if shutil.which("java") else "Spark needs java"


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if why := missing():
        pytest.skip(why)
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
    env |= {"SPARK_WORKER_DIR": str(folder), "SPARK_LOCAL_DIRS": str(folder)}
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: str, ready: str) -> None:
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
        command += ["--host", "127.0.0.1", "--webui-port", "0", *arguments]
        process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
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
        start("master.Master", "--port", str(port), ready="I have been elected leader")
        for _ in range(2):
            start("worker.Worker", "--cores", "1", "--memory", "1200m", url, ready="Successfully registered")
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
    answer = Spark(master, str(tmp_path)).ask(Question(KEY, QUESTION.window, detail=True), Watch())
    assert told(answer) == told(expected)
    assert len(answer.uses) == expected.totals.uses + expected.totals.own + expected.totals.management
    assert sum(answer.coverage.skipped.values()) == 1
    assert (answer.coverage.files, answer.coverage.read_files) == (6, 5)


def test_an_interrupted_job_is_cancelled(master: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    stopping = threading.Event()
    answer = Spark(master, str(tmp_path)).ask(QUESTION, Watch(lambda _: stopping.set(), stopping))
    assert answer.coverage.partial


def test_a_master_that_is_none_is_a_refusal(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    with pytest.raises(Refused, match="Spark at nonsense"):
        Spark("nonsense", str(tmp_path)).ask(QUESTION, Watch())
