"""``gameday dashboards``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from gameday.cli.say import say
from gameday.errors import Refused


def write_dashboards(output: Path, *, force: bool) -> None:
    """Write everything, or raise Refused before anything is written."""
    files = dict(_files())
    changed = [name for name, text in files.items() if _differs(output / name, text)]
    if changed and not force:
        raise Refused(f"{output / changed[0]} is there and differs ({len(changed)} in all); --force replaces it")
    try:
        for name, text in files.items():
            path = output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
    except OSError as error:
        raise Refused(f"{error.filename} cannot be written: {error.strerror}") from error
    say(f"{len(files)} files in {output}")
    say(f"start Prometheus and Grafana with: docker compose --project-directory {output} up")
    say("and what they show with:           gameday watch PLAYBOOK... and gameday run --metrics-port 9718")


def _differs(path: Path, text: bytes) -> bool:
    try:
        return path.read_bytes() != text
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error


def _files() -> Iterator[tuple[str, bytes]]:
    here = resources.files("exporters.grafana")
    for file in here.iterdir():
        if file.name.endswith(".json"):
            yield f"dashboards/{file.name}", file.read_bytes()
    yield from _below(here / "stack", "")


def _below(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for child in folder.iterdir():
        if child.is_dir():
            yield from _below(child, f"{name}{child.name}/")
        else:
            yield f"{name}{child.name}", child.read_bytes()
