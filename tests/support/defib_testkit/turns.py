"""Turns among the workers of pytest-xdist: tests run beside one another, but one marked ``alone`` without any other.

For tests that take the machine away from the rest (they hog its processors) and for those that time what the
rest would slow down.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def turn(folder: Path, *, is_alone: bool) -> Iterator[None]:
    """Wait for one's turn and hold it. Who waits to be alone keeps others from beginning.

    :param folder: holds the locks, the same for all who take turns.
    """
    with (folder / "gate").open("a") as gate, (folder / "room").open("a") as room:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


class Turns:
    """A plugin of pytest, registered in each process of a session; without workers it has nothing to do."""

    def __init__(self, config: pytest.Config) -> None:
        handed_on: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._is_worker = handed_on is not None
        self._folder = Path(handed_on["turns"] if handed_on else tempfile.mkdtemp(prefix="dfb-turns-"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker where the locks are."""
        node.workerinput["turns"] = str(self._folder)

    def pytest_unconfigure(self) -> None:
        if not self._is_worker:
            shutil.rmtree(self._folder)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of the limit that pytest-timeout sets
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if not self._is_worker:
            return (yield)
        with turn(self._folder, is_alone=item.get_closest_marker("alone") is not None):
            return (yield)
