"""Text from outside made harmless: the one place that every command's output and errors go through."""

from __future__ import annotations

import unicodedata

HARMLESS = "\N{REPLACEMENT CHARACTER}"
# Cc holds the escape sequences; Cf the marks that reverse or hide text; Zl and Zp break lines; Cs cannot be encoded.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def clean(text: str) -> str:
    """One line that a terminal shows as text: what came from AWS must not move the cursor or reorder a line."""
    if text.isascii() and text.isprintable():
        return text
    spaced = " ".join(text.split()) if any(sign in text for sign in "\n\r\t") else text
    return "".join(HARMLESS if unicodedata.category(sign) in _UNSAFE else sign for sign in spaced)


def clean_lines(text: str) -> str:
    """The same for text that has lines of its own: each is made harmless, and the lines and their indents stay."""
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + clean(line.lstrip(" ")) for line in text.split("\n"))
