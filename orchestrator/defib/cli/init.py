"""``defib init``: look at this machine and write a configuration."""

import asyncio
import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from defib.errors import DefibError, UsageError

_MODE = 0o640


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    discover: Annotated[bool, typer.Option("--discover/--no-discover", help="Look at this machine.")] = True,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE")] = Path("defib.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Look at this machine (containers, units, listening ports, PostgreSQL, health URLs) and write a configuration."""
    from defib import discovery

    if output.exists() and not force:
        raise _exists(output)
    found = asyncio.run(discovery.discover(os.environ)) if discover else discovery.bare()
    _write(output, discovery.render(found, os.environ), force=force)
    for line in discovery.summary(found):
        print(line)
    print()
    print(f"Wrote {output}.")
    print("Recovery is in dry-run mode: Defib tells what it would repair, and touches nothing.")
    print(f"To arm it, change 'mode: dry-run' into 'mode: auto' in {output}.")
    print(f"Next: {_command(output, 'serve')}")


def _write(output: Path, text: str, *, force: bool) -> None:
    """Write for the user and the group only: secrets may come into it later.

    :raises UsageError: it exists, and ``force`` does not say to replace it.
    """
    how = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if force else os.O_EXCL)
    try:
        descriptor = os.open(output, how, _MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, _MODE)
            file.write(text)
    except FileExistsError as error:
        raise _exists(output) from error
    except OSError as error:
        raise DefibError(f"{output} cannot be written: {error.strerror}; -o FILE writes elsewhere") from error


def _exists(output: Path) -> UsageError:
    return UsageError(f"{output} exists; --force replaces it, -o FILE writes elsewhere")


def _command(output: Path, command: str) -> str:
    """How to run ``command`` with what was written."""
    is_default = output == Path("defib.yaml")
    return f"defib {command}" if is_default else f"defib -c {shlex.quote(str(output))} {command}"
