"""Log files in a bucket."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gameday.blastradius._answer import Coverage
from gameday.blastradius._files import Seen, needles_of
from gameday.blastradius._pool import Found, Pool
from gameday.blastradius._question import Question
from gameday.blastradius._scan import LARGEST
from gameday.blastradius._source import Hits, Watch
from gameday.blastradius._worker import Fetch, Task
from gameday.errors import Refused

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Get = Callable[[str], bytes]

AHEAD = 16
"""Requests on the wire at once, in each process."""


class BucketSource:
    """Reads the log files under ``s3://bucket/prefix``.

    Parameters
    ----------
    place: ``s3://bucket/prefix``.
    region, endpoint: where S3 is reached; the bucket's own Region is found by itself.
    keys: access key, secret and token of the moment. Asked for again and again, so that they may be renewed while a
        long scan goes on.
    """

    def __init__(self, place: str, *, region: str, endpoint: str, keys: Callable[[], tuple[str, str, str]]) -> None:
        self._bucket, _, self._prefix = place.removeprefix("s3://").partition("/")
        self._region, self._endpoint, self._keys = region, endpoint, keys
        if not self._bucket:
            raise Refused(f"{place!r} names no bucket: write s3://BUCKET/PREFIX")

    def read(self, question: Question, hits: Hits, watch: Watch) -> Coverage:
        """Scan what the question needs; raises Refused when the bucket cannot be listed."""
        region = self._home
        task = Task(
            needles_of(question.key), str(hits.folder), bucket=self._bucket, endpoint=self._endpoint, region=region
        )
        seen = Seen(question)
        pool = Pool(
            task,
            lambda: fetch_with(self._bucket, self._endpoint, region, self._keys()),
            self._keys,
            watch,
        )
        tally = pool.scan(seen.watch_over(self.list(seen)))
        return seen.coverage(f"files under s3://{self._bucket}/{self._prefix}", tally, watch)

    def folders(self, below: str) -> list[str]:
        """The names of the folders right below a prefix of the place, e.g. the accounts; raises Refused."""
        from botocore.exceptions import BotoCoreError, ClientError

        prefix = "/".join(part for part in (self._prefix.strip("/"), below.strip("/")) if part) + "/"
        try:
            pages = self._client(self._home).get_paginator("list_objects_v2")
            return [
                each["Prefix"].removeprefix(prefix).strip("/")
                for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
                for each in page.get("CommonPrefixes", [])
                if "Prefix" in each
            ]
        except (BotoCoreError, ClientError) as error:
            raise Refused(f"s3://{self._bucket}/{prefix} cannot be listed: {error}") from error

    @cached_property
    def _home(self) -> str:
        """The bucket's Region; S3 says it even with a refusal."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = dict(self._client(self._region).head_bucket(Bucket=self._bucket))
        except ClientError as error:
            answer = dict(error.response)
        except BotoCoreError as error:
            raise Refused(f"s3://{self._bucket} cannot be reached: {error}") from error
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return str(headers.get("x-amz-bucket-region") or self._region)

    def _client(self, region: str) -> S3Client:
        return _s3_client(self._endpoint, region, self._keys())

    def list(self, seen: Seen) -> Iterator[Found]:
        """The files that the question needs, as they are found; raises Refused when the bucket cannot be listed."""
        from botocore.exceptions import BotoCoreError, ClientError

        region = self._home
        prefixes = [self._prefix]
        while prefixes:
            prefix = prefixes.pop()
            try:
                deeper: list[str] = []
                pages = self._client(region).get_paginator("list_objects_v2")
                for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/"):
                    deeper += [each["Prefix"] for each in page.get("CommonPrefixes", []) if "Prefix" in each]
                    for each in page.get("Contents", []):
                        if not each["Key"].endswith("/") and seen.wants_file(each["Key"]):
                            yield Found(each["Key"], each["Size"])
                prefixes += [each for each in reversed(deeper) if seen.wants_folder(each)]
            except (BotoCoreError, ClientError) as error:
                if prefix != self._prefix:
                    seen.unlisted(prefix)
                    continue
                raise Refused(f"s3://{self._bucket}/{prefix} cannot be listed: {error}") from error


def fetch_with(bucket: str, endpoint: str, region: str, keys: tuple[str, ...]) -> Fetch:
    """Gets objects, several at once, in the order of their names."""
    get = (_obstore if find_spec("obstore") else _boto3)(bucket, endpoint, region, keys)

    def one(name: str) -> bytes | str:
        try:
            return get(name)
        except Exception as error:  # noqa: BLE001 - two clients, each with errors of its own; the object is counted
            return _why(error)

    def fetch(names: Iterable[str]) -> Iterator[tuple[str, bytes | str]]:
        waiting: deque[tuple[str, Future[bytes | str]]] = deque()
        for name in names:
            waiting.append((name, _threads().submit(one, name)))
            if len(waiting) >= AHEAD:
                first, data = waiting.popleft()
                yield first, data.result()
        while waiting:
            first, data = waiting.popleft()
            yield first, data.result()

    return fetch


def _why(error: Exception) -> str:
    said = str(error)
    if "NoSuchKey" in said or "NotFound" in type(error).__name__:
        return "gone since it was listed"
    if "AccessDenied" in said or "PermissionDenied" in type(error).__name__:
        return "access denied"
    if "Archived" in said or "InvalidObjectState" in said:
        return "archived"
    if isinstance(error, TooLarge):
        return "too large"
    return "not fetched"


class TooLarge(Exception):
    """An object larger than any log file."""


@lru_cache(1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AHEAD)


@lru_cache(2)
def _obstore(bucket: str, endpoint: str, region: str, keys: tuple[str, ...]) -> Get:
    """Rust's object_store: a third of boto3's time of the processor for each object."""
    import obstore
    from obstore.store import S3Store

    access, secret, token = (*keys, "", "", "")[:3]
    more: dict[str, Any] = {"endpoint": endpoint, "virtual_hosted_style_request": False} if endpoint else {}
    more |= {"session_token": token} if token else {}
    store = S3Store(
        bucket,
        region=region,
        access_key_id=access,
        secret_access_key=secret,
        client_options={"allow_http": endpoint.startswith("http://")},
        **more,
    )

    def get(name: str) -> bytes:
        answer = obstore.get(store, name)
        if answer.meta["size"] > LARGEST:
            raise TooLarge
        return bytes(answer.bytes())

    return get


@lru_cache(2)
def _boto3(bucket: str, endpoint: str, region: str, keys: tuple[str, ...]) -> Get:
    client = _s3_client(endpoint, region, keys)

    def get(name: str) -> bytes:
        answer = client.get_object(Bucket=bucket, Key=name)
        if answer["ContentLength"] > LARGEST:
            raise TooLarge
        return answer["Body"].read()

    return get


@lru_cache(2)
def _s3_client(endpoint: str, region: str, keys: tuple[str, ...]) -> S3Client:
    """Unlike a run's clients this one retries: nothing is hidden by it, and a throttled page is no page lost."""
    import boto3
    from botocore.config import Config

    access, secret, token = (*keys, "", "", "")[:3]
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 6},
        max_pool_connections=AHEAD,
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "auto"},
        proxies={} if endpoint else None,
        user_agent_extra="gameday/blast-radius",
    )
    return boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint or None,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        aws_session_token=token or None,
        config=config,
    )
