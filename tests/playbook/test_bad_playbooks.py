from pathlib import Path

import pytest

from gameday.errors import PlaybookInvalid
from gameday.playbook import load
from gameday.sdk import PROBES

ROOT = Path(__file__).parents[2]
BAD = sorted((ROOT / "tests/playbooks/bad").glob("*.yaml"))


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_playbook_gives_exactly_its_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(PlaybookInvalid) as invalid:
        load(file.relative_to(ROOT))
    wanted = file.with_suffix(".txt").read_text().replace("{probes}", ", ".join(PROBES))
    assert str(invalid.value) + "\n" == wanted
    assert invalid.value.exit_code == 2


def test_every_text_belongs_to_a_playbook() -> None:
    assert {file.stem for file in BAD} == {file.stem for file in (ROOT / "tests/playbooks/bad").glob("*.txt")}
    assert len(BAD) >= 45
