"""Read an object of S3, or a sample of those under a prefix."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from gameday.sdk import AWS, Cause, Observation, Outcome, Probe, evenly, s3_resources
from probes import _plain

_URL_LASTS = 60
_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
"""Storage classes whose objects must be restored before they are read (S3 API Reference, GetObject)."""
_LISTED = 1000
"""The most that ListObjectsV2 gives in one answer."""


class S3Read(Probe):
    """Read one object, or a sample under a prefix; with SSE-KMS this also exercises ``kms:Decrypt``.

    S3 asks KMS for every GetObject, unless the bucket has a Bucket Key that this identity has warmed: then it may go
    on reading for a while after the key is disabled, and a new session of the same role is refused (S3 keeps the
    bucket's key "for a short period" and makes one for each requester, says its user guide). A probe that is ``warm``
    beside one that is ``fresh`` shows the difference. HeadObject is no substitute: it needs no decryption, and
    succeeds with the key disabled.

    ``s3:ListBucket`` is needed for a ``prefix`` only, and printed only there. Without it S3 answers 403 instead of 404
    for an object that is missing, so that does not tell who may not list what there is; then it is seen as
    ``access_denied``. A playbook that expects ``not_found`` of a key must be given it besides (S3 API Reference,
    GetObject, "Permissions").
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["key"]}, {"required": ["prefix"]}]})

    uses: ClassVar[str] = "s3.read"
    permissions: ClassVar[tuple[str, ...]] = ("s3:GetObject", "s3:ListBucket", "kms:Decrypt")

    bucket: str = Field(min_length=1)
    key: str = ""
    """One object; or else a prefix."""
    prefix: str = ""
    """Read a sample of the first 1,000 objects whose keys begin so; the first that fails is what was seen. Archived
    objects (`GLACIER`, `DEEP_ARCHIVE`) are left out, restored or not."""
    sample: int = Field(default=3, gt=0, le=100)
    """How many of them: the same ones at every look, evenly spread over the list, the first among them."""
    access: Literal["authenticated", "presigned", "anonymous"] = "authenticated"
    """As whom: `authenticated` signs its request. `presigned` makes an address with a signature in it (SigV4, good for
    a minute) and gets it without credentials, as the console's Open does. `anonymous` is anybody on the internet:
    `public_access_blocked` is S3's 403 to it, which does not say whether Block Public Access or a missing grant is
    why; `unsigned_request` is a door that is open in front of a key that holds (SSE-KMS asks for a signature)."""
    session: Literal["warm", "fresh"] = "warm"
    """`warm` shares one session with all that look so; `fresh` makes one for each look. For a role that is assumed
    (by `as`, or by the profile) that is a new AssumeRole, to S3 and KMS a new requester. Static credentials stay the
    same: only the connection is new, and a Bucket Key that they have warmed stays warm."""
    max_bytes: int = Field(default=1 << 20, gt=0)
    """The body is read up to here, so that an answer that breaks off is seen; a large object costs no more."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.key) == bool(self.prefix):
            raise ValueError("needs either a key or a prefix")
        if "sample" in self.model_fields_set and not self.prefix:
            raise ValueError("sample goes with a prefix, not with a key")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """Listing goes with a prefix."""
        return tuple(action for action in self.permissions if self.prefix or action != "s3:ListBucket")

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The bucket, and the object or those under the prefix."""
        if not action.startswith("s3:"):
            return super().scope(action, aws)
        return s3_resources(action, aws.partition, self.bucket, self.key or f"{self.prefix}*")

    def observe(self, aws: AWS) -> Observation:
        """GetObject and its body, for each object: ok when all came, else what S3 says of the first that did not."""
        with aws.fresh() if self.session == "fresh" else nullcontext(aws) as session:
            return self._sample(session) if self.prefix else self._read(session, self.key)

    def _sample(self, aws: AWS) -> Observation:
        asked = time.monotonic()
        listed, keys = [], []
        with aws.answering() as answer:
            page = aws.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=_LISTED)
            listed = [each for each in page.get("Contents", []) if not each["Key"].endswith("/")]
            keys = [each["Key"] for each in listed if each.get("StorageClass") not in _ARCHIVED]
        if not answer.ok:
            return answer.observation()
        if not keys:
            archived = f" that can be read; {len(listed)} are archived" if listed else ""
            said = answer.observation(f"there is no object under {self.prefix}{archived}")
            return said.model_copy(update={"cause": Cause.NOT_FOUND})
        taken = evenly(keys, self.sample)
        of = f"{len(taken)} of {'the first ' if page['IsTruncated'] else ''}{len(keys)} under {self.prefix}"
        seen, detail = answer.observation(), f"read {of}"
        asked_for: list[str] = []
        for number, key in enumerate(taken, 1):
            seen = self._read(aws, key)
            asked_for.append(seen.request_id)
            if seen.outcome is not Outcome.OK:
                detail = f"{key}, number {number} of the {of}: {seen.detail}"
                break
        facts = {"detail": detail, "latency": time.monotonic() - asked}
        return seen.model_copy(update={**facts, "more_requests": tuple(asked_for[:-1])})

    def _read(self, aws: AWS, key: str) -> Observation:
        if self.access == "presigned":
            return self._presigned(aws, key)
        if self.access == "authenticated":
            return self._get(aws, key)
        seen = self._get(aws.anonymous(), key)
        blocked = {"cause": Cause.PUBLIC_ACCESS_BLOCKED}
        return seen.model_copy(update=blocked) if seen.cause is Cause.ACCESS_DENIED else seen

    def _get(self, aws: AWS, key: str) -> Observation:
        read = 0
        with aws.answering() as answer:
            read = aws.read_object(self.bucket, key, self.max_bytes)
        return answer.observation(f"{read} bytes" if answer.ok else "")

    def _presigned(self, aws: AWS, key: str) -> Observation:
        url = ""
        with aws.answering() as answer:  # signing asks nobody, but a role may have to be assumed for it
            what = {"Bucket": self.bucket, "Key": key}
            url = aws.client("s3").generate_presigned_url("get_object", Params=what, ExpiresIn=_URL_LASTS)
        return _plain.get(aws, url, self.max_bytes) if answer.ok else answer.observation()
