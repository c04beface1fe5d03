"""The records that AWS documents, where they are at hand; they are read here and never copied."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gameday.blastradius import Coverage, Embedded, Hits, KeyName, Question, Watch, Window

RECORDS = Path("/work/shared/data/cloudtrail/aws-kms-devguide")
KEY = KeyName.parse("arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
EVER = Window(datetime(2010, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


class Documented:
    def read(self, question: Question, hits: Hits, watch: Watch) -> Coverage:
        for file in sorted(RECORDS.glob("*.json")):
            for record in json.loads(file.read_text())["Records"]:
                hits.keep(record)
        return Coverage()


@pytest.mark.skipif(not RECORDS.exists(), reason="AWS' documented records are not at hand")
def test_the_documented_records_say_who_used_the_key_for_what() -> None:
    answer = Embedded(Documented()).ask(Question(KEY, EVER, detail=True))
    rows = {(row.principal.rsplit(":", 1)[-1], row.service, row.resource): row for row in answer.rows}
    s3 = rows["role/Admins", "s3.amazonaws.com", "arn:aws:s3:::example_bucket/example_object"]
    assert (s3.uses, s3.actions, s3.sessions) == (2, ("Decrypt", "GenerateDataKey"), 1)
    assert ("ec2-infrastructure", "ec2.amazonaws.com", "vol-f67bafb2") in rows
    assert ("user/Alice", "direct", "Department=Engineering,Project=Alpha") in rows
    assert answer.totals.uses == sum(row.uses for row in answer.rows) == 13
    assert len(answer.uses) == answer.totals.uses + answer.totals.management
