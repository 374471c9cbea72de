"""Claims a kind that is taken."""

from defib.plugin import BuildContext, Family, MonitorType, Options, hookimpl


def create(options: Options, context: BuildContext) -> None:
    raise AssertionError("never created")


@hookimpl
def defib_monitors() -> list[MonitorType]:
    return [MonitorType(kind="http", summary="mine", family=Family.AGENT, options=Options, create=create)]
