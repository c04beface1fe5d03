"""Every playbook that ships, as a process of its own on a lab that is up: exit code 0, and the account as it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gameday.lab import LabControl
from tests.deep import account

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
SHIPPED = [(path.stem, ()) for path in sorted(PLAYBOOKS.glob("*.yaml"))]


@pytest.mark.parametrize(("name", "more"), [*SHIPPED, ("public-access", ("--var", "how=policy"))])
def test_it_passes_and_leaves_nothing(
    lab: LabControl, client: Callable[[str], Any], tmp_path: Path, name: str, more: tuple[str, ...]
) -> None:
    text = (PLAYBOOKS / f"{name}.yaml").read_text()
    quick = tmp_path / f"{name}.yaml"
    quick.write_text(text.replace("hold: 5s", "hold: 0s").replace("every: 1s", "every: 50ms"))

    def gameday(*words: str) -> None:
        command = [Path(sys.executable).with_name("gameday"), *words, str(quick), "--target", f"lab={lab.url}", *more]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert said.returncode == 0, said.stderr

    gameday("stage")
    before = account(client)
    assert "alias/MyKMSKey" in before, "the account is looked at, and staged"
    gameday("run", "--journal", str(tmp_path / "j.db"))
    assert account(client) == before
