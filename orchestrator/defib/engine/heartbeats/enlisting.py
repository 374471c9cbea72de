"""Monitors beside those of the configuration: made through an API, or for agents that registered."""

from collections.abc import Iterable
from dataclasses import replace

from defib.config.made import read_made
from defib.engine.roster import Roster
from defib.errors import ConfigError
from defib.logs import get_logger
from defib.model.agent import Agent
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MadeMonitor, MonitorSpec
from defib.registry import Registry
from defib.store import Reader

log = get_logger("defib.enlisting")

AGENT = "agent"  #: the monitor type that watches agents


def is_configured(monitor: MonitorId, roster: Roster) -> bool:
    """Whether the configuration has a monitor of this id, which then takes the place of any other."""
    return any(spec.id == monitor for spec in roster.settings.monitors)


def made_spec(made: MadeMonitor, roster: Roster) -> MonitorSpec:
    """What is to be watched for a monitor that was made.

    :raises ConfigError: its definition is not what its type takes.
    """
    entry = {"id": made.id, "type": made.kind, "name": made.name, "tags": list(made.tags)}
    return read_made(
        {**made.settings, **made.options, **entry}, roster.settings, roster.registry, roster.context
    )


def enlist_made(roster: Roster, every: Iterable[MadeMonitor]) -> None:
    """Watch every made monitor, those apart whose place the configuration has taken."""
    specs = []
    for made in every:
        if is_configured(made.id, roster):
            continue
        try:
            specs.append(made_spec(made, roster))
            roster.enlist(specs[-1])
        except (ConfigError, ValueError) as error:  # a version before this one took it
            log.error("made monitor is not watched", monitor=made.id, error=str(error))
    for spec in specs:
        if spec.id in roster.monitors:
            roster.monitors[spec.id].spec = without_missing(spec, roster)
    if specs:
        roster.settle()


def without_missing(spec: MonitorSpec, roster: Roster) -> MonitorSpec:
    """``spec``, requiring only what there is: what it was made for may have left the configuration."""
    return replace(
        spec,
        requires=tuple(name for name in spec.requires if name in roster.monitors),
        requires_any=tuple(name for name in spec.requires_any if name in roster.monitors),
    )


def agent_spec(agent: Agent, registry: Registry) -> MonitorSpec:
    """What is to be watched for an agent that has no monitor in the configuration."""
    spans = {"every": agent.every, "offline_after": agent.offline_after}
    given = {name: span for name, span in spans.items() if span is not None}
    return MonitorSpec(
        id=agent.monitor, name=agent.name, kind=AGENT, family=Family.AGENT, tags=frozenset(agent.tags),
        options=registry.monitors[AGENT].options.model_validate({"agent_id": agent.id, **given}),
    )  # fmt: skip


def configured_for(agent: Agent, roster: Roster) -> MonitorId | None:
    """The monitor of type ``agent`` in the configuration that names an agent's id."""
    found = roster.find_agent(agent.id)
    is_one = found is not None and found != agent.monitor and roster.monitors[found].spec.kind == AGENT
    return found if is_one else None


def enlist_stored(roster: Roster, reader: Reader) -> None:
    """Watch in ``roster`` whatever the store knows beside the configuration, while no engine runs."""
    enlist_made(roster, reader.made_monitors())
    for agent in reader.agents():
        if configured_for(agent, roster) is None and agent.monitor not in roster.monitors:
            roster.enlist(agent_spec(agent, roster.registry))
