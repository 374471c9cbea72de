"""``defib``: commands, and how errors end."""

import atexit
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated

import typer
from typer.exceptions import TyperException

from defib import __version__
from defib.cli.context import State
from defib.errors import ConfigError, DefibError, PluginError, StaleEpochError, UsageError

PARTS: Mapping[str, Sequence[str]] = {  # in the order of the help
    "init": ("init",),
    "run": ("run",),
    "serve": ("serve",),
    "show": ("validate", "status", "explain", "recoveries", "plugins"),
    "steer": ("check", "recover", "test-alert", "strategy"),
    "desk": ("ack", "silence", "maintenance", "pause", "resume"),
    "tokens": ("token",),
    "agents": ("agents",),
    "report": ("report",),
    "export": ("export",),
    "doctor": ("doctor",),
    "demo": ("demo",),
    "polkit": ("polkit",),
    "agent": ("agent",),
    "deliveries": ("deliveries",),
}
"""Modules of :mod:`defib.cli`, and the commands that each of them registers."""


def command_line(command: str = "") -> typer.Typer:
    """The command line as far as ``command`` needs it: its own module is imported, the others are not.

    Without one that is known it is the whole command line, for its help and its advice.
    """
    app = typer.Typer(
        name="defib",
        help="Defib watches heartbeats and restarts hearts.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    owners = [part for part, commands in PARTS.items() if command in commands]
    for part in owners or PARTS:
        import_module(f"defib.cli.{part}").register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"defib {__version__}")
        raise typer.Exit


def _options(
    context: typer.Context,
    config: Annotated[
        str | None, typer.Option("-c", "--config", help="Configuration file or folder.", metavar="FILE")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, on every command that reads.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    context.obj = State(config=config, json=json, debug=debug)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status: see INTERFACE in the documentation."""
    _collect_seldom()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    command = ""
    try:
        first, rest = _global_options_first(arguments)
        command = next((item for item in rest if not item.startswith("-")), "")
        status = command_line(command)(args=first + rest, standalone_mode=False, prog_name="defib")
        sys.stdout.flush()  # while a full disk or a closed pipe can still be told
        return status if isinstance(status, int) else 0
    except typer.Exit as ending:
        return _flushed(ending.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except TyperException as error:
        print(_told_usage(error), file=sys.stderr)
        return _status(command, 2)
    except (
        BrokenPipeError
    ):  # the reader has seen enough; status as of typer, which meets most of these itself
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except DefibError as error:
        if debug:
            raise
        print(_told(error), file=sys.stderr)
        return _status(command, _status_of(error))
    except OSError as error:
        if debug:
            raise
        print(f"defib: {_told_os(error)}", file=sys.stderr)
        return _status(command, 1)


def _collect_seldom() -> None:
    """Leave nearly all memory to the end of the process: a command makes much that stays, and few circles."""
    gc.set_threshold(20_000, 20, 100)
    atexit.register(gc.freeze)  # else Python, as it ends, goes through all that the system takes back anyway


def _status_of(error: DefibError) -> int:
    """Of commands but a pass: see the tree of errors."""
    match error:
        case ConfigError() | UsageError() | PluginError():
            return 2
        case StaleEpochError():
            return 4
    return 1


def _status(command: str, otherwise: int) -> int:
    """A pass has the statuses of a Nagios plugin: whatever kept it from running is UNKNOWN."""
    return 3 if command == "run" else otherwise


def _flushed(status: int) -> int:
    """``status``, once what was printed is out.

    :raises OSError: it does not get out.
    """
    sys.stdout.flush()
    return status


def _told(error: DefibError) -> str:
    if isinstance(error, ConfigError):
        lines = [str(mistake) for mistake in error.mistakes]
        if len(lines) > 1:
            lines.append(f"defib: {len(lines)} mistakes in the configuration; nothing was started or changed")
        return "\n".join(lines)
    return f"defib: {error}"


def _told_usage(error: TyperException) -> str:
    """One line; or the help, where a command is missing."""
    text = error.format_message()
    if text.startswith("Usage:"):
        return text
    context = getattr(error, "ctx", None)
    hint = f"; '{context.command_path} --help' shows what there is" if context is not None else ""
    text = " ".join(text.split()).rstrip(".")
    return f"defib: {text[:1].lower()}{text[1:]}{hint}"


def _told_os(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or type(error).__name__}"


def _global_options_first(arguments: list[str]) -> tuple[list[str], list[str]]:
    """``-c``, ``--json`` and ``--debug``, which may stand behind the command too; and the rest.

    :raises UsageError: ``-c`` without a file.
    """
    first: list[str] = []
    rest: list[str] = []
    items = iter(arguments)
    for item in items:
        if item == "--" or (item == "agent" and not rest):
            rest += [item, *items]
        elif item in ("--json", "--debug"):
            first.append(item)
        elif item in ("-c", "--config"):
            value = next(items, None)
            if not value:
                raise UsageError(f"{item} needs a file or folder, as in '{item} defib.yaml'")
            first += [item, value]
        elif item.startswith("--config=") or (item.startswith("-c") and not item.startswith("--")):
            first.append(item)
        else:
            rest.append(item)
    return first, rest


if __name__ == "__main__":
    sys.exit(main())
