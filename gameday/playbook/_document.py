"""From bytes to a tree of text: YAML's structure with the place of every node, and none of YAML's types."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import yaml

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
MAX_DEPTH = 50
_TOO_DEEP = f"is nested more than {MAX_DEPTH} deep"

Data = None | str | list["Data"] | dict[str, "Data"]
"""What pydantic is given: the text of each node, never YAML's idea of it (``10:30`` is not 630)."""

_NULLS = frozenset({"", "~", "null"})
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNSEEN = re.compile("[\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb]")
"""What is not seen, or looks like a plain space: no-break and wide spaces, zero widths, separators, directions."""
_UNMEANT = re.compile("[\xad\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
"""Those of them that nobody means, not even in quotes. Names of objects do have no-break spaces and joiners."""
_OPENED = re.compile(r"[\[{]")
_BARE = re.compile(r"[\[{:, ]\$\{")
_Loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _YamlMark(Protocol):
    """What the marks of PyYAML's two parsers have in common."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class Mark(NamedTuple):
    """A place in the file, counted from 1."""

    line: int
    column: int


class BrokenError(Exception):
    """The file cannot be read any further."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark, self.message = mark, message


@dataclass(slots=True)
class Node:
    """A text, a list, a mapping, or nothing; aliases share the node that they name."""

    mark: Mark
    value: str | list[Node] | dict[str, Node] | None
    source: tuple[int, int] = (0, 0)
    """Where a text stands in the file, as written."""
    names: dict[str, Mark] = field(default_factory=dict)
    """The places of a mapping's keys."""
    size: int = 1
    height: int = 1

    @property
    def is_scalar(self) -> bool:
        """Whether it is a text, or nothing."""
        return self.value is None or isinstance(self.value, str)

    def child(self, part: str | int) -> tuple[Mark | None, Node | None]:
        """The place of a child's name and the child, where there is one."""
        if isinstance(self.value, dict) and isinstance(part, str) and part in self.value:
            return self.names.get(part), self.value[part]
        if isinstance(self.value, list) and isinstance(part, int) and part < len(self.value):
            return None, self.value[part]
        return None, None

    def data(self) -> Data:
        """The plain values, without places."""
        if isinstance(self.value, dict):
            return {name: node.data() for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.data() for node in self.value]
        return self.value


@dataclass(frozen=True)
class Duplicate:
    """A key that stands twice in one mapping."""

    mark: Mark
    path: tuple[str | int, ...]
    first: Mark


class Lines:
    """Where the lines of a text begin."""

    def __init__(self, text: str) -> None:
        self._begins = [0, *(found.end() for found in _BREAK.finditer(text))]

    def mark(self, index: int) -> Mark:
        """The place of a character."""
        line = bisect_right(self._begins, index)
        return Mark(line, index - self._begins[line - 1] + 1)

    def begin(self, line: int) -> int:
        """Where a line begins; behind the last one is the last one's begin."""
        return self._begins[min(max(line, 1), len(self._begins)) - 1]


def begins(kind: str) -> str:
    """How a file of a kind begins, in words."""
    return f"a {kind} begins with its name, '{kind.split()[0]}: NAME'"


def decode(raw: bytes, kind: str = "playbook") -> str:
    """The file as text, or BrokenError when it is not the text of a playbook (or of another ``kind``) at all."""
    if len(raw) > MAX_BYTES:
        raise BrokenError(Mark(1, 1), f"is larger than {MAX_BYTES // 1024} KiB; that is not a {kind}")
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise BrokenError(Mark(1, 1), "begins with a byte order mark; save it as plain UTF-8")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        raise BrokenError(Lines(before).mark(len(before)), f"is not UTF-8: byte 0x{raw[error.start]:02x}") from None
    if found := _UNPRINTABLE.search(text):
        name = "a NUL character" if found[0] == "\0" else f"the control character U+{ord(found[0]):04X}"
        raise BrokenError(Lines(text).mark(found.start()), f"contains {name}; a {kind} is plain text")
    return text


def compose(text: str, kind: str = "playbook") -> tuple[Node, list[Duplicate]]:
    """The one document in a text. Raises BrokenError where it is no YAML, or YAML that a playbook must not use.

    ``kind`` is what the text is called in messages; its first word is the key that a file begins with.

    Works on YAML's events and never recurses on what the file says, so that a hostile file costs no more than its
    own length: every alias is charged with all that it stands for before anyone walks the tree.
    """
    try:
        return _Composer(text, kind).document()
    except yaml.MarkedYAMLError as error:
        mark = _mark(error.problem_mark or error.context_mark)
        if "nesting depth" in str(error.problem):  # libyaml's own limit, met while it still looks for the first event
            raise BrokenError(mark, _TOO_DEEP) from None
        where = f", {error.context}" if error.context else ""
        where += f" that begins on line {error.context_mark.line + 1}" if error.context and error.context_mark else ""
        context = _mark(error.context_mark) if error.context_mark else mark
        advice = _advice(text, mark) or _hidden(text, min(context.line, mark.line), mark.line)
        raise BrokenError(mark, f"is not YAML: {error.problem}{where}{advice}") from None
    except yaml.YAMLError as error:
        raise BrokenError(Mark(1, 1), f"is not YAML: {' '.join(str(error).split())}") from None


def _mark(mark: _YamlMark | None) -> Mark:
    return Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)


