"""The title and the sentences of each kind of alert. Pure."""

from collections.abc import Iterator, Mapping

from defib.plugin import N_, AlertFacts, AlertKind, Hold, Said
from defib_alerts.causes import CauseAdvice, Trouble
from defib_alerts.kinds import BAD_STATES
from defib_alerts.wording import Voice, clause, one_line, sentence

TITLES: Mapping[AlertKind, str] = {
    AlertKind.DOWN: N_("{name} is down"),
    AlertKind.DEGRADED: N_("{name} is degraded"),
    AlertKind.RECOVERED: N_("{name} has recovered"),
    AlertKind.FLAPPING: N_("{name} goes up and down"),
    AlertKind.STILL_FLAPPING: N_("{name} still goes up and down"),
    AlertKind.SETTLED: N_("{name} goes up and down no more: {state}"),
    AlertKind.STOPPED: N_("{name} was stopped"),
    AlertKind.STARTED: N_("{name} is no longer stopped"),
    AlertKind.RELAPSED: N_("{name} fell again"),
    AlertKind.CRASH_LOOPING: N_("{name} is crash-looping"),
    AlertKind.RECOVERY_LATE: N_("{name} is still failing and needs you"),
    AlertKind.RECOVERY_BLOCKED: N_("{name} needs you: recovery is held back"),
    AlertKind.RECOVERY_FAILED: N_("{name} needs a human"),
    AlertKind.REMINDER: N_("Still open: {title}"),
    AlertKind.ESCALATED: N_("Nobody has taken it on: {title}"),
    AlertKind.ACKNOWLEDGED: N_("{actor} has taken on {name}"),
    AlertKind.UNACKNOWLEDGED: N_("Nobody sees to {name} any more"),
    AlertKind.SET_ASIDE: N_("{name} is in maintenance now"),
    AlertKind.UNWATCHED: N_("{name} is no longer watched"),
    AlertKind.OBSERVER_SICK: N_("Defib itself is not well"),
    AlertKind.OBSERVER_WELL: N_("Defib itself is well again"),
    AlertKind.DIGEST: N_("Several alerts at once"),
    AlertKind.CHANNEL_BROKEN: N_("The channel {name} does not work"),
    AlertKind.CHANNEL_WORKS: N_("The channel {name} works again"),
    AlertKind.TEST: N_("Test: this channel works"),
}
_OF_LABEL = {"intermittent": N_("{name} fails now and then"), "unverified": N_("{name} is probably down")}
_SOMEBODY = N_("Somebody has taken on {name}")
_PAUSED = N_("{name} is paused now")
_LET_GO = N_("Taken on by {actor}, and still failing: {title}")

