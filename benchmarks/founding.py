"""The figures of the founding plan: check, decision, recovery, alert; CPU and memory with 100 monitors."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks import fleet, processes
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib_testkit.company import Company
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

BOOT_S = 4.0
STRATEGY = {
    "interval": "2s", "timeout": "3s", "confirm": ["1s", "2s"], "recover_confirm": "2s",
    "fail_threshold": 3, "recovery_threshold": 2,
}  # fmt: skip
"""The preset ``aggressive``, but its interval, which decides only how soon trouble is first seen."""
MONITORS = 100
_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One fault and its end, seen from outside: seconds."""

    check: float  #: of `defib check`, while all is well
    decision: float  #: end of the deciding look → its verdict can be read in the store
    alert: float  #: verdict → the mail server has the mail
    recovery: float  #: action begins → verified


def measure(bench: Bench) -> Iterator[Figure]:
    """All of them."""
    stories = [_tell(bench.folder / f"story-{number}") for number in range(bench.runs)]
    yield Figure(
        id="F/check", name="check of one monitor, by `defib check`", unit="s", goal=2.0, by_worst=True,
        values=tuple(story.check for story in stories),
        note="the whole command, start included; the daemon looks, target healthy",
    )  # fmt: skip
    yield Figure(
        id="F/decision", name="decision after the deciding evidence", unit="s", goal=1.0, by_worst=True,
        values=tuple(story.decision for story in stories),
        note="from the end of the last look until another process reads the verdict in the store; it looks every 5 ms",
    )  # fmt: skip
    yield Figure(
        id="F/recovery", name=f"recovery, target boots in {BOOT_S:g} s", unit="s", goal=10.0, by_worst=True,
        values=tuple(story.recovery for story in stories),
        note="from the start of the restart script until verified by two good looks, 2 s apart as in 'aggressive'",
    )  # fmt: skip
    yield Figure(
        id="F/alert", name="alert with the mail server after the fault", unit="s", goal=3.0, by_worst=True,
        values=tuple(story.alert for story in stories),
        note="from the verdict until a real SMTP server has taken the mail",
    )  # fmt: skip
    yield from _idle_cost(bench)


def _tell(folder: Path) -> Story:
    """A new company with one agent: kill it, and watch what happens."""
    folder.mkdir()
    with closing(SmtpServer()) as mail, closing(Victim(folder, boot_delay=BOOT_S)) as victim:
        victim.start()
        company = Company(folder)
        with fleet.ended(company):
            company.set(
                strategies={"own": STRATEGY}, defaults={"strategy": "own", "recovery_scripts": str(folder)}
            )
            company.watch_agent(victim)
            company.tell(mail)
            company.serve()
            company.wait_for("main", "up")
            argv = processes.defib(company.config, "check", "main")
            processes.run(argv, folder)  # compiles the modules
            check = processes.run(argv, folder).wall_s
            victim.kill()
            return _follow(company, mail, check)


def _follow(company: Company, mail: SmtpServer, check: float) -> Story:
    verdicts = "SELECT decided_at, evidence FROM transition WHERE to_state = 'fault'"
    read_at = mailed_at = 0.0
    deadline = time.monotonic() + 30
    while not (read_at and mailed_at):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no verdict and mail within 30 s:\n{company.log.read_text()[-3000:]}")
        if not mailed_at and len(mail.messages):
            mailed_at = time.time()
        if not read_at and company.rows(verdicts):
            read_at = time.time()
        time.sleep(0.005)
    [(decided_us, evidence)] = company.rows(verdicts)
    looked_until = datetime.fromisoformat(json.loads(evidence)["ended_at"]).timestamp()
    attempts = "SELECT started_at, verified_at FROM attempt WHERE outcome = 'verified'"
    [(began_us, verified_us)] = wait_until(lambda: company.rows(attempts), 30, "the recovery to be verified")
    return Story(
        check=check,
        decision=read_at - looked_until,
        alert=mailed_at - decided_us / 1e6,
        recovery=(verified_us - began_us) / 1e6,
    )


def _idle_cost(bench: Bench) -> Iterator[Figure]:
    company = fleet.make_fleet(bench.folder / "hundred", bench.targets, MONITORS, "aggressive")
    bench.targets.arrivals()
    with fleet.ended(company):
        pid, _ = fleet.start(company)
        fleet.wait_until_all_seen(bench.targets, MONITORS, 40)
        with fleet.dashboard(company):
            shares, resident = [], []
            for _ in range(bench.runs):
                before, began = processes.cpu_s(pid), time.perf_counter()
                time.sleep(3.0 if bench.is_quick else 6.0)
                used = processes.cpu_s(pid) - before
                shares.append(used / (time.perf_counter() - began) * 100)
                resident.append(processes.resident_bytes(pid) / _MB)
    note = "daemon with store, one open dashboard, preset 'aggressive' (each monitor every 15 s)"
    yield Figure(
        id="F/cpu", name=f"CPU with {MONITORS} monitors", unit="% of a core", values=tuple(shares), goal=5.0,
        by_worst=True, note=note,
    )  # fmt: skip
    yield Figure(
        id="F/memory", name=f"memory with {MONITORS} monitors", unit="MB resident", values=tuple(resident),
        goal=200.0, by_worst=True, note=note,
    )  # fmt: skip
