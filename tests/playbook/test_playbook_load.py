import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from pydantic import Field

from gameday.errors import PlaybookInvalid
from gameday.playbook import Fails, Playbook, find, load
from gameday.playbook import _document as document
from gameday.sdk import AWS, Duration, Observation, Phase, Probe

Make = Callable[[str], Path]
KILLSWITCH = Path(__file__).parents[2] / "playbooks/killswitch.yaml"
READ = "playbook: p\nprobes:\n  read:\n    uses: s3.read\n    with: {bucket: b, key: k}\n"
FAULT = "faults:\n  - uses: kms.disable_key\n    with: {key: alias/k}\n"


class Typed(Probe):
    """Every kind of field that a part may have."""

    uses: ClassVar[str] = "typed"
    text: str = ""
    number: int = 0
    real: float = 0.0
    flag: bool = False
    pause: Duration = timedelta(0)
    maybe: str | None = "there"
    several: tuple[str, ...] = ()
    table: dict[str, str] = Field({})

    def observe(self, aws: AWS) -> Observation:
        raise AssertionError("reading a playbook must not look")


class Unloadable(dict[str, type[Probe]]):
    """A registry whose part fails on import."""

    def __getitem__(self, name: str) -> type[Probe]:
        raise RuntimeError("no such\nlibrary")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(text: str) -> Path:
        file = tmp_path / "p.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def mistakes(path: Path, **how: object) -> list[str]:
    with pytest.raises(PlaybookInvalid) as invalid:
        load(path, **how)  # type: ignore[arg-type]
    return [line.removeprefix(f"{path}:").lstrip() for line in str(invalid.value).split("\n")]


def typed(make: Make, with_: str) -> Typed:
    head = "playbook: p\nvars: {n: '7'}\nprobes:\n  a:\n    uses: typed\n    expect: {baseline: ok}\n"
    part = load(make(f"{head}    with: {with_}\n"), probes={"typed": Typed}).probes["a"].part
    assert isinstance(part, Typed)
    return part


def test_killswitch_says_what_the_engine_needs() -> None:
    book = load(KILLSWITCH)
    assert (book.name, book.source) == ("killswitch", KILLSWITCH)
    assert book.hash == hashlib.sha256(KILLSWITCH.read_bytes()).hexdigest()
    names = {"key": "alias/MyKMSKey", "bucket": "gameday-clock", "instance": "LabInstance", "reader": "gameday-reader"}
    assert book.vars == names
    assert [use.uses for use in book.stage] == ["kms.key", *["s3.object"] * 3, "iam.role", "ec2.instance"]
    assert [use.part.model_dump()["key"] for use in book.faults] == ["alias/MyKMSKey"]
    looks = ["key-state", "read-clock", "read-clocks", "warm-reader", "fresh-reader", "boot-instance", "smoking-gun"]
    assert list(book.probes) == looks
    assert [book.probes[name].identity for name in looks[2:5]] == ["", "role/gameday-reader", "role/gameday-reader"]
    boot = book.probes["boot-instance"].part.model_dump(exclude_unset=True)
    assert boot == {"tag": {"Name": "LabInstance"}, "sample": 2}
    assert book.timing.hold == timedelta(seconds=5)


def test_expectations_have_one_form_and_defaults_by_phase() -> None:
    book = load(KILLSWITCH)
    boot, read, gun = (book.probes[name] for name in ("boot-instance", "read-clock", "smoking-gun"))
    assert boot.expect[Phase.FAULT].causes == {"key_disabled", "key_unusable", "boot_refused"}
    assert book.within(Phase.FAULT, boot.expect[Phase.FAULT]) == timedelta(minutes=3)
    assert read.expect[Phase.FAULT].within is None
    assert [book.within(phase, expect).total_seconds() for phase, expect in read.expect.items()] == [0, 60, 300]
    assert book.within(Phase.EVIDENCE, gun.expect[Phase.EVIDENCE]) == timedelta(minutes=20)
    assert set(gun.expect) == {Phase.EVIDENCE}


def test_pace_depends_on_what_the_probe_does() -> None:
    book = load(KILLSWITCH)
    pace = {name: (p.every.total_seconds(), p.timeout.total_seconds(), p.once) for name, p in book.probes.items()}
    assert pace["read-clock"] == (1, 10, False)
    assert pace["boot-instance"] == (1, 600, True)
    assert pace["smoking-gun"] == (2, 10, False)
    assert [name for name, probe in book.probes.items() if probe.invasive] == ["boot-instance"]


def test_an_invasive_probe_looks_once_without_being_told(make: Make) -> None:
    text = "playbook: p\nprobes:\n  boot: {uses: ec2.boot, with: {instance: i}, expect: {baseline: ok}}\n"
    assert load(make(text)).probes["boot"].once


