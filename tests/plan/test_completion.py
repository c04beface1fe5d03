"""What a shell offers after <Tab>, asked as bash asks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.processes import GAMEDAY, environment


def offered(folder: Path, *words: str) -> list[str]:
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1), "_GAMEDAY_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [GAMEDAY], env=environment(folder, **asked), cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("command", ["run", "plan", "validate", "watch", "schedule", "drill", "stage", "iam-policy"])
def test_playbooks_that_ship_and_files(tmp_path: Path, command: str) -> None:
    assert offered(tmp_path, "gameday", command, "kil") == ["plain,killswitch", "file,kil"]


def test_targets(tmp_path: Path) -> None:
    assert offered(tmp_path, "gameday", "run", "--target", "a") == ["plain,aws", "file,a"]


@pytest.mark.parametrize("command", ["show", "report", "verify", "rollback", "abandon"])
def test_run_ids(tmp_path: Path, command: str) -> None:
    assert offered(tmp_path, "gameday", command, "0") == [], "there is no journal yet"
    refused = subprocess.run(
        [GAMEDAY, "run", "authenticated-access", "--target", "lab=http://127.0.0.1:1", "--journal", "j.db"],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 5
    (run,) = offered(tmp_path, "gameday", command, "--journal", "j.db", "")
    assert run.startswith("plain,")
    Path(tmp_path / "j.db").write_bytes(b"no journal at all")
    assert offered(tmp_path, "gameday", command, "--journal", "j.db", "") == []
