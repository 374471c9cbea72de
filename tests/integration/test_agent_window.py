"""The agent's window on a display of its own."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from defib.model.agent import AgentStatus
from defib_testkit.requirement import require
from defib_testkit.waiting import async_wait_until
from receiver_world import make_world, new_token, status
from web_world import Site


@pytest.fixture
def display() -> Iterator[str]:
    """A display that nobody sees."""
    if shutil.which("Xvfb") is None:
        require("Xvfb", "apt install xvfb")
    pytest.importorskip("tkinter", reason="this Python has no Tk")
    reading, writing = os.pipe()
    argv = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "470x520x24", "-nolisten", "tcp"]
    server = subprocess.Popen(argv, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    try:
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with make_world(tmp_path, "defib_plugins.agent_heartbeat_receiver").running() as site:
        yield site


async def window(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "defib_agent", "--gui", *arguments, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environ},
    )  # fmt: skip


async def test_the_window_beats_while_it_is_open_and_says_goodbye(
    site: Site, display: str, tmp_path: Path
) -> None:
    process = await window(
        "--server-url", site.url, "--agent-id", "desk", "--interval", "1s", "--state-folder", str(tmp_path / "state"),
        DISPLAY=display, DEFIB_AGENT_API_TOKEN=await new_token(site),
    )  # fmt: skip
    await async_wait_until(
        lambda: site.engine.fleet.find("desk") is not None and status(site, "desk") is AgentStatus.ONLINE,
        20,
        "a beat",
    )
    process.send_signal(signal.SIGTERM)
    _, said = await asyncio.wait_for(process.communicate(), 20)

    assert (process.returncode, b"Traceback" in said) == (0, False)
    assert status(site, "desk") is AgentStatus.STOPPED


async def test_without_a_display_it_says_what_is_missing() -> None:
    pytest.importorskip("tkinter", reason="this Python has no Tk")
    process = await window(DISPLAY="")
    _, said = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 1
    assert said.decode().startswith("defib-agent: --gui needs a display: ")
