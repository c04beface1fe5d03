"""Files that are not as they should be are counted, and nothing that is whole in or beside them is lost."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from isal import igzip

from gameday.blastradius import Answer, Embedded, FolderSource, KeyName, Question, Watch, Window
from gameday.blastradius._pool import Pool
from gameday.errors import Refused
from tests.blastradius import oracle
from tests.blastradius.shapes import (
    ACCOUNT,
    ARN,
    ID,
    OTHER_ARN,
    QUESTION,
    RECORDS,
    REGION,
    gz_members,
    made,
    put,
    put_text,
)
from tests.blastradius.test_definition import EXAMPLES, clean, oracle_safe, sums_of, unlike


def ask(folder: Path, question: Question = QUESTION, **more: int) -> Answer:
    return Embedded(FolderSource(folder, **more)).ask(question)


def test_a_folder_of_anything_is_read(tmp_path: Path) -> None:
    put(tmp_path, made(eventID="1"))
    put(tmp_path / "deep" / "er", made(eventID="2"), name="plain.json", packed=False)
    assert ask(tmp_path).totals.uses == 2
    assert ask(tmp_path / "deep" / "er" / "plain.json").totals.uses == 1


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(some.lists(RECORDS, max_size=20), some.sampled_from([None, 1]), some.booleans())
def test_the_scan_finds_what_the_oracle_counts(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, object]], indent: int | None, escaped: bool
) -> None:
    told = unlike(records)
    folder = tmp_path_factory.mktemp("scan")
    text = json.dumps({"Records": told}, indent=indent)
    put_text(folder, text.replace("/", "\\/") if escaped else text)
    expected = oracle.sums([oracle_safe(record) for record in told], QUESTION)
    assert sums_of(ask(folder)) == {(k, clean(p), clean(s), clean(r)): n for (k, p, s, r), n in expected.items()}


def test_every_member_of_a_gzip_file_is_read(tmp_path: Path) -> None:
    text = json.dumps({"Records": [made(eventID=str(number)) for number in range(50)]}).encode()
    (tmp_path / "a.json.gz").write_bytes(gz_members(text[:100], text[100:20000], b"", text[20000:]))
    assert ask(tmp_path).totals.uses == 50


HOSTILE = {
    "a record like a cut": {"note": '},{"eventVersion": "1.11"', "nested": {"eventVersion": "1", "Records": [{}]}},
    "brackets in a text": {"note": '"}]}{"Records":[', "userAgent": "]}"},
    "deep": {"requestParameters": json.loads('{"a":' * 200 + "1" + "}" * 200)},
}


@pytest.mark.parametrize("layout", ["compact", "spaced", "indented", "first", "last"])
@pytest.mark.parametrize("what", HOSTILE)
def test_records_are_cut_where_json_says(tmp_path: Path, layout: str, what: str) -> None:
    records = [made(eventID="1"), made(eventID="2", **HOSTILE[what]), made(eventID="3")]
    around = {
        "first": {"Records": records, "after": [{"eventVersion": "1"}]},
        "last": {"before": {"Records": []}, "Records": records},
    }
    separators = (",", ":") if layout == "compact" else None
    indent = 2 if layout == "indented" else None
    put_text(tmp_path, json.dumps(around.get(layout, {"Records": records}), indent=indent, separators=separators))
    assert ask(tmp_path).totals.uses == 3


def text_of(*records: object) -> bytes:
    return json.dumps({"Records": records}).encode()


MANY = [made(eventID=str(number), requestID=os.urandom(40).hex()) for number in range(400)]
WHOLE = igzip.compress(text_of(*MANY))
BROKEN: dict[str, tuple[bytes, str, int]] = {
    # the file, the reason that it is counted under, and the least number of uses that are still in it
    "truncated": (WHOLE[: len(WHOLE) * 3 // 4], "truncated", 200),
    "without its last byte": (WHOLE[:-1], "truncated", 400),
    "with a wrong checksum": (WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:], "broken gzip", 400),
    "with rubbish behind": (WHOLE + b"rubbish behind the end", "broken gzip", 400),
    "with a flipped byte": (WHOLE[:9000] + b"\xff\x00\xff\x00" + WHOLE[9004:], "broken gzip", 0),
    "only a header": (WHOLE[:10], "truncated", 0),
    "no JSON": (igzip.compress(b"not json, but with " + ID.encode()), "no log file", 0),
    "records that are none": (igzip.compress(b'{"Records": {"a": "%s"}}' % ID.encode()), "no log file", 0),
    "invalid in the middle": (
        igzip.compress(text_of(*MANY[:3])[:-2] + b', {"eventVersion": "1", oops}, ' + text_of(*MANY[3:])[12:]),
        "invalid JSON",
        400,
    ),
    "cut off JSON": (igzip.compress(text_of(*MANY)[:-500]), "invalid JSON", 399),
    "JSON without an end": (igzip.compress(text_of(*MANY)[:-2]), "invalid JSON", 400),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_damaged_file_is_counted_and_what_is_whole_in_it_is_kept(tmp_path: Path, how: str) -> None:
    data, why, least = BROKEN[how]
    put(tmp_path / "good", made(eventID="good"))
    (tmp_path / "bad.json.gz").write_bytes(data)
    answer = ask(tmp_path)
    assert answer.coverage.skipped == {why: 1}
    assert answer.coverage.examples == ((str(tmp_path / "bad.json.gz"), why),)
    assert not answer.coverage.complete
    assert answer.totals.uses >= 1 + least
    assert answer.coverage.read_files == 1


MENDED = {
    "a byte order mark": "﻿".encode() + text_of(made()),
    "a raw NUL": text_of(made(userAgent="a@b")).replace(b"a@b", b"a\0b"),
    "a raw line break": text_of(made(userAgent="a@b")).replace(b"a@b", b"a\nb"),
    "half a surrogate": text_of(made(userAgent="\ud800")),
    "bytes that are no UTF-8": text_of(made(userAgent="a@b")).replace(b"a@b", b"a\xff\xfeb"),
    "a number too large": text_of(made(requestParameters={"a": "@"})).replace(b'"@"', b"1e999"),
    "an integer too long": text_of(made(requestParameters={"a": "@"})).replace(b'"@"', b"9" * 6000),
    "NaN": text_of(made(requestParameters={"a": float("nan")})),
    "a NUL in a name": text_of(made(requestParameters={"encryptionContext": {"a\0": "b\0"}})),
    "an escaped slash": text_of(made()).replace(b"/", b"\\/"),
    "a huge value": text_of(made(userAgent="x" * 3_000_000)),
    "ten thousand resources": text_of(made(resources=[{"ARN": ARN}] * 10_000)),
}


@pytest.mark.parametrize("how", MENDED)
def test_a_strange_record_is_read_all_the_same(tmp_path: Path, how: str) -> None:
    put_text(tmp_path, MENDED[how])
    answer = ask(tmp_path)
    assert (answer.totals.uses, answer.coverage.skipped) == (1, {})


def test_a_record_that_nobody_can_read_costs_itself_only(tmp_path: Path) -> None:
    deep = json.dumps(made(eventID="2", requestParameters="@")).replace('"@"', "[" * 200_000 + "]" * 200_000)
    records = (json.dumps(made()), deep, json.dumps(made(eventID="3")))
    put_text(tmp_path, '{"Records":[' + ",".join(records) + "]}")
    answer = ask(tmp_path)
    assert answer.totals.uses == 2
    assert sum(answer.coverage.skipped.values()) == 1


def test_a_bomb_is_cut_off_and_what_was_before_it_is_kept(tmp_path: Path) -> None:
    text = text_of(made())[:-2] + b', {"eventVersion": "' + b"0" * 40_000_000 + b'"}]}'
    put_text(tmp_path, text)
    answer = ask(tmp_path, largest=1_000_000)
    assert (answer.totals.uses, answer.coverage.skipped) == (1, {"too large": 1})
    assert answer.coverage.raw_bytes == 1_000_000


def test_digests_are_left_out_and_are_no_damage(tmp_path: Path) -> None:
    put_text(tmp_path, json.dumps({"awsAccountId": ACCOUNT, "digestS3Object": "x", "logFiles": []}), name="d.json.gz")
    put(tmp_path / "AWSLogs" / ACCOUNT / "CloudTrail-Digest" / REGION, made())
    put(tmp_path, made(resources=[{"ARN": OTHER_ARN}]))
    answer = ask(tmp_path)
    assert answer.coverage.excluded == ("CloudTrail-Digest",)
    assert answer.coverage.left_out == {}  # nor is one called anything else
    assert answer.coverage.complete
    assert not answer.rows


@pytest.mark.parametrize("word", ["logFiles", "digestS3Object", "previousDigestSignature"])
def test_a_callers_word_makes_no_log_a_digest(tmp_path: Path, word: str) -> None:
    """An encryption context is the caller's to name; one call may not hide the others in its file."""
    marked = made(eventID="1", requestParameters={"encryptionContext": {word: "x"}})
    lines = "\n".join(json.dumps(record) for record in (marked, made(eventID="2")))
    put_text(tmp_path, lines, name="export.jsonl", packed=False)
    answer = ask(tmp_path)
    assert (answer.totals.uses, answer.coverage.excluded, answer.coverage.complete) == (2, (), True)


