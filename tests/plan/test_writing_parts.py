"""What docs/writing-parts.md tells a newcomer to write works as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.processes import environment

ROOT = Path(__file__).parents[2]


def test_the_probe_of_the_page_is_found_by_its_file_and_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "writing-parts.md").read_text()
    code = re.search(r"^```python\n(.*?)^```", page, re.S | re.M)
    assert code
    shutil.copytree(ROOT / "probes", tmp_path / "probes")
    (tmp_path / "probes" / "ssm_read.py").write_text(code[1])
    words = [sys.executable, "-c", "from gameday.cli import main; main()", "probes"]
    listed = subprocess.run(
        words,
        cwd=tmp_path,
        env=environment(tmp_path, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ssm.read" in listed.stdout
    assert "parameter (required): Its name or ARN." in listed.stdout
