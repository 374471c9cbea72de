"""``reports:`` – who is sent which numbers, and when."""

from collections.abc import Collection, Sequence

from defib.config.building import is_known
from defib.config.channels import check_channels, warn_of_tags
from defib.config.findings import Findings, nearest
from defib.config.nodes import Spot
from defib.config.schema import ReportKeys
from defib.config.validation import validate
from defib.config.values import check_name
from defib.model.settings import ReportSpec
from defib.registry import Registry

_LONGEST_NAME = 40  #: with a day and a language it is an id in the store and in addresses
_TAKEN = "report"  #: ids of the daily one begin with it


def read_reports(
    spot: Spot | None, timezone: str, channels: Sequence[str], tags: Collection[str], registry: Registry,
    findings: Findings,
) -> tuple[ReportSpec, ...]:  # fmt: skip
    """All reports without a mistake.

    :param tags: those of the monitors.
    """
    if spot is None:
        return ()
    if not spot.is_mapping:
        findings.mistake(spot, "must be a mapping; write each report as 'daily: {cron: …, channels: […]}'")
    found = (_report(child, timezone, channels, tags, registry, findings) for child in spot.children())
    return tuple(report for report in found if report is not None)


def _report(
    spot: Spot, timezone: str, channels: Sequence[str], tags: Collection[str], registry: Registry, findings: Findings
) -> ReportSpec | None:  # fmt: skip
    name = str(spot.path[-1])
    kind = _kind(spot, name, registry, findings)
    _check_name(spot, name, findings)
    keys = validate(ReportKeys, spot, findings)
    check_channels(spot.get("channels"), channels, findings)
    warn_of_tags(spot.get("tags"), tags, findings)
    if keys is None or kind is None:
        return None
    if not keys.channels:
        findings.warning(spot, "the report is sent nowhere; add 'channels'")
    return ReportSpec(
        name=name, kind=kind, cron=keys.cron, timezone=keys.timezone or timezone, channels=keys.channels,
        tags=frozenset(keys.tags), language=keys.language,
    )  # fmt: skip


def _kind(spot: Spot, name: str, registry: Registry, findings: Findings) -> str | None:
    """The report type: named, or the report's name; None where there is none such."""
    named = spot.get("type")
    kinds = registry.reports
    if named is None:
        if name in kinds or nearest(name, kinds.names()):
            return name if is_known(spot, name, kinds, registry, findings) else None
        if spot.is_mapping:
            known = ", ".join(kinds.names())
            findings.mistake(
                spot, f"a report named {name!r} needs a 'type', which says what it covers: {known}"
            )
        return None
    if named.text is None or not is_known(named, named.text, kinds, registry, findings):
        return None
    return named.text


def _check_name(spot: Spot, name: str, findings: Findings) -> None:
    try:
        check_name(name)
    except ValueError as error:
        findings.mistake(spot, str(error))
    if len(name) > _LONGEST_NAME:
        findings.mistake(spot, f"the name is longer than {_LONGEST_NAME} characters; shorten it")
    if name == _TAKEN:
        findings.mistake(
            spot, f"the name {name!r} is taken: ids of the daily one begin with it; write another one"
        )
