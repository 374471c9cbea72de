"""Names, reasons and files from outside that try to become commands: nothing runs that was not configured."""

import asyncio
import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ConfigDict, ValidationError

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    BuildContext,
    Execution,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
)
from defib_strategies import (
    command_action,
    docker_action,
    postgres_action,
    process_action,
    script_action,
    systemd_action,
)

EVIL = (
    "$(touch PWNED)", "`touch PWNED`", "; touch PWNED", "| touch PWNED", "&& touch PWNED", "> PWNED", "\ntouch PWNED\n",
    "x\0touch PWNED", "../../../bin/sh", "--help", "-c", "--", "-rf", "* ?", "~root", "${IFS}touch${IFS}PWNED", "'\"\\",
    "\x1b[31m", "%s%n{0}{__class__}", "\u202etxt", "a" * 5000, "", " ", "\r\n\r\n", "LD_PRELOAD=/tmp/x.so", "{reason}",
)  # fmt: skip
hostile = st.one_of(
    st.sampled_from(EVIL),
    st.text(max_size=80),
    st.tuples(st.text(max_size=10), st.sampled_from(EVIL), st.text(max_size=10)).map("".join),
)
RELAXED = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

DUMP = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
"""A program that tells how it was called, byte by byte."""


def monitor(name: str = "main", **options: Any) -> MonitorSpec:
    class Given(Options):
        model_config = ConfigDict(extra="allow")

    return MonitorSpec(
        id=MonitorId(name), name=name, kind="systemd", family=Family.SERVICE, options=Given(**options)
    )


def facts(text: str) -> dict[str, str]:
    """The environment as the engine fills it, each fact under attack; no NUL can be in it."""
    return {
        f"DEFIB_{name}": text.replace("\0", "") for name in ("MONITOR", "TYPE", "STATE", "REASON", "INCIDENT")
    }


def context(env: Mapping[str, str], execute: Any = None) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=10), env=env, execute=execute or ProcessExecutor(), clock=SystemClock()
    )


class Recorder:
    """An executor that notes what would run."""

    def __init__(self) -> None:
        self.argvs: list[tuple[str, ...]] = []

    async def __call__(self, argv: Sequence[str], **_: Any) -> Execution:
        self.argvs.append(tuple(argv))
        return Execution(exit_status=0, output="", duration=timedelta(0))


def called(output: str) -> tuple[list[str], dict[str, str]]:
    arguments, environment = json.loads(output)
    return arguments, environment


# --- facts from outside --------------------------------------------------------------------------------


@RELAXED
@given(text=hostile)
@example(text="x\0touch PWNED")
def test_a_fact_reaches_a_command_as_a_value_of_the_environment_and_nowhere_else(
    text: str, tmp_path: Path
) -> None:
    clean = text.encode("utf-8", "replace").decode()
    (kind,) = command_action.defib_actions()
    options = kind.options.model_validate({"argv": [sys.executable, "-I", "-S", "-c", DUMP, "fixed"]})
    action = kind.create(options, monitor(clean), BuildContext(base=tmp_path))

    result = asyncio.run(action.run(context(facts(clean))))

    arguments, environment = called_unmasked(result.output, result.exit_status)
    assert arguments == ["fixed"]
    assert {name for name in environment if name.startswith("DEFIB_")} <= {
        *facts(""), "DEFIB_AGENT_UNIT_PREFIX"
    }  # fmt: skip
    assert "LD_PRELOAD" not in environment
    assert action.description == kind.create(options, monitor(), BuildContext(base=tmp_path)).description
    assert not list(Path.cwd().glob("PWNED"))


def called_unmasked(output: str, exit_status: int | None) -> tuple[list[str], dict[str, str]]:
    """What the program printed; where a fact looked like a secret, its mask may have broken the JSON."""
    assert exit_status == 0, output
    try:
        return called(output)
    except json.JSONDecodeError:
        assert "***" in output or len(output) >= 16_384
        return ["fixed"], {}


