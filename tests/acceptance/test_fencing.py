"""Two Defibs on one store: one acts; a former leader that was stopped and goes on later does nothing more, and ends."""

import getpass
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest

from defib_testkit import processes
from defib_testkit.company import Company
from defib_testkit.postgres_cluster import PostgresDatabase
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

FENCED = 4


@pytest.fixture
def second(make_company: Callable[..., Company]) -> Callable[[Company, Victim], Company]:
    """Another Defib with its own configuration and address, on the store of the first."""

    def make(first: Company, victim: Victim) -> Company:
        company = make_company()
        company.set(store=f"sqlite:///{first.store}")
        company.watch_agent(victim)
        return company

    return make


def pause(company: Company) -> int:
    """Stop the daemon where it holds no transaction open; its process id."""
    assert company.daemon is not None
    pid = company.daemon.pid
    for _ in range(100):
        processes.freeze(pid)
        with closing(sqlite3.connect(company.store, timeout=0.2, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
                return pid
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.01)
    raise AssertionError("the daemon holds its store locked all the time")


def assert_it_ends_fenced(company: Company) -> None:
    assert company.daemon is not None
    assert company.daemon.wait(20) == FENCED
    company.daemon = None
    log = company.log.read_text()
    assert "another Defib has taken over the store" in log
    assert "this Defib decides and acts no more" in log
    assert "Traceback" not in log


def test_a_second_daemon_does_not_start_beside_the_first(
    company: Company, second: Callable[[Company, Victim], Company], victim: Victim
) -> None:
    company.watch_agent(victim)
    company.serve()
    other = second(company, victim)
    done = other.defib("serve")
    assert done.returncode == 1
    assert "the store is in use by the daemon 'defib serve' (process " in done.stderr
    assert company.answers()
    assert company.rows("SELECT epoch FROM leader") == [(1,)]


def test_a_former_leader_that_goes_on_is_refused_and_ends(
    company: Company, second: Callable[[Company, Victim], Company], victim: Victim
) -> None:
    company.watch_agent(victim)
    company.serve()
    company.wait_for("main", "up")
    pid = pause(company)
    Path(f"{company.store}.lock").unlink()

    other = second(company, victim)
    other.serve()
    assert company.rows("SELECT epoch FROM leader") == [(2,)]
    os.kill(pid, signal.SIGCONT)
    assert_it_ends_fenced(company)

    status = other.defib("--json", "status")  # the announcement of the present one is left in its place
    assert status.returncode == 0, status.stderr
    victim.kill()
    wait_until(lambda: other.rows("SELECT 1 FROM incident WHERE healed_by = 'defib'"), 20, "the repair")
    assert victim.restarts == 1
    assert other.rows("SELECT DISTINCT epoch FROM attempt") == [(2,)]
    assert other.defib("doctor", "--audit").returncode == 0


def test_a_recovery_that_was_interrupted_by_a_pause_is_the_other_s_to_finish(
    make_company: Callable[..., Company],
    second: Callable[[Company, Victim], Company],
    victim: Victim,
    smtp_server: SmtpServer,
) -> None:
    first = make_company(hold="4s")
    first.watch_agent(victim)
    first.tell(smtp_server)
    first.serve()
    first.wait_for("main", "up")
    victim.kill()
    wait_until(
        lambda: first.rows("SELECT 1 FROM recovery_case WHERE state IN ('pending', 'gated')"), 20, "a case"
    )
    pid = pause(first)
    assert victim.restarts == 0
    Path(f"{first.store}.lock").unlink()

    other = second(first, victim)
    other.tell(smtp_server)
    other.serve()
    wait_until(lambda: other.rows("SELECT 1 FROM incident WHERE healed_by = 'defib'"), 30, "the repair")
    os.kill(pid, signal.SIGCONT)  # its hold is long over: everything in it says "act now"
    assert_it_ends_fenced(first)
    assert victim.restarts == 1
    wait_until(
        lambda: other.rows("SELECT 1 FROM attempt WHERE outcome != 'running'"), 20, "the attempt's end"
    )
    assert other.rows("SELECT epoch, outcome FROM attempt") == [(2, "verified")]
    subjects = {mail.message["Message-ID"]: mail.message["Subject"] for mail in smtp_server.messages}
    assert len(set(subjects.values())) == len(subjects), subjects


def test_on_a_server_a_leader_that_is_silent_for_too_long_is_replaced_and_refused(
    make_company: Callable[..., Company], victim: Victim, postgres_database: PostgresDatabase
) -> None:
    first, other = make_company(), make_company()
    for company in (first, other):
        company.set(store=postgres_database.dsn)
        company.watch_agent(victim)
    first.serve()
    wait_until(lambda: first.get("/api/v1/monitors/main")["state"] == "up", 20, "main to be up")
    assert first.daemon is not None
    with psycopg.connect(postgres_database.dsn, autocommit=True) as server:
        os.kill(first.daemon.pid, signal.SIGSTOP)
        done = other.defib("serve")
        assert done.returncode == 1
        assert "the store is in use by the daemon 'defib serve' (process " in done.stderr
        server.execute("UPDATE leader SET renewed_at = renewed_at - 31000000")  # half a minute later
        other.serve()
        os.kill(first.daemon.pid, signal.SIGCONT)
        assert_it_ends_fenced(first)
        victim.kill()
        repaired = "SELECT 1 FROM incident WHERE healed_by = 'defib'"
        wait_until(lambda: server.execute(repaired).fetchall(), 30, "the repair")
        assert victim.restarts == 1
        assert server.execute("SELECT DISTINCT epoch FROM attempt").fetchall() == [(2,)]
    assert other.defib("doctor").returncode == 0


def test_a_daemon_whose_store_is_removed_says_so_and_ends(company: Company, victim: Victim) -> None:
    company.watch_agent(victim)
    company.serve()
    company.wait_for("main", "up")
    company.store.unlink()
    assert company.daemon is not None
    assert company.daemon.wait(20) == FENCED
    company.daemon = None
    assert "the store was removed or replaced while Defib ran" in company.log.read_text()


def test_what_is_steered_from_the_command_line_is_audited_with_its_user(
    company: Company, victim: Victim
) -> None:
    company.watch_agent(victim)
    company.serve()
    assert company.defib("strategy", "set", "aggressive").returncode == 0
    [(actor, facts)] = company.rows("SELECT actor, facts FROM audit WHERE event = 'strategy.set'")
    assert actor == f"{getpass.getuser()} (command line)"
    assert json.loads(facts) == {"strategy": "aggressive"}
    assert httpx.get(f"http://127.0.0.1:{company.port}/livez", trust_env=False).status_code == 200
