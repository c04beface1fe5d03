"""What is asked: a key, a window, and where one may look."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from gameday.errors import Refused

_ARN = re.compile(r"arn:(aws[\w-]*):kms:([a-z0-9-]+):(\d{12}):key/([A-Za-z0-9-]+)")
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ID = re.compile(rf"{_UUID}|mrk-(?:[0-9a-f]{{32}}|{_UUID})")
_ALIAS = re.compile(r"(?:arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:)?(alias/[A-Za-z0-9/_-]{1,250})")


@dataclass(frozen=True)
class KeyName:
    """One KMS key, and the names that a record may call it by.

    Parameters
    ----------
    id: the key id, a UUID or ``mrk-…``; keys of several Regions may share the latter.
    partition, region, account: ``""`` when only the id is known; then any key of that id is meant.
    aliases: as ``alias/NAME``. A record may name the key by an alias alone, and that alias means this key only in the
        key's own account and Region.
    replicas: further Regions in which a multi-Region key is meant too; each replica is a key of its own, which stays
        when another is disabled.
    """

    id: str
    partition: str = ""
    region: str = ""
    account: str = ""
    aliases: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        """The key's ARN, or ``""`` when only its id is known."""
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:key/{self.id}" if self.account else ""

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions in which the key is meant; empty when only its id is known."""
        return (self.region, *self.replicas) if self.region else ()

    @property
    def arns(self) -> tuple[str, ...]:
        """Its ARN in each of them."""
        return tuple(self.of(region) for region in self.regions)

    def of(self, region: str) -> str:
        """The ARN that it has in a Region."""
        return self.arn.replace(f":kms:{self.region}:", f":kms:{region}:", 1)

    def also_in(self, regions: Iterable[str]) -> KeyName:
        """The same with its replicas in these Regions, where it is a multi-Region key; else as it is."""
        if not (self.arn and self.id.startswith("mrk-")):
            return self
        return replace(self, replicas=tuple(dict.fromkeys(one for one in regions if one != self.region)))

    def __str__(self) -> str:
        return self.arn or self.id

    @classmethod
    def parse(cls, text: str, aliases: tuple[str, ...] = ()) -> KeyName:
        """Read an ARN or a key id; raises Refused for anything else: an alias means nothing without its account."""
        names = tuple(dict.fromkeys(_alias(name) for name in aliases))
        if whole := _ARN.fullmatch(text):
            partition, region, account, key_id = whole.groups()
            key_id = key_id.lower()
            if not _ID.fullmatch(key_id):
                raise Refused(
                    f"{text!r} names no KMS key: the id at its end is not 32 hexadecimal digits as 8-4-4-4-12 (or "
                    "mrk-…); one may be missing"
                )
            return cls(key_id, partition, region, account, names)
        if _ID.fullmatch(text.lower()):
            return cls(text.lower(), aliases=names)
        if _ALIAS.fullmatch(text):
            raise Refused(
                f"{text} is an alias, and log files do not say which key an alias stands for: give the key's ARN, or "
                "name the AWS that knows it with --target aws --account ID --region REGION"
            )
        raise Refused(
            f"{text!r} names no KMS key: give its ARN (arn:aws:kms:REGION:ACCOUNT:key/ID), its id, or alias/NAME"
        )


def is_alias(text: str) -> bool:
    """Whether it is an alias, or an alias' ARN."""
    return _ALIAS.fullmatch(text) is not None


def _alias(text: str) -> str:
    found = _ALIAS.fullmatch(text if text.startswith(("alias/", "arn:")) else f"alias/{text}")
    if not found:
        raise Refused(f"{text!r} is no alias: write alias/NAME")
    return found.group(1)


@dataclass(frozen=True)
class Window:
    """From ``since`` up to but not including ``until``, both UTC; CloudTrail's times are whole seconds."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise Refused(f"the window is empty: it ends at {self.until:%Y-%m-%dT%H:%M:%SZ}, before it begins")


@dataclass(frozen=True)
class Question:
    """Who used this key in this window.

    Parameters
    ----------
    accounts: read these only; empty reads all. A denied call from another account is logged in that account alone.
    regions: read these only; empty reads the key's own Region when it is known (and its replicas', where they are
        meant), since KMS logs nowhere else.
    detail: also give each single use, for joins; by default only the sums.
    """

    key: KeyName
    window: Window
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    detail: bool = False

    @property
    def reading_regions(self) -> tuple[str, ...]:
        """The Regions to read; empty for all."""
        return self.regions or self.key.regions
