"""The page on scheduling says all there is, and the systemd unit is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gameday.schedule.launch import ALL_OUTCOMES
from gameday.schedule.numbers import Numbers

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "scheduling.md").read_text()
UNIT = DOCS / "gameday-schedule.service"


def test_every_metric_and_outcome_is_written_about() -> None:
    for family in Numbers().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}" in PAGE, name
    for outcome in ALL_OUTCOMES:
        assert f"`{outcome}`" in PAGE, outcome


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing (Debian: apt-get install systemd)")
        pytest.skip("no systemd-analyze on this machine")
    # Its user is made when it is installed, and no program of ours stands on this machine's usual path.
    unit = tmp_path / UNIT.name
    unit.write_text("".join(line for line in UNIT.read_text().splitlines(True) if not line.startswith("User=")))
    told = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    assert (told.returncode, told.stderr) == (0, ""), told.stderr
