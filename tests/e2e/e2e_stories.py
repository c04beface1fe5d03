"""Tests that mostly wait: each a function of a scene, told on a thread of its own while other tests run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from e2e_scene import Scene

Story = Callable[[Scene], None]
AT_ONCE = 6


class Stories:
    """Told from now on, a few at once.

    Parameters
    ----------
    make: makes the scene of a story, from its name.
    """

    def __init__(self, stories: Iterable[Story], make: Callable[[str], Scene]) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._make = make
        self._told: dict[Story, Future[Scene]] = {story: self._pool.submit(self._tell, story) for story in stories}

    def end_of(self, story: Story) -> Scene:
        """Wait for the end of a story; what failed in it fails here."""
        return self._told[story].result()

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown(cancel_futures=True)

    def _tell(self, story: Story) -> Scene:
        scene = self._make(re.sub(r"\W", "-", story.__name__))
        try:
            story(scene)
        except BaseException as error:
            error.add_note(scene.tale())
            raise
        finally:
            scene.close()
        return scene