_LABELS = {
    "intermittent": N_("It does not fail at every look, but now and then."),
    "unverified": N_("Defib itself was not well when it saw this, and cannot be sure."),
}
_STATES: Mapping[str, str] = {
    "up": N_("well"),
    "watch": N_("well, and watched"),
    "fault": N_("at fault"),
    "suspect": N_("under suspicion"),
    "degraded": N_("degraded"),
    "unreachable": N_("unreachable"),
    "stopped": N_("stopped"),
    "maintenance": N_("in maintenance"),
    "paused": N_("paused"),
    "new": N_("not seen yet"),
}
_SINCE = {
    Trouble.FAILING: N_("{name} has been failing since {since} ({timezone}): {summary}."),
    Trouble.SILENT: N_("{name} has been silent since {since} ({timezone}): {summary}."),
    Trouble.OVERDUE: N_("{name} has been overdue since {since} ({timezone}): {summary}."),
    Trouble.RUNNING: N_("{name} has been running too long since {since} ({timezone}): {summary}."),
}
_HELD: Mapping[Hold, tuple[str, str]] = {
    Hold.SILENCE: (
        N_("You hear of it only now because the silence “{held_by}” lasted until {until}."),
        N_("You hear of it only now because a silence lasted until {until}."),
    ),
    Hold.MAINTENANCE: (
        N_("You hear of it only now because of the maintenance “{held_by}” until {until}."),
        N_("You hear of it only now because of maintenance until {until}."),
    ),
    Hold.PAUSE: (
        N_("You hear of it only now because it was paused (“{held_by}”) until {until}."),
        N_("You hear of it only now because it was paused until {until}."),
    ),
    Hold.DEPENDENCY: (
        N_("You hear of it only now because {held_by}, which it requires, was not well until {until}."),
        N_("You hear of it only now because what it requires was not well until {until}."),
    ),
    Hold.INHIBITION: (
        N_("You hear of it only now because {held_by} explained it until {until}."),
        N_("You hear of it only now because something else explained it until {until}."),
    ),
    Hold.OBSERVER: (
        N_("You hear of it only now because Defib could not see it clearly until {until}."),
        N_("You hear of it only now because Defib could not see it clearly until {until}."),
    ),
    Hold.QUIET_HOURS: (
        N_("You hear of it only now because of the quiet hours until {until}."),
        N_("You hear of it only now because of the quiet hours until {until}."),
    ),
    Hold.CALM: (
        N_("You hear of it only now because it had to last until {until} first."),
        N_("You hear of it only now because it had to last until {until} first."),
    ),
}
"""With and without the name of what held it back."""


def title_of(voice: Voice, facts: AlertFacts, advice: CauseAdvice | None) -> str:
    """What happened to whom, in one line without a full stop."""
    name = facts.monitor_name
    match facts.event:
        case AlertKind.DOWN | AlertKind.DEGRADED:
            return _fault_title(voice, facts, advice)
        case AlertKind.REMINDER | AlertKind.ESCALATED:
            return still_open(voice, facts, _fault_title(voice, facts, advice))
        case AlertKind.ACKNOWLEDGED if not facts.actor:
            return voice.say(_SOMEBODY, name=name)
        case AlertKind.SET_ASIDE if facts.state == "paused":
            return voice.say(_PAUSED, name=name)
        case event:
            return voice.say(TITLES[event], name=name, state=state_of(voice, facts), actor=facts.actor)


def still_open(voice: Voice, facts: AlertFacts, title: str) -> str:
    """The title of a reminder or a call about what ``title`` says."""
    is_let_go = facts.event is AlertKind.ESCALATED and facts.acked_at is not None
    return voice.say(_LET_GO if is_let_go else TITLES[facts.event], title=title, actor=facts.actor)


def _fault_title(voice: Voice, facts: AlertFacts, advice: CauseAdvice | None) -> str:
    plain = AlertKind.DEGRADED if facts.event is AlertKind.DEGRADED else AlertKind.DOWN
    own = _OF_LABEL.get(facts.label) or (advice.title if advice else "") or TITLES[plain]
    return voice.say(own, name=facts.monitor_name)


def state_of(voice: Voice, facts: AlertFacts) -> str:
    return voice.say(_STATES[facts.state]) if facts.state in _STATES else facts.state


def description_of(voice: Voice, facts: AlertFacts, advice: CauseAdvice | None) -> str:
    """What happened since when, what it means, what Defib does about it, and why it is told now."""
    told = (*_sentences(voice, facts, advice), *why_now(voice, facts))
    return voice.words.sentences(*(_mended(one_line(item, 1500)) for item in told))


def plan_of(voice: Voice, recovery: str) -> str:
    """What the engine says that it does, as a sentence with its subject."""
    said = sentence(voice.told(_with_subject(recovery)))
    return (
        said.removesuffix(".") + "。"
        if said and voice.words.language == "zh-Hant" and said[-1] == "."
        else said
    )


def _with_subject(recovery: str) -> str:
    if isinstance(recovery, Said):
        return recovery
    return clause("Defib " + recovery if recovery.startswith(("will ", "would ")) else recovery)


