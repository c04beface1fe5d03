"""Ask Prometheus a question whose answer is a number."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

import urllib3
from pydantic import Field, model_validator

from gameday.sdk import AWS, Cause, Duration, Observation, Probe
from gameday.urls import shown
from probes._http import MOST, WebAddress, get


class PrometheusQuery(Probe):
    """Ask Prometheus an instant query and compare what it gives; for guards on what must stay up.

    ``ok`` is when every series of the answer lies above and below what is given. No series is ``unhealthy``: what does
    not report may be what is down (say ``… or vector(0)`` in the query where nothing means zero). So is a server that
    does not answer. A query that Prometheus does not understand is ``invalid``. The server is asked without
    credentials, through the same proxies and with the same certificates as ``http.get``.
    """

    uses: ClassVar[str] = "prometheus.query"

    url: WebAddress
    """The server's address, up to and without `/api/v1/query`."""
    query: str = Field(min_length=1)
    """PromQL; a vector or a scalar."""
    above: float | None = None
    """Every value must be greater."""
    below: float | None = None
    """Every value must be less."""
    timeout: Duration = timedelta(seconds=3)

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("needs above, below or both")
        return self

    def observe(self, aws: AWS) -> Observation:
        """One GET of ``/api/v1/query``, for at most ``timeout`` altogether."""
        asked = time.monotonic()
        address = f"{self.url.rstrip('/')}/api/v1/query"
        try:
            whole = f"{address}?{urlencode({'query': self.query})}"
            status, body = get(aws, whole, self.timeout.total_seconds(), lambda _, so_far: len(so_far) >= MOST)
            seen = self._judge(status, body)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            detail = f"{shown(address)} gave no answer in time, or none at all"
            seen = Observation(cause=Cause.UNHEALTHY, code=type(error).__name__, detail=detail)
        except (ValueError, LookupError, TypeError, AttributeError):
            detail = f"{shown(address)} answered {status}, and not as Prometheus does"
            seen = Observation(cause=Cause.UNHEALTHY, code=str(status), detail=detail)
        return seen.model_copy(update={"latency": time.monotonic() - asked})

    def _judge(self, status: int, body: bytes) -> Observation:
        """Prometheus says status, error and errorType in JSON, whatever the HTTP status (HTTP API, Format overview)."""
        answer: Any = json.loads(body)
        if answer["status"] != "success":
            kind, said = str(answer["errorType"]), " ".join(str(answer["error"]).split())[:400]
            return Observation(
                cause=Cause.INVALID if kind == "bad_data" else Cause.UNHEALTHY, code=str(status), detail=said
            )
        series = _series(answer["data"])
        if not series:
            return Observation(cause=Cause.UNHEALTHY, code="NoData", detail="the query gave no data")
        wrong = [(name, value) for name, value in series if not self._holds(value)]
        limits = " and ".join(
            f"{word} {limit:g}" for word, limit in (("above", self.above), ("below", self.below)) if limit is not None
        )
        if wrong:
            name, value = wrong[0]
            more = f", and {len(wrong) - 1} more of {len(series)} series" if len(wrong) > 1 else ""
            return Observation(
                cause=Cause.UNHEALTHY, code="OutOfBounds", detail=f"{name}{value:g} is not {limits}{more}"
            )
        said = f"{series[0][1]:g}" if len(series) == 1 else f"all {len(series)} series"
        return Observation(cause=Cause.OK, detail=f"{said}, {limits}")

    def _holds(self, value: float) -> bool:
        """NaN is neither above nor below anything."""
        return (self.above is None or value > self.above) and (self.below is None or value < self.below)


def _series(data: Any) -> list[tuple[str, float]]:
    """Labels and value of each; raises what ``observe`` takes for an answer that is not Prometheus's."""
    if data["resultType"] == "scalar":
        return [("", float(data["result"][1]))]
    if data["resultType"] != "vector":
        raise TypeError("an instant query gives a vector or a scalar here")
    found = []
    for one in data["result"]:
        name = ", ".join(f"{label}={text}" for label, text in one["metric"].items())
        found.append((f"{name}: " if name else "", float(one["value"][1])))
    return found
