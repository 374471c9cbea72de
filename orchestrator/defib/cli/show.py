"""Commands that read: ``validate``, ``status``, ``explain``, ``recoveries``, ``plugins``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from defib.cli import daemon, words
from defib.cli.context import State, state_of
from defib.errors import ConfigError, UsageError

_MOST_RECOVERIES = 1000  #: that are looked through for those of one monitor


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("validate")(validate)
    app.command("status")(status)
    app.command("explain")(explain)
    app.command("recoveries")(recoveries)
    app.command("plugins")(plugins)


@contextmanager
def reading(state: State) -> Iterator[tuple[Any, Any, Any]]:
    """Three questions: ``overview()``, ``monitor(id)`` and ``incident(id)``, answered by the daemon or the store."""
    from defib import assembly
    from defib.model.ids import IncidentId, MonitorId

    running = daemon.find(state.settings)
    if running is not None:
        yield (
            lambda: running.get("/api/v1/overview"),
            lambda monitor: running.get(f"/api/v1/monitors/{monitor}"),
            lambda incident: running.get(f"/api/v1/incidents/{incident}"),
        )
        return
    with assembly.stored_views(state.registry, state.settings) as (views, _, _):
        yield (
            views.overview,
            lambda monitor: views.monitor(MonitorId(monitor)),
            lambda incident: views.explain(IncidentId(incident)),
        )


def validate(context: typer.Context) -> None:
    """Check the configuration: 0 when it is valid, 2 when not; prints every mistake."""
    state = state_of(context)
    try:
        settings = state.settings
    except ConfigError as error:
        if state.json:
            print(json.dumps({"valid": False, "mistakes": [asdict(mistake) for mistake in error.mistakes]}))
            raise typer.Exit(2) from error
        raise
    if state.json:
        print(json.dumps({"valid": True, "files": [str(file) for file in settings.files],
                          "monitors": len(settings.monitors), "warnings": list(settings.warnings)}))  # fmt: skip
        return
    for warning in settings.warnings:
        print(f"note: {warning}")
    counted = [
        words.count(len(settings.monitors), "monitor"),
        words.count(len(settings.channels), "channel"),
        words.count(len(settings.reports), "report"),
    ]
    print(f"{', '.join(str(file) for file in settings.files)}: valid; {', '.join(counted)}")


def status(
    context: typer.Context, monitor: Annotated[str | None, typer.Argument(metavar="[ID]")] = None
) -> None:
    """How everything is, or how one monitor is."""
    state = state_of(context)
    with reading(state) as (overview, one, _):
        found = overview() if monitor is None else one(monitor)
        if found is None:
            raise UsageError(f"there is no monitor {monitor!r}; 'defib status' lists them")
    if state.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif monitor is None:
        words.print_overview(found)
    else:
        words.print_monitor(found, state.settings.timezone)


def explain(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="ID", help="A monitor or an incident.")],
) -> None:
    """Why a monitor is in its state, what was decided, done and told; or the story of one incident."""
    state = state_of(context)
    known = {str(monitor.id) for monitor in state.settings.monitors}
    with reading(state) as (overview, one, incident):
        if subject not in known:  # some are made through the API, or for agents
            known = {item["id"] for item in overview()["monitors"]}
        found = one(subject) if subject in known else incident(subject)
        if found is None:
            raise UsageError(f"there is no monitor or incident {subject!r}; 'defib status' lists them")
    if state.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif subject in known:
        words.print_monitor(found, state.settings.timezone, story=True)
    else:
        words.print_incident(found, state.settings.timezone)


def recoveries(
    context: typer.Context,
    monitor: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many.")
    ] = 20,
) -> None:
    """What Defib repairs now, and what became of earlier recoveries, newest first: of ID, or of all monitors."""
    from defib import assembly

    state = state_of(context)
    if monitor is not None and monitor not in {spec.id for spec in state.settings.monitors}:
        raise UsageError(f"there is no monitor {monitor!r}; 'defib status' lists them")
    newest = limit if monitor is None else _MOST_RECOVERIES
    running = daemon.find(state.settings)
    if running is not None:
        found = running.get(f"/api/v1/recoveries?limit={newest}")["items"]
    elif assembly.has_store(state.settings):
        with assembly.stored_views(state.registry, state.settings) as (views, _, _):
            found = views.recoveries(newest)
    else:
        found = []
    found = [case for case in found if monitor in (None, case["monitor"])][:limit]
    if state.json:
        print(json.dumps({"recoveries": found}, indent=2, ensure_ascii=False))
    else:
        words.print_recoveries(found, state.settings.timezone)


def plugins(context: typer.Context) -> None:
    """Everything the installed plugins offer, and those that do not load."""
    from defib import registry

    state = state_of(context)
    found = registry.load()
    offers = [
        {"noun": kinds.noun, "kind": kind, "summary": getattr(kinds[kind], "summary", ""),
         "plugin": kinds.origins[kind].plugin, "distribution": kinds.origins[kind].distribution,
         "version": kinds.origins[kind].version}
        for kinds in found.families() for kind in kinds.names()
    ]  # fmt: skip
    faults = [
        {"plugin": fault.origin.plugin, "distribution": fault.origin.distribution, "message": fault.message}
        for fault in found.faults
    ]
    if state.json:
        print(json.dumps({"offers": offers, "faults": faults}, indent=2))
    else:
        words.print_plugins(offers, faults)
    if faults:
        raise typer.Exit(1)
