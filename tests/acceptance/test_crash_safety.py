"""SIGKILL to Defib at any moment: no alert is lost, no action is repeated, every case goes on."""

import random
import time
from collections.abc import Callable

import pytest

from defib_testkit.company import Company
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.subjects import headline
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

SEED = 8420
_RANDOM = random.Random(SEED)
MOMENTS = [round(_RANDOM.uniform(second, second + 1.0), 2) for second in range(3)]
"""Seconds from the agent's death to the death of Defib: before, within and after suspicion, action and verification."""


def subjects_by_mail(smtp_server: SmtpServer) -> dict[str, str]:
    """Message id → subject: a mail that was sent again after a crash is the same mail."""
    return {mail.message["Message-ID"]: headline(mail.message["Subject"]) for mail in smtp_server.messages}


def assert_one_story(company: Company, victim: Victim, smtp_server: SmtpServer) -> None:
    """One fault, one restart, one message of each; or one of its end alone, where the fall could not be told before."""
    company.wait_for_rows("SELECT count(*) FROM delivery WHERE state = 'delivered'", [(2,)])
    fall, end = "[HIGH] Main Agent is down", "[RECOVERED] Main Agent has recovered"
    told_apart = company.rows("SELECT count(*) FROM delivery WHERE sent_with IS NULL") == [(2,)]
    assert sorted(subjects_by_mail(smtp_server).values()) == ([fall, end] if told_apart else [end])
    assert victim.restarts == 1
    assert len(company.rows("SELECT id FROM incident")) == 1
    company.wait_for_rows("SELECT count(*) FROM recovery_case WHERE closed_at IS NULL", [(0,)])


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_daemon_goes_on_where_it_was(
    make_company: Callable[..., Company], victim: Victim, smtp_server: SmtpServer, moment: float
) -> None:
    company = make_company(start_timeout="3s")
    company.watch_agent(victim)
    company.tell(smtp_server)
    company.serve()
    company.wait_for("main", "up")

    victim.kill()
    time.sleep(moment)  # the very thing under test: a moment that nothing announces
    company.kill()
    company.serve()

    wait_until(lambda: company.rows("SELECT id FROM incident"), 20, "the fault to be found")
    company.wait_for("main", "up")
    assert_one_story(company, victim, smtp_server)


@pytest.mark.parametrize("moment", MOMENTS[::2])
def test_a_killed_pass_is_taken_up_by_the_next(
    make_company: Callable[..., Company], victim: Victim, smtp_server: SmtpServer, moment: float
) -> None:
    company = make_company(start_timeout="3s")
    company.watch_agent(victim)
    company.tell(smtp_server)
    assert company.run_pass("--all").returncode == 0

    victim.kill()
    with company.start_pass() as first:
        time.sleep(0.5 + moment)  # starting Python takes a while
        first.kill()
        first.wait()
    for _ in range(4):
        if company.run_pass("--all").returncode == 0:
            break

    assert company.state("main") == "up"
    assert_one_story(company, victim, smtp_server)


def test_a_dead_mail_server_loses_nothing_over_a_crash_and_delays_no_check(
    make_company: Callable[..., Company], victim: Victim, smtp_server: SmtpServer
) -> None:
    company = make_company()
    company.watch_agent(victim)
    company.tell(smtp_server)
    smtp_server.mode = "dead"
    company.serve()
    company.wait_for("main", "up")
    victim.kill()
    wait_until(lambda: company.rows("SELECT id FROM incident WHERE healed_by = 'defib'"), 20, "the repair")
    looks = len(company.looks())
    company.kill()
    assert list(smtp_server.messages) == []
    assert company.rows("SELECT count(*) FROM delivery WHERE state = 'pending'") == [(2,)]
    assert looks >= 5  # checks went on while mails did not

    smtp_server.mode = "ok"
    company.serve()
    assert_one_story(company, victim, smtp_server)
