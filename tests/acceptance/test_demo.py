"""``defib demo``: something breaks, Defib heals it, and nothing is left."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from defib.demo.configuration import AGENTS
from defib.demo.script import Breakage, Trouble, story
from defib_testkit.waiting import wait_until


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[Any]:
    """Start a demo with its folder in ``tmp_path``; returns it with the address of its dashboard."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        demo = subprocess.Popen(
            [sys.executable, "-m", "defib.cli.main", "demo", "--port", "0", *arguments],
            stdout=subprocess.PIPE, text=True, env={"TMPDIR": str(tmp_path), "PATH": ""},
        )  # fmt: skip
        started.append(demo)
        assert demo.stdout is not None
        greeting = re.search(r"Defib serves (http://127\.0\.0\.1:\d+)$", demo.stdout.readline().strip())
        assert greeting is not None
        return demo, greeting[1]

    yield start
    for demo in started:
        demo.terminate()
        demo.communicate(timeout=30)


def test_it_shows_a_fault_that_defib_heals_and_leaves_nothing(start_demo: Any, tmp_path: Path) -> None:
    demo, address = start_demo("--seed", "7", "--for", "25s")

    def healed() -> list[str]:
        incidents = httpx.get(f"{address}/api/v1/incidents", trust_env=False, timeout=5).json()["items"]
        return [item["monitor"] for item in incidents if item["healed_by"] == "defib"]

    wait_until(lambda: healed() == ["chat"], 22, "Defib to heal chat")
    printed, _ = demo.communicate(timeout=40)

    lines = [line.partition("  ")[2] for line in printed.splitlines()]
    assert lines[0].startswith("Log in once with http://127.0.0.1:")
    assert "in 10 s chat will crash" in lines
    assert any(line.startswith("ALERT high   Chat Agent is down – ") for line in lines)
    assert any(
        line.startswith("ALERT info   Chat Agent has recovered – recovered by Defib") for line in lines
    )
    assert demo.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_nothing_is_left(
    start_demo: Any, tmp_path: Path, number: signal.Signals
) -> None:
    demo, address = start_demo()
    monitors = httpx.get(f"{address}/api/v1/overview", trust_env=False, timeout=5).json()["monitors"]
    assert {item["id"] for item in monitors} == {*AGENTS, "this-host"}

    demo.send_signal(number)
    demo.communicate(timeout=30)

    assert demo.returncode == 0
    assert list(tmp_path.iterdir()) == []


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
