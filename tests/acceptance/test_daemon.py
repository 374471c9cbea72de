"""The daemon over its life: signals, beats, the service manager, secrets, modes and limits of recovery, reports."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from defib_testkit.company import Company
from defib_testkit.ports import free_port
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.subjects import headline
from defib_testkit.telegram_api import TelegramApi
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

UUID = "1c8b2f0e-5a4d-4e8f-9a51-0d9f3f0c7a11"


def reloaded(company: Company, times: int) -> None:
    """Send SIGHUP and wait until the log tells of it."""
    assert company.daemon is not None
    company.daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: company.log.read_text().count("configuration reloaded") == times, 10, "the reload")


# --- signals -------------------------------------------------------------------------------------------


def test_sigterm_lets_the_running_action_end_first(company: Company, victim: Victim) -> None:
    started, ended = company.folder / "started", company.folder / "ended"
    script = company.folder / "slow.sh"
    script.write_text(f"#!/bin/sh\ntouch {started}\nsleep 1.5\ntouch {ended}\n")
    script.chmod(0o755)
    main = {"id": "main", "type": "http", "url": victim.url}
    company.watch(main, {"script": {"file": "slow.sh", "timeout": "10s"}})
    company.serve()
    company.wait_for("main", "up")
    victim.kill()
    wait_until(started.exists, 20, "the action to start")

    assert not ended.exists()
    assert company.stop() == 0
    assert ended.exists()
    assert company.rows("SELECT exit_status FROM attempt") == [(0,)]
    assert not (company.folder / "defib.db.daemon").exists()


def test_a_reload_keeps_what_is_known_and_a_wrong_one_changes_nothing(
    company: Company, victim: Victim
) -> None:
    company.watch({"id": "main", "name": "Before", "type": "http", "url": victim.url})
    company.watch({"id": "gone", "type": "http", "url": victim.url})
    company.serve()
    company.wait_for("main", "up")
    company.wait_for("gone", "up")
    before = company.get("/api/v1/monitors/main")

    company.set(
        monitors=[{"id": "main", "name": "After", "type": "http", "url": victim.url, "tags": ["new"]}]
    )
    company.watch({"id": "fresh", "type": "http", "url": victim.url})
    reloaded(company, 1)
    after = company.get("/api/v1/monitors/main")
    assert (after["name"], after["tags"]) == ("After", ["new"])
    assert (after["state"], after["since"]) == ("up", before["since"])
    assert [item["to"] for item in after["transitions"]] == [item["to"] for item in before["transitions"]]
    assert {item["id"] for item in company.get("/api/v1/monitors")["items"]} == {"main", "fresh"}
    company.wait_for("fresh", "up")

    company.config.write_text("monitrs: []\nmonitors: [{id: main, type: htpp}]\n")
    assert company.daemon is not None
    company.daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "the old one stays in force" in company.log.read_text(), 10, "the refusal")
    assert "defib.yaml:1: monitrs: unknown key; did you mean 'monitors'?" in company.log.read_text()
    seen = company.get("/api/v1/monitors/main")["last_seen"]
    wait_until(lambda: company.get("/api/v1/monitors/main")["last_seen"] > seen, 10, "looks that go on")
    assert {item["id"] for item in company.get("/api/v1/monitors")["items"]} == {"main", "fresh"}


def test_a_reload_says_what_takes_effect_at_the_next_start_only(company: Company) -> None:
    company.write()
    company.serve()
    token = json.loads((company.folder / "defib.db.daemon").read_text())["token"]

    def reload(**server: Any) -> list[str]:
        company.set(server={"listen": f"127.0.0.1:{company.port}", **server})
        url = f"http://127.0.0.1:{company.port}/api/v1/config/reload"
        answer = httpx.post(url, headers={"Authorization": f"Bearer {token}"}, json={}, trust_env=False)
        return [warning for warning in answer.json()["warnings"] if "next start" in warning]

    waits = "'server.unix_socket' changed, which takes effect at the next start only: restart Defib"
    socket = str(company.folder / "d.sock")
    assert reload(trusted_proxies=["10.0.0.0/8"], badges="public") == []
    assert reload(unix_socket=socket) == [waits]
    assert reload(unix_socket=socket) == [waits]  # it still does
    assert reload() == []


def test_failures_are_counted_on_over_a_reload(company: Company, victim: Victim) -> None:
    patient = {"interval": "1s", "timeout": "1s", "confirm": [], "fail_threshold": 6, "recovery_threshold": 1}
    company.set(strategies={"patient": patient}, defaults={"strategy": "patient"})
    company.watch({"id": "main", "type": "http", "url": victim.url})
    company.serve()
    company.wait_for("main", "up")
    victim.kill()
    company.wait_for("main", "suspect")
    wait_until(lambda: "3 of 6" in company.get("/api/v1/monitors/main")["reason"], 10, "three failures")
    reloaded(company, 1)
    assert "1 of 6" not in company.get("/api/v1/monitors/main")["reason"]
    company.wait_for("main", "fault", 10)
    [(decided_us,)] = company.rows("SELECT decided_at FROM transition WHERE to_state = 'fault'")
    bad = [look for look in company.looks() if look["status"] != "healthy"]
    assert sum(look["at"].timestamp() * 1e6 <= decided_us for look in bad) == 6


# --- beats ---------------------------------------------------------------------------------------------


def test_a_missed_beat_is_a_fault_at_its_deadline_and_the_next_beat_ends_it(
    company: Company, smtp_server: SmtpServer
) -> None:
    company.watch(
        {
            "id": "worker",
            "name": "Worker",
            "type": "heartbeat",
            "every": "2s",
            "misses": 1,
            "grace": "1s",
            "uuid": UUID,
        }
    )
    company.tell(smtp_server)
    company.serve()
    assert company.get("/api/v1/monitors/worker")["state"] == "new"
    assert company.fetch(f"/ping/{UUID}").text == "OK"
    company.wait_for("worker", "up")
    company.wait_for("worker", "fault", 10)
    [(decided,)] = company.rows("SELECT decided_at FROM transition WHERE to_state = 'fault'")
    [(beaten,)] = company.rows("SELECT received_at FROM beat")
    assert (
        3_000_000 <= decided - beaten < 4_000_000
    )  # microseconds: an interval and its grace, and then at once
    [mail] = smtp_server.messages.wait_for(1, 5)
    assert "Worker" in mail.message["Subject"]

    assert company.fetch(f"/ping/{UUID}").text == "OK"
    company.wait_for("worker", "up")
    mails = smtp_server.messages.wait_for(2, 5)
    assert headline(mails[1].message["Subject"]) == "[RECOVERED] Worker has recovered"
    assert company.fetch(f"/ping/{UUID}/fail").text == "OK"
    company.wait_for("worker", "fault")
    assert company.fetch("/ping/00000000-0000-4000-8000-000000000000").status_code == 404
    assert company.rows("SELECT signal FROM beat ORDER BY received_at") == [("alive",), ("alive",), ("fail",)]


# --- the service manager -------------------------------------------------------------------------------


@pytest.fixture
def service_manager(kit_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd gives a service: a socket to report to, and a watchdog of half a second."""
    path = kit_tmp / "notify"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as channel:
        channel.bind(str(path))
        channel.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "500000")
        yield channel


