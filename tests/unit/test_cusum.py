"""The detector that keeps a score."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defib.plugin import (
    Evidence,
    Fact,
    Grade,
    Health,
    Judgement,
    MonitorId,
    Observation,
    Source,
    State,
    Strategy,
)
from defib.rules import status
from defib_strategies import cusum, presets

START = datetime(2026, 1, 1, tzinfo=UTC)
NEW = Health(monitor=MonitorId("main"), since=START)
DETECTOR = cusum.Cusum()

AUTOMATIC = next(strategy for strategy in presets.defib_strategies() if strategy.name == "normal")
LITERAL = replace(AUTOMATIC, fail_threshold=3)

LOOKS = {
    "o": Evidence.ok("HTTP 200 in 12 ms"),
    "s": Evidence.degraded("slow", "HTTP 200 in 3.1 s"),
    "w": Evidence.fail("http-503", "HTTP 503, Retry-After: 60", grade=Grade.WEAK),
    "F": Evidence.fail("refused", "connection refused", grade=Grade.STRONG),
    "i": Evidence.fail("stopped", "exited with status 0", grade=Grade.INTENT),
}
CLIMB = {
    "score", "k", "weight", "looks", "row", "oks", "stops", "slow", "pattern", "spell_failed", "spell_looks", "well_at",
    "noise_from",
}  # fmt: skip
LETTERS = {
    State.NEW: "N", State.UP: "u", State.WATCH: "w", State.SUSPECT: "?", State.DEGRADED: "d", State.FAULT: "X",
    State.UNREACHABLE: "r", State.STOPPED: "z",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One look: what was made of it, and the monitor after it."""

    judgement: Judgement
    health: Health
    at: datetime
    must_commit: bool

    @property
    def wait_s(self) -> float | None:
        wait = self.judgement.look_again_in
        return None if wait is None else wait.total_seconds()


def story(
    looks: str, strategy: Strategy = AUTOMATIC, health: Health = NEW, begin: datetime = START
) -> list[Step]:
    """Look as the engine would: each time when the detector asked for it, otherwise after the interval."""
    steps, at = [], begin
    for look in looks:
        seen = Observation(
            monitor=health.monitor, source=Source.PROBE, evidence=LOOKS[look], started_at=at, ended_at=at
        )
        judgement = DETECTOR.fold(health, seen, strategy)
        decision = status.fold(health, seen, judgement, status.Parents(), at)
        health = decision.health
        steps.append(Step(judgement, health, at, decision.must_commit))
        at += judgement.look_again_in or strategy.interval
    return steps


def states(looks: str, strategy: Strategy = AUTOMATIC, health: Health = NEW) -> str:
    return "".join(LETTERS[step.judgement.state] for step in story(looks, strategy, health))


def reasons(looks: str, strategy: Strategy = AUTOMATIC, health: Health = NEW) -> list[str]:
    return [step.judgement.reason for step in story(looks, strategy, health)]


def waits(looks: str, strategy: Strategy = AUTOMATIC, health: Health = NEW) -> list[float | None]:
    return [step.wait_s for step in story(looks, strategy, health)]


def scores(looks: str) -> list[Fact]:
    return [step.judgement.memory.get("score", 0) for step in story(looks)]


def at(state: State, **memory: Fact) -> Health:
    return replace(NEW, state=state, memory=memory, was_up=True)