def laid_out(account: str, region: str, day: str, organisation: str = "") -> str:
    stamp = day.replace("/", "")
    return (
        f"AWSLogs/{organisation}{account}/CloudTrail/{region}/{day}/"
        f"{account}_CloudTrail_{region}_{stamp}T0000Z_abc.json.gz"
    )


def test_folders_are_chosen_by_region_and_day_and_never_by_account(tmp_path: Path) -> None:
    wanted = [
        laid_out(ACCOUNT, REGION, "2026/11/23"),
        laid_out("999999999999", REGION, "2026/11/01", "o-abcdefghij/"),
        laid_out(ACCOUNT, REGION, "2026/12/01"),  # a day late
    ]
    not_wanted = [
        laid_out(ACCOUNT, "us-east-1", "2026/11/23"),
        laid_out(ACCOUNT, REGION, "2026/10/31"),
        laid_out(ACCOUNT, REGION, "2026/12/02"),
        laid_out(ACCOUNT, REGION, "2025/11/23"),
    ]
    for number, name in enumerate([*wanted, *not_wanted]):
        put(tmp_path, made(eventID=str(number)), name=name)
    answer = ask(tmp_path)
    assert answer.coverage.files == answer.totals.uses == len(wanted)
    assert answer.coverage.accounts == (ACCOUNT, "999999999999")
    inside = tmp_path / "AWSLogs" / ACCOUNT / "CloudTrail"
    assert ask(inside).coverage.files == 2
    assert ask(inside / REGION / "2026").coverage.files == 2