def test_the_service_manager_hears_of_every_stage(company: Company, service_manager: socket.socket) -> None:
    company.watch({"id": "a", "type": "heartbeat", "every": "1h"})
    company.serve()

    def hear() -> str:
        return service_manager.recv(1000).decode()

    assert hear().splitlines() == ["READY=1", "STATUS=watching 1 monitor"]
    fed = []
    for _ in range(4):
        assert hear() == "WATCHDOG=1"
        fed.append(time.monotonic())
    assert fed[3] - fed[0] < 1.5  # twice in each half second

    assert company.daemon is not None
    company.daemon.send_signal(signal.SIGHUP)
    assert "RELOADING=1" in next(word for word in iter(hear, "") if word != "WATCHDOG=1")
    ready = next(word for word in iter(hear, "") if word != "WATCHDOG=1")
    assert ready.splitlines() == ["READY=1", "STATUS=watching 1 monitor"]
    assert company.stop() == 0
    assert next(word for word in iter(hear, "") if word != "WATCHDOG=1") == "STOPPING=1"


def test_the_service_manager_is_asked_to_wait_for_an_action_that_runs(
    company: Company, service_manager: socket.socket, make_victim: Callable[..., Victim]
) -> None:
    victim = make_victim()
    victim.start()
    script = company.folder / "slow.sh"
    script.write_text(f"#!/bin/sh\nuntil [ -e {company.folder}/go ]; do sleep 0.1; done\n")
    script.chmod(0o755)
    agent = {"id": "main", "type": "http", "url": victim.url}
    company.watch(agent, {"script": {"file": script.name, "timeout": "20s"}})
    company.serve()
    company.wait_for("main", "up")
    victim.kill()
    wait_until(lambda: company.rows("SELECT 1 FROM attempt WHERE pid IS NOT NULL"), 20, "the action to run")

    service_manager.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            service_manager.recv(1000)
    service_manager.settimeout(10)
    words = iter(lambda: service_manager.recv(1000).decode(), "")

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(company.stop)
        assert next(word for word in words if word != "WATCHDOG=1") == "STOPPING=1"
        assert next(words) == "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=500000"
        (company.folder / "go").touch()
        assert ended.result() == 0
    assert company.rows("SELECT exit_status FROM attempt") == [(0,)]


