# ruff: noqa: E501  (tables)
"""A record counts whatever it comes in, and what cannot be read of it is never passed over in silence."""

from __future__ import annotations

import base64
import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from gameday.blastradius import Answer, Embedded, FolderSource, Question, coverage_sentences
from tests.blastradius.shapes import ACCOUNT, OTHER_ARN, QUESTION, REGION, made, put, put_text

ONE, TWO = made(eventID="1"), made(eventID="2")
FOREIGN = made(eventID="3", resources=[{"ARN": OTHER_ARN}])


def ask(folder: Path, question: Question = QUESTION, **more: int) -> Answer:
    return Embedded(FolderSource(folder, **more)).ask(question)


def document(*records: object) -> str:
    return json.dumps({"Records": records})


def line(record: object) -> str:
    return json.dumps(record, separators=(",", ":"))


def table(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    lines = csv.DictWriter(text, list(rows[0]))
    lines.writeheader()
    lines.writerows(rows)
    return text.getvalue()


def subscription(*records: object) -> str:
    events = [{"id": "0", "timestamp": 0, "message": line(record)} for record in records]
    return json.dumps({"messageType": "DATA_MESSAGE", "logGroup": "trail", "logEvents": events})


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode())).decode()


ATHENA = {
    "eventtime": "2026-11-23T10:07:41Z",
    "eventsource": "kms.amazonaws.com",
    "eventname": "Decrypt",
    "awsregion": REGION,
    "useridentity": f"{{type=AssumedRole, principalid=AROAX:s, arn=arn:aws:sts::{ACCOUNT}:assumed-role/app/s, "
    f"accountid={ACCOUNT}, sessioncontext={{attributes=null, sessionissuer={{arn=arn:aws:iam::{ACCOUNT}:role/team/app}}}}}}",
    "requestparameters": '{"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::data"}}',
    "resources": f"[{{arn={ONE['resources'][0]['ARN']}, accountid={ACCOUNT}, type=AWS::KMS::Key}}]",
    "recipientaccountid": ACCOUNT,
}
SHAPES: dict[str, str | bytes] = {
    "documents in a row": document(ONE) + document(TWO),
    "an unrelated document first": document(FOREIGN) + "\n" + document(ONE, TWO),
    "a list": json.dumps([ONE, TWO], indent=2),
    "lines": line(ONE) + "\n" + line(TWO) + "\n",
    "lines that are lists": f"[{line(ONE)}]\n[{line(TWO)}]",
    "lookup-events": json.dumps({"Events": [{"EventId": "1", "EventSource": "kms.amazonaws.com", "EventName": "Decrypt", "CloudTrailEvent": line(each)} for each in (ONE, TWO)]}),
    "lookup-events from PowerShell": json.dumps({"Events": [{"CloudTrailEvent": line(each)} for each in (ONE, TWO)]}).encode("utf-16"),
    "EventBridge through Firehose": "".join(line({"source": "aws.kms", "detail": each}) for each in (ONE, TWO)),
    "CloudWatch Logs' export": f"2026-11-23T10:07:41.000Z {line(ONE)}\n2026-11-23T10:07:42.000Z {line(TWO)}\n",
    "CloudWatch Logs' subscription": subscription(ONE) + subscription(TWO),
    "a subscription through Kinesis": json.dumps({"records": [{"data": packed(subscription(ONE, TWO))}]}),
    "a subscription as Lambda gets it": json.dumps({"awslogs": {"data": packed(subscription(ONE, TWO))}}),
    "Kinesis as Lambda gets it": json.dumps({"Records": [{"kinesis": {"data": packed(subscription(ONE, TWO))}, "eventSource": "aws:kinesis"}]}),
    "SQS as Lambda gets it": json.dumps({"Records": [{"body": line({"detail": each}), "eventSource": "aws:sqs"} for each in (ONE, TWO)]}),
    "Splunk": "\n".join(line({"result": {"_raw": line(each), "eventSource": "kms.amazonaws.com", "eventName": "Decrypt"}}) for each in (ONE, TWO)),
    "Splunk's table": table([{"_time": "t", "_raw": line(each)} for each in (ONE, TWO)]),
    "Elastic": "\n".join(line({"_source": {"event": {"original": line(each)}}}) for each in (ONE, TWO)),
    "Athena": table([ATHENA | {"eventid": each} for each in "12"]),
    "CloudTrail Lake": table([{"eventJson": line(each)} for each in (ONE, TWO)]),
    "Athena's names in JSON": "\n".join(line(ATHENA | {"eventid": each}) for each in "12"),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gz", [True, False])
def test_records_are_found_in_whatever_holds_them(tmp_path: Path, shape: str, gz: bool) -> None:
    put_text(tmp_path, SHAPES[shape], name="a.gz" if gz else "a.log", packed=gz)
    answer = ask(tmp_path)
    assert (answer.totals.uses, answer.coverage.skipped, answer.coverage.complete) == (2, {}, True)
    assert [row.principal for row in answer.rows] == [f"arn:aws:iam::{ACCOUNT}:role/team/app"]


def tarred(*texts: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number, text in enumerate(texts):
            info = tarfile.TarInfo(f"logs/{number}.json")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def zipped(*texts: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, text in enumerate(texts):
            archive.writestr(f"logs/{number}.json", text)
    return out.getvalue()


PACKINGS: dict[str, Callable[[], bytes]] = {
    "a.tar": lambda: tarred(document(ONE), document(TWO)),
    "a.tgz": lambda: gzip.compress(tarred(document(ONE), document(TWO))),
    "a.tar.gz": lambda: gzip.compress(tarred(document(FOREIGN), document(ONE), document(TWO))),
    "a.zip": lambda: zipped(document(ONE), document(TWO)),
    "gz.zip": lambda: zipped(gzip.compress(document(ONE).encode()), gzip.compress(document(TWO).encode())),
    "a.JSON.ZST": lambda: zstandard.compress(document(ONE).encode()) + zstandard.compress(document(TWO).encode()),
    "a.tar.zst": lambda: zstandard.compress(tarred(document(ONE), document(TWO))),
    "a.json.bz2": lambda: bz2.compress(document(ONE, TWO).encode()),
    "a.json.xz": lambda: lzma.compress(document(ONE, TWO).encode()),
    "twice.json.gz": lambda: gzip.compress(gzip.compress(document(ONE, TWO).encode())),
    "A.JSON": lambda: document(ONE, TWO).encode(),
    "no-ending": lambda: document(ONE, TWO).encode(),
    "rotated.log.1": lambda: document(ONE, TWO).encode(),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_records_are_found_in_whatever_they_are_packed_in(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PACKINGS[name]())
    answer = ask(tmp_path)
    assert (answer.totals.uses, answer.coverage.skipped, answer.coverage.complete) == (2, {}, True)
    assert (answer.coverage.files, answer.coverage.read_files) == (1, 1)


INCOMPLETE: dict[str, tuple[str, bytes]] = {
    "cut before the key's name": ("a.json.gz", gzip.compress(document(FOREIGN, ONE).encode()[:600])),
    "cut plain text": ("a.json", document(FOREIGN, ONE).encode()[:600]),
    "cut between records": ("a.json", document(FOREIGN, ONE).encode()[: len(line(FOREIGN)) + 100]),
    "a cut line": ("a.jsonl", (line(FOREIGN) + "\n" + line(ONE)[:300]).encode()),
    "text behind": ("a.json.gz", gzip.compress((document(FOREIGN) + '{"Records": [{"eventSource": ').encode())),
    "a cut tar": ("a.tar", tarred(document(FOREIGN), document(ONE))[:1800]),
    "a tar without its end": ("a.tar", tarred(document(FOREIGN), document(ONE)).rstrip(b"\0")),
    "a cut zip": ("a.zip", zipped(document(FOREIGN), document(ONE))[:-30]),
    "a cut zst": ("a.zst", zstandard.compress(document(FOREIGN, ONE).encode())[:-20]),
    "a wrong header": ("a.json.gz", b"\x1e" + gzip.compress(document(ONE).encode())[1:]),
    "a format that nothing opens": ("a.parquet", b"PAR1"),
    "CloudTrail's name and nothing in it": (f"{ACCOUNT}_CloudTrail_{REGION}_20261123T0000Z_x.json.gz", b""),
    "CloudTrail's console as CSV": ("a.csv", b"Event name,Event time,Event source\nDecrypt,2026,kms.amazonaws.com\n"),
    "a row that is cut": ("a.csv", table([ATHENA | {"eventid": "1"}]).encode()[:-40]),
}


@pytest.mark.parametrize("how", INCOMPLETE)
def test_what_may_hide_a_use_is_counted(tmp_path: Path, how: str) -> None:
    put(tmp_path / "good", FOREIGN)
    name, data = INCOMPLETE[how]
    (tmp_path / name).write_bytes(data)
    answer = ask(tmp_path)
    assert sum(answer.coverage.skipped.values()) >= 1
    assert not answer.coverage.complete


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.zst"])
def test_a_bomb_in_any_packing_is_cut_off(tmp_path: Path, name: str) -> None:
    text = document(FOREIGN) + " " * 3_000_000
    data = {
        "a.zip": zipped(text, text),
        "a.tar.gz": gzip.compress(tarred(text)),
        "a.zst": zstandard.compress(text.encode()),
    }
    (tmp_path / name).write_bytes(data[name])
    answer = ask(tmp_path, largest=1_000_000)
    assert answer.coverage.skipped.get("too large")
    assert answer.coverage.raw_bytes <= 2_000_000


def test_what_is_no_log_is_left_out_and_told(tmp_path: Path) -> None:
    put(tmp_path, ONE)
    put_text(tmp_path, '{"name": "x"}', name="package.json", packed=False)
    put_text(tmp_path, "x", name="logo.png", packed=False)
    for service in ("Config", "WAFLogs", "vpcflowlogs"):
        put_text(tmp_path, "junk", name=f"AWSLogs/{ACCOUNT}/{service}/x/a.json.gz")
    answer = ask(tmp_path)
    assert answer.coverage.complete
    assert answer.coverage.excluded == ("Config", "WAFLogs", "vpcflowlogs")
    assert answer.coverage.left_out == {"file ending in .png": 1, "file: no CloudTrail log": 1}


def test_nothing_read_is_no_answer(tmp_path: Path) -> None:
    assert "no log file was read" in ask(tmp_path).coverage.gaps[0]
    put_text(tmp_path, '{"Records": []}')
    assert "no record" in ask(tmp_path).coverage.gaps[0]
    assert not ask(tmp_path).coverage.complete


def test_what_is_outside_the_window_is_told_with_its_months(tmp_path: Path) -> None:
    put(tmp_path, ONE)
    for month in ("07", "08"):
        put(tmp_path, TWO, name=f"{ACCOUNT}_CloudTrail_{REGION}_2023{month}01T0000Z_x.json.gz")
    coverage = ask(tmp_path).coverage
    assert (coverage.left_out, coverage.outside) == ({"file outside the window": 2}, ("2023-07", "2023-08"))
    assert coverage.complete


def test_a_days_folder_outside_the_window_is_told_as_its_files(tmp_path: Path) -> None:
    put(tmp_path, ONE)
    for day in ("2023/07/01", "2023/08/31", "2026/12/24"):
        name = f"{ACCOUNT}_CloudTrail_{REGION}_{day.replace('/', '')}T0000Z"
        for part in ("x", "y"):
            put(tmp_path / "AWSLogs" / ACCOUNT / "CloudTrail" / REGION / day, TWO, name=f"{name}_{part}.json.gz")
    answer = ask(tmp_path)
    assert answer.coverage.left_out == {"file outside the window": 6}
    assert answer.coverage.outside == ("2023-07", "2026-12")
    told = " ".join(coverage_sentences(answer))
    assert "6 files outside the window, of 2023-07 to 2026-12: --since reaches further back." in told
    assert "1 of 1 file read: " in told
    assert "about 1 record." in told


def test_what_lies_after_the_window_is_reached_by_its_end(tmp_path: Path) -> None:
    put(tmp_path, ONE)
    put(tmp_path, TWO, name=f"{ACCOUNT}_CloudTrail_{REGION}_20261224T0000Z_x.json.gz")
    assert "1 file outside the window, of 2026-12: --until reaches further." in " ".join(
        coverage_sentences(ask(tmp_path))
    )


def test_what_an_operating_system_leaves_in_folders_is_no_log(tmp_path: Path) -> None:
    """``._NAME`` bears the name of the log that it lies beside; a Mac puts one into every archive."""
    beside = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(80)
    name = f"{ACCOUNT}_CloudTrail_{REGION}_20261123T0000Z_x.json.gz"
    put(tmp_path, ONE, name=name)
    put_text(tmp_path, beside, name=f"._{name}", packed=False)
    put_text(tmp_path, b"\0\0\0\1Bud1" + bytes(200), name=".DS_Store", packed=False)
    put_text(tmp_path, b"\xd0\xcf\x11\xe0" + bytes(200), name="Thumbs.db", packed=False)
    with zipfile.ZipFile(tmp_path / "logs.zip", "w") as archive:
        archive.writestr("logs/a.json.gz", gzip.compress(json.dumps({"Records": [TWO]}).encode()))
        archive.writestr("__MACOSX/logs/._a.json.gz", beside)
    answer = ask(tmp_path)
    assert answer.totals.uses == 2
    assert answer.coverage.left_out == {"file ending in .db": 1, "file: a Mac's own, not a log": 3}
    assert answer.coverage.skipped == {}
    assert answer.coverage.complete


def test_each_folder_is_visited_once(tmp_path: Path) -> None:
    put(tmp_path / "deep", ONE)
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    answer = ask(tmp_path)
    assert answer.totals.uses == 1
    assert answer.coverage.skipped == {"unreadable": 1}