def _sentences(voice: Voice, facts: AlertFacts, advice: CauseAdvice | None) -> Iterator[str]:
    """In the order in which one wants to know; empty ones may be among them."""
    say = voice.say
    values = _values(voice, facts)
    since = say(_SINCE[advice.trouble if advice else Trouble.FAILING], **values)
    meaning = say(advice.meaning) if advice else ""
    recovery = plan_of(voice, facts.recovery)
    match facts.event:
        case AlertKind.DOWN:
            yield from (since, say(_LABELS.get(facts.label, "")), meaning, recovery)
        case AlertKind.RECOVERY_BLOCKED:
            yield from (since, meaning, recovery)
        case AlertKind.RECOVERY_LATE:
            yield from (since, say(N_("Defib has not brought it back so far.")), meaning, recovery)
        case AlertKind.RECOVERY_FAILED:
            yield _gave_up(voice, facts)
            yield from (since, meaning, recovery)
        case AlertKind.DEGRADED:
            yield say(
                N_("{name} works, but since {since} ({timezone}) not as it should: {summary}."), **values
            )
            yield from (meaning, recovery)
        case AlertKind.RECOVERED:
            yield from _recovered(voice, facts, values)
        case AlertKind.RELAPSED:
            yield say(N_("{name} had recovered, and soon fell again: {summary}."), **values)
            yield say(N_("It is the same trouble as before, since {since} ({timezone})."), **values)
            yield recovery
        case AlertKind.CRASH_LOOPING:
            yield say(
                N_("{name} comes back when it is restarted, but falls again and again: {summary}."), **values
            )
            yield from (meaning, recovery)
        case AlertKind.FLAPPING | AlertKind.STILL_FLAPPING | AlertKind.SETTLED:
            yield from _flapping(voice, facts, values, meaning)
            yield recovery
        case AlertKind.STOPPED:
            yield say(
                N_("{name} was stopped on purpose at {since} ({timezone}) and is still stopped: {summary}."),
                **values,
            )
            yield say(N_("Defib leaves it stopped, and says so when it is back."))
        case AlertKind.STARTED:
            yield say(
                N_(
                    "{name}, which had been stopped on purpose, is back since {since} ({timezone}): {summary}."
                ),
                **values,
            )
        case AlertKind.REMINDER:
            yield from (since, *nobody(voice, facts), meaning, recovery)
        case AlertKind.ESCALATED:
            yield from (since, *nobody(voice, facts), meaning, recovery)
        case AlertKind.ACKNOWLEDGED:
            yield from taken_on(voice, facts, since=voice.say(_SINCE[Trouble.FAILING], **values))
        case AlertKind.UNACKNOWLEDGED:
            yield from let_go(voice, facts, since=since)
        case AlertKind.SET_ASIDE:
            yield from put_aside(voice, facts, since=since)
        case AlertKind.UNWATCHED:
            yield from (since, *given_up(voice, facts))
        case AlertKind.OBSERVER_SICK:
            yield say(N_("Since {since} ({timezone}): {summary}."), **values)
            yield recovery
        case AlertKind.OBSERVER_WELL:
            yield _was_sick(voice, facts, values)
            yield recovery
        case AlertKind.CHANNEL_BROKEN:
            yield say(N_("It has taken no message since {since} ({timezone}): {summary}."), **values)
            yield recovery
        case AlertKind.CHANNEL_WORKS:
            yield _was_broken(voice, facts, values)
            yield recovery
        case AlertKind.TEST:
            yield say(N_("Defib sent this at {at} ({timezone}) as {summary}."), **values)
            yield say(N_("It arrived; nothing is wrong, and there is nothing to do."))
        case AlertKind.DIGEST:
            yield say(N_("Since {since} ({timezone}): {summary}."), **values)


def _values(voice: Voice, facts: AlertFacts) -> dict[str, object]:
    return {
        "name": facts.monitor_name,
        "since": voice.clock(facts.since),
        "at": voice.clock(facts.at),
        "timezone": voice.zone,
        "summary": clause(voice.told(facts.summary) or facts.cause),
        "state": state_of(voice, facts),
        "duration": "" if facts.duration_s is None else voice.words.duration(facts.duration_s),
        "actor": facts.actor,
        "note": clause(facts.note),
    }


