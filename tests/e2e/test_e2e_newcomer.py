"""The mistakes of a first day: one clear sentence each, the documented exit code, and nothing touched."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from e2e_run import GAMEDAY
from e2e_scene import Scene

pytestmark = pytest.mark.timeout(60)
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
MEANT = ["--target", "aws", "--account", "999999999999", "--region", "us-east-1"]


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that someone else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


def sentence(said: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The command ended with this code and one sentence that holds these words."""
    assert said.returncode == code, said
    assert "Traceback" not in said.stderr + said.stdout
    lines = said.stderr.strip().splitlines()
    assert len(lines) == 1, said.stderr
    assert all(word in lines[0] for word in words), lines


def refusal(scene: Scene, code: int, *words: str, env: dict[str, str] | None = None) -> str:
    """The story of a run that did not begin; it is one line, and stands in the lines for people as well."""
    world = scene.world()
    target = words if "--target" in words else ("--target", f"lab={scene.lab.url}", *words)
    values = ["--var", f"key={world.alias}", "--var", f"bucket={world.name}"]
    run = scene.begin("run", str(scene.playbook(world)), "--json", *values, *target, env=env)
    finished = scene.ends(run, code, "refused")
    assert "Traceback" not in run.errors
    assert "\n" not in finished["story"]
    assert world.disables() == 0
    scene.assert_restored()
    return str(finished["story"])


def test_no_credentials(scene: Scene) -> None:
    story = refusal(scene, 5, *MEANT)
    assert "credentials" in story
    assert "log in" in story


def test_the_credentials_are_of_another_account(scene: Scene) -> None:
    story = refusal(scene, 5, *MEANT, env={**KEYS, "AWS_ENDPOINT_URL": scene.lab.url})
    assert "123456789012" in story
    assert "999999999999" in story


def test_a_real_account_is_not_touched_by_accident(scene: Scene) -> None:
    """Whatever the environment holds: without --target aws, only a lab is spoken to."""
    said = scene.command("run", "killswitch.yaml", "--target", "aws", env=KEYS)
    assert said.returncode == 2
    assert "--account" in said.stderr


def test_a_profile_that_does_not_exist(scene: Scene) -> None:
    assert "nobody" in refusal(scene, 5, *MEANT, "--profile", "nobody")


def test_an_endpoint_that_does_not_answer(scene: Scene) -> None:
    assert "http://127.0.0.1:1" in refusal(scene, 5, "--target", "lab=http://127.0.0.1:1")


def test_a_target_that_is_no_url(scene: Scene) -> None:
    assert "gameday lab" in refusal(scene, 5, "--target", "lab=8080")


def test_the_port_for_metrics_is_taken(scene: Scene, taken: str) -> None:
    world = scene.world()
    path = str(scene.playbook(world))
    said = scene.command("run", path, "--target", f"lab={scene.lab.url}", "--metrics-port", taken)
    sentence(said, 5, taken)
    assert world.disables() == 0


def test_the_port_for_the_lab_is_taken(scene: Scene, taken: str) -> None:
    sentence(scene.command("lab", "--port", taken), 5, taken, "--port")


def test_a_journal_that_cannot_be_made(scene: Scene) -> None:
    world = scene.world()  # /proc takes no files, from root neither
    said = scene.command("run", str(scene.playbook(world)), "--journal", "/proc/gameday/journal.db")
    sentence(said, 5, "/proc/gameday/journal.db")


def test_a_journal_that_is_something_else(scene: Scene) -> None:
    scene.journal.write_text("Dear diary, this is no database.")
    sentence(scene.command("run", str(scene.playbook(scene.world()))), 5, str(scene.journal))
    assert scene.command("status", "--check").returncode == 5


def test_a_run_that_the_journal_does_not_know(scene: Scene) -> None:
    sentence(scene.command("rollback", "deadbeef"), 5, "deadbeef", "gameday history")
    sentence(scene.command("show", "deadbeef"), 5, "deadbeef")
    assert scene.status() == 0
    assert not scene.journal.exists(), "asking makes no journal"


def test_help_is_quick_because_it_loads_nothing_heavy() -> None:
    heavy = ("boto3", "botocore", "pydantic", "moto", "sqlalchemy", "yaml", "flask", "rich", "prometheus_client")
    program = (
        "import json, sys\n"
        "from gameday.cli import main\n"
        "sys.argv = ['gameday', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(told.stdout.splitlines()[-1]) == []
    assert "ROLLBACK INCOMPLETE" in told.stdout


def test_every_command_has_help_and_the_command_runs_as_it_is_installed() -> None:
    told = subprocess.run([*GAMEDAY, "--help"], capture_output=True, text=True, check=True, timeout=30).stdout
    commands = ("run", "validate", "rollback", "status", "history", "show", "stage", "unstage", "lab", "schema")
    for command in commands:
        assert f"\n  {command} " in told
