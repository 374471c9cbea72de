"""The ``script`` action against real scripts, and against everything somebody might do to them."""

import os
import shutil
from collections.abc import Mapping, Sequence
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
    Execution,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
)
from defib_strategies import script_action, trusted_file
from defib_testkit.requirement import require

SCRIPT = "#!/bin/sh\n"
MONITOR = MonitorSpec(id=MonitorId("main"), name="Main", kind="http", family=Family.AGENT, options=Options())
(KIND,) = script_action.defib_actions()


def context(timeout_s: float = 10.0, **changes: object) -> ActionContext:
    frame: dict[str, object] = {
        "timeout": timedelta(seconds=timeout_s),
        "env": {"DEFIB_MONITOR": "main", "DEFIB_ATTEMPT": "2"},
        "execute": ProcessExecutor(),
        "clock": SystemClock(),
    }
    return ActionContext(**(frame | changes))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of recovery scripts."""
    folder = tmp_path / "recovery_scripts"
    folder.mkdir(mode=0o755)
    return folder


def need_root() -> None:
    if os.geteuid() != 0:
        require("root, to give files away", "run the tests as root")


def write(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def action(folder: Path, file: str, *args: str) -> Action:
    options = KIND.options.model_validate({"file": file, "args": list(args)})
    created: Action = KIND.create(options, MONITOR, BuildContext(base=folder, script_folders=(folder,)))
    return created


# --- what it does --------------------------------------------------------------------------------------


async def test_it_runs_the_script_in_its_folder_with_the_facts_in_its_environment(folder: Path) -> None:
    write(folder / "restart.sh", SCRIPT + 'pwd; echo "$DEFIB_MONITOR $DEFIB_ATTEMPT $DEFIB_SCRIPT $*"')

    result = await action(folder, "restart.sh", "main", "now").run(context())

    assert (result.exit_status, result.timed_out) == (0, False)
    assert result.output == f"{folder}\nmain 2 {folder}/restart.sh main now\n"


async def test_its_exit_status_and_its_output_on_both_streams_are_reported(folder: Path) -> None:
    write(folder / "restart.sh", SCRIPT + "echo out; echo err >&2; exit 7")

    result = await action(folder, "restart.sh").run(context())

    assert (result.exit_status, result.output) == (7, "out\nerr\n")


async def test_a_script_in_a_subfolder_runs(folder: Path) -> None:
    (folder / "agents").mkdir(mode=0o755)
    write(folder / "agents" / "restart.sh", SCRIPT + "echo agent")

    assert (await action(folder, "agents/restart.sh").run(context())).output == "agent\n"


async def test_an_absolute_name_inside_the_folder_is_the_same_script(folder: Path) -> None:
    path = write(folder / "restart.sh", SCRIPT + "echo here")

    assert (await action(folder, str(path)).run(context())).output == "here\n"


async def test_a_link_inside_the_folder_runs_what_it_leads_to(folder: Path) -> None:
    write(folder / "restart_agent.sh", SCRIPT + "echo $1")
    (folder / "restart_main.sh").symlink_to("restart_agent.sh")
    linked = action(folder, "restart_main.sh", "main")

    assert linked.description == f"{folder}/restart_agent.sh main"
    assert (await linked.run(context())).output == "main\n"


async def test_the_folder_itself_may_be_reached_through_a_link(folder: Path, tmp_path: Path) -> None:
    write(folder / "restart.sh", SCRIPT + "echo here")
    (tmp_path / "current").symlink_to(folder)

    assert (await action(tmp_path / "current", "restart.sh").run(context())).output == "here\n"


async def test_the_first_folder_that_has_the_script_is_taken(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    write(other / "restart.sh", SCRIPT + "echo other")
    write(folder / "restart.sh", SCRIPT + "echo first")
    options = KIND.options.model_validate({"file": "restart.sh"})
    build = BuildContext(base=tmp_path, script_folders=(tmp_path / "missing", folder, other))

    assert (await KIND.create(options, MONITOR, build).run(context())).output == "first\n"


@pytest.mark.parametrize("interpreter", ["/bin/sh", "/usr/bin/env sh", "/bin/bash", "/usr/bin/env python3"])
async def test_an_interpreter_reads_the_script_through_the_descriptor(folder: Path, interpreter: str) -> None:
    if shutil.which(interpreter.rsplit(maxsplit=1)[-1]) is None:
        require(interpreter, f"apt install {interpreter.rsplit(maxsplit=1)[-1]}")
    code = "import sys; print(sys.argv[1:])" if "python" in interpreter else "echo \"['$1', '$2']\""
    write(folder / "restart", f"#!{interpreter}\n{code}\n")

    assert (await action(folder, "restart", "a", "b").run(context())).output == "['a', 'b']\n"


async def test_a_binary_runs_too(folder: Path) -> None:
    echo = shutil.which("echo")
    assert echo is not None
    shutil.copy(echo, folder / "announce")

    assert (await action(folder, "announce", "hello").run(context())).output == "hello\n"


async def test_it_is_killed_with_its_children_when_its_time_is_up(folder: Path) -> None:
    write(folder / "restart.sh", SCRIPT + "echo begun; sleep 600 & sleep 600")

    result = await action(folder, "restart.sh").run(context(timeout_s=0.5))

    assert (result.exit_status, result.timed_out, result.output) == (None, True, "begun\n")


async def test_without_proc_the_script_runs_by_its_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "restart.sh", SCRIPT + 'echo "$0"')
    monkeypatch.setattr(trusted_file, "_DESCRIPTORS", str(folder / "no-proc"))

    assert (await action(folder, "restart.sh").run(context())).output == f"{folder}/restart.sh\n"


async def test_passwords_in_what_it_prints_are_masked(folder: Path) -> None:
    write(folder / "restart.sh", SCRIPT + "echo 'cannot reach postgresql://app:hunter2@db/app'")

    result = await action(folder, "restart.sh").run(context())

    assert result.output == "cannot reach postgresql://app:***@db/app\n"


async def test_of_long_output_the_end_is_kept(folder: Path) -> None:
    write(folder / "restart.sh", SCRIPT + "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done")

    result = await action(folder, "restart.sh").run(context())

    assert len(result.output) == 16_384
    assert result.output.endswith("line 4999\n")


# --- arguments -----------------------------------------------------------------------------------------

AWKWARD = ["; touch pwned", "$(touch pwned)", "`touch pwned`", "a\nb", "--force", "-rf", "*", "", "' \"", "é"]


async def test_arguments_arrive_one_by_one_exactly_as_written(folder: Path) -> None:
    write(folder / "show.sh", SCRIPT + 'printf "%s\\0" "$@"')

    result = await action(folder, "show.sh", *AWKWARD).run(context())

    assert result.output.split("\0")[:-1] == AWKWARD
    assert os.listdir(folder) == ["show.sh"]


def test_the_description_is_one_line_whatever_the_arguments(folder: Path) -> None:
    write(folder / "show.sh", SCRIPT)

    assert action(folder, "show.sh", "a b", "c\nd").description == f"{folder}/show.sh 'a b' $'c\\nd'"


def test_secrets_in_arguments_are_not_described(folder: Path) -> None:
    write(folder / "show.sh", SCRIPT)

    described = action(folder, "show.sh", "--token", "it's 1", "password=x y", "--api-key=k").description

    assert described == f"{folder}/show.sh --token *** 'password=***' '--api-key=***'"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"file": "a.sh", "args": "main now"}, "no shell splits it"),
        ({"file": "a.sh", "args": [8000]}, 'put it into quotes: "8000"'),
        ({"file": "a.sh", "args": ["a\0b"]}, "NUL"),
        ({"file": ""}, "at least 1 character"),
        ({"file": "a.sh", "argv": []}, "Extra inputs"),
        ({}, "Field required"),
    ],
)
def test_wrong_options_say_what_to_write(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        KIND.options.model_validate(options)


# --- what is refused when the configuration is read ----------------------------------------------------


def refused(folder: Path, file: str = "restart.sh") -> str:
    with pytest.raises(ValueError, match=r"; \S") as caught:  # a remedy follows
        action(folder, file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_script_is_refused(folder: Path) -> None:
    assert refused(folder) == f"restart.sh is not in the folder of recovery scripts ({folder}); put it there"


def test_without_a_folder_every_script_is_refused(folder: Path) -> None:
    options = KIND.options.model_validate({"file": "restart.sh"})

    with pytest.raises(ValueError, match=r"set defaults\.recovery_scripts"):
        KIND.create(options, MONITOR, BuildContext(base=folder))


@pytest.mark.parametrize("file", ["../evil.sh", "sub/../../evil.sh", "../recovery_scripts/../evil.sh"])
def test_a_name_that_climbs_out_is_refused(folder: Path, file: str) -> None:
    write(folder.parent / "evil.sh", SCRIPT)
    (folder / "sub").mkdir()

    assert refused(folder, file).startswith(f"{file} must not contain '..'")


def test_an_absolute_name_elsewhere_is_refused(folder: Path) -> None:
    evil = write(folder.parent / "evil.sh", SCRIPT)

    assert f"{evil} is not in the folder of recovery scripts" in refused(folder, str(evil))


def test_a_folder_whose_name_only_begins_alike_is_elsewhere(folder: Path) -> None:
    sibling = folder.with_name("recovery_scripts_evil")
    sibling.mkdir()
    evil = write(sibling / "restart.sh", SCRIPT)

    assert "is not in the folder of recovery scripts" in refused(folder, str(evil))


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    evil = write(folder.parent / "evil.sh", SCRIPT)
    (folder / "restart.sh").symlink_to(evil)

    assert f"leads out of its folder, to {evil}" in refused(folder)


def test_a_script_behind_a_linked_subfolder_is_refused(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    write(outside / "restart.sh", SCRIPT)
    (folder / "sub").symlink_to(outside)

    assert "leads out of its folder" in refused(folder, "sub/restart.sh")


@pytest.mark.parametrize("target", ["nowhere.sh", "restart.sh"])
def test_a_link_that_leads_nowhere_is_refused(folder: Path, target: str) -> None:
    (folder / "restart.sh").symlink_to(target)

    assert "leads nowhere" in refused(folder)


@pytest.mark.parametrize(
    ("mode", "complaint"),
    [
        (0o775, "may be changed by its group; run: chmod g-w"),
        (0o757, "may be changed by others; run: chmod o-w"),
        (0o777, "may be changed by its group and others; run: chmod go-w"),
        (0o644, "is not executable; run: chmod +x"),
    ],
)
def test_a_script_of_the_wrong_mode_is_refused(folder: Path, mode: int, complaint: str) -> None:
    path = write(folder / "restart.sh", SCRIPT, mode)

    assert refused(folder) == f"{path} {complaint} {path}"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
@pytest.mark.parametrize("where", [".", "agents"])
def test_a_folder_that_others_may_write_is_refused(folder: Path, where: str, mode: int) -> None:
    (folder / "agents").mkdir(mode=0o755)
    write(folder / "agents" / "restart.sh", SCRIPT)
    (folder / where).chmod(mode)

    assert f"{folder / where} may be changed by" in refused(folder, "agents/restart.sh")


def test_a_script_of_somebody_else_is_refused(folder: Path) -> None:
    need_root()
    path = write(folder / "restart.sh", SCRIPT)
    os.chown(path, 65534, 65534)

    assert refused(folder) == f"{path} belongs to user 65534; run: chown root {path}"


def test_a_folder_of_somebody_else_is_refused(folder: Path) -> None:
    need_root()
    write(folder / "restart.sh", SCRIPT)
    os.chown(folder, 65534, 65534)

    assert refused(folder) == f"{folder} belongs to user 65534; run: chown root {folder}"


def test_a_folder_in_place_of_the_script_is_refused(folder: Path) -> None:
    (folder / "restart.sh").mkdir(mode=0o755)

    assert "is no regular file" in refused(folder)


def test_a_named_pipe_in_place_of_the_script_is_refused_without_waiting_for_it(folder: Path) -> None:
    os.mkfifo(folder / "restart.sh", 0o755)
    (folder / "restart.sh").chmod(0o755)

    assert "is no regular file" in refused(folder)


@pytest.mark.parametrize("text", ["", "echo no interpreter\n", "#!\n"])
def test_a_script_that_does_not_say_what_runs_it_is_refused(folder: Path, text: str) -> None:
    write(folder / "restart.sh", text)

    assert "begin it with a line such as #!/bin/sh" in refused(folder)


@pytest.mark.parametrize("interpreter", ["/usr/bin/no-such-shell", "sh"])
def test_a_script_for_an_interpreter_that_is_missing_is_refused(folder: Path, interpreter: str) -> None:
    write(folder / "restart.sh", f"#!{interpreter}\n")

    assert f"is for {interpreter}, which cannot be run here" in refused(folder)


# --- what is refused when it is about to run -----------------------------------------------------------


@pytest.fixture
def ready(folder: Path) -> Action:
    """An action that was right when it was made."""
    write(folder / "restart.sh", SCRIPT + "touch ran")
    return action(folder, "restart.sh")


async def assert_refused(ready: Action, folder: Path, complaint: str) -> None:
    with pytest.raises(ActionRefusedError, match=complaint):
        ready.check()
    with pytest.raises(ActionRefusedError, match=complaint):
        await ready.run(context())
    assert not (folder / "ran").exists()


async def test_an_untouched_script_passes_the_check_which_runs_nothing(ready: Action, folder: Path) -> None:
    ready.check()

    assert not (folder / "ran").exists()
    assert (await ready.run(context())).exit_status == 0
    assert (folder / "ran").exists()


async def test_a_script_that_became_a_link_out_of_the_folder_is_refused(ready: Action, folder: Path) -> None:
    evil = write(folder.parent / "evil.sh", SCRIPT + f"touch {folder}/ran")
    (folder / "restart.sh").unlink()
    (folder / "restart.sh").symlink_to(evil)

    await assert_refused(ready, folder, "leads out of its folder")


async def test_a_script_that_became_writable_for_its_group_is_refused(ready: Action, folder: Path) -> None:
    (folder / "restart.sh").chmod(0o775)

    await assert_refused(ready, folder, "may be changed by its group")


async def test_a_folder_that_became_writable_for_others_is_refused(ready: Action, folder: Path) -> None:
    os.chmod(folder, 0o757)

    await assert_refused(ready, folder, "may be changed by others")


async def test_a_script_that_was_removed_is_refused(ready: Action, folder: Path) -> None:
    (folder / "restart.sh").unlink()

    await assert_refused(ready, folder, "is not in the folder of recovery scripts")


async def test_a_script_that_is_no_longer_executable_is_refused(ready: Action, folder: Path) -> None:
    (folder / "restart.sh").chmod(0o644)

    await assert_refused(ready, folder, "is not executable")


class Intruder:
    """Replaces the script at the last moment: after the checks, before the process starts."""

    def __init__(self, script: Path) -> None:
        self._script = script

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout: timedelta,
        env: Mapping[str, str],
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Execution:
        evil = write(self._script.with_name("evil.sh"), SCRIPT + "echo evil")
        evil.replace(self._script)
        return await ProcessExecutor()(argv, timeout=timeout, env=env, cwd=cwd, pass_fds=pass_fds)


async def test_a_script_swapped_between_check_and_execution_does_not_run(folder: Path) -> None:
    path = write(folder / "restart.sh", SCRIPT + "echo checked")

    result = await action(folder, "restart.sh").run(context(execute=Intruder(path)))

    assert (result.output, path.read_text()) == ("checked\n", SCRIPT + "echo evil")


def test_without_proc_a_swapped_script_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder / "restart.sh", SCRIPT)
    monkeypatch.setattr(trusted_file, "_DESCRIPTORS", str(folder / "no-proc"))

    with trusted_file.opened("restart.sh", (folder,)) as script:
        path.replace(folder / "away.sh")
        write(path, SCRIPT + "echo evil")
        with pytest.raises(trusted_file.UntrustedFileError, match="was replaced"):
            _ = script.program


def test_no_descriptor_is_left_open(ready: Action, folder: Path) -> None:
    before = os.listdir("/proc/self/fd")
    (folder / "restart.sh").chmod(0o777)
    for _ in range(5):
        with pytest.raises(ActionRefusedError):
            ready.check()

    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_what_it_restarts_is_not_known(ready: Action) -> None:
    assert ready.changes_identity is False