def test_a_question_may_name_accounts_and_regions(tmp_path: Path) -> None:
    for account in (ACCOUNT, "999999999999"):
        for region in (REGION, "us-east-1"):
            record = made(eventID=account + region, awsRegion=region, recipientAccountId=account)
            put(tmp_path, record, name=laid_out(account, region, "2026/11/23"))
    elsewhere = Question(QUESTION.key, QUESTION.window, accounts=("999999999999",), regions=("us-east-1",))
    answer = ask(tmp_path, elsewhere)
    assert (answer.totals.uses, answer.coverage.files) == (1, 1)


def test_a_denied_call_of_another_account_is_found_in_its_log(tmp_path: Path) -> None:
    denied = made(requestParameters=None, resources=..., errorCode="AccessDenied", errorMessage=f"on resource: {ARN}")
    put(tmp_path, denied | {"recipientAccountId": "999999999999"}, name=laid_out("999999999999", REGION, "2026/11/23"))
    assert ask(tmp_path).totals.errors == 1


def test_what_cannot_be_opened_is_counted(tmp_path: Path) -> None:
    put(tmp_path, made())
    (tmp_path / "nowhere.json.gz").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.json.gz")
    assert ask(tmp_path).coverage.skipped == {"unreadable": 2}


def test_no_folder_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no folder or file"):
        ask(tmp_path / "none")


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enough for other processes, since so little is not worth starting them."""
    monkeypatch.setattr("gameday.blastradius._pool._ALONE", 0)
    monkeypatch.setattr("gameday.blastradius._pool.BATCH_FILES", 2)
    for number in range(12):
        put(tmp_path / "logs", made(eventID=str(number)), name=f"{number}.json.gz")
    return tmp_path / "logs"


def test_several_processes_find_the_same(several: Path) -> None:
    answer = ask(several)
    assert (answer.totals.uses, answer.coverage.read_files, answer.coverage.complete) == (12, 12, True)


def test_a_folder_of_gameday_s_name_where_one_works_is_not_what_scans(
    several: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / "gameday").mkdir(parents=True)
    (tmp_path / "work" / "gameday" / "__init__.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path / "work")
    assert ask(several).totals.uses == 12


def test_a_scanning_process_loads_no_more_than_the_scanner() -> None:
    """It lives for seconds; boto3 and pydantic would be half of its time."""
    told = "import sys, gameday.blastradius._worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-P", "-c", told], capture_output=True, text=True, check=True).stdout
    assert not {"boto3", "botocore", "pydantic", "duckdb", "urllib3"} & set(loaded.split())


def test_a_process_that_dies_costs_its_batch_only(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Pool._start
    killed: list[int] = []

    def start(pool: Pool) -> subprocess.Popen[bytes]:
        process = started(pool)
        if not killed:
            killed.append(process.pid)
            process.send_signal(signal.SIGKILL)
            process.wait()
        return process

    monkeypatch.setattr(Pool, "_start", start)
    answer = ask(several)
    assert answer.coverage.skipped == {"scanner died": 2}
    assert answer.totals.uses == 10


def test_stopping_gives_what_was_found_and_says_so(several: Path) -> None:
    stopping = threading.Event()
    watch = Watch(lambda progress: stopping.set() if progress.files else None, stopping)
    answer = Embedded(FolderSource(several)).ask(QUESTION, watch)
    assert answer.coverage.partial == "interrupted"
    assert not answer.coverage.complete


def test_no_process_outlives_the_one_that_asked(several: Path) -> None:
    code = (
        "import gameday.blastradius._pool as pool, time, sys\n"
        "pool._ALONE = 0\n"
        "from tests.blastradius.test_scan import ask\n"
        "from gameday.blastradius import *\n"
        "from tests.blastradius.shapes import QUESTION\n"
        "from pathlib import Path\n"
        "def tell(progress):\n"
        "    for process in current[0]._processes: print(process.pid, flush=True)\n"
        "    time.sleep(60)\n"
        "current = []\n"
        "made = pool.Pool.__init__\n"
        "def init(self, *rest): current.append(self); made(self, *rest)\n"
        "pool.Pool.__init__ = init\n"
        "tell_late = lambda p: tell(p) if current[0]._processes else None\n"
        "Embedded(FolderSource(Path(sys.argv[1]))).ask(QUESTION, Watch(tell_late))\n"
    )
    asking = subprocess.Popen([sys.executable, "-c", code, str(several)], stdout=subprocess.PIPE, text=True)
    assert asking.stdout
    worker = int(asking.stdout.readline())
    asking.kill()
    asking.wait()
    wait_until(lambda: not alive(worker))


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def wait_until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(200):
        if true():
            return
        waiting.wait(0.05)
    raise AssertionError("not within ten seconds")


@settings(max_examples=2 * EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(some.integers(0, len(WHOLE) - 1), some.integers(1, 255))
def test_a_flipped_bit_anywhere_never_raises_and_never_hides(
    tmp_path_factory: pytest.TempPathFactory, at: int, by: int
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    (folder / "a.json.gz").write_bytes(WHOLE[:at] + bytes([WHOLE[at] ^ by]) + WHOLE[at + 1 :])
    answer = ask(folder)
    assert answer.totals.uses == 400 or answer.coverage.skipped


def test_only_the_longest_part_of_an_alias_is_looked_for_in_bytes(tmp_path: Path) -> None:
    key = KeyName.parse(ARN, ("alias/team/MyKMSKey",))
    record = json.dumps({"Records": [made(resources=..., requestParameters={"keyId": "alias/team/MyKMSKey"})]})
    put_text(tmp_path, record.replace("/", "\\/"))
    assert ask(tmp_path, Question(key, Window(QUESTION.window.since, QUESTION.window.until))).totals.uses == 1


def test_standard_gzip_is_as_good(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(text_of(made())))
    assert ask(tmp_path).totals.uses == 1