def _advice(text: str, mark: Mark) -> str:
    """The two mistakes that YAML's own words do not explain."""
    lines = _BREAK.split(text)
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    if "\t" in line[: mark.column]:
        return "; indent with spaces, not with tabs"
    opened = _OPENED.search(line)
    if opened and _BARE.search(line, opened.start()):
        return '; inside {…} and […] a variable stands in quotes: "${name}"'
    return ""


def _named(character: str) -> str:
    """A character that is not seen, by its code point and Unicode's name."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def _hidden(text: str, first: int, last: int) -> str:
    """The first character that is not seen on the lines that YAML stumbles over, and on the one before them."""
    lines = Lines(text)
    begin, end = lines.begin(first - 1), lines.begin(last + 1)
    found = _UNSEEN.search(text, begin, end if end > lines.begin(last) else len(text))
    if not found:
        return ""
    mark = lines.mark(found.start())
    return f"; line {mark.line}, column {mark.column} holds the invisible {_named(found[0])}"


class _Open(NamedTuple):
    """A list or mapping that has not ended yet, and the key that waits for its value."""

    node: Node
    anchor: str | None
    key: list[tuple[str, Mark]]


class _Composer:
    def __init__(self, text: str, kind: str) -> None:
        self._kind, self._text = kind, text
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._duplicates: list[Duplicate] = []
        self._root: Node | None = None
        self._total = 0

    def document(self) -> tuple[Node, list[Duplicate]]:
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise BrokenError(_mark(event.start_mark), f"holds a second document; a {self._kind} is one")
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
        if self._root is None or self._root.value is None:
            raise BrokenError(Mark(1, 1), f"is empty; {begins(self._kind)}")
        return self._root, self._duplicates

    def _node(self, event: yaml.NodeEvent) -> None:
        mark = _mark(event.start_mark)
        tag: str | None = getattr(event, "tag", None)
        if tag is not None:
            raise BrokenError(mark, f"has the YAML tag {tag!r}; a {self._kind} is data and uses no tags")
        if isinstance(event, yaml.AliasEvent):
            self._put(self._alias(event, mark), None)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, mark)
        else:
            self._charge(mark, 1, 1)
            node = Node(mark, {} if isinstance(event, yaml.MappingStartEvent) else [])
            if self._awaits_key():
                raise BrokenError(mark, "has a list or mapping for a key; a key is a word")
            if event.anchor is not None:
                self._anchors[event.anchor] = None  # until it has ended, an alias to it would be endless
            self._open.append(_Open(node, event.anchor, []))

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        self._charge(mark, 1, 1)
        self._refuse_unseen(event)
        if self._awaits_key():
            self._open[-1].key.append((event.value, mark))
            if event.anchor is not None:
                self._anchors[event.anchor] = Node(mark, event.value)
            return
        plain = event.style in (None, "")
        begin, end = event.start_mark, event.end_mark
        source = (begin.index, end.index) if begin and end else (0, 0)
        self._put(Node(mark, None if plain and event.value in _NULLS else event.value, source), event.anchor)

    def _refuse_unseen(self, event: yaml.ScalarEvent) -> None:
        """Refuse what cannot be seen in a name or a value. A description is prose, which may have it."""
        is_key = self._awaits_key()
        if not is_key and self._open and self._open[-1].key and self._open[-1].key[0][0] == "description":
            return
        if not event.start_mark or not event.end_mark:
            return
        plain = is_key or event.style in (None, "")
        found = (_UNSEEN if plain else _UNMEANT).search(self._text, event.start_mark.index, event.end_mark.index)
        if found:
            meant = "" if is_key else f'; if it is meant, write "\\u{ord(found[0]):04x}" in double quotes'
            place = Lines(self._text).mark(found.start())
            raise BrokenError(place, f"contains the invisible {_named(found[0])}; take it out{meant}")

    def _alias(self, event: yaml.AliasEvent, mark: Mark) -> Node:
        if event.anchor not in self._anchors:
            raise BrokenError(mark, f"names *{event.anchor}, but nothing before it is marked &{event.anchor}")
        node = self._anchors[event.anchor]
        if node is None:
            raise BrokenError(mark, f"*{event.anchor} stands inside what it names, so it would never end")
        if self._awaits_key():
            raise BrokenError(mark, "has an alias for a key; a key is a word")
        self._charge(mark, node.size, node.height)
        return node

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].node.value, dict) and not self._open[-1].key

    def _charge(self, mark: Mark, size: int, height: int) -> None:
        self._total += size
        if self._total > MAX_NODES:
            raise BrokenError(mark, f"has more than {MAX_NODES:,} values once its aliases are written out")
        if len(self._open) + height > MAX_DEPTH:
            raise BrokenError(mark, _TOO_DEEP)

    def _end(self) -> None:
        node, anchor, _ = self._open.pop()
        self._put(node, anchor)

    def _put(self, node: Node, anchor: str | None) -> None:
        """Give a finished node to what it stands in."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self._root = node
            return
        outer = self._open[-1].node
        outer.size += node.size
        outer.height = max(outer.height, node.height + 1)
        if isinstance(outer.value, list):
            outer.value.append(node)
        elif isinstance(outer.value, dict):
            name, mark = self._open[-1].key.pop()
            if name in outer.value:
                self._duplicates.append(Duplicate(mark, (*self._path(), name), outer.names[name]))
            else:
                outer.value[name], outer.names[name] = node, mark

    def _path(self) -> tuple[str | int, ...]:
        """Where the innermost open collection stands."""
        path: list[str | int] = []
        for node, _, key in self._open[:-1]:
            path.append(len(node.value) if isinstance(node.value, list) else key[0][0])
        return tuple(path)
