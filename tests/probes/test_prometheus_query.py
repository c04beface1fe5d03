"""prometheus.query: a number within bounds is ok; no number, no answer and NaN are not."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aws_rig import Rude, session_at
from pydantic import ValidationError

from gameday.sdk import Cause
from probes.prometheus_query import PrometheusQuery

AWS = session_at("http://127.0.0.1:1")


def vector(*values: str) -> bytes:
    result = [{"metric": {"job": f"shop{i}"}, "value": [1.5, value]} for i, value in enumerate(values)]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def ask(rude: Rude, **limits: Any) -> Any:
    return PrometheusQuery(url=f"{rude.url}/prom/", query='up{job="a b"} > 0', **limits).observe(AWS)


def test_the_question_arrives_as_it_was_written(rude: Rude) -> None:
    rude.body = vector("1")
    seen = ask(rude, above=0)
    assert (seen.cause, seen.detail) == (Cause.OK, "1, above 0")
    assert seen.latency > 0
    [got] = rude.got
    parts = urlsplit(got["path"])
    assert (got["method"], parts.path) == ("GET", "/prom/api/v1/query")
    assert parse_qs(parts.query) == {"query": ['up{job="a b"} > 0']}


@pytest.mark.parametrize(
    ("values", "limits", "cause", "detail"),
    [
        (("0.5",), {"below": 1}, Cause.OK, "0.5, below 1"),
        (("1",), {"below": 1}, Cause.UNHEALTHY, "job=shop0: 1 is not below 1"),
        (("1",), {"above": 1}, Cause.UNHEALTHY, "job=shop0: 1 is not above 1"),
        (("2",), {"above": 1, "below": 3}, Cause.OK, "2, above 1 and below 3"),
        (("2", "4", "5"), {"above": 1, "below": 3}, Cause.UNHEALTHY,
         "job=shop1: 4 is not above 1 and below 3, and 1 more of 3 series"),
        (("2", "2"), {"above": 1}, Cause.OK, "all 2 series, above 1"),
        (("NaN",), {"above": 0}, Cause.UNHEALTHY, "job=shop0: nan is not above 0"),
        (("+Inf",), {"above": 0}, Cause.OK, "inf, above 0"),
        ((), {"below": 1}, Cause.UNHEALTHY, "the query gave no data"),
    ],
)  # fmt: skip
def test_it_compares(rude: Rude, values: tuple[str, ...], limits: dict[str, float], cause: Cause, detail: str) -> None:
    rude.body = vector(*values)
    seen = ask(rude, **limits)
    assert (seen.cause, seen.detail) == (cause, detail)


def test_a_scalar(rude: Rude) -> None:
    rude.body = b'{"status":"success","data":{"resultType":"scalar","result":[1.5,"3"]}}'
    assert ask(rude, above=2).detail == "3, above 2"


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (400, b'{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}', Cause.INVALID),
        (503, b'{"status":"error","errorType":"timeout","error":"query timed out"}', Cause.UNHEALTHY),
        (200, b"<html>log in</html>", Cause.UNHEALTHY),
        (200, b"[]", Cause.UNHEALTHY),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}', Cause.UNHEALTHY),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[7]}}', Cause.UNHEALTHY),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[{"metric":1,"value":[1]}]}}',
         Cause.UNHEALTHY),
        (302, b"", Cause.UNHEALTHY),
        (200, b"\xff" * (2 << 20), Cause.UNHEALTHY),
    ],
)  # fmt: skip
def test_what_is_no_number(rude: Rude, status: int, body: bytes, cause: Cause) -> None:
    rude.status, rude.body = status, body
    seen = ask(rude, above=0)
    assert (seen.cause, seen.code) == (cause, str(status))
    assert len(rude.got) == 1


@pytest.mark.parametrize("behaviour", ["hang", "drop", "half", "trickle"])
def test_no_whole_answer_in_time(rude: Rude, behaviour: str) -> None:
    rude.behaviour, rude.body = behaviour, vector("1")
    rude.headers = {"content-length": "9999"} if behaviour == "trickle" else {}
    probe = PrometheusQuery.model_validate(
        {"url": rude.url.replace("//", "//me:secret@"), "query": "up", "above": "0", "timeout": "300ms"}
    )
    seen = probe.observe(AWS)
    assert seen.cause is Cause.UNHEALTHY
    assert seen.latency < 3
    assert "secret" not in seen.detail + seen.code


def test_nobody_there(nobody: str) -> None:
    seen = PrometheusQuery(url=nobody, query="up", above=0).observe(AWS)
    assert (seen.cause, seen.code) == (Cause.UNHEALTHY, "NewConnectionError")


def test_it_must_compare() -> None:
    with pytest.raises(ValidationError, match="needs above, below or both"):
        PrometheusQuery(url="http://prometheus", query="up")
