"""A key by any of its names, with all its aliases, from KMS."""

from __future__ import annotations

from gameday.aws.session import Session
from gameday.blastradius._question import KeyName
from gameday.errors import Refused


def resolve_key(text: str, aliases: tuple[str, ...], aws: Session, *, must: bool) -> KeyName:
    """The key's ARN and all its aliases, those among them that the caller names because it had them once.

    When KMS does not know it, ``must`` makes that a Refused; else the text itself has to name a key.
    """
    arn = ""
    if text.startswith("arn:") and text.count(":") >= 5 and (region := text.split(":")[3]) and region != aws.region:
        aws = aws.in_region(region)
    with aws.answering() as answer:
        arn = aws.client("kms").describe_key(KeyId=text)["KeyMetadata"]["Arn"]
    if not arn:
        if must:
            why = ": ".join(filter(None, (answer.code, answer.detail)))
            raise Refused(
                f"key {text} could not be looked up in account {aws.account}, {aws.region} ({why}): give its ARN"
            )
        return KeyName.parse(text, aliases)
    known: list[str] = []
    with aws.answering():  # not being allowed to list them costs the records that name the key by an alias alone
        pages = aws.client("kms").get_paginator("list_aliases").paginate(KeyId=arn)
        known = [each["AliasName"] for page in pages for each in page["Aliases"] if "AliasName" in each]
    return KeyName.parse(arn, (*known, *aliases))
