"""What the stage steps share: the tag on what they make, and one sentence for what AWS will not do."""

from __future__ import annotations

from typing import NoReturn

from gameday.errors import Refused
from gameday.sdk import AWS, Answer

TAG = "gameday:stage"
"""Only what carries this tag is ever removed."""
TAG_VALUE = "gameday"


def tags(aws: AWS) -> dict[str, str]:
    """The tags of something made now."""
    return {TAG: TAG_VALUE, "gameday:run": aws.run}


def demand(answer: Answer, what: str, advice: str = "") -> None:
    """Refuse, with AWS's words, unless the answer is good."""
    if not answer.ok:
        raise Refused(f"{what}: {said(answer)}" + (f"; {advice}" if advice else ""))


def refuse_existing(why: str, what: str) -> NoReturn:
    """It is there, fit or not: a stage step never alters what exists already."""
    raise Refused(f"{why or f'{what} is there'}; gameday never alters what exists already")


def said(answer: Answer) -> str:
    """AWS's words in a few."""
    return ": ".join(filter(None, (answer.code or str(answer.cause), answer.detail)))
