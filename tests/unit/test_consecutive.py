"""The detector that counts what comes in a row."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defib.plugin import (
    Detector,
    Evidence,
    Grade,
    Health,
    Judgement,
    MonitorId,
    Observation,
    Source,
    State,
    Strategy,
)  # fmt: skip
from defib_strategies import consecutive, presets

NORMAL = next(strategy for strategy in presets.defib_strategies() if strategy.name == "normal")
NEW = Health(monitor=MonitorId("main"), since=datetime(2026, 1, 1, tzinfo=UTC))
DETECTOR = consecutive.Consecutive()

OK = Evidence.ok("HTTP 200 in 12 ms")
SLOW = Evidence.degraded("slow", "HTTP 200 in 3.1 s")
FAIL = Evidence.fail("refused", "connection refused", grade=Grade.STRONG)
LOOKS = {"o": OK, "s": SLOW, "F": FAIL}

LETTERS = {
    State.NEW: "N", State.UP: "u", State.SUSPECT: "?", State.DEGRADED: "d", State.FAULT: "X",
    State.UNREACHABLE: "r", State.STOPPED: "z",
}  # fmt: skip


def judge(
    health: Health, evidence: Evidence, strategy: Strategy = NORMAL, detector: Detector = DETECTOR
) -> Judgement:
    at = health.since
    seen = Observation(
        monitor=health.monitor, source=Source.PROBE, evidence=evidence, started_at=at, ended_at=at
    )
    return detector.fold(health, seen, strategy)


def at(state: State, **memory: int) -> Health:
    return replace(NEW, state=state, memory={"fails": 0, "oks": 0, "slow": 0} | memory)


def after(health: Health, judgement: Judgement) -> Health:
    return replace(health, state=judgement.state, memory=judgement.memory)


def judgements(looks: str, strategy: Strategy = NORMAL, health: Health = NEW) -> list[Judgement]:
    """One judgement for each of ``o`` (ok), ``s`` (slow) and ``F`` (failure)."""
    made = []
    for look in looks:
        made.append(judge(health, LOOKS[look], strategy))
        health = after(health, made[-1])
    return made


def states(looks: str, strategy: Strategy = NORMAL, health: Health = NEW) -> str:
    return "".join(LETTERS[judgement.state] for judgement in judgements(looks, strategy, health))


# --- tables --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ("o", "u"),
        ("FFF", "??X"),
        ("FFoFF", "??u??"),
        ("FFoFFF", "??u??X"),
        ("oFoFoF", "u?u?u?"),
        ("FFFo", "??XX"),
        ("FFFoo", "??XXu"),
        ("FFFoFo", "??XXXX"),
        ("FFFoFoo", "??XXXXu"),
        ("FFFoFFFoo", "??XXXXXXu"),
        ("FFFooF", "??XXu?"),
        ("FFsFF", "??u??"),
        ("FFFss", "??XXu"),
        ("FFFsss", "??XXud"),
        ("sss", "uud"),
        ("ssoss", "uuuuu"),
        ("ssss", "uudd"),
        ("ssso", "uudd"),
        ("sssoo", "uuddu"),
        ("sssosoo", "uuddddu"),
        ("sssF", "uud?"),
        ("sssFFF", "uud??X"),
        ("sssFo", "uud?u"),
        ("ssFss", "uu?uu"),
    ],
)
def test_three_make_a_fault_and_two_end_it(looks: str, expected: str) -> None:
    assert states(looks) == expected


@pytest.mark.parametrize(
    ("looks", "expected"), [("F", "X"), ("Fo", "Xu"), ("FoF", "XuX"), ("s", "d"), ("so", "du"), ("oo", "uu")]
)
def test_a_threshold_of_one_decides_at_once(looks: str, expected: str) -> None:
    assert states(looks, replace(NORMAL, fail_threshold=1, recovery_threshold=1)) == expected


def test_recovery_straight_into_slowness_is_degraded_and_still_needs_plain_answers_to_end() -> None:
    patient = replace(NORMAL, fail_threshold=2, recovery_threshold=3)

    assert states("FFsss" + "ooo", patient) == "?XXXdddu"


@pytest.mark.parametrize("state", [State.FAULT, State.UNREACHABLE, State.STOPPED])
def test_a_state_that_good_answers_end_slowly_is_kept_until_there_are_enough(state: State) -> None:
    letter = LETTERS[state]

    assert states("ooo", health=at(state)) == f"{letter}uu"


@pytest.mark.parametrize("state", [State.NEW, State.UP, State.WATCH, State.SUSPECT])
def test_in_every_other_state_one_good_answer_is_enough(state: State) -> None:
    assert states("o", health=at(state)) == "u"


@pytest.mark.parametrize(
    ("state", "expected"),
    [(State.FAULT, "XXX"), (State.UNREACHABLE, "rrX"), (State.STOPPED, "??X"), (State.DEGRADED, "??X")],
)
def test_a_declared_fault_stays_one_however_its_failures_are_spaced(state: State, expected: str) -> None:
    assert states("FFF", health=at(state)) == expected


@pytest.mark.parametrize(
    ("looks", "reasons"),
    [
        ("o", ["well: HTTP 200 in 12 ms"]),
        (
            "FFFF",
            [
                "1 of 3 failures in a row: connection refused",
                "2 of 3 failures in a row: connection refused",
                "3 of 3 failures in a row: connection refused",
                "3 of 3 failures in a row: connection refused",
            ],
        ),
        (
            "ssss",
            [
                "1 of 3 degraded answers in a row: HTTP 200 in 3.1 s",
                "2 of 3 degraded answers in a row: HTTP 200 in 3.1 s",
                "3 of 3 degraded answers in a row: HTTP 200 in 3.1 s",
                "3 of 3 degraded answers in a row: HTTP 200 in 3.1 s",
            ],
        ),
    ],
)
def test_the_reason_counts(looks: str, reasons: list[str]) -> None:
    assert [judgement.reason for judgement in judgements(looks)] == reasons


@pytest.mark.parametrize(
    ("looks", "reasons"),
    [
        ("oo", ["1 of 2 good answers in a row", "2 of 2 good answers in a row: HTTP 200 in 12 ms"]),
        (
            "oF",
            [
                "1 of 2 good answers in a row",
                "failed again before it had recovered: connection refused",
            ],
        ),
    ],
)
def test_the_reason_of_a_fault_tells_how_far_recovery_is(looks: str, reasons: list[str]) -> None:
    assert [judgement.reason for judgement in judgements(looks, health=at(State.FAULT, fails=3))] == reasons


def test_the_reason_is_grammatical_for_a_threshold_of_one() -> None:
    hasty = replace(NORMAL, fail_threshold=1, recovery_threshold=1)

    assert [judgement.reason for judgement in judgements("Fo", hasty)] == [
        "1 of 1 failure in a row: connection refused",
        "1 of 1 good answer in a row: HTTP 200 in 12 ms",
    ]


@pytest.mark.parametrize(
    ("looks", "waits_s"),
    [
        ("FFFF", [1, 2, None, None]),
        ("FFoF", [1, 2, None, 1]),
        ("FFFoo", [1, 2, None, 2, None]),
        ("FFFoFoo", [1, 2, None, 2, None, 2, None]),
        ("FFFs", [1, 2, None, 2]),
        ("ssso", [None, None, None, None]),
    ],
)
def test_failures_and_first_successes_are_looked_at_again_soon(
    looks: str, waits_s: list[float | None]
) -> None:
    expected = [None if wait is None else timedelta(seconds=wait) for wait in waits_s]

    assert [judgement.look_again_in for judgement in judgements(looks)] == expected


def test_without_confirmation_the_next_look_is_the_scheduled_one() -> None:
    plain = replace(NORMAL, confirm=(), recover_confirm=None)

    assert [judgement.look_again_in for judgement in judgements("FFFoo", plain)] == [None] * 5


def test_more_waits_than_failures_are_needed_for_end_at_the_fault() -> None:
    eager = replace(NORMAL, fail_threshold=2, confirm=(timedelta(seconds=1),) * 5)

    assert [judgement.look_again_in for judgement in judgements("FF", eager)] == [timedelta(seconds=1), None]


def test_what_another_detector_remembered_is_no_count() -> None:
    health = replace(NEW, state=State.SUSPECT, memory={"fails": "2", "oks": True, "slow": -4, "score": 6})

    assert judge(health, FAIL).memory == {"fails": 1, "oks": 0, "slow": 0}


def test_a_lowered_threshold_counts_what_is_remembered() -> None:
    lowered = replace(NORMAL, fail_threshold=2)

    judgement = judge(at(State.SUSPECT, fails=2), FAIL, lowered)

    assert (judgement.state, judgement.reason) == (
        State.FAULT,
        "2 of 2 failures in a row: connection refused",
    )


@pytest.mark.parametrize("looks", ["ooo", "FFF", "FFFoo", "sss", "sssoo"])
def test_a_state_that_lasts_leaves_the_memory_as_it_is(looks: str) -> None:
    *_, before, settled = judgements(looks + 2 * looks[-1])

    assert settled.memory == before.memory
    assert settled.reason == before.reason


# --- properties ----------------------------------------------------------------------------------------

UNHURRIED = settings(deadline=None)  # a busy machine is no fault of the detector
ANY_LOOKS = st.text(alphabet="osF", min_size=1, max_size=60)
ANY_STRATEGY = st.builds(
    replace,
    st.just(NORMAL),
    fail_threshold=st.integers(1, 5),
    recovery_threshold=st.integers(1, 4),
    confirm=st.lists(st.just(timedelta(seconds=1)), max_size=5).map(tuple),
)


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_no_fault_without_so_many_failures_in_a_row(looks: str, strategy: Strategy) -> None:
    before = "N"
    for end, state in enumerate(states(looks, strategy), 1):
        if state == "X" and before != "X":
            assert looks[:end].endswith("F" * strategy.fail_threshold)
        before = state


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_so_many_failures_in_a_row_are_always_a_fault(looks: str, strategy: Strategy) -> None:
    for end, state in enumerate(states(looks, strategy), 1):
        if looks[:end].endswith("F" * strategy.fail_threshold):
            assert state == "X"


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_no_recovery_without_so_many_good_answers_in_a_row(looks: str, strategy: Strategy) -> None:
    before = "N"
    for end, state in enumerate(states(looks, strategy), 1):
        if before == "X" and state != "X":
            assert end >= strategy.recovery_threshold
            assert "F" not in looks[end - strategy.recovery_threshold : end]
        before = state


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_degraded_ends_well_only_after_so_many_plain_answers_in_a_row(looks: str, strategy: Strategy) -> None:
    before = "N"
    for end, state in enumerate(states(looks, strategy), 1):
        if before == "d" and state == "u":
            assert looks[:end].endswith("o" * strategy.recovery_threshold)
        before = state


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_degraded_needs_so_many_degraded_answers_in_a_row(looks: str, strategy: Strategy) -> None:
    before = "N"
    for end, state in enumerate(states(looks, strategy), 1):
        if before != "d" and state == "d":
            assert looks[:end].endswith("s" * strategy.fail_threshold)
        before = state


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_the_memory_stays_three_whole_numbers_that_survive_json(looks: str, strategy: Strategy) -> None:
    for judgement in judgements(looks, strategy):
        assert set(judgement.memory) == {"fails", "oks", "slow"}
        assert all(type(count) is int and count >= 0 for count in judgement.memory.values())
        assert json.loads(json.dumps(dict(judgement.memory))) == judgement.memory


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_judging_leaves_its_arguments_alone_and_gives_the_same_again(looks: str, strategy: Strategy) -> None:
    assert judgements(looks, strategy) == judgements(looks, strategy)
    assert NEW.memory == {}


@UNHURRIED
@given(looks=ANY_LOOKS, strategy=ANY_STRATEGY)
def test_every_reason_is_one_line_of_words(looks: str, strategy: Strategy) -> None:
    for judgement in judgements(looks, strategy):
        assert judgement.reason
        assert "\n" not in judgement.reason


def test_the_detector_is_offered_under_its_kind() -> None:
    (detector,) = consecutive.defib_detectors()

    assert detector.kind == "consecutive"
    assert judge(NEW, OK, detector=detector.create()).state is State.UP
