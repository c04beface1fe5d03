"""Every shipped playbook, run as a newcomer runs it: by its bare name, with nothing but defaults.

``GAMEDAY_SHIPPED_PRESET=aws`` runs them with AWS's own delays instead; all at once they take some eight minutes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import playbooks
from tests.processes import GAMEDAY, environment

NAMES = sorted(each.stem for each in Path(next(iter(playbooks.__path__))).glob("*.yaml"))
PRESET = os.environ.get("GAMEDAY_SHIPPED_PRESET", "")
PATIENCE = 1500 if PRESET == "aws" else 110
Running = dict[str, Future[tuple[subprocess.CompletedProcess[str], str]]]
"""Each run, and the summary of the GitHub job that it may be in."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, selected: Callable[[str], list[Any]]) -> Iterator[Running]:
    """Some at once: a run mostly waits. Each has a home, a journal and a lab of its own, as newcomers have."""
    homes = tmp_path_factory.mktemp("homes")

    def run(name: str) -> tuple[subprocess.CompletedProcess[str], str]:
        (home := homes / name).mkdir()
        words = [GAMEDAY, "run", name, *(("--preset", PRESET) if PRESET else ())]
        done = subprocess.run(
            words,
            cwd=home,
            env=environment(home, GITHUB_STEP_SUMMARY=str(home / "summary.md")),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done, (home / "summary.md").read_text()

    with ThreadPoolExecutor(len(NAMES) if PRESET == "aws" else 3) as pool:
        yield {name: pool.submit(run, name) for name in selected("name")}


@pytest.mark.timeout(PATIENCE * 4)
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_playbook_passes_with_nothing_but_defaults(runs: Running, name: str) -> None:
    done, summary = runs[name].result()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "somebody else" not in said.lower(), said
    assert "PASSED" in said, said
    assert f"{name}: passed" in summary
