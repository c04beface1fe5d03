"""Who used a key, through what, for what: sources of CloudTrail's records, one definition, several engines."""

from gameday.blastradius._answer import Answer, Coverage, Kind, Row, Totals, Trail, Use
from gameday.blastradius._embedded import Embedded
from gameday.blastradius._question import KeyName, Question, Window, is_alias
from gameday.blastradius._source import Engine, Hits, Progress, Source, Watch, new_hits
from gameday.blastradius._sql import REFUSALS, REFUSED_ACTIONS

__all__ = [
    "REFUSALS",
    "REFUSED_ACTIONS",
    "Answer",
    "Coverage",
    "Embedded",
    "Engine",
    "Hits",
    "KeyName",
    "Kind",
    "Progress",
    "Question",
    "Row",
    "Source",
    "Totals",
    "Trail",
    "Use",
    "Watch",
    "Window",
    "is_alias",
    "new_hits",
]
