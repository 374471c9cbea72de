"""What a monitor's failure means when something it requires is not well.

A monitor requires all of some monitors, and any of a group of redundant ones. The root cause of a failure
is the monitor at fault behind it that has no monitor at fault behind itself.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.evidence import Outcome
from defib.model.health import Health, State
from defib.model.ids import MonitorId
from defib.model.monitor import MonitorSpec
from defib.rules.status import Parents

SETTLE = timedelta(seconds=30)
"""After what it requires has come back, a monitor gets this long to follow before it is a fault of its own."""
VERDICT_WAIT = timedelta(seconds=12)
"""How long a fault waits for a look at what it requires that began after it did."""
ACT_SETTLE = timedelta(seconds=15)
"""Recovery waits until what a monitor requires has been well for this long."""

_WELL = frozenset({State.UP, State.WATCH, State.DEGRADED})


def parents_of(spec: MonitorSpec, health: Callable[[MonitorId], Health | None], now: datetime) -> Parents:
    """What is known of the monitors that ``spec`` requires; those that are not configured count for nothing."""
    required = _known(spec.requires, health)
    group = _known(spec.requires_any, health)
    own = health(spec.id)
    bad = [name for name, parent in required.items() if _is_bad(parent)]
    suspect = [name for name, parent in required.items() if _is_doubtful(parent, own, now)]
    if group and not any(parent.state in _WELL for parent in group.values()):
        if all(_is_bad(parent) for parent in group.values()):
            bad += group
        suspect += [name for name, parent in group.items() if _is_doubtful(parent, own, now)]
    return Parents(
        bad=tuple(bad), suspect=tuple(suspect), hold=_settling(spec, required | group, health, now)
    )


def _is_bad(parent: Health) -> bool:
    """At fault or unreachable; or not well while it is in maintenance, where nobody calls that a fault."""
    if parent.state is State.MAINTENANCE:
        return parent.last is not None and parent.last.evidence.outcome is Outcome.FAIL
    return parent.state.is_bad


def _is_doubtful(parent: Health, own: Health | None, now: datetime) -> bool:
    """Whether the verdict on a parent is still to come: it is suspect, or was not looked at since ``own`` fails.

    Bounded: a parent that cannot be looked at for :data:`VERDICT_WAIT` is taken for what it was.
    """
    if parent.state is State.SUSPECT:
        return True
    if parent.state is State.NEW and parent.was_up:  # it was set aside, and is looked at afresh
        return now - parent.since < VERDICT_WAIT
    if own is None or own.first_fail_at is None or parent.state not in _WELL or parent.deadline is not None:
        return False
    is_stale = parent.last is None or parent.last.started_at < own.first_fail_at
    return is_stale and now - own.first_fail_at < VERDICT_WAIT


def _settling(
    spec: MonitorSpec, parents: Mapping[MonitorId, Health], health: Callable[[MonitorId], Health | None], now: datetime
) -> str:  # fmt: skip
    own = health(spec.id)
    if own is None or own.state is not State.UNREACHABLE:
        return ""
    back = [name for name, parent in parents.items() if parent.state in _WELL and now - parent.since < SETTLE]
    return f"{', '.join(sorted(back))} has just come back; giving it time to follow" if back else ""


def waiting_for(
    spec: MonitorSpec, health: Callable[[MonitorId], Health | None], now: datetime
) -> tuple[MonitorId, ...]:
    """The required monitors that recovery has to wait for: not up, or up for too short a time."""

    def is_ready(parent: Health) -> bool:
        return parent.state is State.UP and now - parent.since >= ACT_SETTLE

    waiting = [name for name, parent in _known(spec.requires, health).items() if not is_ready(parent)]
    group = _known(spec.requires_any, health)
    if group and not any(is_ready(parent) for parent in group.values()):
        waiting += group
    return tuple(waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """What a monitor stands on and carries, and what it requires by configuration."""

    requires: tuple[MonitorId, ...] = ()  #: redundant ones included
    stands_on: frozenset[str] = frozenset()
    carries: frozenset[str] = frozenset()


def implied(footings: Mapping[MonitorId, Footing]) -> dict[MonitorId, tuple[MonitorId, ...]]:
    """What each monitor requires beyond what is configured: those that carry what it stands on.

    Never a circle: who is required by something, directly or not, does not require it.
    """
    found = {name: footing.requires for name, footing in footings.items()}
    places = {name: place for place, name in enumerate(footings)}
    carriers: dict[str, list[MonitorId]] = defaultdict(list)
    for name, footing in footings.items():
        for thing in footing.carries:
            carriers[thing].append(name)
    for name, footing in footings.items():
        under = {other for thing in footing.stands_on for other in carriers.get(thing, ())}
        for other in sorted(under, key=places.__getitem__):
            if other == name or other in found[name]:
                continue
            if not _leads_to(other, name, found):
                found[name] = (*found[name], other)
    return {name: requires[len(footings[name].requires) :] for name, requires in found.items()}


def _leads_to(start: MonitorId, goal: MonitorId, requires: Mapping[MonitorId, tuple[MonitorId, ...]]) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        for name in requires.get(waiting.pop(), ()):
            if name == goal:
                return True
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return False


def root_cause(
    monitor: MonitorId,
    requires: Callable[[MonitorId], tuple[MonitorId, ...]],
    state: Callable[[MonitorId], State | None],
) -> MonitorId | None:
    """The monitor at fault, behind ``monitor``, that has none at fault behind itself; None when there is none.

    :param requires: everything a monitor requires directly, redundant ones included. Without cycles.
    """
    for parent in requires(monitor):
        if (deeper := root_cause(parent, requires, state)) is not None:
            return deeper
        if state(parent) is State.FAULT:
            return parent
    return None


def _known(
    names: tuple[MonitorId, ...], health: Callable[[MonitorId], Health | None]
) -> dict[MonitorId, Health]:
    found = ((name, health(name)) for name in names)
    return {name: parent for name, parent in found if parent is not None}