# --- the score -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "expected", "fault_at"),
    [
        ("FFF", [3, 6, 9], 3),
        ("FFoF", [3, 6, 5, 8], None),
        ("FoFoFoF", [3, 2, 5, 4, 7, 6, 9], 7),
        ("FoFFoF", [3, 2, 5, 8, 7, 10], 6),
        ("FFoooFF", [3, 6, 5, 4, 3, 6, 9], 7),
        ("FooFooFooF", [3, 2, 1, 4, 3, 2, 5, 4, 3, 6], None),
    ],
)
def test_the_score_follows_the_vectors_of_the_design(
    looks: str, expected: list[int], fault_at: int | None
) -> None:
    assert scores(looks) == expected
    found = states(looks).find("X")
    assert (None if found < 0 else found + 1) == fault_at


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ("o", "u"),
        ("oFFF", "u??X"),
        ("FFFFF", "??XXX"),
        ("oFooo", "u?wwu"),
        ("oFFoF", "u??w?"),
        ("oFoFoFoF", "u?w?w?wX"),
        ("FFFo", "??XX"),
        ("FFFoo", "??XXu"),
        ("FFFoFo", "??XXXX"),
        ("FFFooF", "??XXu?"),
        ("FFFss", "??XXu"),
        ("FFFsss", "??XXud"),
    ],
)
def test_three_failures_worth_of_score_are_a_fault_and_two_good_answers_end_it(
    looks: str, expected: str
) -> None:
    assert states(looks) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [(State.FAULT, "XXu"), (State.UNREACHABLE, "rru"), (State.STOPPED, "zzu")],
)
def test_a_state_that_good_answers_end_slowly_is_kept_until_there_are_enough(
    state: State, expected: str
) -> None:
    assert states("ooo", replace(AUTOMATIC, recovery_threshold=3), at(state)) == expected


@pytest.mark.parametrize("state", [State.NEW, State.UP, State.WATCH, State.SUSPECT, State.DEGRADED])
def test_in_every_other_state_one_good_answer_is_enough_when_there_is_no_score(state: State) -> None:
    assert states("o", health=at(state)) == "u"


@pytest.mark.parametrize(
    ("state", "expected"), [(State.FAULT, "X"), (State.UNREACHABLE, "X"), (State.STOPPED, "?")]
)
def test_a_declared_fault_stays_one_however_little_is_remembered(state: State, expected: str) -> None:
    assert states("F", health=at(state)) == expected


def test_of_a_fault_only_what_a_relapse_goes_on_with_is_remembered() -> None:
    recovered = story("FFFoo")[-1]

    assert recovered.judgement.memory == {
        "spell_failed": 3, "spell_looks": 5, "well_at": (START + timedelta(seconds=35)).timestamp(),
    }  # fmt: skip


@pytest.mark.parametrize("looks", ["ooo", "FFF", "oFFF", "FFFoo", "ssssss", "ii", "FoFoFo" + 60 * "F"])
def test_a_state_that_lasts_is_not_written_again(looks: str) -> None:
    *_, settled = story(looks + 2 * looks[-1])

    assert not settled.must_commit


# --- patterns and words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "pattern"),
    [("FFF", "hard"), ("oFoFFF", "hard"), ("FoFoFoF", "intermittent"), ("FoFFoF", "intermittent")],
)
def test_a_fault_without_enough_failures_in_a_row_is_intermittent(looks: str, pattern: str) -> None:
    *_, last = story(looks)

    assert last.judgement.state is State.FAULT
    assert last.judgement.memory["pattern"] == pattern
    assert last.judgement.reason.startswith("intermittent, ") is (pattern == "intermittent")


def test_the_reasons_tell_how_the_score_came_about() -> None:
    assert reasons("oFFF") == [
        "well: HTTP 200 in 12 ms",
        "score 3 of 9: 1 failure: connection refused",
        "score 6 of 9: 2 failures in a row: connection refused",
        "score 9 of 9: 3 failures in a row: connection refused",
    ]
    assert reasons("FoFFoFFo") == [
        "score 3 of 9: 1 failure: connection refused",
        "answers again, still watched, score 2 of 9: 1 of the last 2 looks failed: HTTP 200 in 12 ms",
        "score 5 of 9: 2 of the last 3 looks failed: connection refused",
        "score 8 of 9: 3 of the last 4 looks failed: connection refused",
        "answers again, still watched, score 7 of 9: 3 of the last 5 looks failed: HTTP 200 in 12 ms",
        "intermittent, score 10 of 9: 4 of the last 6 looks failed: connection refused",
        "intermittent, still failing: connection refused",
        "intermittent, 1 of 8 good answers in a row, as it failed 5 of 7 looks",
    ]


