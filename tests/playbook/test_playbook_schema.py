import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from gameday.playbook import json_schema

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
BAD = ROOT / "tests/playbooks/bad"

CAUGHT = [
    "bad-name", "blast-radius", "every-and-once", "expect-causes", "expect-nothing", "expect-phases",
    "expect-wrong-shape", "fault-keys", "guard-fails", "guard-keys", "many", "names", "no-name", "nothing-to-do",
    "once-wrong", "parameters-missing", "parameters-of-the-wrong-type", "parameters-unknown", "probe-keys",
    "timing-keys", "unknown-keys", "unknown-parts", "uses-missing", "uses-wrong-shape", "with-wrong-shape",
    "wrong-shapes",
]  # fmt: skip


def problems(document: object) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(document)]  # type: ignore[arg-type]


def test_the_schema_in_the_repository_is_up_to_date() -> None:
    kept = json.loads((ROOT / "playbooks/playbook.schema.json").read_text())
    assert kept == SCHEMA, "run: gameday schema > playbooks/playbook.schema.json"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", sorted((ROOT / "playbooks").glob("*.yaml")), ids=lambda file: file.stem)
def test_what_ships_is_valid_and_names_the_schema(file: Path) -> None:
    assert problems(yaml.safe_load(file.read_text())) == []
    assert file.read_text().startswith("# yaml-language-server: $schema=playbook.schema.json\n")


@pytest.mark.parametrize("name", CAUGHT)
def test_an_editor_sees_what_is_wrong(name: str) -> None:
    assert problems(yaml.safe_load((BAD / f"{name}.yaml").read_text()))


def test_variables_may_stand_for_anything() -> None:
    probe = {
        "uses": "http.get",
        "with": {"url": "${u}", "status": "${s}", "timeout": "${t}"},
        "every": "${e}",
        "timeout": "${t}",
        "expect": {"baseline": "${c}", "evidence": {"becomes": ["${c}"], "within": "${w}"}},
    }
    assert problems({"playbook": "p", "probes": {"a": probe}, "timing": {"hold": "${h}"}}) == []


def test_unquoted_numbers_may_stand_for_texts() -> None:
    probe = {"uses": "s3.read", "with": {"bucket": 123456789012, "key": True}, "expect": {"always": "ok"}}
    assert problems({"playbook": "p", "probes": {"a": probe}, "timing": {"hold": 0}, "vars": {"n": 8080}}) == []


def every_field(schema: object, path: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            found[f"{path}.{name}"] = one
        for name, one in schema.get("$defs", {}).items():
            found |= every_field(one, f"{path}.{name}")
    return found


def test_every_key_of_gamedays_own_is_described() -> None:
    silent = [
        name
        for name, one in every_field(SCHEMA).items()
        if isinstance(one, dict) and "description" not in one and "$ref" not in one and " " not in name
    ]
    assert silent == []


def test_a_parts_documentation_reaches_the_editor() -> None:
    defs = SCHEMA["$defs"]
    assert isinstance(defs, dict)
    text = json.dumps(defs["stage step kms.key"])
    assert "A symmetric, customer-managed key with an alias." in text
    assert "Who may manage the key" in text
