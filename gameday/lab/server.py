"""The lab over HTTP on loopback: a thread a connection, HTTP/1.1, connections kept alive."""

from __future__ import annotations

import contextlib
import errno
import http
import logging
import socket
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any, ClassVar

from gameday.errors import LabError

from .app import Lab
from .control import PREFIX, Control, foreign_page
from .line import Line
from .requests import RequestReader
from .wire import Answer

log = logging.getLogger("gameday.lab")


class Handler(RequestReader):
    """One connection."""

    lab: ClassVar[Lab]
    control: ClassVar[Control]

    def run_wsgi(self) -> None:
        """Handle one request."""
        if self.headers.get("Expect", "").lower().strip() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        body = self.read_body(environ)
        path = str(environ["PATH_INFO"])
        if path.startswith(PREFIX):
            foreign = foreign_page(str(environ.get("HTTP_HOST", "")), "HTTP_ORIGIN" in environ)
            self._send(foreign or self.control.answer(self.command, path, body))
            return
        answer = self.lab.handle(environ, body, Line(self.connection))
        if answer is None:
            self.close_connection = True
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        """Head and body in one write: two would wait for each other's acknowledgement."""
        try:
            reason = http.HTTPStatus(answer.status).phrase
        except ValueError:
            reason = "Unknown"
        lines = [f"HTTP/1.1 {answer.status} {reason}", f"Date: {self.date_time_string()}"]
        lines.append("Server: gameday-lab")
        given = answer.header("Content-Length")
        bodiless = answer.status in {204, 304} or self.command == "HEAD"
        for name, value in answer.headers:
            if name.lower() not in {"content-length", "connection", "server", "date", "transfer-encoding"}:
                lines.append(f"{name}: {value}")
        if self.command == "HEAD" and given is not None:
            lines.append(f"Content-Length: {given}")
        elif answer.status != 204:
            lines.append(f"Content-Length: {len(answer.body) if not bodiless else 0}")
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        with contextlib.suppress(ConnectionError, TimeoutError):  # the client may be gone: its own affair
            self.wfile.write(head if bodiless else head + answer.body)


class Server(ThreadingHTTPServer):
    """Listens; its threads end with the process."""

    daemon_threads = True
    request_queue_size = 256
    multithread = True
    multiprocess = False
    ssl_context = None
    _server_version = "gameday-lab"

    def server_bind(self) -> None:
        """Bind without asking the resolver for our own name, which can take seconds.

        A port whose last connections are still ending may be taken again at once.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no error of ours."""
        log.debug("connection of %s ended", client_address)


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    preset: str = "instant",
    on_ready: Callable[[str], None] = print,
    **knobs: object,
) -> None:
    """Serve until the process ends; ``on_ready`` gets the URL once the lab answers."""
    try:
        server = Server((host, port), Handler)
    except OSError as error:
        raise LabError(_cannot_listen(host, port, error)) from error
    with server:
        lab = Lab(preset, **knobs)
        Handler.lab, Handler.control = lab, Control(lab)
        on_ready(f"http://{host}:{server.server_port}")
        server.serve_forever(poll_interval=0.5)


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken; choose another with --port, or 0 for any free one"
    return f"the lab cannot listen on {host} port {port}: {error.strerror or error}"
