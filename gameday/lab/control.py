"""The control path, /_lab/…: knobs, time, trouble, and what was called; JSON, and no part of AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from gameday.errors import LabError

from .app import Lab
from .client import ACCOUNT
from .describe import describe
from .wire import Answer

PREFIX = "/_lab/"
VERSION = "1"
LOOPBACK = frozenset({"localhost", "::1", ""})


class Control:
    """Answers the control path."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._paths: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "health"): lambda _: self._health(),
            ("GET", "knobs"): lambda _: lab.world.knobs.as_dict(),
            ("POST", "knobs"): self._set_knobs,
            ("POST", "advance"): self._advance,
            ("GET", "trouble"): lambda _: lab.world.troubles.listed(),
            ("POST", "trouble"): self._trouble,
            ("DELETE", "trouble"): lambda _: self._clear_trouble(),
            ("POST", "reset"): lambda _: self._reset(),
            ("GET", "calls"): lambda _: list(lab.world.calls),
            ("GET", "describe"): lambda _: describe(),
        }

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """One control request; mistakes get 400 and a sentence."""
        name = path.removeprefix(PREFIX).strip("/")
        action = self._paths.get((method, name))
        if action is None:
            known = ", ".join(f"{m} {PREFIX}{n}" for m, n in self._paths)
            return _json(404, {"error": f"the lab has no {method} {path}; it has: {known}"})
        try:
            data = json.loads(body or b"{}")
            if not isinstance(data, dict):
                raise LabError("the control path takes a JSON object")
            return _json(200, action(data))
        except (LabError, ValueError, TypeError) as error:
            return _json(400, {"error": str(error)})

    def _health(self) -> dict[str, Any]:
        return {
            "ok": True,
            "account": ACCOUNT,
            "region": "us-east-1",
            "preset": self._lab.world.preset,
            "version": VERSION,
        }

    def _set_knobs(self, data: dict[str, Any]) -> dict[str, Any]:
        with self._lab.world.lock:
            self._lab.world.knobs.change(data)
        return self._lab.world.knobs.as_dict()

    def _advance(self, data: dict[str, Any]) -> dict[str, Any]:
        seconds = data.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise LabError(f"advance takes seconds, 0 or more, not {seconds!r}")
        with self._lab.world.lock:
            self._lab.world.agenda.drain()
            self._lab.world.agenda.advance(float(seconds))
        return {"advanced": seconds}

    def _trouble(self, data: dict[str, Any]) -> Any:
        self._lab.world.troubles.add(data)
        return self._lab.world.troubles.listed()

    def _clear_trouble(self) -> list[Any]:
        self._lab.world.troubles.clear()
        return []

    def _reset(self) -> dict[str, Any]:
        self._lab.reset()
        return {"ok": True}


def foreign_page(host: str, has_origin: bool) -> Answer | None:
    """The refusal of what a web page sent, or None: a page of any site may reach loopback, and must not turn a knob.

    Browsers name the page's Origin, and after DNS rebinding the page's host; no client of the lab does either.
    """
    name = host.rsplit(":", 1)[0].strip("[]").lower() if host.count(":") < 2 or host.startswith("[") else host
    if not has_origin and (name in LOOPBACK or re.fullmatch(r"127(\.\d{1,3}){3}", name)):
        return None
    return _json(403, {"error": "the control path answers programs on this machine only, and no web page"})


def _json(status: int, data: Any) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], json.dumps(data).encode())
