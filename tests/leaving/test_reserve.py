"""Under every limit of the machine's a run is refused before anything is touched, or the key is back at its end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from gameday.errors import Refused
from gameday.lab import LabProcess
from gameday.lab import start as start_lab
from gameday.rollback import reserve
from gameday.sdk import TargetFacts
from tests.processes import GAMEDAY, environment
from tests.rollback.test_rows_against_events import RUN, died

pytestmark = pytest.mark.timeout(90)
PLAYBOOK = """
playbook: k
vars: {key: alias/MyKMSKey, bucket: gameday-clock}
stage:
  - uses: kms.key
    with: {alias: "${key}"}
  - uses: s3.object
    with: {bucket: "${bucket}", key: clock.png, sse_kms_key: "${key}"}
probes:
  read-clock:
    uses: s3.read
    with: {bucket: "${bucket}", key: clock.png}
    expect: {baseline: ok, fault: key_disabled, recovery: ok}
faults:
  - {uses: kms.disable_key, with: {key: "${key}"}}
timing: {hold: 300ms, effect_within: 10s, max_fault: 20s, rollback_within: 15s, recover_within: 10s}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabProcess]:
    with start_lab("instant") as running:
        yield running


@pytest.mark.parametrize(
    ("limit", "code", "word"),
    [
        ("-v 40000", 5, "memory"),
        ("-v 200000", 5, "ulimit -v"),
        ("-v 900000", 0, "PASSED"),
        ("-n 40", 5, "ulimit -n"),
        ("-n 200", 0, "PASSED"),
        ("-f 100", 5, "ulimit -f"),
    ],
)
def test_a_run_is_refused_or_its_key_is_back(lab: LabProcess, tmp_path: Path, limit: str, code: int, word: str) -> None:
    (tmp_path / "k.yaml").write_text(PLAYBOOK)
    done = subprocess.run(
        ["bash", "-c", f'ulimit {limit}; exec "$0" run k.yaml --target lab="$1"', GAMEDAY, lab.url],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert word in said
    assert "Traceback" not in said
    kms = boto3.client(
        "kms", endpoint_url=lab.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    states = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in kms.list_keys()["Keys"]]
    assert set(states) <= {"Enabled"}


@pytest.mark.parametrize("limit", [200_000, 250_000])  # of 250,000, glibc's second arena leaves too little for stacks
def test_a_rollback_puts_the_key_back_in_little_memory(lab: LabProcess, tmp_path: Path, limit: int) -> None:
    kms = boto3.client(
        "kms", endpoint_url=lab.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    account, region = key.split(":")[4], key.split(":")[3]
    died(tmp_path / "j.db", TargetFacts(kind="lab", account=account, region=region, endpoint=lab.url), key)
    done = subprocess.run(
        ["bash", "-c", f'ulimit -v {limit}; exec "$0" rollback {RUN} --journal j.db --within 5s', GAMEDAY],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


def test_no_threads_and_a_full_disk_are_reasons_not_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as short:
        short.setattr(reserve, "DISK", 1 << 50)
        with pytest.raises(Refused, match=f"on the disk of {tmp_path}"):
            reserve.reserve(tmp_path)
    started = iter(range(5))

    def start(_: object) -> None:
        if next(started, None) is None:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(reserve.threading.Thread, "start", start)
        short.setattr(reserve.threading.Thread, "join", lambda _: None)
        with pytest.raises(Refused, match="32 threads"):
            reserve.reserve(tmp_path)
    reserve.reserve(tmp_path)
    assert reserve._held
    reserve.release()
    assert not reserve._held
