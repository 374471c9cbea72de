"""An incident as one line of time: what was seen, decided, done and told, each with its reason."""

from collections.abc import Iterator, Mapping
from typing import Any

from defib.engine.views.wording import STATE_WORDS
from defib.model.health import State
from defib.web.words import seconds_between

Moment = dict[str, Any]

LATE_S = 10.0  #: after its alert: a delivery that is worth a line of its own
_OUTCOMES = {
    "verified": ("It helped", "up"),
    "unknown": ("What became of it is not known", "degraded"),
}


def of_incident(story: Mapping[str, Any]) -> list[Moment]:
    """Everything that happened, oldest first: at, icon, state, title, note.

    :param story: as :meth:`defib.engine.views.read_model.Views.explain` makes it.
    """
    return sorted(_moments(story), key=lambda moment: str(moment["at"]))


def _moments(story: Mapping[str, Any]) -> Iterator[Moment]:
    yield _moment(story["fault_at"], "suspect", "It began to fail", f"{story['summary']}; or shortly before")
    for change in story["transitions"]:
        yield _moment(change["decided_at"], change["to"], STATE_WORDS[State(change["to"])], change["reason"])
    for attempt in story["attempts"]:
        yield from _attempt(attempt)
    for case in story["cases"]:
        if case["closed_at"] and case["state"] == "needs-human":
            yield _moment(case["closed_at"], "fault", "Recovery was given up", case["reason"], icon="heal")
    if story["acked_at"]:
        yield _moment(
            story["acked_at"], "watch", f"{story['acked_by']} sees to it", story["ack_note"], icon="watch"
        )
    for alert in story["alerts"]:
        yield _moment(alert["at"], "new", f"Alert: {alert['title']}", why(alert), icon="info")
        for delivery in alert["deliveries"]:
            if delivery["accepted_at"] and seconds_between(alert["at"], delivery["accepted_at"]) > LATE_S:
                title = f"{delivery['channel']} took it late"
                yield _moment(delivery["accepted_at"], "degraded", title, alert["title"], icon="info")
    if story["closed_at"]:
        yield _moment(story["closed_at"], "up", "It was over", story["resolution"])


def _attempt(attempt: Mapping[str, Any]) -> Iterator[Moment]:
    outcome, action, detail = attempt["outcome"], attempt["action"], attempt["detail"]
    by = "Defib" if attempt["actor"] == "auto" else attempt["actor"]
    if outcome == "dry-run":
        yield _moment(attempt["intent_at"], "watch", f"Dry run of {action}", "nothing was done", icon="heal")
        return
    if outcome == "refused":
        yield _moment(attempt["intent_at"], "fault", f"Refused to run {action}", detail, icon="heal")
        return
    number = f"attempt {attempt['number']}"
    yield _moment(attempt["intent_at"], "watch", f"{by} ran {action}", number, icon="heal")
    if ended := attempt["verified_at"] or attempt["ended_at"]:
        title, state = _OUTCOMES.get(outcome, (f"It did not help: {outcome}", "fault"))
        yield _moment(ended, state, title, detail, icon="heal")


def _moment(at: str, state: str, title: str, note: str, *, icon: str = "") -> Moment:
    return {"at": at, "icon": icon or state, "state": state, "title": title, "note": note}


def why(alert: Mapping[str, Any]) -> str:
    """Why an alert was told, or why not, in one line."""
    for verdict in alert["verdicts"][-1:]:
        if verdict["ruling"] != "passed":
            word = "Held back" if verdict["ruling"] == "held" else "Not told"
            return f"{word}: {verdict['reason']}"
    if not alert["deliveries"]:
        return "Not told: no route takes it"
    channels = ", ".join(dict.fromkeys(item["channel"] for item in alert["deliveries"]))
    is_through = all(item["state"] == "delivered" for item in alert["deliveries"])
    return f"{'Told through' if is_through else 'Goes to'} {channels}"
