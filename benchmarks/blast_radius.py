"""The scan beside its peers, on one made-up corpus, in one run; says which bars hold.

    python benchmarks/blast_radius.py [--records 5000000] [--folder /tmp/…] [--rounds 3] [--peers] [--small] [--s3]

The limit is decompression alone: as many processes as there are cores, isal, every file read and thrown away. Rounds
alternate, so that a busy machine is busy for all of them; wall times are the best of the rounds, and the time of the
processor is given beside them, since that does not depend on the neighbours. DuckDB reads the files itself, with
``read_json`` and their types, and answers the same question by the same SQL: its rows must be ours. It is not given
what it cannot read (truncated files). trailscraper runs in a venv of its own (.bench/trailscraper), on twenty files: it
is compared by the record.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from blast_radius_corpus import ACCOUNTS, KEY, make  # noqa: E402

LIMIT = """
import sys, multiprocessing, pathlib
from isal import igzip
def read(name):
    try: return len(igzip.decompress(pathlib.Path(name).read_bytes()))
    except (OSError, EOFError): return 0
if __name__ == "__main__":
    names = [str(p) for p in pathlib.Path(sys.argv[1]).rglob("*.gz")]
    with multiprocessing.Pool() as pool: print(sum(pool.imap_unordered(read, names, chunksize=16)))
"""
DUCKDB = """
import json, sys, pathlib, duckdb
from datetime import datetime, UTC
from gameday.blastradius import KeyName, Question, Window
from gameday.blastradius._dialects import DUCKDB
from gameday.blastradius._sql import rows_sql
files = sorted(pathlib.Path(sys.argv[1]).rglob("*.gz"))
good = [str(p) for p in files if "Digest" not in str(p) and "again" not in p.name]
record = ("STRUCT(eventID VARCHAR, sharedEventID VARCHAR, requestID VARCHAR, eventTime VARCHAR, eventSource VARCHAR, "
  "eventName VARCHAR, errorCode VARCHAR, errorMessage VARCHAR, userAgent VARCHAR, sourceIPAddress VARCHAR, "
  "awsRegion VARCHAR, recipientAccountId VARCHAR, userIdentity STRUCT(type VARCHAR, arn VARCHAR, principalId VARCHAR, "
  "accountId VARCHAR, invokedBy VARCHAR, sessionContext STRUCT(sessionIssuer STRUCT(arn VARCHAR)), "
  "inScopeOf STRUCT(credentialsIssuedTo VARCHAR)), requestParameters JSON, resources STRUCT(ARN VARCHAR)[])[]")
paths = ("eventID", "sharedEventID", "requestID", "eventTime", "eventSource", "eventName", "errorCode", "errorMessage",
  "userAgent", "sourceIPAddress", "awsRegion", "recipientAccountId", "userIdentity.type", "userIdentity.arn",
  "userIdentity.principalId", "userIdentity.accountId", "userIdentity.sessionContext.sessionIssuer.arn",
  "userIdentity.invokedBy", "userIdentity.inScopeOf.credentialsIssuedTo")
names = ("event_id", "shared_event_id", "request_id", "event_time", "event_source", "event_name", "error_code",
  "error_message", "user_agent", "source_ip", "region", "recipient_account", "identity_type", "identity_arn",
  "principal_id", "identity_account", "issuer_arn", "invoked_by", "issued_to")
columns = ", ".join(f"coalesce(r.{path}, '') AS {name}" for path, name in zip(paths, names, strict=True))
records = (f"SELECT {columns}, coalesce(CAST(r.requestParameters AS VARCHAR), '{{}}') AS request_parameters, "
  "coalesce(array_to_string(list_transform(r.resources, lambda x: x.ARN), ','), '') AS resources "
  f"FROM (SELECT unnest(Records) AS r FROM read_json({good!r}, columns={{Records: '{record}'}}, "
  "maximum_object_size=268435456)) WHERE r.eventSource = 'kms.amazonaws.com'")