def _gave_up(voice: Voice, facts: AlertFacts) -> str:
    name = facts.monitor_name
    if not facts.attempts:
        return voice.say(N_("Defib could not bring {name} back and has stopped trying."), name=name)
    return voice.plural(
        "Defib could not bring {name} back in {n} attempt and has stopped trying.",
        "Defib could not bring {name} back in {n} attempts and has stopped trying.",
        facts.attempts, name=name,
    )  # fmt: skip


def _recovered(voice: Voice, facts: AlertFacts, values: Mapping[str, object]) -> Iterator[str]:
    yield voice.say(N_("{name} is well again: {summary}."), **values)
    lasted = (
        N_("The trouble lasted from {since} to {at} ({timezone}), {duration}.")
        if facts.duration_s
        else N_("The trouble lasted from {since} to {at} ({timezone}).")
    )
    yield voice.say(lasted, **values)
    by = {"defib": "recovered by Defib", "itself": "recovered by itself"}
    yield plan_of(voice, facts.recovery or by.get(facts.healed_by or "", ""))


def _flapping(voice: Voice, facts: AlertFacts, values: Mapping[str, object], meaning: str) -> Iterator[str]:
    now = voice.say(N_("It is {state} now: {summary}."), **values)
    match facts.event:
        case AlertKind.FLAPPING:
            yield voice.plural(
                "{name} has failed and come back {n} time since {since} ({timezone}), in {duration}.",
                "{name} has failed and come back {n} times since {since} ({timezone}), in {duration}.",
                facts.falls, **values,
            )  # fmt: skip
            yield now
            yield voice.say(
                N_(
                    "As long as this goes on you hear of it once in a quarter of an hour, and not of each fall and "
                    "return; how it ends is told in any case."
                )
            )
        case AlertKind.STILL_FLAPPING:
            yield voice.plural(
                "{name} has fallen {n} time since {since} ({timezone}), in {duration}.",
                "{name} has fallen {n} times since {since} ({timezone}), in {duration}.",
                facts.falls, **values,
            )  # fmt: skip
            yield now
        case _:
            yield voice.say(
                N_("{name} has stayed as it is for a quarter of an hour: it is {state}: {summary}."), **values
            )
            yield voice.plural(
                "It had fallen {n} time since {since} ({timezone}).",
                "It had fallen {n} times since {since} ({timezone}).",
                facts.falls, **values,
            )  # fmt: skip
            yield meaning if facts.state in BAD_STATES else ""


def nobody(voice: Voice, facts: AlertFacts) -> Iterator[str]:
    """Who should have taken it on."""
    lasted = voice.words.duration((facts.at - facts.since).total_seconds())
    if facts.acked_at is None:
        yield voice.say(N_("It has been open for {duration}, and nobody has taken it on."), duration=lasted)
    else:
        yield voice.say(
            N_("It has been open for {duration}: {actor} took it on at {acked_at} ({timezone}), and it still fails."),
            duration=lasted, actor=facts.actor, acked_at=voice.clock(facts.acked_at), timezone=voice.zone,
        )  # fmt: skip
    if facts.event is AlertKind.ESCALATED and facts.step > facts.level:
        yield voice.say(
            N_("You are called once more because nobody has answered so far (level {level})."),
            level=facts.level,
        )
    elif facts.event is AlertKind.ESCALATED:
        yield voice.say(
            N_("You are called because those before you did not answer (level {level})."), level=facts.level
        )
    elif facts.reminders > 1:
        yield voice.say(N_("This is reminder {n}."), n=facts.reminders)


