"""Passed, failed, refused, inconclusive, invalid: exit codes, and what an independent client finds afterwards."""

from __future__ import annotations

import io
import subprocess

import pytest
from e2e_scene import Scene, together
from e2e_stories import Stories, Story
from e2e_world import World

from gameday.sdk import SEALED, chain_is_whole

pytestmark = pytest.mark.timeout(90)
SMOKING_GUN = {"name": "CreateGrant", "error": "DisabledException", "about": "${instance}"}


def test_the_kill_switch_passes_and_names_its_times_and_its_evidence(scene: Scene) -> None:
    world = scene.world(instance=True)
    run = scene.start(world, evidence=SMOKING_GUN, timing={"hold": "300ms"})
    scene.ends(run, 0, "passed")
    met = {(e["probe"], e["phase"]): e["interval"] for e in run.of("expectation_met")}
    for phase in ("fault", "recovery"):  # time to effect, time to recover
        for probe in ("read-clock", "boot-instance"):
            assert 0 <= met[probe, phase]["after"] <= met[probe, phase]["by"] < 30
    (gun,) = [e for e in run.of("probe_observed") if e["observation"]["cause"] == "found"]
    assert "is disabled." in gun["observation"]["records"][0]["errorMessage"]
    assert world.disables() == 1
    shown = scene.command("show", run.id, "--json")
    assert shown.returncode == 0
    assert [SEALED.validate_json(line) for line in io.StringIO(shown.stdout)] == run.sealed()
    assert chain_is_whole(run.sealed())
    assert run.id in scene.command("history").stdout
    scene.assert_restored()


def test_an_instance_that_was_stopped_is_stopped_again(scene: Scene) -> None:
    world = scene.world(instance=True)
    world.stop_instance()
    scene.ends(scene.start(world), 0, "passed")
    scene.assert_restored()


def test_a_fault_without_effect_fails(rough: Scene) -> None:
    rough.lab.knobs(enforce_key=False)
    world = rough.world()
    run = rough.start(world, timing={"effect_within": "500ms"})
    finished = rough.ends(run, 1, "failed")
    assert "read-clock" in finished["story"]
    assert world.disables() == 1
    rough.assert_restored()


def test_what_is_not_as_it_must_be_is_refused_and_nothing_is_touched(scene: Scene) -> None:
    disabled, dark, elsewhere, nameless = (scene.world() for _ in range(4))
    scene.aws.kms.disable_key(KeyId=disabled.key)
    scene.aws.s3.delete_object(Bucket=dark.name, Key="clock.png")
    cases = [
        (disabled, [], {}, "already disabled"),
        (dark, [], {}, "read-clock"),
        (elsewhere, ["--account", "999999999999"], {}, "999999999999"),
        (nameless, ["--var", f"instance=i-{nameless.name}"], {"boot": True}, f"i-{nameless.name}"),
    ]

    def refused(case: tuple[World, list[str], dict[str, bool], str]) -> None:
        world, words, options, says = case
        run = scene.start(world, *words, **options)
        assert says in scene.ends(run, 5, "refused")["story"]
        assert not run.of("step_injected")

    together(refused, cases)
    assert scene.status() == 0
    assert disabled.key_state == "Disabled", "a key that was disabled before is not ours to enable"
    assert disabled.disables() == 1  # the test's own
    for world in (dark, elsewhere, nameless):
        assert (world.key_state, world.disables()) == ("Enabled", 0)


def test_an_instance_of_an_auto_scaling_group_is_refused(scene: Scene) -> None:
    world = scene.world(instance=True)
    name = f"group-{world.name}"
    scene.aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        InstanceId=world.instance,
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=0,
        AvailabilityZones=["us-east-1a"],
    )
    scene.aws.autoscaling.attach_instances(AutoScalingGroupName=name, InstanceIds=[world.instance])
    assert "Auto Scaling" in scene.ends(scene.start(world), 5, "refused")["story"]
    assert world.disables() == 0
    scene.assert_restored()