def test_always_is_every_sampled_phase(make: Make) -> None:
    with_fault = load(make(READ + "    expect: {always: [ok, KMS.DisabledException], evidence: found}\n" + FAULT))
    assert {phase.value: sorted(e.causes) for phase, e in with_fault.probes["read"].expect.items()} == {
        "baseline": ["KMS.DisabledException", "ok"],
        "fault": ["KMS.DisabledException", "ok"],
        "recovery": ["KMS.DisabledException", "ok"],
        "evidence": ["found"],
    }
    without = load(make(READ + "    expect: {always: ok}\n"))
    assert list(without.probes["read"].expect) == [Phase.BASELINE]


def test_guards_expect_ok_and_count_their_failures(make: Make) -> None:
    guard = "guards:\n  shop: {uses: http.get, with: {url: 'https://example.com'}, every: 2s, fails: 2 of 4}\n"
    shop = load(make(READ + "    expect: {always: ok}\n" + FAULT + guard)).guards["shop"]
    assert (shop.fails, str(shop.fails), shop.expect.causes) == (Fails(2, 4), "2 of 4", frozenset({"ok"}))
    assert (shop.every, shop.timeout) == (timedelta(seconds=2), timedelta(seconds=10))


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ("{text: 10:30}", "text", "10:30"),
        ("{text: 012345670123}", "text", "012345670123"),
        ("{text: no}", "text", "no"),
        ("{text: 1e3}", "text", "1e3"),
        ("{text: 2024-01-01}", "text", "2024-01-01"),
        ("{text: 'null'}", "text", "null"),
        ("{text: Null}", "text", "Null"),
        ("{text: =}", "text", "="),
        ("{text: '$${n}'}", "text", "${n}"),
        ("{text: 'a${n}b${n}'}", "text", "a7b7"),
        ("{text: $n $$ $}", "text", "$n $$ $"),
        ("{number: 0123}", "number", 123),
        ("{number: '${n}'}", "number", 7),
        ("{real: 1e3}", "real", 1000.0),
        ("{flag: no}", "flag", False),
        ("{flag: 'true'}", "flag", True),
        ("{pause: 1m30s}", "pause", timedelta(seconds=90)),
        ("{maybe: }", "maybe", None),
        ("{maybe: ~}", "maybe", None),
        ("{maybe: null}", "maybe", None),
        ("{maybe: '~'}", "maybe", "~"),
        ("{several: [1, no, ~x]}", "several", ("1", "no", "~x")),
        ("{several: [&a b, *a]}", "several", ("b", "b")),
        ("{table: {null: a, '${n}': b}}", "table", {"null": "a", "${n}": "b"}),
    ],
)
def test_a_value_is_its_text_until_a_typed_field_reads_it(make: Make, written: str, field: str, value: object) -> None:
    assert getattr(typed(make, written), field) == value


def test_a_key_with_nothing_behind_it_is_as_if_it_were_not_there(make: Make) -> None:
    head = "playbook: p\nstage:\nguards:\ntiming: {hold: }\n"
    text = "probes:\n  a: {uses: typed, with: , every: ~, expect: {baseline: ok}}\n"
    book = load(make(head + text), probes={"typed": Typed})
    assert (book.stage, book.guards, book.timing.hold) == ((), {}, timedelta(0))
    assert book.probes["a"].every == timedelta(seconds=1)


def test_given_variables_outrank_the_files(make: Make) -> None:
    text = READ.replace("bucket: b", "bucket: '${bucket}'") + "    expect: {baseline: ok}\nvars: {bucket: lab}\n"
    assert load(make(text)).probes["read"].part.model_dump()["bucket"] == "lab"
    book = load(make(text), {"bucket": "${not} looked at again"})
    assert book.probes["read"].part.model_dump()["bucket"] == "${not} looked at again"
    assert book.vars == {"bucket": "${not} looked at again"}


def test_on_a_real_account_every_variable_must_be_given() -> None:
    assert mistakes(KILLSWITCH, lab=False, variables={"bucket": "prod"}) == [
        "12:3: vars.key: give it with --var key=VALUE or in the target file",
        "14:3: vars.instance: give it with --var instance=VALUE or in the target file",
        "15:3: vars.reader: give it with --var reader=VALUE or in the target file",
    ]
    given = {"key": "alias/Prod", "bucket": "prod", "instance": "web", "reader": "app"}
    assert load(KILLSWITCH, given, lab=False).vars == given


def test_a_variable_that_nobody_declared_is_a_mistake(make: Make) -> None:
    assert mistakes(KILLSWITCH, variables={"buckt": "b"}) == [
        "11:1: vars: has no 'buckt', which --var names (did you mean 'bucket'?)"
    ]
    bare = make(READ + "    expect: {baseline: ok}\n")
    assert mistakes(bare, variables={"a": "b"}) == ["1:1: vars: has no 'a', which --var names"]


def test_a_wrong_value_from_outside_is_reported_where_it_is_used(make: Make) -> None:
    text = READ + "    every: ${pace}\n    expect: {baseline: ok}\nvars: {pace: 1s}\n"
    (one,) = mistakes(make(text), variables={"pace": "now"})
    assert one.startswith("6:12: probes.read.every: 'now' is not a duration")


