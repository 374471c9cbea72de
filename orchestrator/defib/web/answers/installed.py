"""Reports, plugins, the daemon itself."""

from pydantic import AwareDatetime, Field

from defib.web.answers.base import Answer


class ReportTitle(Answer):
    """A stored report."""

    id: str
    name: str = Field(description="Of the report in the configuration, such as daily.")
    subject: str
    start: AwareDatetime = Field(description="Of what it covers.")
    end: AwareDatetime = Field(description="Of what it covers, exclusive.")
    generated_at: AwareDatetime


class ReportTitles(Answer):
    """The newest stored reports."""

    items: list[ReportTitle]
    total: int


class ReportMade(Answer):
    """A report was made and stored."""

    id: str
    subject: str
    channels: list[str] = Field(description="Where it is being sent.")


class Offer(Answer):
    noun: str
    kind: str
    summary: str
    plugin: str
    distribution: str
    version: str


class PluginFault(Answer):
    plugin: str
    distribution: str
    message: str


class Plugins(Answer):
    """What the plugins offer, and those that do not load."""

    offers: list[Offer]
    faults: list[PluginFault]


class Reloaded(Answer):
    """The configuration that is in force now."""

    monitors: int
    warnings: list[str]


class LoginLink(Answer):
    """Logs one browser in, once, within a day."""

    url: str
