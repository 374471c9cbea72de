"""The command line as its users meet it: what each command prints, writes, changes and answers."""

import json
import os
import pty
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from defib import __version__
from defib_testkit.company import Company
from defib_testkit.ports import free_port
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.telegram_api import TelegramApi
from defib_testkit.victim_handle import Victim

Here = Callable[..., subprocess.CompletedProcess[str]]
HONG_KONG = timezone(timedelta(hours=8))


def printed(done: subprocess.CompletedProcess[str], status: int = 0) -> str:
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fallen(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A company whose agent does not answer, and which nobody may repair but by hand; as three passes left it."""
    company = Company(tmp_path_factory.mktemp("fallen"), mode="off", timeout="1s")
    url = f"http://127.0.0.1:{free_port()}/health"
    main = {"id": "main", "name": "Main Agent", "type": "http", "url": url}
    company.watch(main, {"command": {"argv": ["/bin/true"], "timeout": "5s"}})
    company.watch({"id": "nightly", "type": "heartbeat", "cron": "30 2 * * *", "requires": ["main"]})
    assert company.run_pass("--all").returncode == 2
    return company


# --- what reads ----------------------------------------------------------------------------------------


def test_the_version_is_told(here: Here, fallen: Company) -> None:
    assert printed(here(fallen, "--version")) == f"defib {__version__}\n"


def test_a_valid_configuration_is_counted(here: Here, fallen: Company) -> None:
    assert printed(here(fallen, "validate")) == f"{fallen.config}: valid; 2 monitors, 0 channels, 0 reports\n"


def test_status_shows_the_worst_first(here: Here, fallen: Company) -> None:
    lines = printed(here(fallen, "status")).splitlines()
    assert lines[0].split() == ["STATE", "MONITOR", "SINCE", "LATENCY", "WHAT"]
    assert lines[1].startswith("✖ fault  main     ")
    assert lines[-2].split() == ["○", "new", "nightly", "not", "seen", "yet"]
    assert lines[-1] == "1 fault, 1 new; strategy quick"


def test_times_are_of_the_configured_time_zone(here: Here, fallen: Company) -> None:
    [(decided,)] = fallen.rows("SELECT decided_at FROM transition WHERE to_state = 'fault'")
    at = datetime.fromtimestamp(decided / 1e6, UTC).astimezone(HONG_KONG)
    told = printed(here(fallen, "explain", "main"))
    assert f"  {at:%Y-%m-%d %H:%M:%S}  suspect → fault: 3 of 3 failures in a row" in told
    assert "+00:00" not in told
    assert f"{at:%Y-%m-%d %H:%M:%S}  high: Main Agent is down" in told


def test_an_incident_is_explained_by_its_id(here: Here, fallen: Company) -> None:
    [(incident,)] = fallen.rows("SELECT id FROM incident")
    told = printed(here(fallen, "explain", incident))
    assert told.startswith("Main Agent  ")
    assert "· Main Agent failed at " in told
    assert "· It is not over." in told
    assert "What was told" in told


def test_without_recoveries_none_are_listed(here: Here, fallen: Company) -> None:
    assert printed(here(fallen, "recoveries")) == "nothing has been recovered yet\n"
    unknown = here(fallen, "recoveries", "nobody")
    assert unknown.returncode == 2
    assert unknown.stderr == "defib: there is no monitor 'nobody'; 'defib status' lists them\n"


def test_what_recovery_may_still_spend_is_shown(here: Here, fallen: Company) -> None:
    told = " ".join(printed(here(fallen, "status", "main")).split())
    spent = "0 of 3 failed attempts in 30 min, 0 of 5 relapses in an hour, 0 of 12 attempts in a day"
    assert f"spent {spent}" in told


def test_check_looks_now_and_answers_by_its_exit_status(here: Here, fallen: Company) -> None:
    assert printed(here(fallen, "check", "main"), 1).startswith("main: fail: ")
    pushed = here(fallen, "check", "nightly")
    assert (pushed.returncode, pushed.stdout) == (2, "")
    assert pushed.stderr == "defib: nightly reports by itself; there is nothing to look at\n"


READING = [
    "validate", "status", "status main", "status nightly", "explain main", "strategy show", "plugins",
    "report --date today", "recoveries", "check main", "run",
]  # fmt: skip


@pytest.mark.parametrize("command", READING)
def test_what_reads_prints_json_with_the_option_before_or_behind(
    here: Here, fallen: Company, command: str
) -> None:
    first, *rest = command.split()
    behind, before = here(fallen, first, *rest, "--json"), here(fallen, "--json", first, *rest)
    status = {"check": 1, "run": 2}.get(first, 0)
    assert json.loads(printed(behind, status)).keys() == json.loads(printed(before, status)).keys()


def test_mistakes_are_json_too(here: Here, tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.replace({"monitrs": []})
    answer = json.loads(printed(here(company, "validate", "--json"), 2))
    assert answer == {
        "valid": False,
        "mistakes": [
            {"message": "unknown key; did you mean 'monitors'?", "path": "monitrs", "file": str(company.config),
             "line": 1}
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "status main",
        "explain main",
        "recoveries",
        "strategy show",
        "plugins",
        "report --date today",
    ],
)
def test_output_fits_80_columns_without_colours_and_blanks_at_the_end(
    here: Here, fallen: Company, command: str
) -> None:
    lines = printed(here(fallen, *command.split())).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line != line.rstrip()] == []
    assert not any("\x1b" in line for line in lines)


def on_terminal(argv: list[str], **environ: str) -> str:
    """What a program prints on a terminal of 80 columns."""
    primary, secondary = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"} | environ
    with subprocess.Popen(argv, stdout=secondary, stderr=secondary, env=env) as process:
        os.close(secondary)
        shown = b""
        try:
            while part := os.read(primary, 4096):
                shown += part
        except OSError:  # how a pseudo-terminal ends
            pass
        os.close(primary)
    assert process.returncode == 0, shown
    return shown.decode()


def test_colours_are_for_terminals_that_want_them(fallen: Company) -> None:
    assert "\x1b[1;31m✖ fault\x1b[0m" in on_terminal(fallen.argv("status"))
    plain = on_terminal(fallen.argv("status"), NO_COLOR="1")
    assert "✖ fault" in plain
    assert not any(f"\x1b[{style}31m" in plain for style in ("", "1;"))


def test_plugins_are_listed_with_their_origin(here: Here, fallen: Company) -> None:
    offers = json.loads(printed(here(fallen, "plugins", "--json")))["offers"]
    kinds = {(item["noun"], item["kind"]) for item in offers}
    assert {("monitor type", "http"), ("strategy", "normal"), ("recovery action", "systemd"),
            ("alert channel", "telegram"), ("report", "daily")} <= kinds  # fmt: skip
    assert {item["distribution"] for item in offers} == {"defib"}


# --- strategies ----------------------------------------------------------------------------------------


def in_force(done: subprocess.CompletedProcess[str]) -> tuple[str, dict[str, str]]:
    view = json.loads(printed(done))
    return view["global"], view["monitors"]


def test_strategies_are_switched_for_good_with_and_without_a_daemon(here: Here, company: Company) -> None:
    for monitor in ("a", "b"):
        company.watch({"id": monitor, "type": "http", "url": "http://127.0.0.1:9/"})
    assert in_force(here(company, "strategy", "show", "--json")) == ("quick", {})

    assert (
        printed(here(company, "strategy", "set", "conservative")) == "all monitors: strategy conservative\n"
    )
    assert printed(here(company, "strategy", "set", "quick", "--monitor", "b")) == "b: strategy quick\n"
    expected = ("conservative", {"a": "conservative", "b": "quick"})
    assert in_force(here(company, "strategy", "show", "--json")) == expected

    company.serve()
    assert in_force(here(company, "strategy", "show", "--json")) == expected
    assert printed(here(company, "strategy", "set", "normal")) == "all monitors: strategy normal\n"
    assert (
        printed(here(company, "strategy", "set", "configured", "--monitor", "b"))
        == "b: strategy configured\n"
    )
    expected = ("normal", {"a": "normal", "b": "normal"})
    assert in_force(here(company, "strategy", "show", "--json")) == expected
    assert "there is no strategy 'nope'" in here(company, "strategy", "set", "nope").stderr
    assert company.stop() == 0

    company.serve()
    assert in_force(here(company, "strategy", "show", "--json")) == expected
    assert company.stop() == 0
    assert in_force(here(company, "strategy", "show", "--json")) == expected
    assert company.rows("SELECT count(*) FROM audit WHERE event = 'strategy.set'") == [(4,)]


# --- reports -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("html", "<!doctype html>"),
        ("text", "Defib · Daily report"),
        ("json", "{"),
        ("csv", "report,date,id,name"),
    ],
)
def test_a_report_is_printed_or_written_in_every_format(
    here: Here, fallen: Company, tmp_path: Path, form: str, beginning: str
) -> None:
    text = printed(here(fallen, "report", "--date", "today", "--format", form))
    assert text.lstrip("\ufeff").lower().startswith(beginning.lower())
    path = tmp_path / f"report.{form}"
    told = printed(here(fallen, "report", "--date", "today", "--format", form, "-o", str(path)))
    assert told.startswith(f"{path}: ")
    assert len(told.splitlines()) == 1
    assert path.read_text()[:40].lstrip("\ufeff").lower().startswith(beginning.lower())


@pytest.mark.parametrize("daemon", [False, True], ids=["alone", "daemon"])
def test_a_report_is_archived_and_mailed_on_request(
    here: Here, company: Company, smtp_server: SmtpServer, daemon: bool
) -> None:
    company.watch({"id": "a", "type": "heartbeat", "every": "1h"})
    company.tell(smtp_server)
    company.set(reports={"daily": {"cron": "0 8 * * *", "channels": ["mail"]}})
    if daemon:
        company.serve()
    printed(here(company, "report", "--date", "yesterday", "--send"))
    [mail] = smtp_server.messages.wait_for(1, 10)
    assert mail.message["Subject"].startswith("[Defib] Daily report")
    day = (datetime.now(HONG_KONG) - timedelta(days=1)).date()
    company.wait_for_rows("SELECT id FROM report", [(f"report_{day:%Y%m%d}",)])
    company.wait_for_rows("SELECT state FROM delivery", [("delivered",)])


# --- recovery by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize("daemon", [False, True], ids=["alone", "daemon"])
def test_recovery_by_hand_is_refused_rehearsed_and_done(
    here: Here, make_company: Callable[..., Company], victim: Victim, daemon: bool
) -> None:
    company = make_company(mode="off")
    company.watch_agent(victim)
    if daemon:
        company.serve()
        company.wait_for("main", "up")
    else:
        assert company.run_pass("--all").returncode == 0
    refused = here(company, "recover", "main")
    assert refused.returncode == 1
    assert refused.stderr == "defib: main is up, not at fault: there is nothing to recover\n"

    victim.kill()
    if not daemon:
        assert company.run_pass("--all").returncode == 2
    company.wait_for("main", "fault")
    rehearsed = printed(here(company, "recover", "main", "--dry-run"))
    assert "dry-run: would have run: " in rehearsed
    assert "restart-victim.sh" in rehearsed
    assert victim.restarts == 0
    assert company.state("main") == "fault"

    done = json.loads(printed(here(company, "recover", "main", "--json")))
    assert done["case"]["state"] in ("probation", "done")
    assert [item["outcome"] for item in done["attempts"]] == ["verified"]
    assert victim.restarts == 1
    assert "(command line)" in done["case"]["actor"] or daemon
    company.wait_for("main", "up")
    assert company.rows("SELECT count(*) FROM audit WHERE event = 'recovery.asked'") == [(2,)]

    recovered, rehearsal = json.loads(printed(here(company, "recoveries", "main", "--json")))["recoveries"]
    assert [item["outcome"] for item in recovered["tries"]] == ["verified"]
    assert (rehearsal["dry_run"], rehearsal["state"]) == (True, "aborted")
    told = printed(here(company, "recoveries"))
    assert told.startswith(f"main  {recovered['state']}: well again, 2 good looks in a row\n")
    assert told.count("  attempt 1:") == 2
    assert told.count("main  aborted (dry run): dry-run: would have run:") == 1


def test_recovery_by_hand_that_does_not_help_ends_with_1(here: Here, tmp_path: Path) -> None:
    company = Company(tmp_path, mode="off", start_timeout="1s", timeout="1s")
    main = {"id": "main", "type": "http", "url": f"http://127.0.0.1:{free_port()}/"}
    company.watch(main, {"command": {"argv": ["/bin/false"], "max_uses": 1}})
    assert company.run_pass("--all").returncode == 2
    told = printed(here(company, "recover", "main"), 1).splitlines()
    assert told[0].startswith("main: /bin/false: failed")
    assert told[-1] == "main: needs-human: every rung of the ladder has been used: needs a human"
    listed = printed(here(company, "recoveries", "--limit", "1")).splitlines()
    assert listed[0] == "main  needs-human: every rung of the ladder has been used: needs a human"


# --- test alerts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("daemon", [False, True], ids=["alone", "daemon"])
def test_a_test_alert_goes_through_or_says_why_not(
    here: Here, company: Company, smtp_server: SmtpServer, telegram_api: TelegramApi, daemon: bool
) -> None:
    company.watch({"id": "a", "type": "heartbeat", "every": "1h"})
    company.tell(smtp_server, telegram_api)
    if daemon:
        company.serve()
    for channel in ("mail", "chat"):
        first, second = printed(here(company, "test-alert", "--channel", channel)).splitlines()
        assert first.startswith("accepted after ")
        assert second.startswith(f"channel {channel} took the message")
    [mail] = smtp_server.messages.wait_for(1, 5)
    assert "test" in mail.message["Subject"].lower()

    smtp_server.mode = "dead"
    telegram_api.mode = "401"
    for channel, reason in (
        ("mail", "; it stays in the outbox and is tried again"),
        ("chat", "token"),
    ):
        dead = here(company, "test-alert", "--channel", channel)
        assert dead.returncode == 1
        tries = dead.stdout.splitlines()
        assert len(tries) == (3 if channel == "mail" else 1)
        assert all(line.startswith("not accepted after ") for line in tries)
        assert telegram_api.token not in dead.stdout
        [line] = dead.stderr.splitlines()
        assert line.startswith(f"defib: channel {channel} did not take the message: ")
        assert reason in line
        assert telegram_api.token not in line
    unknown = here(company, "test-alert", "--channel", "nope")
    assert unknown.returncode == 2
    assert "there is no channel 'nope'; there are: chat, mail" in unknown.stderr


# --- init ----------------------------------------------------------------------------------------------


def test_init_writes_a_valid_configuration_once(here: Here, tmp_path: Path) -> None:
    company = Company(tmp_path)
    told = printed(here(company, "init", "--no-discover", "-o", str(company.config)))
    assert f"Wrote {company.config}." in told
    assert company.config.stat().st_mode & 0o777 == 0o640
    assert here(company, "validate").returncode == 0

    written = company.config.read_text()
    again = here(company, "init", "--no-discover", "-o", str(company.config))
    assert again.returncode == 2
    assert again.stderr == f"defib: {company.config} exists; --force replaces it, -o FILE writes elsewhere\n"
    assert company.config.read_text() == written