def test_the_reasons_of_a_fault_tell_how_far_recovery_is() -> None:
    assert reasons("oFoo", health=at(State.FAULT)) == [
        "1 of 2 good answers in a row",
        "failed again before it had recovered: connection refused",
        "1 of 2 good answers in a row",
        "2 of 2 good answers in a row: HTTP 200 in 12 ms",
    ]


# --- when to look again --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ("FFFF", [1, 2, None, None]),
        ("FFoF", [1, 2, 5, 1]),
        ("oFooo", [None, 1, 5, 5, None]),
        ("FFFoo", [1, 2, None, 2, None]),
        ("FFFoFooo", [1, 2, None, 2, None, 2, 5, 5]),
        ("ii", [1, None]),
    ],
)
def test_failures_and_first_good_answers_are_looked_at_again_soon(
    looks: str, expected: list[float | None]
) -> None:
    assert waits(looks) == expected


def test_once_the_confirming_waits_are_used_up_the_last_one_doubles() -> None:
    assert waits("FFFFF", replace(LITERAL, fail_threshold=5)) == [1, 2, 4, 4, None]


@pytest.mark.parametrize(("interval_s", "expected"), [(60, 10), (15, 2.5), (9, 2.5), (2, 2)])
def test_while_watched_the_looks_are_closer(interval_s: float, expected: float) -> None:
    strategy = replace(AUTOMATIC, interval=timedelta(seconds=interval_s))

    assert waits("oFo", strategy)[-1] == expected


def test_no_confirming_look_waits_longer_than_the_interval() -> None:
    eager = replace(LITERAL, fail_threshold=4, interval=timedelta(seconds=3))

    assert waits("FFF", eager) == [1, 2, 3]


def test_without_confirmation_the_next_look_is_the_scheduled_one() -> None:
    assert waits("FFFoo", replace(AUTOMATIC, confirm=(), recover_confirm=None)) == [None] * 5


# --- a number set by the user --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ("FFF", "??X"),
        ("FFoFF", "??u??"),
        ("FFoFFF", "??u??X"),
        ("oFoFoFoFoFoFoF", "u?u?u?u?u?u?u?"),
        ("FFFoFoo", "??XXXXu"),
    ],
)
def test_a_threshold_set_by_the_user_is_so_many_in_a_row_and_nothing_else(looks: str, expected: str) -> None:
    assert states(looks, LITERAL) == expected


@pytest.mark.parametrize(("looks", "expected"), [("F", "X"), ("Fo", "Xu"), ("ii", "?z"), ("iiF", "?zX")])
def test_a_threshold_of_one_decides_at_once(looks: str, expected: str) -> None:
    assert states(looks, replace(LITERAL, fail_threshold=1, recovery_threshold=1)) == expected


def test_the_reason_counts_what_the_user_set() -> None:
    assert reasons("FFF", LITERAL) == [
        "1 of 3 failures in a row: connection refused",
        "2 of 3 failures in a row: connection refused",
        "3 of 3 failures in a row: connection refused",
    ]
    assert reasons("F", replace(LITERAL, fail_threshold=1)) == ["1 of 1 failure in a row: connection refused"]


def test_a_lowered_threshold_counts_what_is_remembered() -> None:
    *_, judged = story("F", replace(LITERAL, fail_threshold=2), at(State.SUSPECT, row=4))

    assert judged.judgement.state is State.FAULT
    assert judged.judgement.reason == "2 of 2 failures in a row: connection refused"


def test_a_threshold_set_on_the_way_begins_at_the_first_failure() -> None:
    suspect = story("oFoFF")[-1].health

    assert states("FFF", LITERAL, suspect) == "??X"
    assert set(story("F", LITERAL, suspect)[-1].judgement.memory) == {
        "row",
        "noise",
        "noise_at",
        "noise_from",
        "echo_1_passed",
    }


def test_with_a_threshold_set_by_the_user_nothing_is_learned() -> None:
    assert story("oFoFFo", LITERAL)[-1].judgement.memory == {}


