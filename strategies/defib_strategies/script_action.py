"""Recovery by a script of an allow-listed folder."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    ActionResult,
    ActionType,
    BuildContext,
    MonitorSpec,
    Options,
    command_line,
    hookimpl,
)
from defib_strategies.results import result_of
from defib_strategies.trusted_file import UntrustedFileError, opened
from defib_strategies.words import Word, Words


class ScriptOptions(Options):
    """``script: {file: restart_agent.sh, args: [main]}``."""

    file: Word = Field(
        min_length=1,
        description="The script's name in the folder of recovery scripts (defaults.recovery_scripts). It and its "
        "folders must belong to root or to Defib's user, and nobody else may write them.",
    )
    args: Words = Field(default=(), description="Its arguments, one item each; no shell reads them.")


class ScriptAction:
    """Runs a script, checked each time anew.

    Its working directory is its own folder. ``$0`` is a descriptor (see :mod:`trusted_file`); the path stands in
    the environment as ``DEFIB_SCRIPT``.
    """

    changes_identity = False  # what a script restarts is not known

    def __init__(self, file: str, arguments: tuple[str, ...], folders: tuple[Path, ...]) -> None:
        """:raises ValueError: the script must not be run now."""
        self._file = file
        self._arguments = arguments
        self._folders = folders
        with opened(file, folders) as script:
            self.description = command_line(str(script.path), *arguments)

    def check(self) -> None:
        """See :class:`Action`."""
        try:
            with opened(self._file, self._folders):
                pass
        except UntrustedFileError as error:
            raise ActionRefusedError(str(error)) from error

    async def identity(self) -> str | None:
        """Unknown."""
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        try:
            with opened(self._file, self._folders) as script:
                execution = await context.execute(
                    (script.program, *self._arguments),
                    timeout=context.timeout,
                    env={**context.env, "DEFIB_SCRIPT": str(script.path)},
                    cwd=script.path.parent,
                    pass_fds=(script.fd,),
                )
        except UntrustedFileError as error:
            raise ActionRefusedError(str(error)) from error
        return result_of(execution)


def _create(options: ScriptOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    return ScriptAction(options.file, options.args, context.script_folders)


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="script",
            summary="runs a script of the folder of recovery scripts, after checking who could have changed it",
            options=ScriptOptions,
            create=_create,
        ),
    )
