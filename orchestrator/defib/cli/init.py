"""``defib init``: look at this machine and write a configuration."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from defib.errors import DefibError, UsageError


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
        raise UsageError(f"{output} exists; --force replaces it, -o FILE writes elsewhere")
    findings = asyncio.run(discovery.discover(os.environ)) if discover else discovery.bare()
    text = discovery.render(findings, os.environ)
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)  # it may hold secrets later
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DefibError(f"{output}: {error.strerror}") from error
    for line in discovery.summary(findings):
        print(line)
    print(f"Wrote {output}. Recovery is in dry-run mode: Defib says what it would do, and does nothing.")
    print(f"To arm it, set 'mode: auto' under 'defaults: recovery:'. Next: defib -c {output} serve")
