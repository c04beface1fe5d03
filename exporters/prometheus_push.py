"""Metrics pushed to a Pushgateway, for where a run cannot be scraped."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import unquote, urlsplit, urlunsplit

from prometheus_client import CollectorRegistry, pushadd_to_gateway
from prometheus_client.exposition import default_handler

from exporters.prometheus_families import Owned
from gameday.errors import Refused

Handler = Callable[[str, str, float | None, list[tuple[str, str]], bytes], Callable[[], None]]
_SECONDS = 1.5
"""How long a push may take; the run's exporters have two seconds to end."""


class Push:
    """Pushes to one gateway, one after the other; one that takes too long is left behind.

    Parameters
    ----------
    url: of the gateway, with the name and the password of basic authentication where it asks for them.
    failed: told of the first push that does not get through, in one sentence without the password.
    send: what a push is sent with, in prometheus_client's terms (a ``handler``); its own, unless it is said.
    """

    def __init__(self, url: str, failed: Callable[[str], None], send: Handler = default_handler) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:  # half a bracket, a port that is no number: the URL is not repeated, it may hold a password
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in ("http", "https") or not host:
            raise Refused("--metrics-push is no address of a Pushgateway; write http://HOST:9091")
        where = host if ":" not in host else f"[{host}]"
        where += f":{port}" if port else ""
        self._where = urlunsplit((parts.scheme, where, parts.path, "", ""))
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._failed, self._send = failed, send
        self._said = False

    def push(self, registry: CollectorRegistry, of: Owned) -> None:
        """Push once, for 1.5 seconds at most, in the place of what was pushed for that playbook on that target."""
        pushing = threading.Thread(target=self._push, args=(registry, of), name="push", daemon=True)
        pushing.start()
        pushing.join(_SECONDS + 0.1)
        if pushing.is_alive():
            self._say("no answer in time")

    def _push(self, registry: CollectorRegistry, of: Owned) -> None:
        try:
            pushadd_to_gateway(
                self._where,
                job="gameday",
                registry=registry,
                grouping_key=of._asdict(),
                timeout=_SECONDS,
                handler=self._handler,
            )
        except Exception as error:  # noqa: BLE001 - whatever a gateway does, the run goes on; the text may hold the URL
            self._say(getattr(error, "reason", None) or type(error).__name__)

    def _handler(
        self, url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        if self._user:
            known = b64encode(f"{self._user}:{self._password}".encode()).decode()
            headers = [*headers, ("Authorization", f"Basic {known}")]
        return self._send(url, method, timeout, headers, data)

    def _say(self, why: object) -> None:
        if not self._said:
            self._said = True
            self._failed(f"metrics could not be pushed to {self._where}: {why}; the run goes on without")
