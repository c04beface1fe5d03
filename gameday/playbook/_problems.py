"""Mistakes: gathered all at once, each with its place in the file, worded for the person who wrote it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from gameday.errors import PlaybookInvalid
from gameday.playbook._document import Mark, Node

Path = tuple[str | int, ...]
"""Where something stands in a playbook: ``("faults", 0, "with", "key")``."""

_LONGEST_SHOWN = 60
_PLAIN_KEY = re.compile(r"[\w$<{}/-][\w${}/ -]{0,60}", re.ASCII)


def shown(text: str) -> str:
    """A text as it can stand in a one-line message: quoted, escaped, and cut when long."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'bucket'?)``, or nothing when no known name is near."""
    if len(word) > _LONGEST_SHOWN:
        return ""
    names = list(known)
    folded = {name.lower().replace("-", "_"): name for name in reversed(names)}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[near[0]]!r}?)" if near else ""


def printed(path: Path) -> str:
    """A path as messages write it: ``faults[0].with.key``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." if text else ""
            text += part if _PLAIN_KEY.fullmatch(part) else shown(part)
    return text or "(whole file)"


def printed_file(file: str) -> str:
    """A file's name as messages write it; escaped when it would not stay on its line."""
    return file if file.isprintable() else json.dumps(file)


@dataclass
class Problems:
    """The mistakes of one file."""

    file: str
    root: Node | None = None
    """What paths are looked up in; set as soon as the file has been read."""
    _found: dict[tuple[Mark, str], None] = field(default_factory=dict)
    _broken: set[Path] = field(default_factory=set)

    def at(self, mark: Mark, path: Path, message: str) -> None:
        """Note a mistake whose place is known."""
        self._found[mark, f"{printed(path)}: {message}"] = None

    def add(self, path: Path, message: str, *, key: bool = False) -> None:
        """Note a mistake at a path: at its value, or with ``key`` at the name in front of it.

        A name can be wrong whatever the mistake in its value.
        """
        if not self.is_broken(path[:-1] if key else path):
            self.at(self._mark(path, key=key), path, message)

    def broken(self, path: Path) -> None:
        """From here on say nothing more about what stands at or below ``path``: its mistake is already noted."""
        self._broken.add(path)

    def is_broken(self, path: Path) -> bool:
        """Whether a mistake noted earlier already covers this path."""
        return any(path[:length] in self._broken for length in range(len(path) + 1))

    def _mark(self, path: Path, *, key: bool) -> Mark:
        mark, node = Mark(1, 1), self.root
        for part in path:
            if node is None:
                break
            name_mark, node = node.child(part)
            if node is not None:
                # A mapping or list is pointed at by its name: its own first line is about something else.
                mark = name_mark if name_mark and (key or not node.is_scalar) else node.mark
        return mark

    def __bool__(self) -> bool:
        return bool(self._found)

    def fail(self) -> NoReturn:
        """Raise all that was found, in the order of the file, one a line."""
        name = printed_file(self.file)
        found = sorted(self._found, key=lambda one: one[0])
        raise PlaybookInvalid("\n".join(f"{name}:{mark.line}:{mark.column}: {what}" for mark, what in found))
