"""Recovery by a command of the configuration: an argv, never a shell."""

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
from defib_strategies.programs import check_program, find_program
from defib_strategies.results import result_of
from defib_strategies.words import Argv


class CommandOptions(Options):
    """``command: {argv: [/usr/sbin/rndc, reload]}``."""

    argv: Argv = Field(
        description="The program and its arguments, one item each; no shell reads them. A program without a "
        "slash is looked for in /usr/local/sbin, /usr/local/bin, /usr/sbin, /usr/bin, /sbin and /bin."
    )


class CommandAction:
    """Runs the command as it stands in the configuration."""

    changes_identity = False  # what a command restarts is not known

    def __init__(self, program: Path, arguments: tuple[str, ...]) -> None:
        self._program = program
        self._argv = (str(program), *arguments)
        self.description = command_line(*self._argv)

    def check(self) -> None:
        """See :class:`Action`."""
        try:
            check_program(self._program)
        except ValueError as error:
            raise ActionRefusedError(str(error)) from error

    async def identity(self) -> str | None:
        """Unknown."""
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        self.check()
        return result_of(await context.execute(self._argv, timeout=context.timeout, env=context.env))


def _create(options: CommandOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    program, *arguments = options.argv
    return CommandAction(find_program(program), tuple(arguments))


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="command",
            summary="runs a command given as a list of words, without a shell",
            options=CommandOptions,
            create=_create,
        ),
    )
