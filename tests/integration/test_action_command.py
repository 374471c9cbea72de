"""The ``command`` action with real programs."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    BuildContext,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
)
from defib_strategies import command_action, programs
from defib_testkit.victim_handle import Victim

MONITOR = MonitorSpec(id=MonitorId("main"), name="Main", kind="http", family=Family.AGENT, options=Options())
(KIND,) = command_action.defib_actions()


def context(timeout_s: float = 10.0) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s),
        env={"DEFIB_MONITOR": "main"},
        execute=ProcessExecutor(),
        clock=SystemClock(),
    )


def action(*argv: str) -> Action:
    options = KIND.options.model_validate({"argv": list(argv)})
    created: Action = KIND.create(options, MONITOR, BuildContext(base=Path("/")))
    return created


async def test_it_runs_the_program_with_the_facts_in_its_environment() -> None:
    result = await action("/usr/bin/env").run(context())

    assert result.exit_status == 0
    assert "DEFIB_MONITOR=main" in result.output.splitlines()


async def test_its_exit_status_is_reported() -> None:
    result = await action("/bin/sh", "-c", "echo why >&2; exit 3").run(context())

    assert (result.exit_status, result.output, result.timed_out) == (3, "why\n", False)


AWKWARD = ("; touch pwned", "$(touch pwned)", "a\nb", "--", "-n", "*", "", "' \"")


async def test_arguments_arrive_one_by_one_exactly_as_written() -> None:
    result = await action("/usr/bin/printf", "%s|", *AWKWARD).run(context())

    assert result.output.split("|")[:-1] == list(AWKWARD)


async def test_it_is_killed_with_its_children_when_its_time_is_up() -> None:
    result = await action("/bin/sh", "-c", "echo begun; sleep 600 & sleep 600").run(context(0.5))

    assert (result.exit_status, result.timed_out, result.output) == (None, True, "begun\n")


async def test_it_restarts_a_real_agent(victim: Victim, tmp_path: Path) -> None:
    restart = action(str(victim.restart_script(tmp_path)))
    before = victim.pid

    result = await restart.run(context())

    await asyncio.to_thread(victim.wait_until_up)
    assert result.exit_status == 0
    assert victim.restarts == 1
    assert before is not None
    assert victim.pid not in (None, before)


@pytest.fixture
def safe_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The second of two folders that programs are looked for in."""
    monkeypatch.setattr(programs, "SAFE_PATH", (tmp_path / "first", tmp_path / "second"))
    (tmp_path / "second").mkdir()
    return tmp_path / "second"


def program(path: Path, mode: int = 0o755) -> Path:
    path.write_text("#!/bin/sh\necho $0 $1\n")
    path.chmod(mode)
    return path


async def test_a_bare_name_is_found_where_programs_are(safe_path: Path) -> None:
    program(safe_path / "restart-it")
    found = action("restart-it", "now")

    assert found.description == f"{safe_path}/restart-it now"
    assert (await found.run(context())).output == f"{safe_path}/restart-it now\n"


def test_the_path_of_the_environment_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "restart-it")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        ValueError, match="there is no program 'restart-it' in /usr/local/sbin:/usr/local/bin:"
    ):
        action("restart-it")


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["systemctl restart main"], "write each word as an item of its own"),
        (["bin/restart"], "bin/restart is a relative path; write the whole path"),
        (["./restart"], r"\./restart is a relative path"),
        (["--force"], "--force is an option, not a program"),
        (["/no/such/program"], "No such file or directory; install it or correct its path"),
        (["/etc"], "/etc is no file"),
        (["/etc/passwd"], r"not executable; run: chmod \+x /etc/passwd"),
        ([""], "there is no program ''"),
    ],
)
def test_a_program_that_cannot_run_is_a_mistake_in_the_configuration(argv: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        action(*argv)


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ("systemctl restart main", "no shell splits it: write a list"),
        ([], "at least 1 item"),
        (["/bin/sleep", 5], 'put it into quotes: "5"'),
        (["/bin/sleep", None], "valid string"),
        (["/bin/echo", "a\0b"], "NUL"),
    ],
)
def test_what_is_no_list_of_words_is_refused(argv: object, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        KIND.options.model_validate({"argv": argv})


def test_a_program_that_anybody_may_change_is_refused(tmp_path: Path) -> None:
    path = program(tmp_path / "restart", 0o757)

    with pytest.raises(ValueError, match=f"may be changed by anybody; run: chmod o-w {path}"):
        action(str(path))


async def test_a_program_that_became_changeable_by_anybody_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "restart"
    program(path)
    ready = action(str(path))
    ready.check()
    path.chmod(0o777)

    with pytest.raises(ActionRefusedError, match="may be changed by anybody"):
        ready.check()
    with pytest.raises(ActionRefusedError, match="may be changed by anybody"):
        await ready.run(context())


async def test_a_program_that_was_removed_is_refused(tmp_path: Path) -> None:
    path = program(tmp_path / "restart")
    ready = action(str(path))
    path.unlink()

    with pytest.raises(ActionRefusedError, match="No such file"):
        await ready.run(context())


def test_secrets_in_arguments_are_not_described() -> None:
    described = action(
        "/usr/bin/env", "DB_PASSWORD=hunter2", "curl", "-H", "Authorization: Bearer abc"
    ).description

    assert described == "/usr/bin/env 'DB_PASSWORD=***' curl -H 'Authorization: ***'"


def test_what_it_restarts_is_not_known() -> None:
    assert action("/bin/true").changes_identity is False
