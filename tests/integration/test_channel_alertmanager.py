"""The Alertmanager channel against Debian's Alertmanager, which tells a webhook sink."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from alert_samples import make_alert, make_context, make_report
from defib.plugin import (
    Alert,
    AlertKind,
    BuildContext,
    DeliveryError,
    Desk,
    Listening,
    MonitorId,
    Severity,
    Together,
)
from defib_alerts.alertmanager_channel import (
    AlertmanagerChannel,
    AlertmanagerOptions,
    ClusterChannel,
    defib_channels,
)
from defib_testkit.alertmanager import Alertmanager
from defib_testkit.alertmanager_double import AlertmanagerDouble
from defib_testkit.ports import free_port
from defib_testkit.webhook_sink import WebhookSink

Make = Callable[..., AlertmanagerChannel]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[AlertmanagerChannel] = []

    def make(url: Any, **options: Any) -> AlertmanagerChannel:
        checked = AlertmanagerOptions.model_validate({"url": url, **options})
        [kind] = defib_channels()
        channel = kind.create("am", checked, BuildContext(base=Path("/")))
        assert isinstance(channel, AlertmanagerChannel)
        made.append(channel)
        return made[-1]

    yield make
    for channel in made:
        await channel.close()


@pytest.fixture
def alertmanager(tmp_path: Path, webhook_sink: WebhookSink) -> Iterator[Alertmanager]:
    with closing(Alertmanager(tmp_path / "alertmanager", webhook_sink.url)) as alertmanager:
        yield alertmanager


def now_alert(**changes: Any) -> Alert:
    """As of now: an Alertmanager goes by its own clock."""
    now = datetime.now(UTC)
    return make_alert(**{"at": now, "since": now - timedelta(seconds=72), **changes})


def told(sink: WebhookSink) -> list[tuple[str, str, str]]:
    """Status, alert and severity of everything that the Alertmanager told, in order."""
    return [
        (alert["status"], alert["labels"]["alertname"], alert["labels"]["severity"])
        for request in sink.requests
        for alert in sorted(request.json()["alerts"], key=lambda alert: alert["labels"]["alertname"])
    ]


async def test_an_alertmanager_takes_holds_tells_and_resolves(
    make: Make, alertmanager: Alertmanager, webhook_sink: WebhookSink
) -> None:
    channel = make(alertmanager.origin, labels={"site": "hk"})
    alert = now_alert(tags=("web", "agents"), since=datetime.now(UTC))

    receipt = await channel.send(alert, make_context())

    assert receipt.detail == f"Alertmanager at {alertmanager.origin} took 1 alert"
    (held,) = alertmanager.held()
    assert held["labels"] == {
        "alertname": "AgentDown", "source": "defib", "monitor": "main", "severity": "high", "family": "agent",
        "tags": ",agents,web,", "site": "hk",
    }  # fmt: skip
    assert held["annotations"]["summary"] == "Main Agent is down"
    assert held["annotations"]["description"] == alert.description
    assert held["annotations"]["recommendations"].startswith("See whether it runs: `systemctl status")
    assert held["generatorURL"] == "https://health.example.com/monitors/main"
    assert len(webhook_sink.requests) == 0  # held for group_wait, since it began a moment ago
    await webhook_sink.requests.async_wait_for(1, timeout=10)
    assert told(webhook_sink) == [("firing", "AgentDown", "high")]

    # The channel of a Defib that was started anew knows no more of it, and the recovery has another severity.
    recovered = now_alert(event=AlertKind.RECOVERED, cause="ok", summary="HTTP 200", healed_by="defib")
    await make(alertmanager.origin).send(recovered, make_context(key="2"))
    await webhook_sink.requests.async_wait_for(2, timeout=10)

    assert told(webhook_sink)[1:] == [("resolved", "AgentDown", "high")]
    assert alertmanager.held() == []


async def test_a_worse_state_takes_the_place_of_a_milder_one_and_what_recovery_says_fires_beside_it(
    make: Make, alertmanager: Alertmanager
) -> None:
    channel = make(
        alertmanager.origin, severities={"severe": "critical", "high": "critical", "low": "warning"}
    )

    def held() -> list[tuple[str, str]]:
        return sorted(
            (alert["labels"]["alertname"], alert["labels"]["severity"]) for alert in alertmanager.held()
        )

    await channel.send(now_alert(event=AlertKind.DEGRADED, cause="slow"), make_context(key="1"))
    assert held() == [("AgentSlow", "warning")]
    await channel.send(now_alert(), make_context(key="2"))
    assert held() == [("AgentDown", "critical")]
    await channel.send(now_alert(event=AlertKind.RECOVERY_FAILED, attempts=3), make_context(key="3"))
    assert held() == [("AgentDown", "critical"), ("RecoveryFailed", "critical")]
    receipt = await channel.send(
        now_alert(event=AlertKind.RECOVERED, healed_by="itself"), make_context(key="4")
    )
    assert held() == []
    assert receipt.detail == f"Alertmanager at {alertmanager.origin} took 2 alerts"
    receipt = await channel.send(
        now_alert(event=AlertKind.RECOVERED, healed_by="itself"), make_context(key="4")
    )
    assert receipt.detail == f"Alertmanager at {alertmanager.origin} holds nothing of it"


async def test_what_fell_together_is_one_alert_for_each_monitor(
    make: Make, alertmanager: Alertmanager
) -> None:
    since = datetime.now(UTC) - timedelta(seconds=9)
    members = tuple(
        Together(monitor=MonitorId(name), name=name.title(), family="agent", summary="refused", since=since)
        for name in ("main", "b.c", "b-c")
    )
    channel = make(alertmanager.origin)

    await channel.send(now_alert(together=members), make_context(key="1"))
    assert {alert["labels"]["monitor"]: alert["labels"]["alertname"] for alert in alertmanager.held()} == {
        "main": "AgentDown", "b.c": "AgentDown", "b-c": "AgentDown",
    }  # fmt: skip
    await channel.send(
        now_alert(event=AlertKind.RECOVERED, monitor="b.c", monitor_name="B C"), make_context(key="2")
    )
    assert {alert["labels"]["monitor"] for alert in alertmanager.held()} == {"main", "b-c"}


# --- against a double: what it cannot be brought to say -----------------------------------------------


async def test_what_is_told_again_keeps_firing_under_its_own_labels(
    make: Make, webhook_sink: WebhookSink
) -> None:
    labels = {"alertname": "AgentDown", "source": "defib", "monitor": "main", "severity": "high"}
    webhook_sink.status, webhook_sink.body = 200, json.dumps([{"labels": labels}]).encode()

    await make(webhook_sink.origin).send(now_alert(event=AlertKind.REMINDER), make_context())

    asked, posted = webhook_sink.requests
    assert asked.target == ("/api/v2/alerts?filter=source%3D%22defib%22&filter=monitor%3D~%22main%22")
    (post,) = posted.json()
    assert post["labels"] == labels
    assert datetime.fromisoformat(post["endsAt"]) - datetime.now(UTC) > timedelta(days=6)


async def test_a_reminder_brings_back_what_an_alertmanager_has_forgotten(make: Make) -> None:
    with closing(AlertmanagerDouble()) as alertmanager:
        await make(alertmanager.origin).send(now_alert(event=AlertKind.REMINDER, reminders=1), make_context())

        [[post]] = alertmanager.posts
        assert (post["labels"]["alertname"], post["labels"]["severity"]) == ("AgentDown", "high")


async def test_a_digest_fires_and_ends_each_of_its_members(make: Make) -> None:
    since = datetime.now(UTC) - timedelta(seconds=90)
    down = Together(
        monitor=MonitorId("a"),
        name="A",
        family="database",
        summary="refused",
        since=since,
        severity=Severity.SEVERE,
    )
    over = replace(down, monitor=MonitorId("b"), event=AlertKind.RECOVERED, is_over=True)
    seen = replace(down, monitor=MonitorId("c"), event=AlertKind.ACKNOWLEDGED)
    with closing(AlertmanagerDouble()) as alertmanager:
        channel = make(alertmanager.origin)
        await channel.send(
            now_alert(together=(replace(down, monitor=MonitorId("b")),)), make_context(key="1")
        )
        await channel.send(
            now_alert(event=AlertKind.DIGEST, together=(down, over, seen)), make_context(key="2")
        )

        [[first], [fires, ends]] = alertmanager.posts
        assert first["labels"] == ends["labels"]
        assert (fires["labels"]["monitor"], fires["labels"]["alertname"], fires["labels"]["severity"]) == (
            "a", "DatabaseDown", "severe",
        )  # fmt: skip


async def test_tests_and_channels_do_not_end_what_else_is_about_defib(make: Make) -> None:
    with closing(AlertmanagerDouble()) as alertmanager:
        channel = make(alertmanager.origin)
        for number, (event, name) in enumerate(
            (
                (AlertKind.OBSERVER_SICK, ""),
                (AlertKind.CHANNEL_BROKEN, "ops-mail"),
                (AlertKind.CHANNEL_WORKS, "ops-mail"),
                (AlertKind.TEST, ""),
            )
        ):
            alert = now_alert(event=event, monitor="", monitor_name=name, family="observer")
            await channel.send(alert, make_context(key=str(number)))

        assert [
            [(post["labels"]["monitor"], post["labels"]["alertname"]) for post in posts]
            for posts in alertmanager.posts
        ] == [
            [("defib", "ObserverSick")],
            [("defib/channel/ops-mail", "ChannelBroken")],
            [("defib/channel/ops-mail", "ChannelBroken")],
            [("defib/test", "Test")],
        ]


async def test_an_end_is_never_ahead_of_the_alertmanagers_clock(
    make: Make, webhook_sink: WebhookSink
) -> None:
    labels = {"alertname": "AgentDown", "source": "defib", "monitor": "main"}
    webhook_sink.status, webhook_sink.body = 200, json.dumps([{"labels": labels}]).encode()
    webhook_sink.headers = {"Date": "Sat, 03 Jan 2026 14:00:00 GMT"}

    await make(webhook_sink.origin).send(make_alert(event=AlertKind.RECOVERED), make_context())

    (post,) = webhook_sink.requests[1].json()
    assert (post["startsAt"], post["endsAt"]) == ("2026-01-03T14:00:00.000Z", "2026-01-03T14:00:00.000Z")


async def test_what_is_watched_no_more_fires_no_more_and_what_is_set_aside_goes_on(make: Make) -> None:
    with closing(AlertmanagerDouble()) as alertmanager:
        channel = make(alertmanager.origin)
        await channel.send(now_alert(), make_context(key="1"))
        receipt = await channel.send(
            now_alert(event=AlertKind.SET_ASIDE, state="maintenance"), make_context(key="2")
        )
        assert (receipt.detail, len(alertmanager.firing())) == ("nothing fires or ends by it", 1)
        await channel.send(now_alert(event=AlertKind.UNWATCHED), make_context(key="3"))
        assert alertmanager.firing() == []


async def test_whoever_has_missed_an_end_is_brought_it(make: Make) -> None:
    with closing(AlertmanagerDouble()) as one, closing(AlertmanagerDouble()) as other:
        channel = make([one.origin, other.origin])
        assert isinstance(channel, ClusterChannel)
        channel.resend_every = timedelta(milliseconds=20)
        for monitor in ("main", "shop", "disk"):
            await channel.send(now_alert(monitor=MonitorId(monitor)), make_context(key=monitor))
        await other.posts.async_wait_for(3)
        other.mode = "dead"
        await channel.send(now_alert(event=AlertKind.RECOVERED), make_context(key="1"))
        await channel.send(
            now_alert(event=AlertKind.RECOVERED, monitor=MonitorId("shop")), make_context(key="2")
        )
        await channel.send(
            now_alert(event=AlertKind.RELAPSED, monitor=MonitorId("shop")), make_context(key="3")
        )
        assert {labels["monitor"] for labels in one.firing()} == {"shop", "disk"}

        listening = asyncio.create_task(channel.listen(cast(Desk, None)))
        other.mode = "ok"
        await other.posts.async_wait_for(5)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

        assert sorted(other.firing(), key=str) == sorted(one.firing(), key=str)
        assert len(other.posts) == 5  # the newest of each monitor alone


async def test_a_single_alertmanager_needs_no_such_care(make: Make) -> None:
    assert not isinstance(make("http://127.0.0.1:9093"), Listening)


async def test_one_of_two_is_enough_and_the_log_names_the_other(
    make: Make, webhook_sink: WebhookSink
) -> None:
    webhook_sink.status, webhook_sink.body = 200, b"[]"
    dead = f"http://127.0.0.1:{free_port()}"

    receipt = await make([dead, webhook_sink.origin]).send(now_alert(), make_context())

    assert receipt.detail == (
        f"Alertmanager at {webhook_sink.origin} took 1 alert; "
        f"Alertmanager at {dead} cannot be reached: All connection attempts failed"
    )


async def test_what_is_no_alertmanager_says_so(make: Make, webhook_sink: WebhookSink) -> None:
    webhook_sink.status, webhook_sink.body = 200, b"<html>Welcome</html>"

    with pytest.raises(DeliveryError) as caught:
        await make(webhook_sink.origin).send(now_alert(), make_context())

    assert str(caught.value) == (
        f"Alertmanager at {webhook_sink.origin} gives no list of alerts; is it an Alertmanager with API v2?"
    )
    assert not caught.value.permanent


async def test_reports_and_acknowledgements_are_nothing_for_an_alertmanager(
    make: Make, webhook_sink: WebhookSink
) -> None:
    channel = make(webhook_sink.origin)

    with pytest.raises(
        DeliveryError, match="takes no reports; send them through a channel of another type"
    ) as caught:
        await channel.send(make_report(), make_context())
    receipt = await channel.send(now_alert(event=AlertKind.ACKNOWLEDGED, actor="anna"), make_context())

    assert caught.value.permanent
    assert receipt.detail == "nothing fires or ends by it"
    assert len(webhook_sink.requests) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "am.example.com:9093"}, "is not an address; write https://host/path"),
        ({"url": []}, "at least 1 item"),
        (
            {"labels": {"data-centre": "hk"}},
            "'data-centre' is not the name of a label; write letters, digits and _",
        ),
        ({"labels": {"severity": "page"}}, "severity is set by Defib itself; leave it out"),
        ({"token": "t", "username": "u", "password": "p"}, "a token and a login exclude one another"),
        ({"username": "u"}, "username and password belong together"),
    ],
)
def test_mistakes_in_the_options_name_their_remedy(make: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make(**{"url": "http://127.0.0.1:9093", **options})

    assert message in str(caught.value)
