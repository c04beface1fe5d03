"""docs/lab.md says what the lab says of itself."""

from __future__ import annotations

from pathlib import Path

from gameday.lab import describe

PAGE = Path(__file__).parents[2] / "docs" / "lab.md"
HEAD = """# What the embedded lab enforces

_Made from `gameday.lab.describe()`; a test holds it to the code._ Each line's standing: *recorded* against real AWS,
*documented* by AWS, *observed* by practitioners, *inferred*, or *invented* because nothing could be found. Whoever has
an account is welcome to check the last two. What stands at the end as *not enforced* AWS does and the lab does not.

| service | behaviour | standing |
|---|---|---|
"""


def page() -> str:
    rows = (
        f"| {row['service']} | {row['behaviour'].replace('|', chr(92) + '|')} | {row['standing']} |"
        for row in describe()
    )
    return HEAD + "\n".join(rows) + "\n"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "write tests.plan.test_lab_page.page() to docs/lab.md"