def taken_on(voice: Voice, facts: AlertFacts, *, since: str) -> Iterator[str]:
    """Who has taken it on, and what that means for the others."""
    values = _values(voice, facts)
    who = (
        N_("{actor} took it on at {at} ({timezone}).")
        if facts.actor
        else N_("Somebody took it on at {at} ({timezone}).")
    )
    yield voice.say(who, **values)
    if facts.note:
        yield voice.say(N_("Note: “{note}”."), **values)
    yield since
    yield voice.say(N_("Nobody else is called, and nobody is reminded, for the time being."))


def let_go(voice: Voice, facts: AlertFacts, *, since: str) -> Iterator[str]:
    """Who has taken back that somebody sees to it, and what follows."""
    who = (
        N_("{actor} took the acknowledgement back at {at} ({timezone}).")
        if facts.actor
        else N_("The acknowledgement was taken back at {at} ({timezone}).")
    )
    yield voice.say(who, **_values(voice, facts))
    yield since
    yield voice.say(N_("Calls and reminders go on until somebody takes it on."))


def put_aside(voice: Voice, facts: AlertFacts, *, since: str) -> Iterator[str]:
    """Who has set it aside, until when, and what follows."""
    values = _values(voice, facts)
    if facts.until is not None:
        values["until"] = voice.clock(facts.until, has_seconds=False)
    match facts.state == "paused", facts.until is not None:
        case True, True:
            yield voice.say(N_("{actor} paused it until {until} ({timezone})."), **values)
        case True, _:
            yield voice.say(N_("{actor} paused it until somebody resumes it."), **values)
        case _, True:
            yield voice.say(N_("Maintenance has begun until {until} ({timezone}), by {actor}."), **values)
        case _:
            yield voice.say(N_("Maintenance has begun, by {actor}."), **values)
    if facts.note:
        yield voice.say(N_("Note: “{note}”."), **values)
    yield since
    yield voice.say(
        N_(
            "Until that ends nobody is told of it or reminded; then it is looked at afresh, and its end is told."
        )
    )


def given_up(voice: Voice, facts: AlertFacts) -> Iterator[str]:
    """Why nobody hears more of it."""
    yield plan_of(voice, facts.recovery)
    yield voice.say(N_("This is the last that you hear of it."))


def _was_sick(voice: Voice, facts: AlertFacts, values: Mapping[str, object]) -> str:
    if facts.duration_s:
        return voice.say(N_("It was not since {since} ({timezone}), for {duration}: {summary}."), **values)
    return voice.say(N_("It was not since {since} ({timezone}): {summary}."), **values)


def _was_broken(voice: Voice, facts: AlertFacts, values: Mapping[str, object]) -> str:
    if facts.duration_s:
        return voice.say(
            N_("It takes messages again; it had taken none since {since} ({timezone}), for {duration}."),
            **values,
        )
    return voice.say(N_("It takes messages again; it had taken none since {since} ({timezone})."), **values)


def why_now(voice: Voice, facts: AlertFacts) -> Iterator[str]:
    """Why people hear of it only now."""
    if held := facts.held:
        named, unnamed = _HELD[held.by]
        until = voice.clock(held.until, has_seconds=False)
        yield voice.say(named if held.name else unnamed, held_by=held.name, until=until)
    if facts.late_since is not None:
        at = voice.clock(facts.late_since, has_seconds=False)
        yield voice.say(N_("This message comes late: the channel did not accept it at {at}."), at=at)


def _mended(text: str) -> str:
    """Without the full stop that follows what was closed already."""
    for mark in ("!", "?", "…"):
        text = text.replace(f"{mark}.", mark).replace(f"{mark}。", mark)
    return text


def brief_of(voice: Voice, facts: AlertFacts, advice: CauseAdvice | None, *, limit: int = 60) -> str:
    """The cause in a few words, for a subject: the row's, else what the evidence says; "" where that is long."""
    if advice and advice.brief:
        return voice.say(advice.brief, code=facts.cause.partition("-")[2] or facts.cause)
    summary = one_line(clause(voice.told(facts.summary)))
    return summary if len(summary) <= limit else ""
