"""Who used a key, through what, for what: sources of CloudTrail's records, one definition, several engines."""

from gameday.blastradius._answer import Answer, Coverage, Kind, Row, Totals, Trail, Use
from gameday.blastradius._athena import Athena, Table, table_ddl
from gameday.blastradius._embedded import Embedded
from gameday.blastradius._files import FolderSource
from gameday.blastradius._question import KeyName, Question, Window, is_alias
from gameday.blastradius._resolve import resolve_key
from gameday.blastradius._s3 import BucketSource
from gameday.blastradius._source import Engine, Hits, Progress, Source, Watch, new_hits
from gameday.blastradius._spark import Spark
from gameday.blastradius._sql import REFUSALS, REFUSED_ACTIONS
from gameday.blastradius._words import coverage_sentences

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
    "is_alias",
    "new_hits",
    "resolve_key",
    "table_ddl",
]
