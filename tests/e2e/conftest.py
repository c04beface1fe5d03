"""One lab for all, which nothing lab-wide is done to; a second one for tests that set its knobs and its troubles."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from e2e_scene import Scene
from e2e_stories import Stories
from e2e_world import Independent, Switchboard

from gameday.lab import LabProcess, start


@pytest.fixture(scope="session")
def labs() -> Iterator[tuple[LabProcess, LabProcess]]:
    """The calm one and the rough one, started side by side."""
    with ThreadPoolExecutor(2) as pool:
        calm, rough = pool.map(start, ["instant", "instant"])
    with calm, rough:
        yield calm, rough


@pytest.fixture(scope="session")
def calm_aws(labs: tuple[LabProcess, LabProcess]) -> Independent:
    return Independent(labs[0].url)


@pytest.fixture(scope="session")
def rough_aws(labs: tuple[LabProcess, LabProcess]) -> Independent:
    return Independent(labs[1].url)


@pytest.fixture(scope="session")
def switchboard() -> Iterator[Switchboard]:
    board = Switchboard()
    yield board
    board.close()


@pytest.fixture
def scene(
    tmp_path: Path, labs: tuple[LabProcess, LabProcess], calm_aws: Independent, switchboard: Switchboard
) -> Iterator[Scene]:
    """On the calm lab: troubles only for one run, named in the rule; no knobs."""
    yield from _scene(Scene(tmp_path, labs[0], calm_aws, switchboard))


@pytest.fixture
def rough(
    tmp_path: Path, labs: tuple[LabProcess, LabProcess], rough_aws: Independent, switchboard: Switchboard
) -> Iterator[Scene]:
    """On the other lab: knobs and troubles as the test likes; both are put back."""
    scene = Scene(tmp_path, labs[1], rough_aws, switchboard)
    knobs = scene.lab.knobs()
    yield from _scene(scene)
    scene.lab.clear_trouble()
    scene.lab.knobs(**knobs)


@pytest.fixture(scope="module", autouse=True)
def stories(
    request: pytest.FixtureRequest, selected: Callable[[str], list[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stories | None]:
    """A file's stories, told from its first test on."""
    wanted = selected("story")
    if not wanted:
        yield None
        return
    labs = request.getfixturevalue("labs")
    aws, board = request.getfixturevalue("calm_aws"), request.getfixturevalue("switchboard")
    places = tmp_path_factory.mktemp(request.path.stem)  # the factory is not for several threads

    def make(name: str) -> Scene:
        (places / name).mkdir()
        return Scene(places / name, labs[0], aws, board)

    told = Stories(wanted, make)
    yield told
    told.close()


def _scene(scene: Scene) -> Iterator[Scene]:
    yield scene
    scene.close()
    sys.stderr.write(scene.tale())  # pytest shows it only where the test failed
