"""Makes the generated pages and schemas again: ``python docs/make.py``, after a part was added or changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GAMEDAY = Path(sys.executable).with_name("gameday")
MADE = {
    "docs/probes.md": ("probes", "--markdown"),
    "docs/faults.md": ("faults", "--markdown"),
    "docs/prerequisites.md": ("prerequisites", "--markdown"),
    "docs/exporters.md": ("exporters", "--markdown"),
    "playbooks/playbook.schema.json": ("schema",),
    "playbooks/target.schema.json": ("schema", "--target"),
}
"""Each file, and the command that prints it."""


def made(words: tuple[str, ...]) -> str:
    """What the command prints now."""
    return subprocess.run([GAMEDAY, *words], capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own command


if __name__ == "__main__":
    for name, words in MADE.items():
        (ROOT / name).write_text(made(words), encoding="utf-8")
