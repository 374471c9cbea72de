"""The ``command`` monitor with real programs, and with the monitoring plugins of Debian."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins import command
from defib_testkit import processes
from defib_testkit.requirement import require
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import async_wait_until, wait_until
from monitor_kit import build, frame, look

PLUGINS = Path("/usr/lib/nagios/plugins")


def plugin(name: str) -> str:
    if not (PLUGINS / name).exists():
        require(name, "apt install monitoring-plugins-basic monitoring-plugins-standard")
    return str(PLUGINS / name)


async def ran(*argv: str, **options: Any) -> Evidence:
    return await look(command, argv=list(argv), **options)


async def shell(script: str, **options: Any) -> Evidence:
    return await ran("/bin/sh", "-c", script, **options)


# --- the plugins of Debian -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "outcome", "cause", "status"),
    [
        (0, Outcome.OK, "ok", ProbeStatus.HEALTHY),
        (1, Outcome.OK, "warning", ProbeStatus.HEALTHY),
        (2, Outcome.FAIL, "critical", ProbeStatus.UNHEALTHY),
        (3, Outcome.INCONCLUSIVE, "plugin-unknown", ProbeStatus.UNKNOWN),
    ],
)
async def test_check_dummy_is_understood(
    state: int, outcome: Outcome, cause: str, status: ProbeStatus
) -> None:
    evidence = await ran(plugin("check_dummy"), str(state), "hello")

    assert (evidence.outcome, evidence.cause, evidence.status) == (outcome, cause, status)
    assert evidence.summary.endswith(": hello")


async def test_check_load_gives_its_numbers() -> None:
    evidence = await ran(plugin("check_load"), "-w", "1000,1000,1000", "-c", "2000,2000,2000")

    assert evidence.grade is Grade.NONE
    assert evidence.metrics.keys() == {"load1", "load5", "load15"}


async def test_check_procs_warns() -> None:
    evidence = await ran(plugin("check_procs"), "-w", "0:0", "-c", "0:100000")

    assert (evidence.is_degraded, evidence.cause) == (True, "warning")
    assert evidence.metrics["procs"] > 0


async def test_check_disk_gives_bytes() -> None:
    evidence = await ran(plugin("check_disk"), "-w", "1%", "-c", "0%", "-p", "/")

    assert evidence.metrics["/"] > 1_000_000


async def test_check_tcp_and_check_http_see_a_living_agent_and_a_dead_one(victim: Victim) -> None:
    port = str(victim.port)
    alive = [
        await ran(plugin("check_tcp"), "-H", "127.0.0.1", "-p", port),
        await ran(plugin("check_http"), "-H", "127.0.0.1", "-p", port, "-u", "/health"),
    ]
    victim.kill()
    dead = [
        await ran(plugin("check_tcp"), "-H", "127.0.0.1", "-p", port),
        await ran(plugin("check_http"), "-H", "127.0.0.1", "-p", port, "-u", "/health"),
    ]

    assert [evidence.cause for evidence in alive + dead] == ["ok", "ok", "critical", "critical"]
    assert alive[1].metrics["size"] > 0
    assert "HTTP CRITICAL" in dead[1].summary


async def test_negate_shows_that_the_exit_status_decides() -> None:
    evidence = await ran(plugin("negate"), "-c", "OK", plugin("check_dummy"), "2")

    assert evidence.grade is Grade.NONE
    assert "CRITICAL" in evidence.summary


# --- any program -----------------------------------------------------------------------------------


async def test_a_program_without_a_slash_is_looked_for_in_the_path() -> None:
    assert (await ran("true")).is_ok


async def test_a_program_with_a_slash_is_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "check.sh").write_text("#!/bin/sh\necho OK from $(pwd)\n")
    (tmp_path / "check.sh").chmod(0o755)

    assert (await ran("./check.sh", base=tmp_path)).summary == f"OK from {tmp_path}"
    assert (await ran("./check.sh", base=tmp_path, cwd="/")).summary == "OK from /"


@pytest.mark.parametrize(
    ("argv", "options"),
    [(["does-not-exist"], {}), (["/does/not/exist"], {}), (["/bin/true"], {"cwd": "/does/not/exist"})],
)
async def test_a_missing_program_or_folder_is_our_own_trouble(
    argv: list[str], options: dict[str, Any]
) -> None:
    evidence = await ran(*argv, **options)

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "not-found")


async def test_a_program_that_may_not_be_run_is_our_own_trouble(tmp_path: Path) -> None:
    (tmp_path / "check").write_text("not executable")

    evidence = await ran("./check", base=tmp_path)

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "not-runnable")
    assert evidence.summary == "cannot run check: Permission denied"


async def test_arguments_are_not_read_by_a_shell() -> None:
    assert (await ran("echo", "$(id)", "; id", "a  b")).summary == "$(id) ; id a  b"


async def test_the_environment_holds_what_is_allowed_and_what_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEFIB_TOKEN", "hunter2")

    evidence = await shell("env", env={"MINE": "yes"})

    lines = f"{evidence.summary}\n{evidence.facts.get('output', '')}".splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert {"PATH", "LC_ALL", "MINE"} <= names
    assert names <= {
        "PATH",
        "HOME",
        "LOGNAME",
        "USER",
        "TZ",
        "TMPDIR",
        "LC_ALL",
        "MINE",
        "PWD",
        "SHLVL",
        "OLDPWD",
        "_",
    }
    assert "hunter2" not in repr(evidence)


async def test_nothing_is_on_its_standard_input() -> None:
    assert (await shell("cat && echo OK")).summary == "OK"


async def test_a_flood_of_output_is_bounded_and_does_not_block_it() -> None:
    evidence = await ran(sys.executable, "-c", "print('OK | a=1'); print('x' * 5_000_000)")

    assert (evidence.grade, evidence.summary) == (Grade.NONE, "OK")
    assert len(repr(evidence)) < 3000


async def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    mark = f"{tmp_path}/mark"
    script = f"sleep 1000 {mark} & sleep 1000 {mark} | cat"
    # `sleep` would refuse the mark, so a program that takes it stands in for it.
    sleeper = tmp_path / "sleep"
    sleeper.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(1000)\n")
    sleeper.chmod(0o755)
    started = time.monotonic()

    evidence = await shell(script.replace("sleep", str(sleeper)), timeout_s=0.5)

    assert (evidence.cause, evidence.grade) == ("timeout", Grade.NORMAL)
    assert evidence.summary == "no answer within 500ms, while sh was running; it was killed"
    assert time.monotonic() - started < 2
    wait_until(lambda: not [pid for pid in processes.with_argument(mark) if processes.is_running(pid)])


async def test_a_program_that_ignores_sigterm_is_killed() -> None:
    evidence = await shell("trap '' TERM; while true; do sleep 0.05; done", timeout_s=0.3)

    assert evidence.cause == "timeout"


async def test_children_that_keep_the_output_open_are_not_waited_for() -> None:
    started = time.monotonic()

    evidence = await shell("echo OK; sleep 30 &")

    assert evidence.summary == "OK"
    assert time.monotonic() - started < 3


async def test_a_cancelled_probe_kills_its_program(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    monitor = build(command, argv=["/bin/sh", "-c", f"echo $$ > {pidfile}; exec sleep 60"])
    probing = asyncio.ensure_future(monitor.probe(frame(30)))
    await async_wait_until(lambda: pidfile.exists() and pidfile.read_text(), what="the program to run")
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    await monitor.close()

    assert not processes.is_running(int(pidfile.read_text()))


async def test_a_program_killed_by_a_signal_says_nothing() -> None:
    evidence = await shell("kill -9 $$")

    assert (evidence.outcome, evidence.summary) == (Outcome.INCONCLUSIVE, "sh was killed by signal 9")


def test_it_works_on_uvloop() -> None:
    async def looks() -> list[str]:
        return [
            (await shell("echo OK")).summary,
            (await shell("sleep 30", timeout_s=0.2)).cause,
            (await shell("exit 2")).cause,
            (await ran("does-not-exist")).cause,
            (await shell("echo OK; sleep 30 &")).summary,
        ]

    assert uvloop.run(looks()) == ["OK", "timeout", "critical", "not-found", "OK"]
