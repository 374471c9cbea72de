"""A channel that is dead for an hour, over kills and clocks: every alert arrives, once, and none in a flood."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from defib_testkit.company import Company
from defib_testkit.listeners import Listener
from defib_testkit.stepped_clock import SteppedClock
from defib_testkit.waiting import wait_until
from defib_testkit.webhook_sink import WebhookSink

HOUR_S = 3600.0
COUNT = 8
PATIENCE_S = 90.0
ROWS = "FROM delivery JOIN alert ON alert.id = delivery.notice WHERE alert.monitor IS NOT NULL"
"""Of what is about Defib itself there may be more, on a machine that is busy."""
TRIES = "JOIN delivery_try ON delivery_try.delivery = delivery.id WHERE"


@pytest.fixture
def services() -> Iterator[list[Listener]]:
    """Each on an address of its own, so that nothing ties one's fate to another's."""
    made = [Listener(f"127.0.1.{n + 1}") for n in range(COUNT)]
    yield made
    for service in made:
        service.close()


def events(webhook_sink: WebhookSink) -> dict[str, Any]:
    """What arrived, by id: what was sent again after a crash is the same event."""
    return {
        event["id"]: event["data"] for request in webhook_sink.requests if (event := json.loads(request.body))
    }


def told_of(data: Any) -> list[str]:
    return [item["monitor"] for item in data["facts"]["together"]] or [data["monitor"]]


def test_a_channel_dead_for_an_hour_over_a_kill_and_a_stepped_clock_loses_nothing_and_repeats_nothing(
    make_company: Callable[..., Company], services: list[Listener], webhook_sink: WebhookSink, tmp_path: Path
) -> None:
    clock = SteppedClock(tmp_path)
    company = make_company()
    company.environment = clock.environment
    for n, service in enumerate(services):
        company.watch({"id": f"s{n}", "type": "tcp", "host": service.host, "port": service.port})
    company.channel("hook", type="webhook", url=webhook_sink.url)
    company.serve()
    for n in range(COUNT):
        company.wait_for(f"s{n}", "up")
    webhook_sink.mode = "dead"

    for service in services[:6]:
        service.close()
    company.wait_for_rows(f"SELECT count(*) {ROWS} AND tries > 0", [(6,)], PATIENCE_S)
    company.kill()
    clock.set(HOUR_S)  # an hour goes by while nobody is there …
    company.serve()
    services[0].open()
    services[1].open()
    company.wait_for_rows(f"SELECT count(*) {ROWS} AND kind = 'recovered'", [(2,)], PATIENCE_S)
    clock.set(HOUR_S / 2)  # … and somebody sets the clock
    services[6].close()
    company.wait_for_rows(f"SELECT count(*) {ROWS} AND state = 'pending'", [(9,)], PATIENCE_S)
    company.kill()
    company.serve()
    webhook_sink.mode = "ok"

    company.wait_for_rows(f"SELECT count(*) {ROWS} AND state = 'delivered'", [(9,)], PATIENCE_S)
    found = list(events(webhook_sink).values())
    assert sorted(name for data in found for name in told_of(data) if name) == [f"s{n}" for n in range(7)]
    digest = next(data for data in found if data["kind"] == "digest")
    assert {item["monitor"] for item in digest["facts"]["together"] if item["is_over"]} == {"s0", "s1"}
    assert len(found) <= 3
    accepted = company.rows(f"SELECT count(*) {ROWS.replace('WHERE', TRIES)} AND accepted")
    assert accepted == [(9,)]  # each alert once


def test_an_alert_leaves_as_soon_as_those_could_join_it_that_fall_with_it(
    company: Company, services: list[Listener], webhook_sink: WebhookSink
) -> None:
    for n, service in enumerate(services[:4]):
        company.watch({"id": f"s{n}", "type": "tcp", "host": service.host, "port": service.port})
    company.channel("hook", type="webhook", url=webhook_sink.url)
    company.serve()
    for n in range(4):
        company.wait_for(f"s{n}", "up")
    arrived: dict[str, float] = {}

    def look() -> bool:
        for data in events(webhook_sink).values():
            for name in told_of(data):
                arrived.setdefault(name, time.time())
        return len(arrived) == 4

    for service in services[:4]:
        service.close()
    wait_until(look, 20, "all four alerts")

    decided = company.rows("SELECT monitor, decided_at FROM transition WHERE to_state = 'fault'")
    delays = {monitor: arrived[monitor] - at_us / 1e6 for monitor, at_us in decided}
    assert len(delays) == 4
    assert max(delays.values()) < 3.0  # two seconds for 99 of 100 on a calm machine: benchmarks/alerts.py
