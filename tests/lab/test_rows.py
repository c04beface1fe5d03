"""Every row of the table has tests, and each of them fails on plain moto."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .rows import ROWS

HERE = Path(__file__).parent
NAMED = sorted({test for row in ROWS for test in row.tests})


def test_every_row_has_tests_and_every_test_is_there():
    assert [row.what for row in ROWS if not row.tests] == ["CloudWatch alarms"], "which moto alone does as well"
    for name in NAMED:
        file, _, test = name.partition("::")
        text = (HERE / f"test_{file}.py").read_text()
        assert re.search(rf"^def {re.escape(test.partition('[')[0])}\(", text, re.M), name


@pytest.mark.timeout(600)
@pytest.mark.skipif(not os.environ.get("GAMEDAY_LAB_ROWS"), reason="GAMEDAY_LAB_ROWS is not set: a minute")
def test_every_one_of_them_fails_on_plain_moto(tmp_path):
    ids = [f"tests/lab/test_{name}".replace("::", ".py::", 1) for name in NAMED]
    found = tmp_path / "found.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", f"--junitxml={found}", *ids],
        env={**os.environ, "GAMEDAY_LAB": "moto", "GAMEDAY_LAB_ROWS": ""},
        cwd=HERE.parents[1],
        capture_output=True,
        check=False,
    )
    cases = list(ElementTree.parse(found).iter("testcase"))
    assert {f"{case.get('name')}".partition("[")[0] for case in cases} == {
        name.partition("::")[2].partition("[")[0] for name in NAMED
    }
    outcomes = {f"{case.get('classname')}::{case.get('name')}": [each.tag for each in case] for case in cases}
    passed = [name for name, tags in outcomes.items() if tags != ["failure"]]
    assert not passed, f"plain moto does these too, or did not come to them: {passed}"