def test_a_key_that_a_live_run_holds_is_left_to_it(scene: Scene) -> None:
    world = scene.world()
    gate = scene.gate(open_=True)
    first = scene.start(world, gate=gate)
    first.wait("step_injected")
    first.wait("expectation_met", probe="read-clock", phase="fault")
    other = scene.env | {"GAMEDAY_JOURNAL": str(scene.place / "another.db")}
    second, stranger = scene.start(world), scene.start(world, env=other)
    assert first.id in scene.ends(second, 5, "refused")["story"]
    assert "already disabled" in scene.ends(stranger, 5, "refused")["story"]
    assert world.key_state == "Disabled", "the first run's fault goes on"
    assert scene.status() == 9
    asked = scene.command("rollback", first.id)
    assert (asked.returncode, f"kill -TERM {first.process.pid}" in asked.stderr) == (5, True)
    gate.end_fault()
    first.wait("phase_entered", phase="recovery")
    gate.end_recovery()
    scene.ends(first, 0, "passed")
    assert world.disables() == 1
    scene.assert_restored()


@pytest.mark.parametrize("knobs", [{"record_trail": False}, {"cloudtrail_delay": 3600}], ids=lambda k: next(iter(k)))
def test_no_evidence_in_time_is_inconclusive(rough: Scene, knobs: dict[str, float | bool]) -> None:
    rough.lab.knobs(**knobs)
    run = rough.start(rough.world(), evidence={"name": "DisableKey"}, timing={"evidence_within": "1s"})
    rough.ends(run, 4, "inconclusive")
    rough.assert_restored()


def test_an_invalid_playbook_is_refused_before_aws_hears_of_it(rough: Scene) -> None:
    world = rough.world()
    bad = rough.place / "bad.yaml"
    good = rough.playbook(world).read_text()
    bad.write_text(good.replace("hold:", "hodl:").replace("s3.read", "s3.raed"))
    before = len(rough.lab.calls())
    said = rough.command("run", str(bad), "--target", f"lab={rough.lab.url}")
    assert (said.returncode, said.stdout) == (2, "")
    assert "Traceback" not in said.stderr
    assert [line.startswith(f"{bad}:") for line in said.stderr.splitlines()] == [True, True]
    assert "did you mean" in said.stderr
    assert len(rough.lab.calls()) == before
    assert not rough.journal.exists()


def test_an_unknown_playbook_is_one_sentence(scene: Scene) -> None:
    said: subprocess.CompletedProcess[str] = scene.command("run", "kilswitch.yaml")
    assert (said.returncode, said.stdout) == (2, "")
    assert len(said.stderr.splitlines()) == 1
    assert "killswitch" in said.stderr


def the_playbook_that_ships_makes_what_it_needs_and_passes(scene: Scene) -> None:
    names = {"key": "alias/shipped", "bucket": "shipped-clock", "instance": "ShippedInstance"}
    words = [word for name, value in names.items() for word in ("--var", f"{name}={value}")]
    run = scene.begin("run", "killswitch.yaml", "--target", f"lab={scene.lab.url}", "--json", *words)
    code = run.end(within=100)  # every test's events are in this lab's history, which is read at two pages a second
    assert code == 0, run.tale()
    assert {e["uses"] for e in run.of("staged")} == {"kms.key", "s3.object", "iam.role", "ec2.instance"}
    kms = scene.aws.kms.describe_key(KeyId=names["key"])["KeyMetadata"]
    assert kms["KeyState"] == "Enabled"
    assert scene.aws.s3.get_object(Bucket=names["bucket"], Key="clock.png")["Body"].read()


STORIES: list[Story] = [the_playbook_that_ships_makes_what_it_needs_and_passes]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_verdict(stories: Stories, story: Story) -> None:
    stories.end_of(story).assert_restored()