# --- slow and degraded ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ("sss", "uud"),
        ("ssos", "uuud"),
        ("sosos", "uuuud"),
        ("soosos", "uuuuuu"),
        ("sssoo", "uuddd"),
        ("sssooo", "uudddu"),
        ("sosososososo", "uuuudddddddd"),
        ("sssF", "uud?"),
        ("sssFFF", "uud??X"),
        ("sssFsss", "uud?wwd"),
        ("sssFooo", "uud?wwu"),
        ("FFFsssoo", "??XXuddd"),
    ],
)
def test_three_of_five_answers_degraded_are_degraded_until_plain_ones_prevail(
    looks: str, expected: str
) -> None:
    assert states(looks) == expected


def test_slowness_is_never_a_fault() -> None:
    assert "X" not in states("s" * 60)


def test_the_reason_counts_degraded_answers() -> None:
    assert reasons("ssso")[-2:] == [
        "3 of the last 5 answers degraded: HTTP 200 in 3.1 s",
        "3 of the last 5 answers degraded: HTTP 200 in 12 ms",
    ]


# --- stopped on purpose --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ("oii", "u?z"),
        ("oiiii", "u?zzz"),
        ("oio", "u?u"),
        ("oioi", "u?u?"),
        ("oiioo", "u?zzu"),
        ("oiiF", "u?z?"),
        ("oiiFFF", "u?z??X"),
        ("oiiFo", "u?z?w"),
        ("oFii", "u??z"),
        ("oFiFF", "u???X"),
        ("oFFFiii", "u??XXXX"),
        ("oFFFioo", "u??XXXu"),
        ("ii", "?z"),
    ],
)
def test_two_looks_that_find_it_stopped_on_purpose_are_stopped(looks: str, expected: str) -> None:
    assert states(looks) == expected


def test_what_was_unreachable_may_be_stopped_too() -> None:
    assert states("ii", health=at(State.UNREACHABLE)) == "rz"


def test_the_reason_tells_that_it_was_stopped_on_purpose() -> None:
    assert reasons("ii") == [
        "seems to be stopped on purpose, looking once more: exited with status 0",
        "stopped on purpose: exited with status 0",
    ]
    assert reasons("i", health=at(State.FAULT)) == ["stopped on purpose while at fault: exited with status 0"]


# --- learning ------------------------------------------------------------------------------------------


def test_a_burst_that_ends_well_is_learned_as_noise() -> None:
    *_, good = story("oFFo")  # at 0, 30, 31 and 33 s

    assert {name: good.judgement.memory[name] for name in good.judgement.memory if name not in CLIMB} == {
        "noise": 0.000240647,
        "noise_at": (START + timedelta(seconds=33)).timestamp(),
        "echo_1_failed": 1.0,
        "echo_2_passed": 1.0,
    }


@pytest.mark.parametrize("looks", ["FFo", "FFFoo", "oFFF", "oFFFoo", "oFFFoFFoo", "oio", "oiioo"])
def test_a_start_a_fault_and_a_stop_are_no_noise(looks: str) -> None:
    assert set(story(looks)[-1].judgement.memory) <= CLIMB


def test_failures_that_wait_for_the_verdict_on_something_required_are_no_noise() -> None:
    """As the engine leaves it: the detector said FAULT, and the state rule made SUSPECT of it."""
    held = replace(story("oFFF")[-1].health, state=State.SUSPECT)

    assert states("F", health=held) == "X"
    assert states("ooooooooo", health=held) == "wwwwwwwwu"
    assert set(story("ooooooooo", health=held)[-1].judgement.memory) <= CLIMB


def test_a_target_that_is_well_costs_no_write_although_its_noise_fades() -> None:
    *_, well, still, later = story("oFooo" + "o" * 3)

    assert "noise" in well.judgement.memory
    assert not still.must_commit
    assert not later.must_commit


def test_looks_while_watched_weigh_less() -> None:
    """Failures at 30, 36 and 42 s: 30 s after the good look before, 5 s, and 5 s."""
    steps = story("oFoFo")

    assert [steps[index].judgement.memory["noise"] for index in (2, 4)] == [0.000240647, 0.000280747]


