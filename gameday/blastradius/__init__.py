"""Who used a key, through what, for what: sources of CloudTrail's records, one definition, several engines."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gameday.blastradius._answer import Answer, Coverage, Kind, Row, Totals, Trail, Use
    from gameday.blastradius._athena import Athena, Table, table_ddl
    from gameday.blastradius._embedded import Embedded
    from gameday.blastradius._files import FolderSource
    from gameday.blastradius._known import REFUSALS, REFUSED_ACTIONS
    from gameday.blastradius._question import KeyName, Question, Window, is_alias
    from gameday.blastradius._resolve import resolve_key
    from gameday.blastradius._s3 import BucketSource
    from gameday.blastradius._source import Engine, Hits, Progress, Source, Watch, new_hits
    from gameday.blastradius._spark import Spark
    from gameday.blastradius._words import coverage_sentences, incomplete_sentences
else:
    _HOMES = {
        "_answer": "Answer, Coverage, Kind, Row, Totals, Trail, Use",
        "_athena": "Athena, Table, table_ddl",
        "_embedded": "Embedded",
        "_files": "FolderSource",
        "_question": "KeyName, Question, Window, is_alias",
        "_resolve": "resolve_key",
        "_s3": "BucketSource",
        "_source": "Engine, Hits, Progress, Source, Watch, new_hits",
        "_spark": "Spark",
        "_sql": "REFUSALS, REFUSED_ACTIONS",
        "_words": "coverage_sentences, incomplete_sentences",
    }
    _HOME = {name: home for home, names in _HOMES.items() for name in names.split(", ")}

    def __getattr__(name: str) -> object:
        """A process that scans lives for seconds: it loads the scanner alone, not boto3, pydantic and every source."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = [
    "REFUSALS",
    "REFUSED_ACTIONS",
    "Answer",
    "Athena",
    "BucketSource",
    "Coverage",
    "Embedded",
    "Engine",
    "FolderSource",
    "Hits",
    "KeyName",
    "Kind",
    "Progress",
    "Question",
    "Row",
    "Source",
    "Spark",
    "Table",
    "Totals",
    "Trail",
    "Use",
    "Watch",
    "Window",
    "coverage_sentences",
    "incomplete_sentences",
    "is_alias",
    "new_hits",
    "resolve_key",
    "table_ddl",
]
