"""One corpus of the lab's own trail: event history, its log files in a folder and in the bucket answer alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gameday.aws.session import Session
from gameday.blastradius import BucketSource, Embedded, FolderSource, KeyName, Question, Source, Window
from gameday.blastradius.lookup import Lookup, Pace
from gameday.lab import LabControl
from tests.blastradius.corpus import told
from tests.blastradius.shapes import ID

BUCKET = "gameday-trail"


def use(client: Callable[..., Any], key: str) -> None:
    """Uses for several things, a denied one, management; of S3 for someone, too."""
    kms, s3 = client("kms"), client("s3")
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"b": "2", "a": "it's"})["CiphertextBlob"]
    kms.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionContext={"b": "2", "a": "it's"})
    kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    kms.describe_key(KeyId=key)
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="one", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    s3.get_object(Bucket="data", Key="one")["Body"].read()
    kms.disable_key(KeyId=key)
    with pytest.raises(kms.exceptions.DisabledException):
        kms.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionContext={"b": "2", "a": "it's"})
    with pytest.raises(s3.exceptions.ClientError):
        s3.get_object(Bucket="data", Key="one")
    kms.enable_key(KeyId=key)


def trail_of_the_lab(client: Callable[..., Any], lab: LabControl, folder: Path) -> str:
    """A key that was used while a trail was on, with its log files in ``BUCKET`` and in a folder; the key's ARN."""
    lab.knobs(cloudtrail_file_interval=0)  # files are there when somebody reads
    store, trails = client("s3"), client("cloudtrail")
    store.create_bucket(Bucket=BUCKET)
    trails.create_trail(Name="all", S3BucketName=BUCKET)
    trails.start_logging(Name="all")
    key = str(client("kms").create_key()["KeyMetadata"]["Arn"])
    use(client, key)
    for listed in store.list_objects_v2(Bucket=BUCKET)["Contents"]:
        file = folder / listed["Key"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(store.get_object(Bucket=BUCKET, Key=listed["Key"])["Body"].read())
    return key


def test_event_history_a_folder_and_a_bucket_give_the_same_answer(
    client: Callable[..., Any], aws: Session, lab: LabControl, tmp_path: Path
) -> None:
    key = trail_of_the_lab(client, lab, tmp_path)
    now = datetime.now(UTC)
    window = Window(now - timedelta(days=1), now + timedelta(minutes=1))
    question = Question(KeyName.parse(key), window)
    sources: dict[str, Source] = {
        "event history": Lookup([aws], refusals=window, pace=Pace(0.001)),
        "folder": FolderSource(tmp_path),
        "bucket": BucketSource(f"s3://{BUCKET}", region=aws.region, endpoint=aws.endpoint, keys=aws.current_keys),
    }
    answers = {name: Embedded(source).ask(question) for name, source in sources.items()}
    assert told(answers["folder"]) == told(answers["event history"]) == told(answers["bucket"])
    totals = answers["folder"].totals
    assert totals.uses >= 7 and totals.refused == 2 and totals.resources >= 2 and totals.management >= 3


def test_event_history_that_was_only_slowed_down_is_complete(
    client: Callable[..., Any], aws: Session, lab: LabControl
) -> None:
    kms = client("kms")
    key = str(kms.create_key()["KeyMetadata"]["Arn"])
    kms.encrypt(KeyId=key, Plaintext=b"x")
    lab.knobs(lookup_interval=0.3)
    now = datetime.now(UTC)
    question = Question(KeyName.parse(key), Window(now - timedelta(days=1), now + timedelta(minutes=1)))
    for _ in range(2):  # two are let through
        client("cloudtrail").lookup_events(MaxResults=1)
    answer = Embedded(Lookup([aws], pace=Pace(0.001))).ask(question)
    assert answer.coverage.throttled > 0
    assert answer.totals.uses == 1
    assert answer.coverage.complete


def test_a_record_of_event_history_that_cannot_be_read_is_missing(aws: Session) -> None:
    """What AWS gave as a record and is none may have been about the key."""
    page = {"Events": [{"EventId": "1", "CloudTrailEvent": '{"eventSource": "kms.am'}]}
    now = datetime.now(UTC)
    question = Question(
        KeyName.parse(f"arn:aws:kms:{aws.region}:{aws.account}:key/{ID}"), Window(now - timedelta(1), now)
    )
    events, name = aws.client("cloudtrail").meta.events, "before-call.cloudtrail.LookupEvents"
    events.register(name, answer := lambda **_: (SimpleNamespace(status_code=200), page))
    try:
        coverage = Embedded(Lookup([aws], pace=Pace(0.001))).ask(question).coverage
    finally:
        events.unregister(name, answer)
    assert coverage.skipped == {"unreadable record": 1}
    assert not coverage.complete
