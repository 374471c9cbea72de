"""Everything at once."""

from pydantic import AwareDatetime, Field

from defib.model.health import State
from defib.web.answers.alerts import AlertWithDeliveries
from defib.web.answers.base import Answer
from defib.web.answers.incidents import OpenIncident
from defib.web.answers.monitors import Monitor


class StateCount(Answer):
    """How many monitors are in a state."""

    state: State
    word: str
    count: int


class Trouble(Answer):
    """Something wrong with Defib itself."""

    what: str = Field(description="plugin, configuration, store, report, observer, dead-man or channel.")
    message: str


class Overview(Answer):
    """Everything the first page shows."""

    version: str
    generated_at: AwareDatetime
    started_at: AwareDatetime | None
    timezone: str
    strategy: str
    strategies: list[str]
    state: State = Field(description="The worst one.")
    headline: str
    tone: str = Field(description="ok, warn, bad or idle.")
    counts: dict[str, int]
    states: list[StateCount] = Field(description="Every state, those that need attention first.")
    monitors: list[Monitor] = Field(description="Those that need attention first.")
    incidents: list[OpenIncident]
    alerts: list[AlertWithDeliveries] = Field(description="The newest ones.")
    problems: list[Trouble]
