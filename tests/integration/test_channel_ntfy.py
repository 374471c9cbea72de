"""The ntfy channel against a double of an ntfy server."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alert_samples import make_alert, make_context, make_report
from defib.plugin import AlertKind, BuildContext, DeliveryError
from defib_alerts.ntfy_channel import NtfyChannel, NtfyOptions
from defib_testkit.ntfy_server import NtfyServer

Make = Callable[..., NtfyChannel]


@pytest.fixture
def serve() -> Iterator[Callable[..., NtfyServer]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(closing(NtfyServer(**options)))


@pytest.fixture
def server(serve: Callable[..., NtfyServer]) -> NtfyServer:
    return serve()


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[NtfyChannel] = []

    def make(server: NtfyServer, **options: Any) -> NtfyChannel:
        checked = NtfyOptions.model_validate({"topic": "defib-alerts", "server": server.origin, **options})
        made.append(NtfyChannel("phone", checked, BuildContext(base=Path("/"))))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()


async def test_a_message_reads_well_on_a_phone(make: Make, server: NtfyServer) -> None:
    receipt = await make(server).send(make_alert(), make_context())

    (said,) = server.notifications
    assert receipt.id == said.id
    assert said.title == "HIGH · Main Agent is down"
    assert said.message.startswith("Main Agent has been failing since 22:14:07")
    assert (
        "\n\n22:15:17 refused in 1 ms\n22:15:19 refused in 1 ms: 3 of 3 failures in a row\n\n1. See whether"
        in said.message
    )
    assert said.tags == ("orange_circle", "high")
    assert said.click == "https://health.example.com/incidents/inc-7"
    assert [(action["action"], action["label"], action["url"]) for action in said.actions] == [
        ("view", "Open the incident", "https://health.example.com/incidents/inc-7"),
        ("view", "Acknowledge", "https://health.example.com/incidents/inc-7#steer"),
        ("view", "The monitor's page", "https://health.example.com/monitors/main"),
    ]
    assert [request.json()["topic"] for request in server.requests] == ["defib-alerts"]


@pytest.mark.parametrize(
    ("changes", "is_quiet", "priority", "mark"),
    [
        ({"event": AlertKind.RECOVERY_FAILED, "attempts": 3}, False, 5, "red_circle"),
        ({}, False, 4, "orange_circle"),
        ({"event": AlertKind.DEGRADED, "cause": "slow"}, False, 3, "yellow_circle"),
        ({"event": AlertKind.RECOVERED, "cause": "ok", "healed_by": "itself"}, False, 3, "green_circle"),
        ({"event": AlertKind.TEST, "cause": "test"}, False, 3, "blue_circle"),
        ({}, True, 2, "orange_circle"),
    ],
)
async def test_how_pressing_it_is_decides_how_it_sounds(
    make: Make, server: NtfyServer, changes: dict[str, Any], is_quiet: bool, priority: int, mark: str
) -> None:
    await make(server).send(make_alert(**changes), make_context(is_quiet=is_quiet))

    (said,) = server.notifications
    assert (said.priority, said.tags[0]) == (priority, mark)


async def test_an_edit_takes_the_place_of_the_message(make: Make, server: NtfyServer) -> None:
    channel = make(server)
    first = await channel.send(make_alert(), make_context(key="1"))
    recovered = make_alert(event=AlertKind.RECOVERED, cause="ok", healed_by="itself")
    second = await channel.send(recovered, make_context(key="2", edits=first.id))

    down, well = server.notifications
    assert (down.sequence_id, well.sequence_id) == (first.id, first.id)
    assert well.title == "RECOVERED · Main Agent has recovered"
    assert second.id == first.id


async def test_words_are_in_the_language_of_the_channel(make: Make, server: NtfyServer) -> None:
    await make(server).send(make_alert(), make_context(language="tr"))

    (said,) = server.notifications
    assert said.title.startswith("YÜKSEK · ")
    assert said.actions[1]["label"] == "Üstleniyorum"


async def test_a_long_message_is_cut_and_never_becomes_a_file(make: Make, server: NtfyServer) -> None:
    await make(server).send(replace(make_alert(), description="天气🔥" * 2000), make_context())

    (said,) = server.notifications
    assert not said.is_attached
    assert 4000 < len(said.message.encode()) <= 4096
    assert said.message.endswith("…")


async def test_a_report_comes_as_its_first_lines(make: Make, server: NtfyServer) -> None:
    text = "\n".join(f"line {number}" for number in range(100))
    await make(server).send(make_report(text=text), make_context())

    (said,) = server.notifications
    assert said.title == "[Defib] Daily report, Fri 2 Jan 2026: 99.98 % well"
    assert said.message.splitlines()[-1] == "line 11"
    assert said.tags == ("bar_chart",)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({"token": "tk_0123456789"}, {"token": "tk_0123456789"}),
        ({"login": ("defib", "p4ssword")}, {"username": "defib", "password": "p4ssword"}),
    ],
)
async def test_a_login_is_brought_along_and_refused_when_wrong(
    make: Make, serve: Callable[..., NtfyServer], asked: dict[str, Any], given: dict[str, str]
) -> None:
    server = serve(**asked)
    await make(server, **given).send(make_alert(), make_context())
    with pytest.raises(DeliveryError) as caught:
        await make(server, token="tk_wrong-one-42").send(make_alert(), make_context())

    assert len(server.notifications) == 1
    assert caught.value.permanent
    assert str(caught.value).startswith(
        f'an ntfy topic at {server.origin} refused with HTTP 401: {{"code": 40101,'
    )
    assert "tk_wrong" not in str(caught.value)


@pytest.mark.parametrize(("mode", "is_permanent"), [("403", True), ("429", False), ("500", False)])
async def test_a_refusal_says_whether_to_try_again(
    make: Make, server: NtfyServer, mode: str, is_permanent: bool
) -> None:
    server.mode = mode

    with pytest.raises(DeliveryError, match=f"HTTP {mode}") as caught:
        await make(server).send(make_alert(), make_context())

    assert caught.value.permanent is is_permanent


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topic": "my topic"}, "is not a topic; write up to 64 letters, digits, - and _"),
        ({"server": "ntfy.example.com"}, "is not an address; write https://host/path"),
        ({"token": "tk_1", "username": "u", "password": "p"}, "a token and a login exclude one another"),
    ],
)
def test_mistakes_in_the_options_name_their_remedy(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NtfyOptions.model_validate({"topic": "alerts", **options})

    assert message in str(caught.value)
    assert "my topic" not in str(caught.value)
