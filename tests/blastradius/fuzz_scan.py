"""Fuzz the scanner: ``python -m tests.blastradius.fuzz_scan SEEDS -max_total_time=600`` (needs atheris).

Whatever the bytes are, nothing is raised, the sink holds lines of the right width, what is wrong is counted, and a good
file afterwards still gives its record.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from isal import igzip

from gameday.blastradius._flat import COLUMNS
from gameday.blastradius._scan import Scanner, Tally
from tests.blastradius.shapes import ID, made

GOOD = igzip.compress(json.dumps({"Records": [made()]}).encode())
SEEDS = Path(__file__).parent / "seeds"
MOST = 1 << 20


def check(data: bytes) -> None:
    """One input: as it is, and inside a gzip file."""
    for form in (data, igzip.compress(data, 0)):
        sink, tally = io.StringIO(), Tally()
        scanner = Scanner([ID.encode()], sink, MOST)
        scanner.scan("a", form, tally)
        left = sum(tally.left_out.values()) + sum(tally.excluded.values())
        assert tally.files + sum(tally.skipped.values()) + left >= 1
        assert tally.raw_bytes <= MOST
        scanner.scan("good", GOOD, tally)
        lines = sink.getvalue().splitlines()
        assert len(lines) == tally.hits
        assert all(len(json.loads(line)) == len(COLUMNS) for line in lines)
        assert json.loads(lines[-1])[0] == made()["eventID"]


def main() -> None:
    import atheris

    for module in ("gameday.blastradius._scan", "gameday.blastradius._flat"):
        sys.modules.pop(module)
    with atheris.instrument_imports(include=["gameday.blastradius"]):
        import gameday.blastradius._flat
        import gameday.blastradius._scan

        globals()["Scanner"] = gameday.blastradius._scan.Scanner
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
