import re
from pathlib import Path

from gameday.playbook import Timing, load
from gameday.playbook._schedule import Schedule
from gameday.playbook._text import GuardText, PlaybookText, ProbeText
from gameday.sdk import Cause, format_duration, parse_duration

PAGE = (Path(__file__).parents[2] / "docs/writing-playbooks.md").read_text()


def test_the_example_is_a_sound_playbook(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(# yaml-language.*?)```", PAGE, re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    assert load(tmp_path / "example.yaml").name == "read-only-shop"


def test_every_key_and_cause_is_written_about() -> None:
    for model in (PlaybookText, ProbeText, GuardText, Timing, Schedule):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}" in PAGE, name
    assert [cause.value for cause in Cause] == re.findall(
        r"`(\w+)`", PAGE.split("gameday derives from")[1].split("\n\n")[1]
    )


def test_the_limits_defaults_are_the_documented_ones() -> None:
    for name, value in Timing():
        (written,) = re.findall(rf"^\| `{name}` \|.*\| `(\w+)` \|$", PAGE, re.MULTILINE)
        assert parse_duration(written) == value, (name, format_duration(value))
