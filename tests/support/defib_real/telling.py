"""What a real Defib declared, beside the truth about its targets: the stories that the simulation tells, too."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from defib.model.alert import AlertKind
from defib.model.health import State
from defib_sim.modes import Truth
from defib_sim.stories import Fault, Note, Story
from defib_testkit.company import Company
from defib_testkit.webhook_sink import WebhookSink

Span = tuple[float, float | None]
"""From when until when a target was broken, in seconds of CLOCK_MONOTONIC; None: to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One alert that reached the webhook."""

    kind: str
    monitor: str | None  #: None: about Defib itself
    title: str
    decided: float
    told: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What one daemon left in its store and at the webhook; instants in seconds of CLOCK_MONOTONIC."""

    transitions: dict[str, list[tuple[State, float, float]]]  #: to, not before, decided; by monitor
    attempts: dict[str, list[tuple[float, float]]]  #: began, ended; by monitor
    notices: tuple[Notice, ...]
    errors: tuple[str, ...]  #: that the daemon logged

    @property
    def own_notices(self) -> list[Notice]:
        """About Defib itself."""
        return [item for item in self.notices if item.monitor is None]

    def notices_of(self, monitor: str) -> Iterable[Notice]:
        return (item for item in self.notices if item.monitor == monitor)


def read(company: Company, sink: WebhookSink, *, offset: float) -> Records:
    """Everything so far.

    :param offset: wall clock minus monotonic clock, in seconds.
    """
    transitions: dict[str, list[tuple[State, float, float]]] = {}
    rows = company.rows("SELECT monitor, to_state, t_lo, decided_at FROM transition ORDER BY id")
    for monitor, state, t_lo, decided in rows:
        entry = State(state), t_lo / 1e6 - offset, decided / 1e6 - offset
        transitions.setdefault(monitor, []).append(entry)
    attempts: dict[str, list[tuple[float, float]]] = {}
    rows = company.rows(
        "SELECT monitor, coalesce(started_at, intent_at), ended_at FROM attempt ORDER BY intent_at"
    )
    for monitor, began, ended in rows:
        span = began / 1e6 - offset, (ended or began) / 1e6 - offset
        attempts.setdefault(monitor, []).append(span)
    return Records(
        transitions=transitions, attempts=attempts, notices=tuple(_notices(sink, offset)),
        errors=tuple(_errors(company)),
    )  # fmt: skip


def _notices(sink: WebhookSink, offset: float) -> Iterable[Notice]:
    seen: set[str] = set()
    for request in sink.requests:
        if request.method != "POST":  # somebody else looked what is on this port
            continue
        event: dict[str, Any] = request.json()
        if (
            event["type"] != "defib.alert" or event["id"] in seen
        ):  # a second try of one notice is no second one
            continue
        seen.add(event["id"])
        data = event["data"]
        yield Notice(
            kind=data["facts"]["event"], monitor=data["monitor"], title=data["title"], told=request.at,
            decided=_seconds(event["time"]) - offset,
        )  # fmt: skip


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def _errors(company: Company) -> Iterable[str]:
    for line in company.log.read_text(errors="replace").splitlines():
        if line.startswith("Traceback"):
            yield line
        elif line.startswith("{") and (entry := json.loads(line))["level"] in ("error", "critical"):
            yield f"{entry['event']}: {entry.get('error', '')}"


def tell(
    monitor: str, role: str, episode: int, spans: Sequence[Span], records: Records, began: float, until: float
) -> Story:
    """One target's life beside what was declared about it.

    :param began: of the watching.
    :param until: its end.
    """
    seen = records.transitions.get(monitor, [])
    alarms = [(lo, decided) for state, lo, decided in seen if state is State.FAULT]
    attempts = records.attempts.get(monitor, [])
    faults = []
    for start, end in spans:
        upto = until if end is None else end
        found = [decided for _, decided in alarms if start <= decided <= upto]
        restarts = sum(start <= at <= upto for at, _ in attempts)
        faults.append(Fault(began=start, ended=end, found=min(found, default=None), restarts=restarts))
    return Story(
        role=role,
        episode=episode,
        watched_s=until - began,
        faults=tuple(faults),
        alarms=tuple(_truth(spans, lo, decided) for lo, decided in alarms),
        restarts=tuple((at, ended, _truth(spans, at, at)) for at, ended in attempts),
        notes=tuple(
            Note(event=AlertKind(item.kind), decided=item.decided, told=item.told)
            for item in records.notices_of(monitor)
        ),
        states=tuple(state for state, _, _ in seen),
    )


def _truth(spans: Sequence[Span], since: float, until: float) -> Truth:
    broken = any(start <= until and (end is None or end >= since) for start, end in spans)
    return Truth.FAULT if broken else Truth.WELL