def test_a_noisy_target_needs_more_failures_and_the_reason_says_why() -> None:
    noisy = at(State.UP, noise=0.051, noise_at=START.timestamp())

    assert states("FFFFFF", health=noisy) == "?????X"
    assert reasons("F", health=noisy) == [
        "score 3 of 18: 1 failure: connection refused (threshold raised to 6: 5.1 % of its looks fail without "
        "a fault, and 1 % of the looks right after such a failure)"
    ]


def test_a_climb_keeps_the_threshold_it_began_with() -> None:
    began_quiet = at(
        State.SUSPECT, score=6, k=3, weight=3, looks="FF", noise=0.051, noise_at=START.timestamp()
    )

    assert states("F", health=began_quiet) == "X"


def test_a_fault_that_lasts_teaches_nothing_and_forgets_nothing() -> None:
    day = timedelta(days=1)
    noisy = at(State.FAULT, noise=0.04, noise_at=START.timestamp())

    first, second = story("oo", health=noisy, begin=START + day)

    assert first.judgement.memory["noise_at"] == START.timestamp()
    assert second.judgement.memory == {
        "noise": 0.04,
        "noise_at": (START + day + timedelta(seconds=2)).timestamp(),
    }


def test_failures_that_come_together_raise_the_threshold_and_further_looks_are_apart() -> None:
    noise: dict[str, Fact] = {"noise": 0.01, "noise_at": START.timestamp()}
    together = at(State.UP, echo_1_failed=40.0, echo_1_passed=40.0, **noise)

    assert waits("FFFF", health=at(State.UP, **noise)) == [1, 2, 4, None]
    assert waits("FFFFFFF", health=together) == [1, 2, 4, 4, 4, 4, None]
    assert waits("FFF", LITERAL, together) == [1, 2, None]


# --- faults that let good looks through ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "needed"),
    [("FFF", 2), ("FFoFF", 7), ("FoFFoF", 9), ("FoFoFoF", 10), ("FFFoF", 7), ("FFFFFFoF", 7)],
)
def test_a_fault_that_lets_good_looks_through_ends_after_more_of_them(looks: str, needed: int) -> None:
    assert states(looks + "o" * needed)[-2:] == "Xu"


def test_more_than_thirty_good_answers_are_never_asked_for() -> None:
    seldom = at(State.FAULT, pattern="intermittent", spell_failed=4, spell_looks=40)

    assert states(30 * "o", health=seldom) == 29 * "X" + "u"


def test_a_relapse_goes_on_with_the_fault_before() -> None:
    assert states("FFFooFFFoo") == "??XXu??XXX"
    assert reasons("FFFooFFFo")[-1] == "1 of 8 good answers in a row, as it failed 6 of 9 looks"


def test_a_fault_long_after_another_one_is_new() -> None:
    assert states("FFFoo" + 12 * "o" + "FFFoo")[-5:] == "??XXu"


def test_a_threshold_set_by_the_user_ends_a_fault_as_it_says_too() -> None:
    mixed = at(State.FAULT, pattern="intermittent", spell_failed=4, spell_looks=7)

    assert states("FFFoFoo", LITERAL) == "??XXXXu"
    assert states("oo", LITERAL, mixed) == "Xu"


# --- weak failures -------------------------------------------------------------------------------------


def test_a_service_that_asks_to_come_back_later_is_degraded_and_after_two_minutes_at_fault() -> None:
    """Looks at 0, 30, … 120 s, and then those that confirm."""
    assert states("o" + 7 * "w") == "uuudd??X"


