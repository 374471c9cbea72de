"""Who reports by itself, and the keys for it."""

from typing import Literal

from pydantic import AwareDatetime, Field

from defib.model.agent import AgentStatus, Scope
from defib.web.answers.base import Answer, Scalar


class AgentTask(Answer):
    """Something that an agent works on."""

    id: str
    kind: str
    workspace: str
    started_at: str = Field(description="As the agent wrote it.")


class Agent(Answer):
    """A registered agent, how it stands, and what it reported last."""

    id: str = Field(description="As it calls itself.")
    monitor: str = Field(description="The monitor that watches it.")
    name: str
    pool: str
    tags: list[str]
    hostname: str
    address: str
    os: str
    version: str
    protocol: str
    facts: dict[str, Scalar] = Field(description="Of its host: cpu_name, mem_total_bytes.")
    aliases: list[str] = Field(description="Other ids that it beats under.")
    every_s: float | None = Field(description="Seconds between two beats, in its own words.")
    registered_at: AwareDatetime
    kept_out_at: AwareDatetime | None = Field(
        description="When an operator shut it out: it neither reports nor registers; null: it is let in."
    )
    status: AgentStatus
    word: str = Field(description="The status as people read it.")
    says: str = Field(description="Its own word: running, busy, idle.")
    aside: Literal["", "maintenance", "paused"] = Field(
        description="Why its monitor judges nothing now; its status goes on by the age of its beats."
    )
    connected: bool = Field(description="Over a WebSocket or a socket that it holds open.")
    last_seen: AwareDatetime | None = Field(description="Its newest beat.")
    reported_at: AwareDatetime | None = Field(
        description="When what follows came; null when that is more than five minutes ago."
    )
    metrics: dict[str, float | None]
    disks: dict[str, float | None] = Field(description="Partition to percent used.")
    disk_percent: float | None = Field(description="Of the fullest partition.")
    tasks: list[AgentTask]
    hour_since: AwareDatetime | None = Field(
        description="When Defib started, if that is less than an hour ago: what follows goes no further back."
    )
    cpu_hour: list[float | None] = Field(
        description="CPU in percent, the mean of each of the last 60 minutes; empty when there is none."
    )
    memory_hour: list[float | None]


class AgentPage(Answer):
    """Part of the agents, those that need attention first."""

    items: list[Agent]
    total: int
    limit: int
    offset: int


class AgentRemoved(Answer):
    """An agent was removed, and its monitor with it."""

    id: str
    monitor: str


class Pool(Answer):
    """Agents that belong together."""

    name: str
    agents: int
    counts: dict[str, int] = Field(description="How many have which status.")


class Pools(Answer):
    """Every pool that has agents, by name."""

    items: list[Pool]
    total: int


class Token(Answer):
    """A token that was given out, without its secret."""

    id: str
    root: str = Field(
        description="Id of the first token in whose place it was made; its own for a first one."
    )
    name: str
    scope: Scope
    agent: str | None = Field(description="The only agent it may report for; null: for those it brought in.")
    good: bool = Field(description="Neither revoked nor expired.")
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class Tokens(Answer):
    """Every token that was given out, newest first."""

    items: list[Token]
    total: int


class TokenMade(Answer):
    """A new token."""

    token: Token
    text: str = Field(description="What to show as Authorization: Bearer; it is never answered again.")