# --- secrets -------------------------------------------------------------------------------------------

SECRETS = {
    "DEFIB_TEST_SMTP": "smtp-0d5c1f7e",
    "DEFIB_TEST_DSN": "dsn-7b1e9a44",
    "DEFIB_TEST_HOOK": "hook-5f2d8c10",
}


def test_no_secret_is_told_anywhere(
    company: Company,
    here: Callable[..., subprocess.CompletedProcess[str]],
    telegram_api: TelegramApi,
    smtp_server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    secrets = [*SECRETS.values(), telegram_api.token, telegram_api.token.partition(":")[2]]
    dead, refusing = free_port(), free_port()
    company.watch(
        {"id": "db", "type": "postgres", "dsn": f"postgresql://u:${{DEFIB_TEST_DSN}}@127.0.0.1:{dead}/x"}
    )
    company.watch({"id": "api", "type": "http", "url": f"http://u:${{DEFIB_TEST_DSN}}@127.0.0.1:{refusing}/"})
    company.tell(smtp_server, telegram_api)
    company.channel("mail", username="defib", password="${DEFIB_TEST_SMTP}")
    company.channel(
        "hook", type="webhook", url=f"http://127.0.0.1:{dead}/hook?key=${{DEFIB_TEST_HOOK}}",
        secret="${DEFIB_TEST_HOOK}",
    )  # fmt: skip
    telegram_api.mode = "502"
    company.serve()
    company.wait_for("db", "fault")
    company.wait_for("api", "fault")
    tried = "SELECT count(DISTINCT channel) FROM delivery WHERE tries > 0"
    wait_until(lambda: company.rows(tried) == [(3,)], 20, "each channel to be tried")

    told: dict[str, str] = {}
    pages = [
        "/", "/monitors/db", "/health", "/metrics", "/openapi.json", "/api/v1/overview", "/api/v1/monitors",
        "/api/v1/monitors/db", "/api/v1/monitors/api", "/api/v1/monitors/db/explain", "/api/v1/alerts",
        "/api/v1/incidents", "/api/v1/recoveries", "/api/v1/strategies", "/api/v1/plugins",
    ]  # fmt: skip
    for path in pages:
        answer = company.fetch(path)
        assert answer.status_code in (200, 503), f"{path}: {answer.status_code}"
        told[path] = answer.text
    for command in ("status", "status db", "explain db", "explain api --json", "check db", "validate",
                    "test-alert --channel mail", "report --date today",
                    "report --date today --format json"):  # fmt: skip
        done = here(company, *command.split())
        told[command] = done.stdout + done.stderr
    vain = [
        f"test-alert --channel {channel}{debug}" for channel in ("chat", "hook") for debug in ("", " --debug")
    ]
    with ThreadPoolExecutor(len(vain)) as pool:  # each is tried for 15 seconds
        for command, done in zip(
            vain, pool.map(lambda command: company.defib(*command.split()), vain), strict=True
        ):
            told[command] = done.stdout + done.stderr
    assert company.stop() == 0
    company.set(colour="blue")
    told["a mistake"] = here(company, "validate").stderr
    told["the log"] = company.log.read_text()
    told["the mails"] = "".join(mail.raw.decode() for mail in smtp_server.messages)
    told["the store"] = company.store.read_bytes().decode("utf-8", "replace")
    assert len(told["/"]) > 1000
    assert "db" in told["status"]
    leaks = [(place, secret) for place, text in told.items() for secret in secrets if secret in text]
    assert leaks == []


# --- recovery ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "attempts"), [("dry-run", [("dry-run",)]), ("off", [])], ids=["dry-run", "off"]
)
def test_nothing_is_executed_unless_recovery_is_armed(
    make_company: Callable[..., Company], victim: Victim, smtp_server: SmtpServer, mode: str, attempts: Any
) -> None:
    company = make_company(mode=mode)
    company.watch_agent(victim)
    company.tell(smtp_server)
    company.serve()
    company.wait_for("main", "up")
    victim.kill()
    company.wait_for("main", "fault")
    [mail] = smtp_server.messages.wait_for(1, 10)
    body = mail.message.get_body(("plain",))
    assert body is not None
    words = " ".join(body.get_content().split())
    company.wait_for_rows("SELECT outcome FROM attempt", attempts)
    if mode == "dry-run":
        assert "dry-run" in words
        assert "restart-victim.sh" in words
    looks = len(company.looks())
    wait_until(lambda: len(company.looks()) > looks + 2, 10, "more looks")
    assert victim.restarts == 0
    assert company.state("main") == "fault"


