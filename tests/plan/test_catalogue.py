"""The catalogue in docs/ says what the code says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.plan.conftest import GAMEDAY

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("kind", ["probes", "faults"])
def test_the_catalogue_is_up_to_date(kind: str) -> None:
    made = subprocess.run([GAMEDAY, kind, "--markdown"], capture_output=True, text=True, check=True).stdout
    assert (DOCS / f"{kind}.md").read_text() == made, f"gameday {kind} --markdown > docs/{kind}.md"
