"""A target file is read like a playbook: all mistakes at once, each at its place; and it reaches the playbook."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from gameday.errors import PlaybookInvalid
from gameday.partitions import partitions
from gameday.playbook import TargetFile, find, load, load_target, target_schema

ROOT = Path(__file__).parents[2]
BAD = sorted((ROOT / "tests/targets/bad").glob("*.yaml"))
WHOLE = """\
# yaml-language-server: $schema=target.schema.json
target: staging
account: 012345670123
region: eu-west-1
profile: audit
role: {assume: role/gameday-runner, external_id: "8d41", session: 2h}
rollback_role: arn:aws:iam::012345670123:role/gameday-rollback
session_tags: {team: sre, cost-centre: 0815}
identities: {outsider: role/intern}
dead_man_switch: {role: role/switch, group: gameday, dead_letter_queue: "arn:aws:sqs:eu-west-1:012345670123:lost"}
journal: postgresql+psycopg://gameday@db/gameday
vars: {key: alias/payments, bucket: 0815, unused: x}
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "staging.yaml").write_text(text)
    return tmp_path / "staging.yaml"


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_target_file_gives_exactly_its_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(PlaybookInvalid) as invalid:
        load_target(file.relative_to(ROOT))
    assert str(invalid.value) + "\n" == file.with_suffix(".txt").read_text()
    assert invalid.value.exit_code == 2


def test_every_text_belongs_to_a_target_file() -> None:
    assert {file.stem for file in BAD} == {file.stem for file in (ROOT / "tests/targets/bad").glob("*.txt")}


def test_everything_that_a_target_file_can_say(tmp_path: Path) -> None:
    found = load_target(written(tmp_path, WHOLE))
    assert (found.account, found.region, found.profile) == ("012345670123", "eu-west-1", "audit")
    assert found.role is not None and found.rollback_role is not None and found.dead_man_switch is not None
    assert (found.role.assume, found.role.external_id) == ("role/gameday-runner", "8d41")
    assert found.role.session == timedelta(hours=2)
    assert found.rollback_role.session == timedelta(hours=1)
    assert found.session_tags == {"team": "sre", "cost-centre": "0815"}
    assert found.dead_man_switch.group == "gameday"
    assert found.vars["bucket"] == "0815"
    assert found.lab == ""


@pytest.mark.parametrize(
    ("text", "lab"), [("true", "embedded"), ("http://127.0.0.1:5000", "http://127.0.0.1:5000"), ("yes", "embedded")]
)
def test_a_lab_may_have_a_target_file_too(tmp_path: Path, text: str, lab: str) -> None:
    assert load_target(written(tmp_path, f"target: rehearsal\nlab: {text}\n")).lab == lab


def test_a_targets_variables_reach_a_playbook_and_var_outranks_them(tmp_path: Path) -> None:
    target = load_target(written(tmp_path, "target: t\naccount: 111122223333\nregion: eu-west-1\nvars: {key: alias/a}"))
    playbook = tmp_path / "p.yaml"
    playbook.write_text(
        "playbook: p\nvars: {key: alias/lab, bucket: lab}\nprobes:\n"
        '  a: {uses: kms.state, with: {key: "${key}"}, expect: {baseline: ok}}\n'
    )
    assert dict(load(playbook, {"bucket": "b"}, lab=False, target=target).vars) == {"key": "alias/a", "bucket": "b"}
    assert load(playbook, {"bucket": "b", "key": "alias/b"}, lab=False, target=target).vars["key"] == "alias/b"
    assert dict(load(playbook, target=target).vars) == {"key": "alias/a", "bucket": "lab"}


def test_a_variable_that_the_target_spells_otherwise_is_pointed_at(tmp_path: Path) -> None:
    target = TargetFile(target="t", account="111122223333", region="eu-west-1", vars={"buckets": "b", "key": "alias/a"})
    with pytest.raises(PlaybookInvalid, match=r"vars.bucket: give it with --var .* or in the target file.*buckets"):
        load(find("killswitch"), lab=False, target=target)


def test_a_targets_identities_outrank_the_playbooks(tmp_path: Path) -> None:
    target = TargetFile(target="t", lab="true", identities={"outsider": "role/intern"})
    playbook = load(find("authenticated-access"), target=target)
    assert {use.identity for use in playbook.probes.values() if use.identity} >= {"role/intern"}


def test_the_schema_in_the_repository_is_up_to_date() -> None:
    kept = json.loads((ROOT / "playbooks/target.schema.json").read_text())
    assert kept == target_schema(), "run: gameday schema --target > playbooks/target.schema.json"


def test_an_editor_accepts_what_the_loader_does_and_sees_what_is_wrong() -> None:
    schema = Draft202012Validator(target_schema())  # type: ignore[arg-type]
    schema.check_schema(target_schema())  # type: ignore[arg-type]
    assert [error.message for error in schema.iter_errors(yaml.safe_load(WHOLE))] == []
    assert schema.is_valid({"target": "t", "lab": True})
    for name in ("many", "no-account", "role-shapes", "lab-wrong"):
        assert not schema.is_valid(yaml.safe_load((ROOT / f"tests/targets/bad/{name}.yaml").read_text())), name


def test_every_key_is_described() -> None:
    made = target_schema()
    models = [made, *made["$defs"].values()]  # type: ignore[union-attr]
    for model in models:
        assert all("description" in one for one in model["properties"].values()), model  # type: ignore[index, union-attr]


def test_a_targets_dead_mans_switch_is_offered_to_every_playbook_with_faults(tmp_path: Path) -> None:
    target = TargetFile(target="t", lab="true", dead_man_switch={"role": "role/switch", "group": "ours"})
    switch = load(find("killswitch"), target=target).dead_man_switch
    assert switch is not None and not switch.asked
    assert (switch.role, switch.group) == ("role/switch", "ours")
    assert load(find("audit-trail"), target=target).dead_man_switch is None
    asks = tmp_path / "asks.yaml"
    asks.write_text(find("killswitch").read_text() + "\ndead_man_switch: {role: role/other, margin: 7m}\n")
    asked = load(asks, target=target).dead_man_switch
    assert asked is not None and asked.asked
    assert (asked.role, asked.group, asked.margin) == ("role/switch", "ours", timedelta(minutes=7))


def test_every_region_of_every_partition_can_be_a_target(tmp_path: Path) -> None:
    regions = [region for one in partitions() for region in one.regions if not region.endswith("-global")]
    assert "eusc-de-east-1" in regions
    for region in regions:
        told = f"target: t\naccount: 111122223333\nregion: {region}\n"
        assert load_target(written(tmp_path, told)).region == region
