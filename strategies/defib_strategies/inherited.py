"""What a rung takes over from its monitor, so that users need not write it twice."""

from defib.plugin import MonitorSpec, Secret


def inherited(monitor: MonitorSpec, name: str) -> str | None:
    """The monitor's own option ``name`` as text, revealed if it is secret; None where it has none."""
    value = getattr(monitor.options, name, None)
    if isinstance(value, Secret):
        value = value.get_secret_value()
    return value if isinstance(value, str) and value else None