@pytest.mark.parametrize(
    "memory",
    [
        {"fails": 2, "oks": 2, "slow": 4},
        {"score": 8, "looks": "F"},
        {"score": 8, "k": 3, "looks": "F"},
        {"score": 8, "k": 2, "weight": 3, "looks": "F"},
        {"score": 12, "k": 3, "weight": 3, "looks": "F"},
        {"score": 8, "k": 3, "weight": 3, "looks": "FXF"},
        {"score": 8, "k": 3, "weight": 3, "looks": None},
        {"score": True, "k": 3, "weight": 3, "looks": "F"},
        {"score": "8", "k": 3.0, "looks": "F", "oks": -1, "stops": 7, "slow": "sxs", "pattern": "odd"},
    ],
)
def test_what_another_detector_remembered_counts_for_nothing(memory: dict[str, Fact]) -> None:
    (judged,) = story("F", health=at(State.SUSPECT, **memory))

    assert judged.judgement.state is State.SUSPECT
    assert judged.judgement.memory == {"score": 3, "k": 3, "weight": 3, "looks": "F"}


# --- run lengths ---------------------------------------------------------------------------------------

WELL_SO_FAR = range(9)  # scores of k = 3 that are no fault


def steps_from(score: int) -> tuple[int | None, int]:
    """Where a failure and a good look lead from a score; None is the fault."""
    remembered: dict[str, Fact] = {"score": score, "k": 3, "weight": 3, "looks": "F"} if score else {}
    before = at(State.SUSPECT if score else State.UP, **remembered)
    failed, passed = (story(look, health=replace(before, was_up=False))[0].judgement for look in "Fo")
    down = None if failed.state is State.FAULT else failed.memory["score"]
    up = passed.memory.get("score", 0)
    assert isinstance(up, int)
    assert down is None or isinstance(down, int)
    return down, up


def looks_to_fault(share: Fraction) -> float:
    """Exact mean number of looks from score 0 to the fault, when so many looks fail: a Markov chain."""
    rows = []
    for score in WELL_SO_FAR:
        failed, passed = steps_from(score)
        row = [Fraction(int(place == score)) for place in WELL_SO_FAR] + [Fraction(1)]
        if failed is not None:
            row[failed] -= share
        row[passed] -= 1 - share
        rows.append(row)
    for place in WELL_SO_FAR:
        pivot = rows[place]
        rows[place] = pivot = [value / pivot[place] for value in pivot]
        for other in WELL_SO_FAR:
            if other != place and (factor := rows[other][place]):
                rows[other] = [a - factor * b for a, b in zip(rows[other], pivot, strict=True)]
    return float(rows[0][-1])


@pytest.mark.parametrize(("percent", "looks"), [(30, 22.4), (50, 8.5), (80, 4.2), (100, 3.0)])
def test_a_fault_is_found_after_so_many_looks_on_average(percent: int, looks: float) -> None:
    assert round(looks_to_fault(Fraction(percent, 100)), 1) == looks


@pytest.mark.parametrize(
    ("share", "days"), [(Fraction(1, 1000), 3.43e5), (Fraction(1, 100), 310), (Fraction(5, 100), 1.79)]
)
def test_a_healthy_target_raises_a_false_alarm_after_so_many_days_on_average(
    share: Fraction, days: float
) -> None:
    assert float(f"{looks_to_fault(share) / 2880:.3g}") == days


# --- properties ----------------------------------------------------------------------------------------

UNHURRIED = settings(deadline=None)  # a busy machine is no fault of the detector
ANY_LOOKS = st.text(alphabet="oosFFi", min_size=1, max_size=60)
NO_STOPS = st.text(alphabet="osF", min_size=1, max_size=60)


def strategies(threshold: st.SearchStrategy[int | None]) -> st.SearchStrategy[Strategy]:
    return st.builds(
        replace,
        st.just(LITERAL),
        fail_threshold=threshold,
        recovery_threshold=st.integers(1, 4),
        confirm=st.lists(st.just(timedelta(seconds=1)), max_size=5).map(tuple),
    )


ANY_STRATEGY = strategies(st.none() | st.integers(1, 8))


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=strategies(st.none()))
def test_no_fault_without_a_threshold_of_failures_since_it_was_last_well(
    looks: str, strategy: Strategy
) -> None:
    failures, before = 0, State.NEW
    for look, step in zip(looks, story(looks, strategy), strict=True):
        state = step.judgement.state
        failures += look == "F"
        if state is State.FAULT and before is not State.FAULT:
            assert failures >= 3
        if state in (State.UP, State.DEGRADED, State.STOPPED):
            failures = 0
        before = state


