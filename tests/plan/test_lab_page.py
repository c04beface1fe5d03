"""docs/lab.md says what the lab says of itself."""

from __future__ import annotations

from pathlib import Path

from gameday.lab import describe
from tests.lab.rows import ROWS

PAGE = Path(__file__).parents[2] / "docs" / "lab.md"
HEAD = """# What the embedded lab enforces

_Made from `gameday.lab.describe()`; a test holds it to the code._ Each line's standing: *recorded* against real AWS,
*documented* by AWS, *observed* by practitioners, *inferred*, or *invented* because nothing could be found. Whoever has
an account is welcome to check the last two. What stands at the end as *not enforced* AWS does and the lab does not.

| service | behaviour | standing |
|---|---|---|
"""

BESIDE_MOTO = """
## Beside moto alone

The lab is moto behind a layer of its own. Each row says what moto 5.2 does by itself, what the lab does, and which
tests in `tests/lab` show it. `GAMEDAY_LAB_ROWS=1 pytest tests/lab/test_rows.py` runs every one of them against plain
moto, and is red unless all of them fail there.

| what | moto | the lab | tests |
|---|---|---|---|
"""


def page() -> str:
    rows = (
        f"| {row['service']} | {row['behaviour'].replace('|', chr(92) + '|')} | {row['standing']} |"
        for row in describe()
    )
    table = (
        f"| {row.what} | {row.moto} | {row.lab} | {'<br>'.join(f'`{test}`' for test in row.tests) or 'no difference'} |"
        for row in ROWS
    )
    return HEAD + "\n".join(rows) + "\n" + BESIDE_MOTO + "\n".join(table) + "\n"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "write tests.plan.test_lab_page.page() to docs/lab.md"
