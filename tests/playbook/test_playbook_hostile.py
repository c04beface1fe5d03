"""Whatever a file holds, there is a playbook or a list of mistakes; never a traceback, and never a long wait."""

import random
import re
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gameday.errors import PlaybookInvalid
from gameday.playbook import Playbook, load
from gameday.playbook._document import MAX_BYTES

KILLSWITCH = (Path(__file__).parents[2] / "playbooks/killswitch.yaml").read_text()
LINE = re.compile(r"(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+): (?P<path>[^:]+|.*'.*): (?P<message>\S.*)")
FAST = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(raw: bytes | str) -> list[str]:
    """The mistakes in a file, each in its right form; none for a sound playbook."""
    raw = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "p.yaml"
        file.write_bytes(raw)
        try:
            assert isinstance(load(file), Playbook)
        except PlaybookInvalid as invalid:
            lines = str(invalid).splitlines()  # splits at U+2028 and its like too: none may get through
            assert lines == str(invalid).split("\n")
        else:
            return []
    height = 2 + len(raw.decode("utf-8", "replace").splitlines())
    for line in lines:
        found = LINE.fullmatch(line)
        assert found, line
        assert found["file"] == str(file)
        assert 1 <= int(found["line"]) <= height
        assert int(found["column"]) >= 1
    assert len(set(lines)) == len(lines)
    return lines


@FAST
@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    assert outcome(raw)


@FAST
@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    assert outcome(text)


WORDS = st.sampled_from(
    sorted(
        set(re.findall(r"[\w.${}-]+", KILLSWITCH))
        | {"guards", "fails", "always", "every", "timeout", "http.get", "url"}
    )
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=12) | WORDS
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=6),
    max_leaves=30,
)
SECTIONS = ["playbook", "description", "vars", "stage", "probes", "guards", "faults", "timing"]


@FAST
@given(st.dictionaries(st.sampled_from(SECTIONS) | WORDS, ANYTHING) | ANYTHING, st.booleans())
def test_any_structure(document: object, flow: bool) -> None:
    outcome(yaml.safe_dump(document, allow_unicode=True, default_flow_style=flow))


ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "uses": st.sampled_from(["s3.read", "ec2.boot", "http.get", "kms.state", "kms.disable_key", "kms.key", "x"])
        | ANYTHING,
        "with": st.dictionaries(st.sampled_from(["bucket", "key", "url", "instance", "status", "alias"]), SCALARS)
        | ANYTHING,
        "every": st.sampled_from(["1s", "1ms", "0", "9" * 400 + "d", "5"]) | SCALARS,
        "once": st.sampled_from(["per phase", "no"]),
        "timeout": SCALARS,
        "fails": st.sampled_from(["3 of 5", "5 of 3"]) | SCALARS,
        "expect": st.dictionaries(
            st.sampled_from(["baseline", "fault", "recovery", "evidence", "always", "x"]), ANYTHING
        )
        | ANYTHING,
    },
)
NAMES = st.sampled_from(["a", "b", "read-clock", "Bad Name", ""])


@FAST
@given(
    st.fixed_dictionaries(
        {"playbook": st.just("p") | SCALARS},
        optional={
            "vars": st.dictionaries(WORDS, SCALARS),
            "stage": st.lists(ENTRY, max_size=3),
            "probes": st.dictionaries(NAMES, ENTRY),
            "guards": st.dictionaries(NAMES, ENTRY),
            "faults": st.lists(ENTRY, max_size=3),
            "timing": st.dictionaries(
                st.sampled_from(["hold", "max_fault", "effect_within"]),
                st.sampled_from(["5m", "1e9d", "0", "1ms"]) | SCALARS,
            ),
        },
    )
)
def test_almost_a_playbook(document: object) -> None:
    outcome(yaml.safe_dump(document, allow_unicode=True))


PIECES = [
    "",
    "\t",
    "\n",
    " ",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "&a ",
    "*a",
    "!!str ",
    "${",
    "$${",
    "}",
    "~",
    "#",
    "|",
    ">",
]


@FAST
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(KILLSWITCH)), st.integers(0, 12), st.sampled_from(PIECES) | WORDS | st.text(max_size=3)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_killswitch_with_pieces_cut_out_and_put_in(cuts: list[tuple[int, int, str]]) -> None:
    text = KILLSWITCH
    for at, length, piece in cuts:
        text = text[:at] + piece + text[at + length :]
    outcome(text)


@FAST
@given(st.randoms(use_true_random=False))
def test_killswitch_with_lines_moved(order: random.Random) -> None:
    lines = KILLSWITCH.splitlines(keepends=True)
    for _ in range(order.randint(1, 3)):
        lines.insert(order.randrange(len(lines)), lines.pop(order.randrange(len(lines))))
    outcome("".join(lines))


def bomb() -> str:
    return "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )


def swollen() -> str:
    """A third of the file is one value, and the rest asks for it: hundreds of megabytes, written out."""
    return "playbook: p\nvars: {v: '" + "x" * (MAX_BYTES // 3) + "'}\nprobes:\n  a: '" + "${v}" * 40_000 + "'\n"


HOSTILE = {
    "alias bomb": (bomb(), "has more than 20,000 values"),
    "alias bomb of mappings": (bomb().replace("[", "{k: ").replace(",", ",k").replace("]", "}"), ""),
    "10 MB": ("playbook: p\n" + "# x\n" * 2_500_000, "is larger than 256 KiB"),
    "10 MB of brackets": ("[" * 10_000_000, "is larger than 256 KiB"),
    "deep lists": ("[" * 250_000, "is nested more than 50 deep"),
    "deep mappings": ("{a: " * 60_000, "is nested more than 50 deep"),
    "deep block": ("- " * 120_000, "is nested more than 50 deep"),
    "many values": ("a: [" + "x," * 120_000 + "]", "has more than 20,000 values"),
    "long values used often": (swollen(), "too long once the variables are in"),
    "many open variables": ("playbook: p\na: '" + "${" * 120_000 + "'", "is no variable"),
    "many closed variables": ("playbook: p\na: '" + "${a b}" * 40_000 + "'", "is no variable"),
    "a long key": ("playbook: p\n? " + "k" * 100_000 + "\n: v\n", "unknown key"),
    "a long name of a part": (f"playbook: p\nfaults:\n  - uses: {'kms' * 80_000}\n", "there is no fault"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_quickly(name: str) -> None:
    text, why = HOSTILE[name]
    started = time.perf_counter()
    found = outcome(text)
    assert time.perf_counter() - started < 1
    assert any(why in line for line in found), found[:3]
    assert max(map(len, found)) < 1000


@pytest.mark.parametrize("seed", range(3))
def test_thousands_of_mistakes_are_all_told(seed: int) -> None:
    lines = "".join(f"  k{seed}{number}: 1\n" for number in range(5000))
    started = time.perf_counter()
    found = outcome(f"playbook: p\nprobes: {{a: {{uses: s3.read}}}}\ntiming:\n{lines}")
    assert len(found) > 5000
    assert time.perf_counter() - started < 5


def test_places_far_down_a_long_file_cost_nothing_extra() -> None:
    started = time.perf_counter()
    found = outcome("playbook: p\ndescription:\n" + "".join(f"  - ${{v{number}}}\n" for number in range(15_000)))
    assert len(found) > 15_000
    assert time.perf_counter() - started < 5
