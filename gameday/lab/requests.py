"""Reading requests as moto wants to see them (S3 metadata names keep their underscores)."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class _MotoHandler(BaseHTTPRequestHandler):
        def make_environ(self) -> dict[str, Any]: ...

else:
    from .motoworld import request_handler

    _MotoHandler = request_handler()


class RequestReader(_MotoHandler):
    """Reads one request after another from a connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = None

    def read_body(self, environ: dict[str, Any]) -> bytes:
        """All of the body, so that the next request on the connection starts where it should."""
        if environ.get("wsgi.input_terminated"):
            return bytes(environ["wsgi.input"].read())
        length = str(environ.get("CONTENT_LENGTH") or "0")
        return self.rfile.read(int(length)) if length.isdigit() else b""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
        """Requests are not logged; GET /_lab/calls has them."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are not logged."""
