"""The whole way on real parts: fault, repair, verification, messages and report."""

from collections import Counter

import pytest

from defib_testkit.company import CONTAINER, Company
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.postgres_cluster import PostgresCluster
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.subjects import headline
from defib_testkit.telegram_api import TelegramApi
from defib_testkit.victim_handle import Victim

OUTCOMES = "SELECT monitor, outcome FROM attempt ORDER BY intent_at"
HEALED = "SELECT monitor, healed_by FROM incident ORDER BY opened_at"
FALLS = {"[HIGH] Main Agent is down", "[SEVERE] Orders is down", "[HIGH] Gateway is down"}
ENDS = {f"[RECOVERED] {name} has recovered" for name in ("Main Agent", "Orders", "Gateway")}


@pytest.fixture
def watched(
    company: Company, victim: Victim, postgres: PostgresCluster, docker_engine: DockerEngine,
    smtp_server: SmtpServer, telegram_api: TelegramApi,
) -> Company:  # fmt: skip
    """An agent, a database and a container, all well, with mail and chat."""
    docker_engine.run("httpd", "-f", "-p", "80", "-h", "/etc", name=CONTAINER)
    company.watch_agent(victim)
    company.watch_database(postgres)
    company.watch_container(docker_engine)
    company.tell(smtp_server, telegram_api)
    return company


def assert_told_once_each(company: Company, smtp_server: SmtpServer, telegram_api: TelegramApi) -> None:
    """Each end once; and each fall, unless it was over before its message left."""
    company.wait_for_rows("SELECT count(*) FROM delivery WHERE state = 'delivered'", [(12,)])
    subjects = Counter(headline(mail.message["Subject"]) for mail in smtp_server.messages)
    assert set(subjects.values()) == {1}
    assert ENDS <= subjects.keys() <= ENDS | FALLS
    seen = {message.message_id: message for message in (*telegram_api.messages, *telegram_api.edits)}
    first_lines = Counter(message.plain.splitlines()[0] for message in seen.values())
    assert set(first_lines.values()) == {1}
    assert sum("has recovered" in line for line in first_lines) == 3


def assert_report_counts_all_of_it(company: Company) -> None:
    report = company.report()
    assert {item["component"]: item["ending"] for item in report["incidents"]} == {
        "main": "defib", "db": "defib", "gateway": "defib",
    }  # fmt: skip
    assert sorted(item["outcome"] for item in report["attempts"]) == ["verified", "verified", "verified"]
    assert len(report["alerts"]) == 6
    assert report["observer"]["watched_s"] > 2  # the whole of it, also between passes


def kill_each_in_turn(
    company: Company, victim: Victim, postgres: PostgresCluster, docker_engine: DockerEngine, *, passes: bool
) -> None:
    def bring_back(monitor: str) -> None:
        if passes:
            done = company.run_pass("--all")
            assert done.returncode == 0, (
                done.stdout + done.stderr
            )  # found, repaired and well again in one pass
        else:
            company.wait_for(monitor, "fault")
        company.wait_for(monitor, "up")

    victim.kill()
    bring_back("main")
    postgres.kill()
    bring_back("db")
    docker_engine.client.containers.get(CONTAINER).kill()
    bring_back("gateway")


@pytest.mark.xdist_group("docker")
def test_cron_passes_find_repair_verify_and_tell(
    watched: Company, victim: Victim, postgres: PostgresCluster, docker_engine: DockerEngine,
    smtp_server: SmtpServer, telegram_api: TelegramApi,
) -> None:  # fmt: skip
    assert watched.run_pass("--all").returncode == 0
    kill_each_in_turn(watched, victim, postgres, docker_engine, passes=True)

    assert watched.rows(OUTCOMES) == [("main", "verified"), ("db", "verified"), ("gateway", "verified")]
    assert watched.rows(HEALED) == [("main", "defib"), ("db", "defib"), ("gateway", "defib")]
    assert victim.restarts == 1
    assert_told_once_each(watched, smtp_server, telegram_api)
    assert_report_counts_all_of_it(watched)


@pytest.mark.xdist_group("docker")
def test_the_daemon_finds_repairs_verifies_and_tells(
    watched: Company, victim: Victim, postgres: PostgresCluster, docker_engine: DockerEngine,
    smtp_server: SmtpServer, telegram_api: TelegramApi,
) -> None:  # fmt: skip
    watched.serve()
    for monitor in ("main", "db", "gateway"):
        watched.wait_for(monitor, "up")
    kill_each_in_turn(watched, victim, postgres, docker_engine, passes=False)
    assert_told_once_each(watched, smtp_server, telegram_api)
    watched.wait_for_rows(OUTCOMES, [("main", "verified"), ("db", "verified"), ("gateway", "verified")])

    assert watched.rows(HEALED) == [("main", "defib"), ("db", "defib"), ("gateway", "defib")]
    assert victim.restarts == 1
    assert watched.get("/api/v1/overview")["state"] == "up"
    assert watched.stop() == 0
    assert_report_counts_all_of_it(watched)
