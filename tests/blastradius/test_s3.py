"""Log files in a bucket give the same answer as in a folder, with either client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gameday.blastradius._s3 as s3
from gameday.aws.session import Session
from gameday.blastradius import Answer, BucketSource, Embedded, FolderSource, coverage_sentences
from gameday.blastradius.trails import Trails
from gameday.errors import Refused
from gameday.lab import LabControl
from tests.blastradius.corpus import lay_out, told
from tests.blastradius.shapes import ACCOUNT, ARN, QUESTION, Given, put
from tests.processes import GAMEDAY


@pytest.fixture
def bucket(client: Callable[..., Any], tmp_path: Path) -> str:
    """The corpus in a bucket, and one cut-off file."""
    lay_out(tmp_path)
    broken = put(tmp_path, name="AWSLogs/broken.json.gz")
    broken.write_bytes(broken.read_bytes()[:-9])
    store = client("s3")
    store.create_bucket(Bucket="gameday-trail")
    for file in tmp_path.rglob("*.gz"):
        store.put_object(Bucket="gameday-trail", Key=str(file.relative_to(tmp_path)), Body=file.read_bytes())
    return "s3://gameday-trail"


def ask(place: str, aws: Session) -> Answer:
    return Embedded(BucketSource(place, region=aws.region, endpoint=aws.endpoint, keys=aws.current_keys)).ask(QUESTION)


@pytest.mark.parametrize("fast", [True, False], ids=["obstore", "boto3"])
def test_a_bucket_gives_the_folders_answer(
    bucket: str, aws: Session, tmp_path: Path, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fast:
        monkeypatch.setattr(s3, "find_spec", lambda _: None)
    answer, expected = ask(bucket, aws), Embedded(FolderSource(tmp_path)).ask(QUESTION)
    assert told(answer) == told(expected)
    assert answer.coverage.skipped == expected.coverage.skipped == {"truncated": 1}
    assert answer.coverage.excluded == ("CloudTrail-Digest",)
    assert answer.coverage.accounts == expected.coverage.accounts
    assert told(ask(f"{bucket}/AWSLogs/o-abcdefghij/", aws)) == told(expected)


@pytest.mark.parametrize("fast", [True, False], ids=["obstore", "boto3"])
def test_what_may_not_be_read_is_counted(
    bucket: str, aws: Session, lab: LabControl, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fast:
        monkeypatch.setattr(s3, "find_spec", lambda _: None)
    lab.trouble("refuse", "s3", "GetObject", times=1, code="AccessDenied", message="Access Denied")
    assert ask(bucket, aws).coverage.skipped["access denied"] == 1


def test_no_bucket_is_a_refusal(aws: Session, lab: LabControl) -> None:
    with pytest.raises(Refused, match="cannot be listed"):
        ask("s3://gameday-none", aws)
    with pytest.raises(Refused, match="names no bucket"):
        ask("s3://", aws)


def test_the_accounts_in_a_bucket_are_listed(bucket: str, aws: Session) -> None:
    place = f"{bucket}/AWSLogs/o-abcdefghij"
    source = BucketSource(place, region=aws.region, endpoint=aws.endpoint, keys=aws.current_keys)
    assert ACCOUNT in source.folders("")
    assert source.folders(f"{ACCOUNT}/CloudTrail/") == ["eu-central-1"]


SELECTORS = {
    "everything": ({"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}]}, False, False),
    "without KMS": (
        {"EventSelectors": [{"IncludeManagementEvents": True, "ExcludeManagementEventSources": ["kms.amazonaws.com"]}]},
        True,
        False,
    ),
    "data events alone": (
        {
            "AdvancedEventSelectors": [
                {
                    "FieldSelectors": [
                        {"Field": "eventCategory", "Equals": ["Data"]},
                        {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
                    ]
                }
            ]
        },
        True,
        True,
    ),
    "advanced, without KMS": (
        {
            "AdvancedEventSelectors": [
                {
                    "FieldSelectors": [
                        {"Field": "eventCategory", "Equals": ["Management"]},
                        {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]},
                    ]
                }
            ]
        },
        True,
        False,
    ),
}


@pytest.mark.parametrize("what", SELECTORS)
def test_a_trail_says_what_its_files_are_blind_to(
    what: str, client: Callable[..., Any], aws: Session, lab: LabControl
) -> None:
    selectors, excludes, data = SELECTORS[what]
    client("s3").create_bucket(Bucket="gameday-trail")
    client("s3").create_bucket(Bucket="gameday-other")
    for name in ("gameday-trail", "gameday-other"):
        client("cloudtrail").create_trail(Name=name, S3BucketName=name)
    client("cloudtrail").put_event_selectors(TrailName="gameday-trail", **selectors)
    (trail,) = Trails(aws, "gameday-trail").told().trails
    assert (trail.name, trail.excludes_kms, trail.data_events, trail.logging) == (
        "gameday-trail",
        excludes,
        data,
        False,
    )
    answer = Embedded(Given(), Trails(aws, "gameday-trail")).ask(QUESTION)
    assert any("leaves KMS out" in said for said in coverage_sentences(answer)) is excludes


@pytest.mark.parametrize(
    ("source", "trails"),
    [
        (("DIR",), {"gameday-trail", "gameday-other"}),
        (("s3://gameday-trail",), {"gameday-trail"}),
        (("athena", "--logs", "s3://gameday-other/AWSLogs/"), {"gameday-other"}),
        (("lookup",), set()),
    ],
    ids=["folder", "bucket", "athena", "lookup"],
)
def test_the_command_tells_of_the_trails_behind_the_log_files(
    source: tuple[str, ...], trails: set[str], client: Callable[..., Any], aws: Session, tmp_path: Path
) -> None:
    blind = {"ExcludeManagementEventSources": ["kms.amazonaws.com"], "IncludeManagementEvents": True}
    for name in ("gameday-trail", "gameday-other"):
        client("s3").create_bucket(Bucket=name)
        client("cloudtrail").create_trail(Name=name, S3BucketName=name)
        client("cloudtrail").put_event_selectors(TrailName=name, EventSelectors=[blind])
    place, *more = source
    command = [GAMEDAY, "blast-radius", ARN, "--source", str(tmp_path) if place == "DIR" else place, *more]
    shown = subprocess.run(
        [*command, "--target", f"lab={aws.endpoint}", "--format", "json"], capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 4, shown  # nothing is in these places, and the history is another account's
    coverage = json.loads(shown.stdout)["coverage"]
    assert {trail["name"]: trail["excludes_kms"] for trail in coverage["trails"]} == dict.fromkeys(trails, True)


def test_a_trail_that_may_not_be_asked_is_no_answer(client: Callable[..., Any], aws: Session, lab: LabControl) -> None:
    client("s3").create_bucket(Bucket="gameday-trail")
    client("cloudtrail").create_trail(Name="all", S3BucketName="gameday-trail")
    lab.trouble("refuse", "cloudtrail", "GetEventSelectors")
    told_ = Trails(aws).told()
    assert [trail.excludes_kms for trail in told_.trails] == [None]
    assert "cloudtrail:GetEventSelectors not permitted" in " ".join(told_.notes)
