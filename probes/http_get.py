"""Ask a web address how it is."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import urllib3
from pydantic import AfterValidator, Field

from gameday.sdk import AWS, Cause, Duration, Observation, Probe

_CHUNK = 16384
_MOST = 1 << 20


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{_bare(url)!r} is not a web address; write http://… or https://…")
    return url


def _bare(url: str) -> str:
    """Without user, password and query, which may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}{parts.path}"


class HttpGet(Probe):
    """GET a web address; for guards on what must stay up.

    ``unhealthy`` is all that is not the status and text asked for: no connection and no answer in time are what the
    thing watched does, not a failing of the watch. Redirects are not followed, and the environment's proxies are not
    used.
    """

    uses: ClassVar[str] = "http.get"

    url: Annotated[str, AfterValidator(_web_address)]
    status: int = Field(default=200, ge=100, le=599)
    contains: str = ""
    """A text that must stand in the answer's first MiB."""
    timeout: Duration = timedelta(seconds=3)

    def observe(self, aws: AWS) -> Observation:
        """Look once, for at most ``timeout`` altogether."""
        asked = time.monotonic()
        try:
            code, detail = self._ask(asked + self.timeout.total_seconds())
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # The error's own text holds the URL with its query: only its kind is said.
            code, detail = type(error).__name__, f"{_bare(self.url)} gave no answer"
        return Observation(
            cause=Cause.UNHEALTHY if code else Cause.OK,
            code=code,
            detail=detail,
            latency=time.monotonic() - asked,
        )

    def _ask(self, until: float) -> tuple[str, str]:
        """The code of what is wrong, or ``""``, and a sentence."""
        limit = urllib3.Timeout(total=max(0.001, until - time.monotonic()))
        with urllib3.PoolManager(timeout=limit, retries=False) as pool:
            answer = pool.request("GET", self.url, redirect=False, preload_content=False)
            try:
                if answer.status != self.status:
                    return str(answer.status), f"{_bare(self.url)} answered {answer.status}, not {self.status}"
                body = b""
                for chunk in answer.stream(_CHUNK):
                    body += chunk
                    if self.contains.encode() in body or len(body) >= _MOST:
                        break
                    if time.monotonic() > until:
                        # urllib3's limit is for each read; an answer that trickles would never reach it.
                        return "ReadTimeoutError", f"{_bare(self.url)} did not finish its answer in time"
                if self.contains.encode() not in body:
                    return "MissingText", f"{_bare(self.url)} answered without {self.contains!r}"
                return "", f"{answer.status}"
            finally:
                answer.close()
