"""A heartbeat as the Healthchecks management API shows it: checks, pings and flips. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from defib.plugin import Beat, JobView, Signal, State, Transition
from defib_plugins.beat_memory import read
from defib_plugins.healthchecks_fields import DEFAULT_GRACE_S
from defib_plugins.heartbeat import HeartbeatOptions, due_at
from defib_plugins.ping_filter import meaning

_TYPES = {Signal.ALIVE: "success", Signal.FAIL: "fail", Signal.START: "start", Signal.LOG: "log", None: "ign"}


def instant(at: datetime | None) -> str | None:
    """UTC without fractions: ``2020-03-24T14:02:03+00:00``."""
    return None if at is None else at.astimezone(UTC).replace(microsecond=0).isoformat()


def unique_key(view: JobView) -> str:
    """Names a check to those who may only read, and does not let them ping."""
    return hashlib.sha1(view.uuid.replace("-", "")[:16].encode()).hexdigest()  # noqa: S324 - as clients work it out


def check(
    view: JobView, *, version: int, site: str, now: datetime, may_write: bool, badge: str = ""
) -> dict[str, Any]:
    """One check.

    :param site: the address of this server, without a slash at its end.
    :param badge: where its badge is on this server; "" for nowhere.
    """
    options, memory = _options(view), read(view.health.beats)
    grace = options.grace or timedelta(seconds=DEFAULT_GRACE_S)
    is_started = bool(memory.runs)
    next_ping = _next_ping(view)
    told = status(view, now)
    keywords = options.keywords
    found: dict[str, Any] = {
        "name": view.spec.name,
        "slug": view.spec.id,
        "tags": " ".join(sorted(view.spec.tags)),
        "desc": view.made.description if view.made else "",
        "grace": int(grace.total_seconds()),
        "n_pings": view.beats,
        "status": "started" if version == 1 and is_started and told != "down" else told,
        "started": is_started,
        "last_ping": instant(view.heard_at) if told != "new" else None,
        "next_ping": instant(next_ping),
        "manual_resume": options.manual_resume,
        "methods": "POST" if options.only_post else "",
        "subject": "",
        "subject_fail": "",
        "start_kw": ",".join(keywords.start) if keywords else "",
        "success_kw": ",".join(keywords.success) if keywords else "",
        "failure_kw": ",".join(keywords.failure) if keywords else "",
        "filter_subject": False,
        "filter_body": False,
        "filter_http_body": keywords is not None,
        "filter_default_fail": keywords is not None and keywords.otherwise == "fail",
    }
    if badge:
        found["badge_url"] = site + badge
    if memory.durations:
        found["last_duration"] = round(memory.durations[-1])
    if options.every is not None:
        found["timeout"] = int(options.every.total_seconds())
    elif schedule := options.cron or options.calendar:
        found |= {"schedule": schedule, "tz": options.timezone}
    if not may_write:
        return found | {"unique_key": unique_key(view)}
    update_url = f"{site}/api/v{version}/checks/{view.uuid}"
    return found | {
        "uuid": view.uuid,
        "ping_url": f"{site}/ping/{view.uuid}",
        "update_url": update_url,
        "pause_url": f"{update_url}/pause",
        "resume_url": f"{update_url}/resume",
        "channels": "",
    }


def _next_ping(view: JobView) -> datetime | None:
    """When the next ping is due; None while none is, and while a run lasts."""
    if view.health.deadline is None or read(view.health.beats).runs:
        return None
    return due_at(_options(view), view.health.beats)


def status(view: JobView, now: datetime) -> str:
    """``new``, ``up``, ``grace``, ``down`` or ``paused``."""
    match view.health.state:
        case State.NEW:
            return "new"
        case State.STOPPED | State.PAUSED:
            return "paused"
        case State.FAULT | State.UNREACHABLE:
            return "down"
        case State.SUSPECT:
            return "grace"
    next_ping = _next_ping(view)
    return "grace" if next_ping is not None and now >= next_ping else "up"


def ping(view: JobView, beat: Beat, number: int, *, version: int, site: str) -> dict[str, Any]:
    """One ping, as number ``number`` of those that are kept."""
    options = _options(view)
    meant = meaning(beat, options.keywords, only_post=options.only_post)
    kind = _TYPES[meant] if meant is not Signal.STOPPING else "log"
    body_url = f"{site}/api/v{version}/checks/{view.uuid}/pings/{number}/body"
    return {
        "type": "ign" if beat.facts.get("ignored") else kind,
        "date": beat.received_at.astimezone(UTC).isoformat(),
        "n": number,
        "scheme": "http",
        "remote_addr": "",
        "method": str(beat.facts.get("method", "")),
        "ua": str(beat.facts.get("user_agent", "")),
        "rid": beat.facts.get("rid"),
        "body_url": body_url if beat.body else None,
    }


def flips(changes: list[Transition]) -> list[dict[str, Any]]:
    """Changes between up and down."""
    found: list[dict[str, Any]] = []
    was_down: bool | None = None
    for item in changes:
        is_down = item.to_state.is_bad
        if was_down is None:
            was_down = item.from_state.is_bad if item.from_state is not State.NEW else None
        if is_down != was_down and (is_down or item.to_state is State.UP):
            found.append({"timestamp": instant(item.decided_at), "up": 0 if is_down else 1})
            was_down = is_down
    return found


def fits(view: JobView, wanted: Mapping[str, Any]) -> bool:
    """Whether a check has these values already."""
    options = _options(view)
    own = {
        "name": view.spec.name,
        "slug": view.spec.id,
        "tags": frozenset(view.spec.tags),
        "timeout": options.every.total_seconds() if options.every else None,
        "grace": options.grace.total_seconds() if options.grace else None,
    }
    return all(
        own[name] == (frozenset(value.split()) if name == "tags" else value) for name, value in wanted.items()
    )


def _options(view: JobView) -> HeartbeatOptions:
    assert isinstance(view.spec.options, HeartbeatOptions)
    return view.spec.options
