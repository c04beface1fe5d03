"""A GET of a web address within a time, for probes of what is not AWS."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import urllib3
from pydantic import AfterValidator

from gameday.sdk import AWS
from gameday.urls import is_web_address, shown

_CHUNK = 16384
MOST = 1 << 20
"""As much of an answer as is read."""


def _web_address(url: str) -> str:
    if not is_web_address(url):
        raise ValueError(f"{shown(url)!r} is not a web address; write http://… or https://…")
    return url


WebAddress = Annotated[str, AfterValidator(_web_address)]


def get(aws: AWS, url: str, seconds: float, enough: Callable[[int, bytes], bool]) -> tuple[int, bytes]:
    """The status and the first MiB of the body, read until there is enough; raises OSError or urllib3's HTTPError.

    No redirects, no retries; this host's proxies and certificates. The text of an error may hold the address with its
    query: say its kind only. urllib3's limit is for each read, so an answer that trickles is timed here.
    """
    until = time.monotonic() + seconds
    with aws.web(url, urllib3.Timeout(total=max(0.001, seconds))) as answer:
        body = b""
        if enough(answer.status, body):
            return answer.status, body
        for chunk in answer.stream(_CHUNK, decode_content=True):
            body += chunk
            if enough(answer.status, body) or len(body) >= MOST:
                break
            if time.monotonic() > until:
                raise urllib3.exceptions.TimeoutError
        return answer.status, body
