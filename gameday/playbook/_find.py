"""Which file a playbook's name means."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from gameday.errors import PlaybookInvalid
from gameday.playbook._problems import did_you_mean, shown


def find(name: str) -> Path:
    """The file behind a path, or behind the name of a playbook that ships, with or without ``.yaml``.

    A file of the caller's own outranks one that ships. Raises PlaybookInvalid when there is neither.
    """
    own = Path(name)
    if _is_file(own):
        return own
    known = shipped()
    bare = name.removesuffix(".yaml")
    if bare in known:
        return known[bare]
    if _is_there(own):
        return own  # a directory, or a pipe: reading it says what is wrong
    if own.name != name:
        near = did_you_mean(own.name, (path.name for path in _yaml_in(own.parent)))
        raise PlaybookInvalid(f"there is no file {shown(name)}{near}")
    hint = did_you_mean(name, (path.name for path in _yaml_in(Path()))) or did_you_mean(bare, known)
    ships = f"; those that ship are {', '.join(known)}" if known and not hint else ""
    raise PlaybookInvalid(
        f"there is no file {shown(name)} here, and no playbook of that name ships with gameday{hint}{ships}"
    )


def shipped() -> dict[str, Path]:
    """The playbooks that ship with gameday, by name."""
    folder = Path(str(files("playbooks")))
    return {path.stem: path for path in _yaml_in(folder)}


def _yaml_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".yaml")
    except (OSError, ValueError):
        return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long to be one
        return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