@RELAXED
@given(text=hostile)
def test_a_script_gets_its_configured_arguments_whatever_the_facts_are(text: str, tmp_path: Path) -> None:
    clean = text.encode("utf-8", "replace").decode()
    folder = tmp_path / "recovery_scripts"
    folder.mkdir(mode=0o755, exist_ok=True)
    script = folder / "restart.sh"
    script.write_text(
        '#!/bin/sh\nfor word; do printf "<%s>" "$word"; done\nprintf "%s" "$DEFIB_REASON" | wc -c\n'
    )
    script.chmod(0o755)
    (kind,) = script_action.defib_actions()
    options = kind.options.model_validate({"file": "restart.sh", "args": ["main", "a b"]})
    action = kind.create(options, monitor(clean), BuildContext(base=tmp_path, script_folders=(folder,)))

    result = asyncio.run(action.run(context(facts(clean))))

    reason = clean.replace("\0", "").encode()
    assert (result.exit_status, result.output) == (0, f"<main><a b>{len(reason)}\n")
    assert not (folder / "PWNED").exists()


# --- names that a monitor hands on ---------------------------------------------------------------------


@RELAXED
@given(name=hostile)
@example(name="gateway@1.service")
def test_a_unit_taken_over_from_a_monitor_is_one_name_or_refused(name: str) -> None:
    (kind,) = systemd_action.defib_actions()
    try:
        action = kind.create(kind.options(), monitor(unit=name), BuildContext(base=Path("/")))
    except ValueError:
        assert name != "gateway@1.service"
        return

    *words, unit = shlex.split(action.description)
    assert words == ["systemctl", "--no-ask-password", "restart", "--"]
    assert not unit.startswith("-")
    assert set(unit) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:.\\@-")


@RELAXED
@given(name=hostile)
@pytest.mark.parametrize(
    ("module", "key"),
    [
        (docker_action, "container"),
        (postgres_action, "container"),
        (postgres_action, "cluster"),
        (postgres_action, "unit"),
        (systemd_action, "unit"),
    ],
)
def test_a_name_in_the_configuration_is_one_name_or_a_mistake(module: Any, key: str, name: str) -> None:
    (kind,) = module.defib_actions()
    try:
        options = kind.options.model_validate({key: name})
    except ValidationError:
        return
    taken = getattr(options, key)
    assert taken
    assert taken[0] not in "-/.~" or key == "unit"
    assert not taken.startswith("-")
    assert not any(character in taken for character in "\0\n\r $`;|&<>*?'\"()[]{}~")
    assert ".." not in Path(taken).parts


@RELAXED
@given(words=st.lists(hostile, min_size=1, max_size=5))
@pytest.mark.parametrize("module", [command_action, process_action])
def test_words_arrive_one_by_one_as_they_were_written(module: Any, words: list[str], tmp_path: Path) -> None:
    clean = [word.encode("utf-8", "replace").decode() for word in words]
    (kind,) = module.defib_actions()
    values: dict[str, Any] = {"argv": ["/bin/echo", *clean]}
    if module is process_action:
        values["verify"] = "probe"
    try:
        options = kind.options.model_validate(values)
    except ValidationError:
        assert any("\0" in word for word in clean)
        return
    action = kind.create(options, monitor(), BuildContext(base=tmp_path))
    recorder = Recorder()

    asyncio.run(action.run(context({}, recorder)))

    assert recorder.argvs == [(str(Path("/bin/echo")), *clean)]
    assert "\n" not in action.description
    assert "\0" not in action.description


@RELAXED
@given(name=hostile)
def test_a_script_outside_its_folder_is_never_found(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "recovery_scripts"
    folder.mkdir(mode=0o755, exist_ok=True)
    outside = tmp_path / "evil.sh"
    outside.write_text("#!/bin/sh\ntouch PWNED\n")
    outside.chmod(0o755)
    (kind,) = script_action.defib_actions()
    for file in (name, f"../{name}", f"x/../../{name}", str(outside), f"./{name}", f"{folder}/../evil.sh"):
        try:
            options = kind.options.model_validate({"file": file})
        except ValidationError:
            continue
        with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
            kind.create(options, monitor(), BuildContext(base=tmp_path, script_folders=(folder,)))


# --- files that change between the look and the start --------------------------------------------------


class Swapping:
    """An executor that lets an attacker act at the last moment, then runs the real thing."""

    def __init__(self, attack: Any) -> None:
        self._attack = attack

    async def __call__(self, argv: Sequence[str], **frame: Any) -> Execution:
        self._attack()
        return await ProcessExecutor()(argv, **frame)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = tmp_path / "recovery_scripts"
    folder.mkdir(mode=0o755)
    path = folder / "restart.sh"
    path.write_text("#!/bin/sh\necho good\n")
    path.chmod(0o755)
    (tmp_path / "evil.sh").write_text("#!/bin/sh\necho evil\n")
    (tmp_path / "evil.sh").chmod(0o755)
    return path


def scripted(script: Path) -> Action:
    (kind,) = script_action.defib_actions()
    options = kind.options.model_validate({"file": "restart.sh"})
    made: Action = kind.create(
        options, monitor(), BuildContext(base=script.parent, script_folders=(script.parent,))
    )
    return made


def swapped_for_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent.parent / "evil.sh")


