"""``${name}`` in a playbook's texts, and where the values come from."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gameday.playbook._document import BrokenError, Lines, Node
from gameday.playbook._problems import Path, Problems, did_you_mean, shown

NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
MAX_TEXT = 1024 * 1024
"""Characters that all texts together may have once the variables are in: a long value used often adds up."""

_NAME = re.compile(NAME)
_REFERENCE = re.compile(r"\$(?P<literal>\$\{)|\$\{(?P<inside>[^}]*)(?P<end>\}?)")


def effective(
    root: Node, given: Mapping[str, str], defaults: Mapping[str, str], *, lab: bool, problems: Problems
) -> dict[str, str]:
    """The value of each declared variable: what was given, what the target says, else (in the lab only) the file's."""
    _, declared = root.child("vars")
    written = declared.value if declared is not None else None
    if not isinstance(written, dict):
        if written is not None:
            problems.add(("vars",), "must be a mapping of names to values")
            problems.broken(("vars",))
        written = {}
    values: dict[str, str] = {}
    for name, node in written.items():
        text = _written(name, node, problems)
        values[name] = given.get(name, defaults.get(name, text))
        if not lab and name not in given and name not in defaults:
            hint = did_you_mean(name, [other for other in defaults if other not in written])
            said = f"give it with --var {name}=VALUE or in the target file"
            problems.add(("vars", name), said + hint.replace("did you mean", "which has"), key=True)
    for name in given:
        if name not in written:
            hint = did_you_mean(name, written)
            problems.add(("vars",), f"has no {shown(name)}, which --var names{hint}", key=True)
    return values


def _written(name: str, node: Node, problems: Problems) -> str:
    path: Path = ("vars", name)
    if not _NAME.fullmatch(name):
        problems.add(path, "a variable's name is letters, digits, '_' and '-', and begins with a letter", key=True)
    if not isinstance(node.value, str):
        is_what = "has no value" if node.value is None else "is not a text"
        problems.add(path, f"{is_what}; a variable is a text, and this one is for the lab", key=True)
        return ""
    if any(found["literal"] is None for found in _REFERENCE.finditer(node.value)):
        problems.add(path, "must not name another variable; write $${ for a literal ${")
    return node.value.replace("$${", "${")


class Substitution:
    """Puts the values of variables into a tree."""

    def __init__(self, text: str, values: Mapping[str, str], problems: Problems) -> None:
        self._text, self._values, self._problems = text, values, problems
        self._lines = Lines(text)
        self._length = 0

    def into(self, node: Node, path: Path = ()) -> Node:
        """The tree with every text filled in, ``vars`` themselves excepted."""
        value: str | list[Node] | dict[str, Node] | None = node.value
        if isinstance(node.value, dict):
            value = {
                name: child if (*path, name) == ("vars",) else self.into(child, (*path, name))
                for name, child in node.value.items()
            }
        elif isinstance(node.value, list):
            value = [self.into(child, (*path, index)) for index, child in enumerate(node.value)]
        elif isinstance(node.value, str) and "${" in node.value:
            value = self._filled(node, node.value, path)
        return Node(node.mark, value, node.source, node.names)

    def _filled(self, node: Node, text: str, path: Path) -> str:
        def value(found: re.Match[str]) -> str:
            if found["literal"]:
                return "${"
            name, complaint = found["inside"], ""
            if not found["end"] or not _NAME.fullmatch(name):
                complaint = f"{shown(found[0])} is no variable; write ${{name}}, or $${{ for a literal ${{"
            elif name not in self._values:
                complaint = f"the variable {shown(name)} is not in vars" + did_you_mean(name, self._values)
            if complaint:
                self._complain(node, found[0], path, complaint)
                return found[0]
            self._length += len(self._values[name])
            if self._length > MAX_TEXT:
                raise BrokenError(node.mark, "the texts become too long once the variables are in")
            return self._values[name]

        return _REFERENCE.sub(value, text)

    def _complain(self, node: Node, reference: str, path: Path, message: str) -> None:
        index = self._text.find(reference, *node.source)
        mark = self._lines.mark(index) if index >= 0 else node.mark
        if not self._problems.is_broken(("vars",)):
            self._problems.at(mark, path, message)
        self._problems.broken(path)
