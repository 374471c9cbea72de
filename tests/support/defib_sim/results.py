"""The figures of one scenario under one strategy, and whether they are what is owed."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from defib.model.alert import AlertKind
from defib.model.health import State
from defib_sim.counting import Share, percentile, share
from defib_sim.modes import Truth
from defib_sim.scenarios import Scenario
from defib_sim.stories import Fault, Note, OwnStory, Story

_YEAR_S = 365 * 86400.0
_PAGES = (
    AlertKind.RECOVERY_FAILED, AlertKind.RECOVERY_LATE, AlertKind.RECOVERY_BLOCKED, AlertKind.CRASH_LOOPING,
)  # fmt: skip
_FLAP_NOTES = (AlertKind.FLAPPING, AlertKind.STILL_FLAPPING, AlertKind.SETTLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of all episodes.

    :ivar crashes: errors that the engine logged: parts of it that broke.
    """

    scenario: Scenario
    strategy: str
    seed: int
    stories: tuple[Story, ...]
    own: tuple[OwnStory, ...]
    probes: int
    cpu_s: float
    crashes: tuple[str, ...]

    # --- figures -----------------------------------------------------------------------------------

    @property
    def episodes(self) -> int:
        return len({story.episode for story in self.stories})

    @property
    def faults(self) -> list[Fault]:
        return [fault for story in self.stories for fault in story.faults]

    @property
    def found(self) -> Share:
        """Faults that were declared: recall."""
        return share(fault.found is not None for fault in self.faults)

    def found_within(self, seconds: float) -> Share:
        return share(fault.detection_s is not None and fault.detection_s <= seconds for fault in self.faults)

    @property
    def justified(self) -> Share:
        """Declared faults that were ones: precision. A pause and a deploy are out of order, too."""
        return share(
            truth not in (Truth.WELL, Truth.INNOCENT) for story in self.stories for truth in story.alarms
        )

    @property
    def healed(self) -> Share:
        """Faults that a restart by Defib ended."""
        return share(fault.ended is not None and fault.restarts > 0 for fault in self.faults)

    @property
    def alarmed(self) -> Share:
        """Episodes in which some FAULT was declared."""
        alarmed = {story.episode for story in self.stories if story.alarms}
        return Share(count=len(alarmed), of=self.episodes)

    def detection_s(self, q: float) -> float:
        """A percentile of the time from fault to FAULT."""
        return percentile([f.detection_s for f in self.faults if f.detection_s is not None], q)

    def outage_s(self, q: float) -> float:
        """A percentile of the time from fault until the target was well."""
        return percentile([f.outage_s for f in self.faults if f.outage_s is not None], q)

    @property
    def false_faults(self) -> int:
        return sum(story.false_faults for story in self.stories)

    @property
    def false_restarts(self) -> int:
        return sum(story.false_restarts for story in self.stories)

    @property
    def monitor_years(self) -> float:
        return sum(story.watched_s for story in self.stories) / _YEAR_S

    @property
    def false_faults_a_year(self) -> tuple[float, float]:
        """Per monitor-year: measured, and the upper end of the 95 % interval (3 in ``monitor_years`` if none)."""
        k = self.false_faults
        upper = 3.0 if k == 0 else k + 1.96 * math.sqrt(k + 0.25) + 1.92
        return k / self.monitor_years, upper / self.monitor_years

    @property
    def restarts(self) -> list[int]:
        """By episode."""
        counts = Counter({story.episode: 0 for story in self.stories})
        for story in self.stories:
            counts[story.episode] += len(story.restarts)
        return list(counts.values())

    @property
    def down_alerts(self) -> list[int]:
        """By episode: how often people were told of a fall; by one message of its end where it was over so soon."""
        notes: dict[int, list[Note]] = {story.episode: [] for story in self.stories}
        for story in self.stories:
            notes[story.episode] += story.notes
        return [_falls_told(found) for found in notes.values()]

    @property
    def flap_notes(self) -> list[int]:
        """By episode: how often people heard that it goes up and down."""
        return self._notes(_FLAP_NOTES)

    def _notes(self, events: Collection[AlertKind]) -> list[int]:
        counts = Counter({story.episode: 0 for story in self.stories})
        for story in self.stories:
            counts[story.episode] += sum(note.event in events for note in story.notes)
        return list(counts.values())

    @property
    def paged_s(self) -> list[float]:
        """From a fault until a person was asked for help; infinite when nobody was."""
        return [
            min(
                (note.told - fault.began for note in story.notes if note.event in _PAGES),
                default=math.inf,
            )
            for story in self.stories
            for fault in story.faults[:1]
        ]

    @property
    def told_late_s(self) -> list[float]:
        """From each verdict to its alert."""
        return [note.told - note.decided for story in self.stories for note in story.notes]

    @property
    def lateness_s(self) -> list[float]:
        return [late for story in self.stories for late in story.lateness_s]

    @property
    def notices(self) -> list[int]:
        """By episode: how often people were told that Defib itself is not well."""
        return [story.notices.count(AlertKind.OBSERVER_SICK) for story in self.own]

    @property
    def unwatched_s(self) -> list[float]:
        """By episode."""
        return [story.unwatched_s for story in self.own]

    @property
    def actions_at_once(self) -> int:
        """Most restarts at the same time within one episode."""
        spans: dict[int, list[tuple[float, int]]] = {}
        for story in self.stories:
            for began, ended, _ in story.restarts:
                spans.setdefault(story.episode, []).extend([(began, 1), (ended, -1)])
        most = 0
        for edges in spans.values():
            running = 0
            for _, step in sorted(edges):
                running += step
                most = max(most, running)
        return most

    def share_in(self, state: State) -> Share:
        """Targets that were in a state at some time."""
        return share(state in story.states for story in self.stories)

    # --- judgement ---------------------------------------------------------------------------------

    def complaints(self) -> list[str]:
        """What is owed and missing; empty when all is well."""
        return [
            f"{self.scenario.name}, {self.strategy}, seed {self.seed}: {text}" for text in self._missing()
        ]

    def _missing(self) -> Iterator[str]:
        owed = self.scenario.expect
        yield from (f"the engine logged an error: {crash}" for crash in self.crashes)
        if owed.recall is not None and self.found.value < owed.recall:
            yield f"found only {self.found}"
        if owed.within_s is not None and self.detection_s(1.0) > owed.within_s:
            yield f"one was found after {self.detection_s(1.0):.1f} s, at most {owed.within_s:g} s are owed"
        if owed.healed is not None and self.healed.value < owed.healed:
            yield f"healed only {self.healed}"
        if owed.false_faults is not None and self.false_faults > owed.false_faults:
            yield f"{self.false_faults} false faults"
        if owed.false_restarts is not None and self.false_restarts > owed.false_restarts:
            yield f"{self.false_restarts} false restarts"
        for what, counts, limits in (
            ("restarts", self.restarts, owed.restarts),
            ("calls", self.down_alerts, owed.down_alerts),
            ("messages about flapping", self.flap_notes, owed.flap_notes),
            ("notices about Defib itself", self.notices, owed.notices),
            ("seconds that nobody watched", self.unwatched_s, owed.unwatched_s),
        ):
            if limits is not None and not all(limits[0] <= count <= limits[1] for count in counts):
                yield f"{what} by episode: {dict(Counter(counts))}, owed {limits[0]} … {limits[1]}"
        for what, worst, limit in (
            ("a person was called after", max(self.paged_s, default=0.0), owed.paged_within_s),
            ("an alert was late by", max(self.told_late_s, default=0.0), owed.told_late_s),
            ("actions at once:", float(self.actions_at_once), owed.actions_at_once),
            ("99 % of the looks were late by", percentile(self.lateness_s, 0.99), owed.lateness_p99_s),
        ):
            if limit is not None and not worst <= limit:
                yield f"{what} {worst:.3g}, at most {limit:g} is owed"


def _falls_told(notes: Iterable[Note]) -> int:
    told, is_known = 0, False
    for note in sorted(notes, key=lambda note: note.told):
        is_known = is_known or note.event is AlertKind.DOWN
        if note.event is AlertKind.DOWN or (note.event is AlertKind.RECOVERED and not is_known):
            told += 1
    return told