def swapped_for_another_file(path: Path) -> None:
    os.replace(path.parent.parent / "evil.sh", path)


def folder_swapped(path: Path) -> None:
    path.parent.rename(path.parent.with_name("before"))
    path.parent.mkdir()
    shutil.copy(path.parent.parent / "evil.sh", path)


@pytest.mark.parametrize("attack", [swapped_for_a_link, swapped_for_another_file, folder_swapped])
async def test_a_script_swapped_after_its_check_runs_as_it_was_checked(script: Path, attack: Any) -> None:
    result = await scripted(script).run(context({}, Swapping(lambda: attack(script))))

    assert result.output == "good\n"


@pytest.mark.parametrize("attack", [swapped_for_a_link, folder_swapped])
async def test_a_script_swapped_between_configuration_and_use_is_refused_or_checked_again(
    script: Path, attack: Any
) -> None:
    ready = scripted(script)
    attack(script)
    script.parent.chmod(0o757)

    with pytest.raises(ActionRefusedError):
        ready.check()
    with pytest.raises(ActionRefusedError):
        await ready.run(context({}))


@pytest.mark.parametrize(
    ("mode", "of_folder", "message"),
    [
        (0o757, False, "may be changed by anybody; run: chmod o-w"),
        (0o777, True, "anybody could replace the program in"),
    ],
)
async def test_a_program_that_others_may_swap_is_refused_at_each_use(
    tmp_path: Path, mode: int, of_folder: bool, message: str
) -> None:
    program = tmp_path / "bin" / "restart"
    program.parent.mkdir(mode=0o755)
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    (kind,) = command_action.defib_actions()
    ready = kind.create(
        kind.options.model_validate({"argv": [str(program)]}), monitor(), BuildContext(base=tmp_path)
    )
    assert (await ready.run(context({}))).output == "ran\n"

    (program.parent if of_folder else program).chmod(mode)

    with pytest.raises(ActionRefusedError, match=message):
        ready.check()
    with pytest.raises(ActionRefusedError, match=message):
        await ready.run(context({}))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["restart", ""])
def test_a_program_or_a_folder_of_another_user_is_refused(tmp_path: Path, what: str) -> None:
    program = tmp_path / "bin" / "restart"
    program.parent.mkdir(mode=0o755)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    os.chown(program.parent / what, 65534, 65534)
    (kind,) = command_action.defib_actions()

    with pytest.raises(ValueError, match=r"belongs to user 65534"):
        kind.create(
            kind.options.model_validate({"argv": [str(program)]}), monitor(), BuildContext(base=tmp_path)
        )


def test_a_link_whose_target_others_may_change_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("#!/bin/sh\n")
    target.chmod(0o757)
    link = tmp_path / "restart"
    link.symlink_to(target)
    (kind,) = command_action.defib_actions()

    with pytest.raises(ValueError, match="may be changed by anybody"):
        kind.create(
            kind.options.model_validate({"argv": [str(link)]}), monitor(), BuildContext(base=tmp_path)
        )


def test_the_path_of_the_environment_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleep").write_text("#!/bin/sh\necho evil\n")
    (tmp_path / "sleep").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (kind,) = command_action.defib_actions()

    made = kind.create(
        kind.options.model_validate({"argv": ["sleep", "1"]}), monitor(), BuildContext(base=tmp_path)
    )

    assert made.description in ("/usr/bin/sleep 1", "/bin/sleep 1")
