"""What an action hands back: bounded, and without what looks like a secret."""

from collections.abc import Iterable

from defib.plugin import ActionResult, Execution, masked

OUTPUT_LIMIT = 16_384
"""Characters of output that are kept: the end, where the error stands."""


def bounded(text: str, secrets: Iterable[str] = ()) -> str:
    """The end of ``text``, at most :data:`OUTPUT_LIMIT` characters, masked."""
    return masked(text, secrets)[-OUTPUT_LIMIT:]


def result_of(execution: Execution) -> ActionResult:
    """What a command did, as an action reports it."""
    return ActionResult(
        exit_status=execution.exit_status,
        output=bounded(execution.output),
        timed_out=execution.timed_out,
    )


def failed(output: str, secrets: Iterable[str] = ()) -> ActionResult:
    """An action that ended badly without a command's exit status."""
    return ActionResult(exit_status=1, output=bounded(output, secrets))


def timed_out(output: str) -> ActionResult:
    """An action that was given up at the end of its time."""
    return ActionResult(exit_status=None, output=bounded(output), timed_out=True)
