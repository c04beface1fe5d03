"""The exporter that writes a GitHub job's summary, as a run finds it: by the environment."""

from __future__ import annotations

from pathlib import Path

from gameday.sdk import EXPORTERS, EnvironmentExporter
from tests.exporters.recorded import passed


def wanted(environment: dict[str, str], said: list[str]) -> EnvironmentExporter | None:
    return EXPORTERS["github.summary"].wanted(environment, said.append)


def tell(exporter: EnvironmentExporter | None) -> None:
    assert exporter is not None
    for sealed in passed():
        exporter.consume(sealed)
    exporter.close()


def test_nothing_is_written_outside_of_a_job() -> None:
    assert wanted({}, []) is None
    assert wanted({"GITHUB_STEP_SUMMARY": ""}, []) is None


def test_each_run_is_added_to_what_the_step_has_said(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("what another command said\n")
    for _ in range(2):
        tell(wanted({"GITHUB_STEP_SUMMARY": str(summary)}, []))
    text = summary.read_text()
    assert text.startswith("what another command said\n")
    assert text.count("### ✅ killswitch: passed") == 2


def test_a_summary_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    tell(wanted({"GITHUB_STEP_SUMMARY": str(tmp_path)}, said))
    assert len(said) == 1
    assert said[0].startswith(f"the job's summary could not be written to {tmp_path}: ")
