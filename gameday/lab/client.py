"""Starting the lab in a process of its own, and its control path: standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from gameday.errors import LabError

START_TIMEOUT = 60.0
ACCOUNT = "123456789012"
REGION = "us-east-1"


class LabControl:
    """The control path of a running lab."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout

    def health(self) -> dict[str, Any]:
        """Account, Region, preset."""
        return dict(self._ask("GET", "health"))

    def knobs(self, **changes: float | bool) -> dict[str, Any]:
        """Change some knobs; returns all of them."""
        return dict(self._ask("POST", "knobs", changes) if changes else self._ask("GET", "knobs"))

    def advance(self, seconds: float) -> None:
        """Let what is due within ``seconds`` happen now."""
        self._ask("POST", "advance", {"seconds": seconds})

    def trouble(self, kind: str, service: str = "*", operation: str = "*", **about: Any) -> None:
        """Add a rule: times, rate, seconds, code, message, user_agent."""
        self._ask("POST", "trouble", {"kind": kind, "service": service, "operation": operation, **about})

    def troubles(self) -> list[dict[str, Any]]:
        """The rules in force."""
        return list(self._ask("GET", "trouble"))

    def clear_trouble(self) -> None:
        """No trouble any more."""
        self._ask("DELETE", "trouble")

    def calls(self, service: str | None = None, operation: str | None = None) -> list[dict[str, Any]]:
        """What was called lately, oldest first."""
        return [
            call
            for call in self._ask("GET", "calls")
            if service in {None, call["service"]} and operation in {None, call["operation"]}
        ]

    def reset(self) -> None:
        """A new AWS, with the same knobs."""
        self._ask("POST", "reset")

    def _ask(self, method: str, name: str, data: Any = None) -> Any:
        body = json.dumps(data).encode() if data is not None else None
        url = f"{self.url}/_lab/{name}"
        request = urllib.request.Request(url, body, method=method)  # noqa: S310 (a lab's own URL)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never by a proxy
        try:
            with opener.open(request, timeout=self._timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            with contextlib.suppress(ValueError, KeyError, TypeError):
                text = json.loads(text)["error"]
            raise LabError(text) from error
        except (OSError, ValueError) as error:
            raise LabError(f"no lab answers at {self.url}: {error}") from error


class LabProcess:
    """A lab in a process and session of its own; it ends by itself when its owner is gone."""

    account = ACCOUNT
    region = REGION

    def __init__(self, process: subprocess.Popen[str], url: str, errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors
        self.url = url

    @property
    def pid(self) -> int:
        """The lab's process."""
        return self._process.pid

    @property
    def control(self) -> LabControl:
        """Its control path."""
        return LabControl(self.url)

    @property
    def owner_pipe(self) -> int:
        """The descriptor that keeps the lab alive while anyone holds it (or a duplicate) open."""
        if self._process.stdin is None:
            raise LabError("the lab has been let go of already")
        return self._process.stdin.fileno()

    def stop(self) -> None:
        """End the lab; twice is as good as once."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:  # last: while the lab lives, its reader holds the stream
            self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> LabProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(preset: str = "instant", port: int = 0, **knobs: object) -> LabProcess:
    """Start a lab and wait until it answers."""
    command = [sys.executable, "-m", "gameday.lab", "--port", str(port), "--preset", preset]
    command += ["--until-stdin-closes"]
    for name, value in knobs.items():
        command += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the lab; closed by stop)
    process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
        env=_environment(),
    )
    url = _first_line(process)
    if not url.startswith("http"):
        process.kill()
        process.wait()
        errors.seek(0)
        tail = errors.read()[-2000:].decode("utf-8", "replace").strip()
        errors.close()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        raise LabError(_why(tail))
    return LabProcess(process, url, errors)


def _why(tail: str) -> str:
    told = [line.removeprefix("gameday lab: ") for line in tail.splitlines() if line.startswith("gameday lab: ")]
    return told[-1] if told else f"the lab did not start: {tail or 'it said nothing'}"


def _first_line(process: subprocess.Popen[str]) -> str:
    """The line with the URL; "" when the lab ends or says nothing in time."""
    lines: queue.Queue[str] = queue.Queue()
    out = process.stdout
    if out is None:
        return ""

    def read() -> None:
        lines.put(out.readline())
        with contextlib.suppress(OSError, ValueError):
            for _ in out:  # a full pipe would stop the lab
                pass

    threading.Thread(target=read, daemon=True).start()
    try:
        return lines.get(timeout=START_TIMEOUT).strip()
    except queue.Empty:
        return ""


def _environment() -> dict[str, str]:
    """The child's environment: this gameday first on its path, and nothing of AWS' settings."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
    here = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (here, os.environ.get("PYTHONPATH", "")) if p)
    environment |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": REGION,
    }
    return environment
