"""The channel and the receiver of the how-to for plugins; its monitor is in test_docs.py."""

import asyncio
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from alert_samples import make_alert, make_context
from config_kit import ROOT
from defib.model.health import State
from defib.plugin import BuildContext, DeliveryError, Receipt
from defib_testkit.ports import free_port
from monitor_kit import serving
from receiver_world import bearer, broken_store, make_world, new_token

MODULE = "defib_hall"
PAGE = ROOT / "docs" / "how-to" / "write-a-plugin.md"


@pytest.fixture
def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, as if it were installed."""
    page = PAGE.read_text(encoding="utf-8")
    _, source = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / f"{MODULE}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module(MODULE)
    del sys.modules[MODULE]


async def test_the_channel_shows_an_alert_and_says_when_nobody_saw_it(hall: Any, tmp_path: Path) -> None:
    [kind] = hall.defib_channels()
    shown: asyncio.Queue[bytes] = asyncio.Queue()

    async def display(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.put_nowait(await reader.readline())

    def channel(port: int) -> Any:
        options = kind.options(host="127.0.0.1", port=port)
        return kind.create("hall", options, BuildContext(base=tmp_path))

    async with serving(display) as port:
        assert await channel(port).send(make_alert(), make_context()) == Receipt()
        async with asyncio.timeout(10):
            assert await shown.get() == b"Main Agent is down\n"

    nobody = free_port()
    with pytest.raises(DeliveryError, match=f"^127.0.0.1:{nobody}: "):
        await channel(nobody).send(make_alert(), make_context())


async def test_the_receiver_takes_a_press_for_a_beat_from_whom_it_knows(hall: Any, tmp_path: Path) -> None:
    world = make_world(tmp_path, MODULE)
    world.expect_beats("nightly")
    async with world.running() as site:

        async def press(monitor: str, headers: dict[str, str]) -> int:
            answer = await site.client.post(f"/button/{monitor}", headers=headers)
            return answer.status_code

        known = bearer(await new_token(site))
        assert await press("nightly", {}) == 401
        assert await press("nightly", bearer("wrong")) == 401
        assert site.health("nightly").state is State.NEW
        assert await press("nothing", known) == 404
        with broken_store(world):
            assert await press("nightly", known) == 503
        assert await press("nightly", known) == 200
        assert site.health("nightly").state is State.UP
