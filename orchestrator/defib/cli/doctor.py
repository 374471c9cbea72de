"""``defib doctor``: is Defib itself well?"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from defib.cli.context import State, state_of
from defib.cli.words import count

if TYPE_CHECKING:
    from defib.engine.views.checkup import Finding


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    audit: Annotated[bool, typer.Option("--audit", help="The audit log only.")] = False,
) -> None:
    """Look over the configuration, the plugins and what is stored: 0 when all is well, 1 when not. Writes nothing."""
    state = state_of(context)
    findings = list(_findings(state, only_audit=audit))
    if state.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.is_well else 'BAD '} {finding.check}: {finding.detail}")
            for problem in finding.problems:
                print(f"       {problem}")
    if not all(finding.is_well for finding in findings):
        raise typer.Exit(1)


def _findings(state: State, *, only_audit: bool) -> Iterator["Finding"]:
    from defib import assembly
    from defib.engine.clock import SystemClock
    from defib.engine.views import checkup

    if not only_audit:
        settings, faults = state.settings, state.registry.faults
        detail = (
            f"{count(len(settings.monitors), 'monitor')} in {', '.join(str(file) for file in settings.files)}"
        )
        yield checkup.Finding(check="configuration", detail=detail)
        problems = tuple(f"{fault.origin} does not load: {fault.message}" for fault in faults)
        yield checkup.Finding(check="plugins", detail="loaded", problems=problems)
        if not assembly.has_store(settings):
            yield checkup.Finding(check="store", detail="there is none yet")
            return
    with assembly.stored(state.registry, state.settings) as (roster, reader):
        if only_audit:
            yield checkup.check_audit(reader)
        else:
            yield checkup.Finding(check="store", detail="it opens, and its schema is the present one")
            yield from checkup.check_store(reader, roster.detectors, SystemClock().now())
