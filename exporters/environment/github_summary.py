"""The summary of a GitHub Actions job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self

from gameday.sdk import EnvironmentExporter, Sealed


class GithubSummary(EnvironmentExporter):
    """Adds the run's report, as Markdown, to the summary of a GitHub Actions job.

    On whenever ``GITHUB_STEP_SUMMARY`` is set, as it is in every job. It holds what ``gameday report --format
    markdown`` prints; several runs of one step follow each other. GitHub shows at most 1 MiB a step.

    Source: GitHub Docs, "Workflow commands", "Adding a job summary".
    """

    uses: ClassVar[str] = "github.summary"

    def __init__(self, summary: Path, say: Callable[[str], None]) -> None:
        self._summary, self._say = summary, say
        self._events: list[Sealed] = []

    @classmethod
    def wanted(cls, environment: Mapping[str, str], say: Callable[[str], None]) -> Self | None:
        """On in a job of GitHub Actions."""
        summary = environment.get("GITHUB_STEP_SUMMARY", "")
        return cls(Path(summary), say) if summary else None

    def consume(self, sealed: Sealed) -> None:
        """Keep the event."""
        self._events.append(sealed)

    def close(self) -> None:
        """Add the report to what the step's summary holds already."""
        from exporters.report.build import build
        from exporters.report.files import written

        text = written(build(self._events), "markdown")
        try:
            with self._summary.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text + "\n")
        except OSError as error:
            self._say(f"the job's summary could not be written to {self._summary}: {error}")
