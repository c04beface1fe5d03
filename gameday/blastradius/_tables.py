"""Records in a table of commas: Athena's and CloudTrail Lake's results, Splunk's export."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gameday.blastradius._shapes import Harm, records_in

if TYPE_CHECKING:
    from pydantic import JsonValue

_HEADS = re.compile(r"(?i)^\ufeff?[\"\w][^{}\n]*[,\t;][^{}\n]*$|^\ufeff?\"?(_raw|eventjson|record|message)\"?\s*$")
NOT_WHOLE = "table without whole records"
"""Why CloudTrail's own "Download as CSV" is not read: it leaves out what the call was about."""


def is_table(text: str) -> bool:
    """Whether its first line is a table's heads."""
    return bool(_HEADS.match(text.lstrip()[:8192].partition("\n")[0].rstrip("\r")))


def records_of_table(text: str) -> Iterator[Mapping[str, JsonValue] | Harm]:
    """Each row's record: from a cell that holds it, or from the columns."""
    from gameday.blastradius._shapes import _records_of

    head = text.lstrip("\ufeff \r\n").partition("\n")[0]
    separator = max(",\t;", key=head.count)
    csv.field_size_limit(16 * 2**20)
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff \r\n"), newline=""), delimiter=separator, strict=True)
    columns = {(name or "").strip().lower() for name in rows.fieldnames or ()}
    told = False
    try:
        for row in rows:
            named: dict[str, JsonValue] = {(name or "").strip().lower(): cell or "" for name, cell in row.items()}
            if None in row or any(cell is None for cell in row.values()):
                yield Harm("row that is cut off")
            found = False
            for cell in row.values():
                if isinstance(cell, str) and "{" in cell and '"eventName"' in cell and '"eventSource"' in cell:
                    found = True
                    yield from records_in(cell)
                    break
            if found:
                continue
            if {"eventsource", "eventname", "eventtime"} <= columns and ({"resources", "requestparameters"} & columns):
                yield from _records_of(named, 0)
            elif not told:
                told = True
                yield Harm(NOT_WHOLE)
    except csv.Error:
        yield Harm("row that is cut off")
