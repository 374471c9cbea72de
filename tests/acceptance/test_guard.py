"""Our own sickness is nobody's fault: a stopped Defib comes back, and accuses nobody."""

import signal
import time
from itertools import pairwise

from defib_testkit.company import Company
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

STOPPED_S = 4.0  # several intervals and timeouts of the quick strategy


def test_a_stopped_defib_finds_no_fault_when_it_goes_on(
    company: Company, victim: Victim, smtp_server: SmtpServer
) -> None:
    company.watch_agent(victim)
    company.tell(smtp_server)
    company.serve()
    company.wait_for("main", "up")
    assert company.daemon is not None

    for _ in range(3):
        victim.set_mode("slow:0.5")  # a look is in flight at most times, and times out while nobody watches
        company.daemon.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)  # the very thing under test: time that nobody observes
        company.daemon.send_signal(signal.SIGCONT)
        looks = len(company.looks())
        wait_until(lambda seen=looks: len(company.looks()) > seen + 3, 20, "looks")

    assert company.rows("SELECT id FROM incident") == []
    assert company.rows("SELECT id FROM attempt") == []
    assert list(smtp_server.messages) == []
    assert victim.restarts == 0
    assert company.log.read_text().count("a gap in time") >= 3
    # the gaps are unobserved time
    wait_until(
        lambda: company.rows("SELECT count(*) FROM watch")[0][0] >= 3, 10, "a span of watching after each gap"
    )
    gaps = company.rows("SELECT started_at, seen_at FROM watch ORDER BY started_at")
    for (_, before), (after, _) in pairwise(gaps):
        assert after - before > (STOPPED_S - 2) * 1e6


def test_a_real_fault_is_found_right_after_a_gap(company: Company, victim: Victim) -> None:
    company.watch_agent(victim)
    company.serve()
    company.wait_for("main", "up")
    assert company.daemon is not None

    company.daemon.send_signal(signal.SIGSTOP)
    victim.kill()
    time.sleep(STOPPED_S)
    company.daemon.send_signal(signal.SIGCONT)

    wait_until(lambda: company.rows("SELECT id FROM incident WHERE healed_by = 'defib'"), 30, "the repair")
    assert victim.restarts == 1