def test_after_three_failed_attempts_a_person_is_asked_for_once(
    make_company: Callable[..., Company], victim: Victim, smtp_server: SmtpServer
) -> None:
    company = make_company(start_timeout="1s")
    runs = company.folder / "runs"
    script = company.folder / "useless.sh"
    script.write_text(f"#!/bin/sh\necho run >> {runs}\n")
    script.chmod(0o755)
    main = {"id": "main", "name": "Main Agent", "type": "http", "url": victim.url}
    useless = {"script": {"file": "useless.sh", "max_uses": 9}}  # skipped when it has changed nothing twice
    company.watch(main, useless, useless)
    company.tell(smtp_server)
    company.serve()
    company.wait_for("main", "up")
    victim.kill()
    mails = smtp_server.messages.wait_for(2, 40)
    assert [headline(mail.message["Subject"]) for mail in mails] == [
        "[HIGH] Main Agent is down",
        "[SEVERE] Main Agent needs a human",
    ]
    company.wait_for_rows("SELECT state FROM recovery_case", [("needs-human",)])
    looks = len(company.looks())
    wait_until(lambda: len(company.looks()) > looks + 3, 10, "more looks")
    assert runs.read_text().splitlines() == ["run"] * 3
    assert len(list(smtp_server.messages)) == 2
    assert company.rows("SELECT outcome FROM attempt") == [("failed",)] * 3


