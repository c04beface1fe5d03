# ruff: noqa: RUF001  (a dash between two numbers is an en dash)
"""Numbers as a person reads them; foreign text made harmless."""

from __future__ import annotations

import math

import pytest

from exporters.text import Sink, between, clean, clock, fit, pad, short, span
from gameday.sdk import Interval


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.041, "41 ms"),
        (0.4, "0.4 s"),
        (3.24, "3.2 s"),
        (9.97, "10 s"),
        (34.4, "34 s"),
        (119.6, "2 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (-3, "-3 s"),
        (math.nan, "?"),
        (math.inf, "?"),
    ],
)
def test_span(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("after", "by", "said"),
    [
        (2.2, 3.2, "2.2–3.2 s"),
        (12.1, 34.4, "12–34 s"),
        (0.04, 0.4, "40 ms – 0.4 s"),
        (50, 200, "50 s – 3 min 20 s"),
        (0, 3.2, "0–3.2 s"),
        (3, 3, "3 s"),
        (5, 3, "3 s"),
        (120, 200, "2 min – 3 min 20 s"),
        (math.nan, 3, "3 s"),
        (0.01, 7.8, "0–7.8 s"),
    ],
)
def test_between(after: float, by: float, said: str) -> None:
    assert between(Interval(after=after, by=by)) == said


@pytest.mark.parametrize(("seconds", "said"), [(41.9, "00:41"), (3723, "1:02:03"), (-5, "00:00"), (math.inf, "--:--")])
def test_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("[red]bucket[/red]", "[red]bucket[/red]"),
        ("\x1b[31mred\x1b]0;title\x07", "\ufffd[31mred\ufffd]0;title\ufffd"),
        ("two\r\nlines\tand", "two lines and"),
        ("abc\u202edcba", "abc\ufffddcba"),
        ("zero\u200bwidth", "zero\ufffdwidth"),
        ("\x9b31m", "\ufffd31m"),
        ("line\u2028break", "line\ufffdbreak"),
        ("Größe 宽", "Größe 宽"),
    ],
)
def test_clean(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_wide_signs_count_as_two() -> None:
    assert pad("宽", 4) == "宽  "
    assert fit("宽宽宽", 4) == "宽…" or fit("宽宽宽", 4) == "宽 …"


@pytest.mark.parametrize(
    ("arn", "said"),
    [
        ("arn:aws:kms:us-east-1:123456789012:key/12ab34cd-56ef-7890-abcd-1234567890ab", "key/12ab34cd…"),
        ("arn:aws:s3:::bucket/clock.png", "bucket/clock.png"),
        ("https://shop.example/health", "https://shop.example/health"),
        ("", ""),
    ],
)
def test_short(arn: str, said: str) -> None:
    assert short(arn) == said


class Narrow:
    """A stream that knows ASCII only, and whose reader leaves after the first line."""

    encoding = "ascii"

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> int:
        text.encode("ascii")
        if self.lines:
            raise BrokenPipeError
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        pass


def test_a_sink_survives_its_encoding_and_its_reader() -> None:
    stream = Narrow()
    sink = Sink(stream)  # type: ignore[arg-type]
    for _ in range(3):
        sink.line("ok → key_disabled")
    assert stream.lines == ["ok ? key_disabled\n"]
