"""Reports as files: for ``gameday report``, and at the end of a run."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import cast

from exporters.report.build import build
from exporters.report.model import Report
from gameday.sdk import Exporter, Sealed

SUFFIXES = {"html": ".html", "json": ".json", "junit": ".xml", "markdown": ".md"}
"""The formats, and how their files' names end."""


def written(report: Report, form: str) -> str:
    """A report in one of the formats."""
    if form == "json":
        # ASCII only: what was cut in the middle of a sign must not stop the report.
        return json.dumps(report.model_dump(mode="json"), indent=1) + "\n"
    return cast(Callable[[Report], str], import_module(f"exporters.report.{form}").render)(report)


def save(text: str, path: Path) -> None:
    """Write a file whole or not at all; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:  # whatever ends the writing, Ctrl-C too, leaves no half file behind
        Path(draft).unlink(missing_ok=True)
        raise


def save_all(events: Iterable[Sealed], folder: Path) -> list[Path]:
    """Write a run's report in every format as ``<run>.<suffix>``; raises OSError."""
    report = build(events)
    paths = []
    for form, suffix in SUFFIXES.items():
        path = folder / f"{report.run}{suffix}"
        save(written(report, form), path)
        paths.append(path)
    return paths


class ReportFiles(Exporter):
    """Writes a run's reports when it is over.

    Parameters
    ----------
    folder: where; made when missing.
    say: told where the report is, or why it could not be written.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._events: list[Sealed] = []

    def consume(self, sealed: Sealed) -> None:
        """Keep the event."""
        self._events.append(sealed)

    def close(self) -> None:
        """Write the files."""
        try:
            paths = save_all(self._events, self._folder)
        except OSError as error:
            self._say(f"the report could not be written to {self._folder}: {error}; the journal has the whole run")
            return
        self._say(f"report    {paths[0]}")
