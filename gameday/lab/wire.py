"""Answers, and errors in each protocol's shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

SERVER_SIDE = "Receiver"


@dataclass(slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    error: AwsError | None = None
    """Set when the lab itself refused; moto's refusals are read from the body."""

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def set_header(self, name: str, value: str) -> None:
        """Replace a header."""
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        self.headers.append((name, value))

    def json(self) -> dict[str, object]:
        """The body as a JSON object; empty when it is not one."""
        try:
            data = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}


class AwsError(Exception):
    """AWS says no."""

    def __init__(self, code: str, message: str, status: int = 400, **details: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details


def json_answer(data: object, protocol: str = "json") -> Answer:
    """A good answer of a JSON service."""
    kind = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
    return Answer(200, [("Content-Type", kind)], json.dumps(data).encode())


def xml_answer(text: str) -> Answer:
    """A good answer of an XML service."""
    return Answer(200, [("Content-Type", "text/xml;charset=UTF-8")], text.encode())


def elements(pairs: Iterable[tuple[str, str]]) -> str:
    """Small XML elements in a row."""
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in pairs)


def error_answer(error: AwsError, protocol: str, method: str, request_id: str) -> Answer:
    """An error as this protocol's clients expect it."""
    answer = _SHAPES[protocol](error, request_id)
    answer.error = error
    if method == "HEAD":
        answer.body = b""
    return answer


def _json_error(error: AwsError, _: str) -> Answer:
    more = {name: value for name, value in error.details.items() if name != "query_error"}
    body = json.dumps({"__type": error.code, "message": error.message, **more}).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", error.code)]
    if "query_error" in error.details:  # a JSON service that spoke the query protocol before
        headers.append(("x-amzn-query-error", f"{error.details['query_error']};Sender"))
    return Answer(error.status, headers, body)


def _rest_json_error(error: AwsError, _: str) -> Answer:
    body = json.dumps({"Message": error.message, "message": error.message}).encode()
    return Answer(error.status, [("Content-Type", "application/json"), ("x-amzn-ErrorType", error.code)], body)


def _query_error(error: AwsError, request_id: str) -> Answer:
    side = SERVER_SIDE if error.status >= 500 else "Sender"
    inner = elements([("Type", side), ("Code", error.code), ("Message", error.message)])
    text = f"<ErrorResponse><Error>{inner}</Error>{elements([('RequestId', request_id)])}</ErrorResponse>"
    return Answer(error.status, [("Content-Type", "text/xml")], text.encode())


def _ec2_error(error: AwsError, request_id: str) -> Answer:
    inner = elements([("Code", error.code), ("Message", error.message)])
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error>{inner}</Error></Errors>{elements([('RequestID', request_id)])}</Response>"
    )
    return Answer(error.status, [("Content-Type", "text/xml;charset=UTF-8")], text.encode())


def _s3_error(error: AwsError, request_id: str) -> Answer:
    pairs = [("Code", error.code), ("Message", error.message), *error.details.items()]
    pairs += [("RequestId", request_id), ("HostId", "bGFiCg==")]
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{elements(pairs)}</Error>'
    return Answer(error.status, [("Content-Type", "application/xml")], text.encode())


def _cbor_error(error: AwsError, _: str) -> Answer:
    pairs = (("__type", error.code), ("message", error.message))
    body = bytes([0xA0 + len(pairs)]) + b"".join(_cbor_text(k) + _cbor_text(v) for k, v in pairs)
    headers = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
    return Answer(error.status, headers, body)


def _cbor_text(text: str) -> bytes:
    raw = text.encode()
    return b"\x79" + len(raw).to_bytes(2, "big") + raw


_SHAPES = {
    "json": _json_error,
    "rest-json": _rest_json_error,
    "query": _query_error,
    "ec2": _ec2_error,
    "s3": _s3_error,
    "cbor": _cbor_error,
}

_CODE = re.compile(rb"<Code>([^<]+)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")


def error_in(answer: Answer) -> tuple[str, str] | None:
    """Code and message of an answer that is an error, whoever made it."""
    if answer.status < 400:
        return None
    if answer.error is not None:
        return answer.error.code, answer.error.message
    code, message = _CODE.search(answer.body), _MESSAGE.search(answer.body)
    if code:
        return code.group(1).decode(), message.group(1).decode() if message else ""
    data = answer.json()
    name = str(data.get("__type") or answer.header("x-amzn-ErrorType") or answer.status)
    return name.split("#")[-1], str(data.get("message") or data.get("Message") or "")


_REQUEST_ID = re.compile(rb"<(requestId|RequestId|RequestID)>[^<]*</")


def stamp(answer: Answer, protocol: str, request_id: str) -> None:
    """Give the answer the request id that the trail will carry too, in header and body."""
    answer.headers = [(k, v) for k, v in answer.headers if k.lower() not in _ID_HEADERS]
    if protocol == "s3":
        answer.headers += [("x-amz-request-id", request_id), ("x-amz-id-2", "bGFiCg==")]
    else:
        answer.headers.append(("x-amzn-RequestId", request_id))
        if protocol in {"ec2", "query"}:
            answer.body = _REQUEST_ID.sub(rb"<\1>" + request_id.encode() + b"</", answer.body)


_ID_HEADERS = frozenset({"x-amzn-requestid", "x-amz-request-id", "x-amz-id-2"})