def test_a_part_that_cannot_be_loaded_is_a_mistake_and_not_a_crash() -> None:
    found = mistakes(KILLSWITCH, probes=Unloadable({"s3.read": Typed}))
    why = "41:11: probes.read-clock.uses: the probe 's3.read' cannot be loaded: RuntimeError: no such library"
    assert why in found


def test_files_that_cannot_be_read_give_one_sentence(tmp_path: Path) -> None:
    assert mistakes(tmp_path) == ["is a directory, not a playbook"]
    assert mistakes(tmp_path / "no.yaml") == ["there is no such file"]
    assert mistakes(Path("a\0b\n.yaml")) == ['"a\\u0000b\\n.yaml": cannot be read: embedded null byte']
    (tmp_path / "loop").symlink_to("loop")
    assert mistakes(tmp_path / "loop") == ["cannot be read: Too many levels of symbolic links"]


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
def test_both_of_pyyamls_parsers_give_the_same_places(loader: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_Loader", loader)
    assert [line.split(": ", 1)[0] for line in mistakes(MANY)] == MANY_PLACES
    assert isinstance(load(KILLSWITCH), Playbook)


MANY = Path(__file__).parents[1] / "playbooks/bad/many.yaml"
MANY_PLACES = [
    line.split("many.yaml:")[1].split(": ", 1)[0] for line in MANY.with_suffix(".txt").read_text().splitlines()
]


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\u2028"])
def test_places_are_right_whatever_ends_a_line_and_stands_before(make: Make, break_: str, tmp_path: Path) -> None:
    lines = ["playbook: p", "description: é😀 'x'", 'vars: {é😀: "${a}"}', 'probes: {a: "é😀${nope}"}']
    file = tmp_path / "p.yaml"
    file.write_bytes(break_.join(lines).encode())
    assert "4:16: probes.a: the variable 'nope' is not in vars" in mistakes(file)


@pytest.mark.parametrize("name", ["killswitch", "killswitch.yaml"])
def test_a_playbook_that_ships_is_found_by_its_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "killswitch").mkdir()
    assert find(name).samefile(KILLSWITCH)
    own = tmp_path / name.removesuffix("killswitch")
    if own.suffix == ".yaml":
        own.write_text("playbook: mine\n")
        assert find(name) == Path(name)


def test_an_unknown_name_gives_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    said = {}
    for name in ("kilswitch", "zzz", "min.yaml", f"{tmp_path}/mien.yaml", "x" * 5000, "no/such/folder.yaml", "a\0", ""):
        with pytest.raises(PlaybookInvalid) as invalid:
            load(find(name))
        said[name] = str(invalid.value)
    nowhere = "here, and no playbook of that name ships with gameday"
    assert said["kilswitch"] == f"there is no file 'kilswitch' {nowhere} (did you mean 'killswitch'?)"
    assert said["zzz"].startswith(f"there is no file 'zzz' {nowhere}; those that ship are ")
    assert said["min.yaml"].endswith("(did you mean 'mine.yaml'?)")
    assert said[f"{tmp_path}/mien.yaml"].endswith("(did you mean 'mine.yaml'?)")
    assert all("\n" not in text and len(text) < 400 for text in said.values())


def test_only_a_probe_that_speaks_as_evidence_alone_is_slower(make: Make) -> None:
    assert load(make(READ + "    expect: {evidence: found}\n")).probes["read"].every == timedelta(seconds=2)
    both = load(make(READ + "    expect: {baseline: ok, evidence: found}\n"))
    assert both.probes["read"].every == timedelta(seconds=1)


def test_a_duration_beyond_all_reason_is_a_mistake_and_not_a_crash(make: Make) -> None:
    age = "9" * 400 + "d"
    found = mistakes(make(READ + f"    every: {age}\n    expect: {{baseline: {{becomes: ok, within: {age}}}}}\n"))
    assert len(found) == 2
    assert all("too large" in line or "too long" in line for line in found)
    assert len(mistakes(make(READ + f"    expect: {{baseline: ok}}\ntiming: {{hold: {age}}}\n"))) == 1


def test_an_invisible_character_that_is_meant_is_kept(make: Make) -> None:
    """In a description, in quotes (names of screenshots on macOS have U+202F) and escaped."""
    written = (
        "playbook: x\ndescription: Prix\u00a0en \u20ac \U0001f469\u200d\U0001f4bb\n# a\u00a0comment\nprobes:\n  a:\n"
        '    uses: s3.read\n    with: {bucket: "b\\u200b", key: "at 9.41\u202fAM.png"}\n    expect: {baseline: ok}\n'
    )
    probe = load(make(written)).probes["a"].part.model_dump()
    assert (probe["bucket"], probe["key"]) == ("b\u200b", "at 9.41\u202fAM.png")
