"""Who is let in, who is kept out when tokens are taken back, and what a report says to a monitor."""

from datetime import UTC, datetime, timedelta

import pytest

from defib.errors import KeptOutError, RegistrationRefusedError
from defib.model.agent import Agent, AgentReport, Scope, Token
from defib.model.beat import Signal
from defib.model.ids import AgentId, MonitorId, TokenId
from defib.model.settings import IngestSettings
from defib.rules import admission
from defib.rules.agent_reports import as_beat

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def token(name: str, root: str = "", agent: str | None = None) -> Token:
    return Token(
        id=TokenId(name), root=TokenId(root or name), name=name, scope=Scope.INGEST, digest=name, created_at=NOW,
        agent=None if agent is None else AgentId(agent),
    )  # fmt: skip


def agent(name: str, root: str | None = None, kept_out_at: datetime | None = None) -> Agent:
    return Agent(
        id=AgentId(name), monitor=MonitorId(f"m-{name}"), name=name, registered_at=NOW, protocol="agent",
        token=None if root is None else TokenId(root), kept_out_at=kept_out_at,
    )  # fmt: skip


def test_who_loses_its_last_token_is_kept_out_and_nobody_else() -> None:
    shared, own, later = token("shared"), token("own", agent="b"), token("later", root="shared")
    fleet = (agent("a", "shared"), agent("b", "shared"), agent("c"), agent("d", "shared", kept_out_at=NOW))
    assert admission.left_without(fleet, (shared,), (shared, own), NOW) == [fleet[0]]
    assert admission.left_without(fleet, (shared,), (shared, own, later), NOW) == []
    assert admission.left_without(fleet, (later, shared), (shared, own, later), NOW) == [fleet[0]]


def test_a_token_speaks_for_its_agents_alone_and_for_none_that_is_kept_out() -> None:
    shared = token("shared")
    assert admission.may_report(shared, agent("a", "shared"))
    assert not admission.may_report(shared, agent("a", "other"))
    assert not admission.may_report(shared, agent("a", "shared", kept_out_at=NOW))
    with pytest.raises(RegistrationRefusedError, match="agent a reports with another token"):
        admission.check_may_report(shared, agent("a", "other"))
    with pytest.raises(KeptOutError, match="agent a is kept out"):
        admission.check_may_report(shared, agent("a", "shared", kept_out_at=NOW))


@pytest.mark.parametrize("shown", ["", "wrong", "k\u00e9y", "\ud800"])
def test_without_a_token_only_the_key_opens(shown: str) -> None:
    settings = IngestSettings(registration_key="key")
    admission.check_may_register(settings, None, "key")
    admission.check_may_register(settings, token("shared"), shown)
    admission.check_may_register(IngestSettings(open_registration=True), None, shown)
    for closed in (settings, IngestSettings()):
        with pytest.raises(RegistrationRefusedError, match=r"the key of 'server\.ingest\.registration_key'"):
            admission.check_may_register(closed, None, shown)


def test_a_report_becomes_a_beat_with_each_disk_as_a_metric_and_no_age_below_nothing() -> None:
    report = AgentReport(
        signal=Signal.FAIL, status="busy", metrics={"cpu_percent": 5.0}, disks={"/": 70.0}, error="stuck",
        facts={"jobs": 3}, every=timedelta(seconds=10), age=timedelta(seconds=-4),
    )  # fmt: skip
    beat = as_beat(agent("a"), report, NOW)
    assert beat.monitor == "m-a"
    assert beat.protocol == "agent"
    assert beat.body == "stuck"
    assert beat.metrics == {"cpu_percent": 5.0, "disk_percent:/": 70.0}
    assert beat.facts == {"jobs": 3, "status": "busy"}
    assert beat.eta == timedelta(seconds=10)
    assert beat.age == timedelta(0)
