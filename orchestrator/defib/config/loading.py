"""The whole way from a path to :class:`~defib.model.settings.Settings`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from defib.config import (
    channels,
    locations,
    maintenance,
    monitors,
    recovery,
    references,
    reports,
    requirements,
    routes,
    sources,
    strategies,
)
from defib.config.findings import Findings, remedy
from defib.config.nodes import Scalar, Spot
from defib.config.route_keys import TellingKeys
from defib.config.schema import DefaultsKeys, RootKeys
from defib.config.validation import validate
from defib.model.monitor import RecoveryPolicy
from defib.model.settings import Settings
from defib.model.strategy import Strategy
from defib.ports import BuildContext
from defib.registry import Registry

SECTIONS = ("defaults", "strategies", "monitors", "channels", "routes", "inhibit", "reports", "maintenance")
"""Keys at the top that have a reader of their own; the plain ones are in :class:`RootKeys`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Defaults:
    """``defaults:``, read."""

    strategy: str
    recovery: RecoveryPolicy
    script_folders: tuple[Path, ...]
    telling: TellingKeys
    is_sound: bool  #: without mistakes


def load(path: Path, registry: Registry, environ: Mapping[str, str]) -> Settings:
    """See :func:`defib.config.load`."""
    findings = Findings()
    base = locations.base_of(path)
    files = sources.files_of(path)
    root = references.resolve(sources.gather(path, files, findings), base, environ, findings)

    plain = root.only(lambda key: key not in SECTIONS)
    keys = validate(RootKeys, _without_empty(plain), findings, beside=SECTIONS) or RootKeys()
    named = strategies.read(_mapping(root, "strategies", findings), registry, findings)
    defaults = _defaults(root, named, base, findings)
    context = BuildContext(base=base, script_folders=defaults.script_folders)
    around = monitors.Surroundings(
        registry=registry,
        strategies=named,
        strategy=defaults.strategy,
        recovery=defaults.recovery,
        context=context if defaults.is_sound else None,
    )
    specs = monitors.read(root.get("monitors"), around, findings)
    channel_names = list(below.keys()) if (below := root.get("channels")) is not None else []
    channel_specs = channels.read_channels(root.get("channels"), registry, context, findings)
    written = requirements.written_ids(root.get("monitors"))
    tags = frozenset(tag for spec in specs for tag in spec.tags)
    who = routes.read_routes(
        root.get("routes"), channel_names, written, tags, findings, keys.timezone, defaults.telling
    )
    inhibit = routes.read_inhibit(root.get("inhibit"), written, tags, findings)
    report_specs = reports.read_reports(
        root.get("reports"),
        keys.timezone,
        channel_names,
        frozenset(tag for spec in specs for tag in spec.tags),
        registry,
        findings,
    )
    planned = maintenance.read_maintenance(
        root.get("maintenance"),
        keys.timezone,
        requirements.written_ids(root.get("monitors")),
        frozenset(tag for spec in specs for tag in spec.tags),
        findings,
    )
    findings.raise_mistakes()
    if not specs:
        findings.warning(root, "there is no monitor yet, so nothing is watched; add one below 'monitors:'")
    return Settings(
        base=base,
        files=files,
        timezone=keys.timezone,
        store=locations.store_url(keys.store, base),
        server=keys.server.settings(base),
        strategy=defaults.strategy,
        strategies=named,
        recovery_mode=defaults.recovery.mode,
        recovery_limits=keys.recovery.settings(),
        script_folders=defaults.script_folders,
        monitors=specs,
        channels=channel_specs,
        routes=who,
        inhibit=inhibit,
        ack_timeout=routes.span(defaults.telling.ack_timeout),
        reports=report_specs,
        maintenance=planned,
        retention=keys.retention.settings(),
        observer=keys.observer.settings(),
        warnings=findings.warnings(),
    )


def _without_empty(spot: Spot) -> Spot:
    """Sections with nothing below them count as absent: their content is often just commented out."""
    empty = {str(child.path[-1]) for child in spot.children() if child.is_empty}
    return spot.only(lambda key: key not in empty)


def _mapping(root: Spot, key: str, findings: Findings) -> Spot | None:
    """A section that must be a mapping."""
    spot = root.get(key)
    if spot is not None and not spot.is_mapping:
        findings.mistake(spot, "must be a mapping; write lines of 'name: …' below it")
        return None
    return spot


def _defaults(root: Spot, named: Mapping[str, Strategy], base: Path, findings: Findings) -> _Defaults:
    spot = root.get("defaults") or Spot(Scalar(None, root.place, ""), ("defaults",), root.place)
    policy = recovery.read_defaults(spot.get("recovery"), findings)
    own = _without_empty(spot.only(lambda key: key != "recovery"))
    keys = validate(DefaultsKeys, own, findings, beside=("recovery",))
    known = keys or DefaultsKeys()
    place = spot.get("strategy")
    name = (place.text if place is not None else None) or known.strategy
    if name not in named:
        advice = remedy(name, named, plural="strategies")
        findings.mistake(place or spot, f"unknown strategy {name!r}; {advice}")
    folders = locations.script_folders(spot.get("recovery_scripts"), known.recovery_scripts, base, findings)
    return _Defaults(
        strategy=name, recovery=policy, script_folders=folders, telling=known, is_sound=keys is not None
    )
