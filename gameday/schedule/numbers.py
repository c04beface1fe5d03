"""The daemon's metrics and its health, on one port of loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest

RECOVERED = ("missed", "died", "incomplete")
"""What mostly becomes of a dead daemon's game day; a counter that begins at 0 shows its first increase."""
OWNED = ("name", "target", "account", "region")
"""The first labels of every series of a schedule; account and Region are empty where the target does not name them."""
Check = Callable[[], str]
"""What is wrong, or ``""``."""


class Numbers:
    """What the daemon counts; a test holds docs/scheduling.md to it."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client left it out
        self.registry = CollectorRegistry()

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"gameday_schedule_{name}", about, labels, registry=self.registry)

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"gameday_schedule_{name}", about, labels, registry=self.registry)

        self.due = counter(
            "due_total", "Due times that this daemon dealt with, by what became of them.", *OWNED, "outcome"
        )
        self.recovered = counter("recovered_total", "Game days of daemons that died, settled here.", "outcome")
        for outcome in RECOVERED:
            self.recovered.labels(outcome)
        self.errors = counter("journal_errors_total", "Times that the journal did not answer.")
        self.next = gauge("next_due_timestamp_seconds", "When the next run begins.", *OWNED)
        self.last = gauge("last_end_timestamp_seconds", "When the last run ended.", *OWNED)
        self.exit = gauge("last_exit_code", "The exit code of the last run.", *OWNED)
        self.running = gauge("running", "Game days that this daemon has under way.")
        self.broken = gauge("broken_playbooks", "Playbooks that could not be read when they were last loaded.")
        self.skew = gauge("clock_skew_seconds", "How far this machine's clock is ahead of the journal's.")
        self.up = gauge("journal_up", "Whether the journal answered when it was last asked.")
        self.open = gauge("open_steps", "Undo steps in the journal that are open and belong to no living run.")


def serve(numbers: Numbers, host: str, port: int, healthy: Check, ready: Check) -> ThreadingHTTPServer:
    """Answer ``/metrics``, ``/healthz`` and ``/readyz`` from a thread; raises OSError when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            if self.path == "/metrics":
                self._answer(200, generate_latest(numbers.registry), "text/plain; version=0.0.4; charset=utf-8")
            elif self.path in ("/healthz", "/readyz"):
                wrong = (healthy if self.path == "/healthz" else ready)()
                self._answer(503 if wrong else 200, f"{wrong or 'ok'}\n".encode(), "text/plain; charset=utf-8")
            else:
                self._answer(404, b"/metrics, /healthz, /readyz\n", "text/plain; charset=utf-8")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
            """Say nothing: a probe every few seconds is not news."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server
