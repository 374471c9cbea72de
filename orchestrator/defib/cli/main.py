"""``defib``: commands, and how errors end."""

import sys
from collections.abc import Sequence
from typing import Annotated

import click
import typer

from defib import __version__
from defib.cli import init, report, run, serve, show, steer
from defib.cli.context import State
from defib.errors import ConfigError, DefibError, PluginError, UsageError

app = typer.Typer(
    name="defib",
    help="Defib watches heartbeats and restarts hearts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (init, run, serve, show, steer, report):
    part.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"defib {__version__}")
        raise typer.Exit


@app.callback()
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
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    # `-c`, `--json` and `--debug` may stand behind the command as well as before it
    arguments = _global_options_first(arguments)
    try:
        status = app(args=arguments, standalone_mode=False, prog_name="defib")
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context is not None else ""
        print(f"defib: {error.format_message()}{hint}", file=sys.stderr)
        return 3 if "run" in arguments[:1] else 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except DefibError as error:
        if debug:
            raise
        print(_told(error), file=sys.stderr)
        wrong = isinstance(error, ConfigError | UsageError | PluginError)
        # a pass has the statuses of a Nagios plugin: whatever kept it from running is UNKNOWN
        return 3 if "run" in arguments else 2 if wrong else 1


def _told(error: DefibError) -> str:
    if isinstance(error, ConfigError):
        lines = [str(mistake) for mistake in error.mistakes]
        if len(lines) > 1:
            lines.append(f"defib: {len(lines)} mistakes in the configuration; nothing was started or changed")
        return "\n".join(lines)
    return f"defib: {error}"


def _global_options_first(arguments: list[str]) -> list[str]:
    first: list[str] = []
    rest: list[str] = []
    items = iter(arguments)
    for item in items:
        if item == "--":
            rest += [item, *items]
        elif item in ("--json", "--debug"):
            first.append(item)
        elif item in ("-c", "--config"):
            first += [item, next(items, "")]
        elif item.startswith("--config="):
            first.append(item)
        else:
            rest.append(item)
    return first + rest


if __name__ == "__main__":
    sys.exit(main())
