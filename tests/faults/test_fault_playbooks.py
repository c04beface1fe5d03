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


@pytest.mark.parametrize(
    ("name", "knob"),
    [
        ("killswitch", "enforce_key"),
        ("spare-volume", "enforce_key"),
        ("schedule-deletion", "enforce_key"),
        ("revoke-by-policy", "enforce_policies"),
        ("revoke-by-iam", "enforce_policies"),
    ],
)
def test_where_aws_does_not_do_what_is_expected_it_fails_and_puts_back(
    lab: LabControl, client: Callable[[str], Any], tmp_path: Path, name: str, knob: str
) -> None:
    """The other playbooks' failures: tests/probes/test_access_playbooks.py and tests/e2e_volume."""
    quick = tmp_path / f"{name}.yaml"
    text = (PLAYBOOKS / f"{name}.yaml").read_text()
    text = text.replace("every: 1s", "every: 50ms").replace("60s", "1s").replace("within: 3m", "within: 1s")
    quick.write_text(text.replace("evidence_within: 20m", "evidence_within: 1s"))  # what never was leaves no record
    words = [str(quick), "--target", f"lab={lab.url}"]
    command = Path(sys.executable).with_name("gameday")
    subprocess.run([command, "stage", *words], capture_output=True, check=True, timeout=60)
    before = account(client)
    lab.knobs(**{knob: False})
    ended = [command, "run", *words, "--journal", str(tmp_path / "j.db")]
    said = subprocess.run(ended, capture_output=True, text=True, timeout=100)
    assert said.returncode == 1, said.stdout + said.stderr
    assert "rollback complete" in said.stdout
    assert account(client) == before
