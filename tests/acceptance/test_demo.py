"""``defib demo``: something breaks, Defib heals it, and nothing is left."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from defib.demo.configuration import AGENTS
from defib.demo.script import Breakage, Trouble, story
from defib_testkit.waiting import wait_until


class Demo:
    """One run of ``defib demo``, which finds its temporary folders in ``place``."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.place = folder / "place"
        self.place.mkdir()
        self._printed = folder / "printed"
        argv = [sys.executable, "-m", "defib.cli.main", "demo", "--port", "0", *arguments]
        with self._printed.open("wb") as printed:
            self._process = subprocess.Popen(
                argv, stdout=printed, env={"TMPDIR": str(self.place), "PATH": ""}
            )

    @property
    def lines(self) -> list[str]:
        """What it printed, without the times."""
        return [line.partition("  ")[2] for line in self._printed.read_text().splitlines()]

    def get(self, path: str) -> Any:
        """JSON from its dashboard, once it is there."""
        wait_until(lambda: len(self.lines) > 1, 20, "the demo to greet")
        assert self.lines[0].startswith("Defib serves http://127.0.0.1:")
        address = self.lines[0].removeprefix("Defib serves ")
        return httpx.get(f"{address}{path}", trust_env=False, timeout=5).json()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit status."""
        return self._process.wait(timeout=40)

    def close(self) -> None:
        self._process.terminate()
        self.wait()


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start a demo with these arguments."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(closing(Demo(tmp_path, *arguments)))


def test_it_shows_a_fault_that_defib_heals_and_leaves_nothing(start_demo: Callable[..., Demo]) -> None:
    demo = start_demo("--seed", "7", "--for", "25s")

    def healed() -> list[str]:
        incidents = demo.get("/api/v1/incidents")["items"]
        return [item["monitor"] for item in incidents if item["healed_by"] == "defib"]

    wait_until(lambda: healed() == ["chat"], 22, "Defib to heal chat")

    assert demo.wait() == 0
    assert demo.lines[1].startswith("Log in once with http://127.0.0.1:")
    assert "in 10 s chat will crash" in demo.lines
    told = [line for line in demo.lines if line.startswith("ALERT")]
    assert len(told) <= 2  # the fall is told unless it was over before its message left
    assert told[-1].startswith("ALERT info   Chat Agent has recovered – recovered by Defib in ")
    assert list(demo.place.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_nothing_is_left(
    start_demo: Callable[..., Demo], number: signal.Signals
) -> None:
    demo = start_demo()
    monitors = demo.get("/api/v1/overview")["monitors"]
    assert {item["id"] for item in monitors} == {*AGENTS, "this-host"}

    demo.signal(number)

    assert demo.wait() == 0
    assert list(demo.place.iterdir()) == []


def test_the_same_seed_tells_the_same_story() -> None:
    assert list(islice(story(tuple(AGENTS), "chat", 5), 50)) == list(
        islice(story(tuple(AGENTS), "chat", 5), 50)
    )
    assert next(story(tuple(AGENTS), "chat", 5)) == Breakage(agent="chat", trouble=Trouble.CRASH, pause_s=0.0)


def test_no_agent_breaks_twice_in_a_row_and_every_way_of_breaking_comes_up() -> None:
    told = list(islice(story(tuple(AGENTS), "chat", 5), 50))

    assert [one.agent for one, other in pairwise(told) if one.agent == other.agent] == []
    assert {breakage.trouble for breakage in told[:4]} == {
        Trouble.CRASH, Trouble.HANG, Trouble.ERRORS, Trouble.SLOW,
    }  # fmt: skip