def test_what_requires_something_faulty_is_unreachable_and_left_in_peace(
    company: Company, make_victim: Callable[..., Victim], smtp_server: SmtpServer
) -> None:
    database, agent = make_victim(), make_victim()
    database.start()
    agent.start()
    script = agent.restart_script(company.folder)
    company.watch({"id": "db", "name": "Orders", "type": "http", "url": database.url})
    company.watch(
        {"id": "main", "type": "http", "url": agent.url, "requires": ["db"]},
        {"script": {"file": script.name}},
    )
    company.tell(smtp_server)
    company.serve()
    company.wait_for("db", "up")
    company.wait_for("main", "up")
    database.kill()
    company.wait_for("db", "fault")
    agent.kill()
    company.wait_for("main", "unreachable")
    looks = len(company.looks("main"))
    wait_until(lambda: len(company.looks("main")) > looks + 3, 10)
    assert company.state("main") == "unreachable"
    assert agent.restarts == 0
    assert [headline(mail.message["Subject"]) for mail in smtp_server.messages] == ["[HIGH] Orders is down"]
    assert company.rows("SELECT count(*) FROM recovery_case WHERE monitor = 'main'") == [(0,)]


# --- reports -------------------------------------------------------------------------------------------


def test_a_report_is_made_stored_and_mailed_once_when_it_is_due(
    company: Company, smtp_server: SmtpServer
) -> None:
    """Every minute is due. That the last one was an hour ago is put into the store, since nobody waits a minute."""
    company.watch({"id": "a", "type": "heartbeat", "every": "1h"})
    company.tell(smtp_server)
    company.set(reports={"daily": {"cron": "0 0 1 1 *", "channels": ["mail"]}})
    company.run_pass()
    assert company.rows("SELECT count(*) FROM setting WHERE key = 'report-fired:daily'") == [(1,)]
    assert company.rows("SELECT count(*) FROM report") == [(0,)]  # a new installation owes none
    company.write_rows(
        "UPDATE setting SET value = '2020-01-01T00:00:00+00:00' WHERE key = 'report-fired:daily'"
    )

    company.serve()
    [mail] = smtp_server.messages.wait_for(1, 15)
    assert mail.message["Subject"].startswith("[Defib] Daily report")
    assert {part.get_content_type() for part in mail.message.walk()} >= {"text/plain", "text/html"}
    [(report,)] = company.rows("SELECT id FROM report")
    company.wait_for_rows("SELECT notice, state FROM delivery", [(report, "delivered")])
    assert company.fetch(f"/reports/{report}").status_code == 200
    assert company.stop() == 0
    company.serve()  # however often it starts, what was made is made
    assert company.stop() == 0
    assert len(list(smtp_server.messages)) == 1


def test_what_reports_by_itself_is_started_again_and_its_next_beat_is_the_proof(
    make_company: Callable[..., Company],
) -> None:
    company = make_company(start_timeout="8s")
    key = "0b3e3f3a-4a0f-4f0e-9b1c-1f2f3a4b5c6d"
    ping = f"http://127.0.0.1:{company.port}/ping/{key}"
    worker = company.folder / "worker.py"
    worker.write_text(
        "import time, urllib.request\n"
        f"while True:\n    urllib.request.urlopen({ping!r}).read()\n    time.sleep(0.5)\n"
    )
    pid = company.folder / "worker.pid"
    start = f"{sys.executable} {worker} >/dev/null 2>&1 & echo $! > {pid}"
    company.watch(
        {"id": "job", "type": "heartbeat", "every": "1s", "uuid": key},
        {"command": {"argv": ["/bin/sh", "-c", start]}},
    )
    company.serve()
    company.fetch(f"/ping/{key}")  # its first beat, and the last one of its first life
    company.wait_for("job", "up")
    try:
        company.wait_for_rows("SELECT outcome FROM attempt", [("verified",)])
        company.wait_for_rows("SELECT state FROM recovery_case", [("done",)])
        assert company.rows("SELECT healed_by FROM incident") == [("defib",)]
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert company.stop() == 0
