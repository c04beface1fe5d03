"""Ask a web address how it is."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import ClassVar

import urllib3
from pydantic import Field

from gameday.sdk import AWS, Cause, Duration, Observation, Probe
from gameday.urls import shown
from probes._http import WebAddress, get


class HttpGet(Probe):
    """GET a web address; for guards on what must stay up.

    ``unhealthy`` is all that is not the status and text asked for: no connection and no answer in time are what the
    thing watched does, not a failing of the watch. Redirects are not followed. The
    proxies of HTTPS_PROXY, HTTP_PROXY and NO_PROXY and the certificates of AWS_CA_BUNDLE are used, as by boto3.
    """

    uses: ClassVar[str] = "http.get"

    url: WebAddress
    status: int = Field(default=200, ge=100, le=599)
    contains: str = ""
    """A text that must stand in the answer's first MiB."""
    timeout: Duration = timedelta(seconds=3)

    def observe(self, aws: AWS) -> Observation:
        """Look once, for at most ``timeout`` altogether."""
        asked = time.monotonic()
        try:
            code, detail = self._ask(aws)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            code, detail = type(error).__name__, f"{shown(self.url)} gave no answer in time, or none at all"
        return Observation(
            cause=Cause.UNHEALTHY if code else Cause.OK,
            code=code,
            detail=detail,
            latency=time.monotonic() - asked,
        )

    def _ask(self, aws: AWS) -> tuple[str, str]:
        """The code of what is wrong, or ``""``, and a sentence."""
        text = self.contains.encode()
        status, body = get(aws, self.url, self.timeout.total_seconds(), self._decided)
        if status != self.status:
            return str(status), f"{shown(self.url)} answered {status}, not {self.status}"
        if text not in body:
            return "MissingText", f"{shown(self.url)} answered without {self.contains!r}"
        return "", f"{status}"

    def _decided(self, status: int, body: bytes) -> bool:
        return status != self.status or (body != b"" and self.contains.encode() in body)