@UNHURRIED
@given(looks=ANY_LOOKS, k=st.integers(1, 8))
def test_no_fault_without_so_many_failures_in_a_row_where_the_user_set_it(looks: str, k: int) -> None:
    before = "N"
    for end, state in enumerate(states(looks, replace(LITERAL, fail_threshold=k)), 1):
        if state == "X" and before != "X":
            assert looks[:end].replace("i", "").endswith("F" * k)
        before = state


@UNHURRIED
@given(k=st.integers(3, 6), share=st.sampled_from([0.0, 0.01, 0.05, 0.2]))
def test_a_hard_fault_is_found_after_exactly_its_threshold(k: int, share: float) -> None:
    needed = {0.0: 3, 0.01: 4, 0.05: 6, 0.2: 8}[share]
    noisy = at(State.UP, noise=share, noise_at=START.timestamp())

    assert states("F" * needed, health=noisy) == "?" * (needed - 1) + "X"
    assert states("F" * k, replace(LITERAL, fail_threshold=k), noisy) == "?" * (k - 1) + "X"


@UNHURRIED
@given(looks=NO_STOPS, strategy=ANY_STRATEGY)
def test_eight_failures_in_a_row_or_as_many_as_the_user_set_are_always_a_fault(
    looks: str, strategy: Strategy
) -> None:
    most = strategy.fail_threshold or 8
    for end, state in enumerate(states(looks, strategy), 1):
        if looks[:end].endswith("F" * most):
            assert state == "X"


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_no_recovery_without_so_many_good_answers_in_a_row(looks: str, strategy: Strategy) -> None:
    before = "N"
    for end, state in enumerate(states(looks, strategy), 1):
        if before in "Xz" and state in "uwd":
            row = looks[:end][-strategy.recovery_threshold :]
            assert len(row) == strategy.recovery_threshold
            assert set(row) <= set("os")
        before = state


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_the_memory_is_flat_and_small_and_survives_json(looks: str, strategy: Strategy) -> None:
    for step in story(looks, strategy):
        memory = dict(step.judgement.memory)
        assert json.loads(json.dumps(memory)) == memory
        assert all(type(value) in (int, float, str) for value in memory.values())
        assert len(json.dumps(memory)) < 400


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_judging_leaves_its_arguments_alone_and_gives_the_same_again(looks: str, strategy: Strategy) -> None:
    first = [step.judgement for step in story(looks, strategy)]

    assert [step.judgement for step in story(looks, strategy)] == first
    assert NEW.memory == {}


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY, cut=st.integers(0, 60))
def test_a_restart_in_between_changes_nothing(looks: str, strategy: Strategy, cut: int) -> None:
    """The memory goes through JSON, as it does through the store."""
    steps = story(looks, strategy)
    cut = min(cut, len(looks) - 1)
    kept = steps[cut].health
    stored = replace(kept, memory=json.loads(json.dumps(dict(kept.memory))))

    later = story(looks[cut + 1 :], strategy, stored, steps[cut + 1].at if cut + 1 < len(steps) else START)

    assert [step.judgement for step in later] == [step.judgement for step in steps[cut + 1 :]]


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_every_reason_is_one_line_and_every_wait_is_within_the_interval(
    looks: str, strategy: Strategy
) -> None:
    for step in story(looks, strategy):
        assert step.judgement.reason
        assert "\n" not in step.judgement.reason
        assert step.wait_s is None or 0 < step.wait_s <= 30


def test_the_detector_is_offered_under_its_kind() -> None:
    (detector,) = cusum.defib_detectors()

    assert detector.kind == "cusum"
    seen = Observation(
        monitor=NEW.monitor, source=Source.PROBE, evidence=LOOKS["o"], started_at=START, ended_at=START
    )
    assert detector.create().fold(NEW, seen, AUTOMATIC).state is State.UP