duckdb.sql("SET enable_progress_bar = false")
window = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
rows = duckdb.sql(rows_sql(Question(KeyName.parse(sys.argv[2]), window), DUCKDB, records)).fetchall()
print(json.dumps(sorted(list(map(str, row[1:5])) for row in rows if row[0] == "use")))
"""


FEW = 200_000
"""Records of the corpus that a larger one is compared with."""


@dataclass
class Measured:
    """Seconds on the wall and of the processor, and the most memory in MB."""

    wall: float
    cpu: float
    peak: float
    said: bytes = b""


def run(command: list[str]) -> Measured:
    """Run to its end; the peak is of all its processes together, looked at every 20 ms."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        peak, over = [0.0], threading.Event()
        watching = threading.Thread(target=watch, args=(process.pid, peak, over))
        watching.start()
        code = process.wait()
        wall = time.perf_counter() - start
        over.set()
        watching.join()
        out.seek(0)
        said = out.read()
        if code not in (0, 4):
            raise SystemExit(f"{command[:4]} ended with {code}: {said[-2000:]!r}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(wall, cpu, peak[0], said)


def watch(root: int, peak: list[float], over: threading.Event) -> None:
    while not over.wait(0.02):
        peak[0] = max(peak[0], sum(resident(process) for process in family(root)))


def family(root: int) -> list[int]:
    found, new = [root], [root]
    while new:
        parent = new.pop()
        try:
            children = Path(f"/proc/{parent}/task").iterdir()
            below = [int(one) for task in children for one in (task / "children").read_text().split()]
        except OSError:
            continue
        found += below
        new += below
    return found


def resident(process: int) -> float:
    """Proportional set size in MB: a page that processes share counts once."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
    except OSError:
        pass
    return 0.0


def gameday(folder: str, *more: str) -> list[str]:
    ask = ["blast-radius", KEY, "--since", "2026-10-01", "--until", "2026-11-02", "--format", "json"]
    return [str(Path(sys.executable).parent / "gameday"), *ask, "--source", folder, *more]


def compare(commands: dict[str, list[str]], rounds: int) -> dict[str, Measured]:
    best: dict[str, Measured] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            now = run(command)
            old = best.get(name, now)
            best[name] = Measured(min(old.wall, now.wall), min(old.cpu, now.cpu), max(old.peak, now.peak), now.said)
    return best


def show(title: str, records: int, found: dict[str, Measured]) -> None:
    limit = found["limit"]
    print(f"\n{title}: {records:,} records")
    for name, one in found.items():
        print(
            f"  {name:<14} {one.wall:8.2f} s wall  {one.cpu:8.2f} s cpu  {records / one.wall:12,.0f} records/s "
            f"{one.peak:7.0f} MB  {one.wall / limit.wall:6.2f} x limit (cpu {one.cpu / limit.cpu:.2f} x)"
        )


def bar(text: str, holds: bool) -> bool:
    print(f"  {'MET   ' if holds else 'MISSED'} {text}", flush=True)
    return holds


def python(code: str, *more: str) -> list[str]:
    return [sys.executable, "-c", code, *more]


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--records", type=int, default=200_000)
    reader.add_argument("--folder", type=Path)
    reader.add_argument("--rounds", type=int, default=3)
    reader.add_argument("--peers", action="store_true", help="DuckDB's read_json and trailscraper as well")
    reader.add_argument("--small", action="store_true", help="20,000 files of ten records as well")
    reader.add_argument("--s3", action="store_true", help="from the lab's S3 as well")
    asked = reader.parse_args()
    own = asked.folder is None
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="gameday-bench-"))
    try:
        raise SystemExit(0 if measure(asked, folder) else 1)
    finally:
        if own:
            shutil.rmtree(folder, ignore_errors=True)


def measure(asked: argparse.Namespace, folder: Path) -> bool:
    logs = str(folder / "logs")  # beside the other corpora, so that a folder can be used again
    make(folder / "logs", asked.records, 2_000)
    commands = {"limit": python(LIMIT, logs), "gameday": gameday(logs)}
    found = compare(commands, asked.rounds)
    if asked.peers:
        found["duckdb"] = run(python(DUCKDB, logs, KEY))
        assert json.loads(found["duckdb"].said) == rows_of(found["gameday"].said), "DuckDB gives another answer"
    show("log files", asked.records, found)
    ours, limit = found["gameday"], found["limit"]
    good = bar(f"at most 2.0 times the limit: {ours.wall / limit.wall:.2f}", ours.wall <= 2.0 * limit.wall)
    good &= bar(f"at most 400 MB: {ours.peak:.0f}", ours.peak <= 400)
    if asked.peers:
        times = found["duckdb"].wall / ours.wall
        good &= bar(f"5 times faster than DuckDB's read_json: {times:.1f}", times >= 5)
        good &= against_trailscraper(folder / "logs", asked.records / ours.wall)
    if asked.records > FEW:
        good &= against_few(folder / "few", asked.records, ours, asked.rounds)
    if asked.small:
        good &= small_files(folder / "small", asked.rounds)
    if asked.s3:
        good &= from_s3(folder)
    return good


def rows_of(answer: bytes) -> list[list[str]]:
    rows = json.loads(answer[answer.index(b"{") :])["rows"]
    return sorted([row["principal"], row["service"], row["resource"], str(row["uses"])] for row in rows)


def against_few(folder: Path, many: int, ours: Measured, rounds: int) -> bool:
    """Flat memory and linear time, against a corpus of ``FEW`` records."""
    make(folder, FEW, 2_000)
    few = compare({"few": gameday(str(folder))}, rounds)["few"]
    print(f"  {FEW:,} records: {few.wall:.2f} s wall, {few.cpu:.2f} s cpu, {few.peak:.0f} MB")
    each = (ours.cpu / many) / (few.cpu / FEW)
    good = bar(
        f"flat memory: {ours.peak / few.peak:.2f} times that of {FEW:,} records (1.5)", ours.peak <= 1.5 * few.peak
    )
    return good & bar(f"linear: {each:.2f} times the processor's time a record (1.1)", each <= 1.1)


def against_trailscraper(folder: Path, ours: float) -> bool:
    tool = HERE.parent / ".bench" / "trailscraper" / "bin" / "trailscraper"
    if not tool.exists():  # in a venv of its own, since it wants other versions of what gameday stands on
        subprocess.run([sys.executable, "-m", "venv", str(tool.parents[1])], check=True)
        subprocess.run([str(tool.parent / "pip"), "install", "-q", "trailscraper"], check=True)
    with tempfile.TemporaryDirectory() as few:
        names = [name for name in sorted(folder.rglob("*_CloudTrail_*.json.gz")) if "again" not in name.name][:20]
        for name in names:
            shutil.copy(name, few)
        role = f"arn:aws:iam::{ACCOUNTS[0]}:role/app-1"
        one = run([str(tool), "select", "--log-dir", few, "--filter-assumed-role-arn", role])
    theirs = len(names) * 2000 / one.wall
    print(f"  trailscraper   {theirs:,.0f} records/s on {len(names) * 2000:,} records, {one.peak:.0f} MB")
    return bar(f"30 times faster than trailscraper by the record: {ours / theirs:.0f}", ours >= 30 * theirs)


def small_files(folder: Path, rounds: int) -> bool:
    make(folder, 200_000, 10, tidy=True)
    logs = str(folder)
    found = compare({"limit": python(LIMIT, logs), "gameday": gameday(logs)}, rounds)
    show("20,000 files of ten", 200_000, found)
    times = found["gameday"].wall / found["limit"].wall
    return bar(f"at most 3 times the limit: {times:.2f}", times <= 3)


def from_s3(folder: Path, objects: int = 2_000) -> bool:
    """The time of the processor for each object, over that for the same files in a folder."""
    import boto3
    from botocore.config import Config

    from gameday.lab import start

    make(folder / "s3", objects * 10, 10, tidy=True)
    names = sorted((folder / "s3").rglob("*.gz"))
    with start("instant") as lab:
        store = boto3.client(
            "s3",
            endpoint_url=lab.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}),
        )
        store.create_bucket(Bucket="gameday-trail")
        for name in names:
            store.put_object(Bucket="gameday-trail", Key=str(name.relative_to(folder / "s3")), Body=name.read_bytes())
        here = run(gameday(str(folder / "s3")))
        there = run(gameday("s3://gameday-trail", "--target", f"lab={lab.url}"))
        none = run(gameday("s3://gameday-trail/none/", "--target", f"lab={lab.url}"))
    each = (there.cpu - none.cpu) / len(names) * 1000
    print(f"\nfrom S3: {len(names)} objects, {there.wall:.1f} s wall, {there.cpu:.2f} s cpu (folder {here.cpu:.2f})")
    return bar(f"at most 1 ms of the processor for each object: {each:.2f} ms", each <= 1)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main()
