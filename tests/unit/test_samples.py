"""Looks of an hour as a blob, and the journal they come from."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.evidence import Evidence, Observation, Source
from defib.model.history import Sample
from defib.model.ids import MonitorId
from defib.rules import journal, samples
from defib.rules.varint import unzigzag, zigzag

HOUR = 493_000
START_US = HOUR * 3_600_000_000
END_US = START_US + 3_600_000_000
STATUSES = ("healthy", "unhealthy", "error", "unknown")

SAMPLES = st.lists(
    st.builds(
        Sample,
        at_us=st.integers(START_US, START_US + 3_599_999_999),
        status=st.sampled_from(STATUSES),
        cause=st.none() | st.text(max_size=60),
        latency_us=st.none() | st.integers(0, 4_000_000_000),
    ),
    max_size=150,
)


@given(SAMPLES)
def test_what_was_seen_comes_back_with_its_time_to_50_ms_and_its_latency_to_a_fiftieth_of_a_percent(
    looks: list[Sample],
) -> None:
    found = samples.decode(samples.encode(looks, HOUR), HOUR)
    looks = sorted(looks, key=lambda look: look.at_us)
    assert [(look.status, look.cause) for look in found] == [(look.status, look.cause) for look in looks]
    for was, is_ in zip(looks, found, strict=True):
        assert abs(is_.at_us - was.at_us) <= (50_000 if was.at_us < END_US - 50_000 else 100_000)
        assert START_US <= is_.at_us < END_US
        if was.latency_us is None:
            assert is_.latency_us is None
        else:
            exact = max(was.latency_us, 1)
            assert is_.latency_us is not None
            assert abs(is_.latency_us - exact) <= 0.00017 * exact + 0.5  # in whole microseconds


def test_a_burst_of_confirmations_keeps_its_rhythm() -> None:
    at = [0.0, 30.0, 60.0, 61.0, 63.0, 63.2, 90.0, 120.0]
    looks = [Sample(START_US + round(second * 1e6), "error", "timeout", None) for second in at]
    found = samples.decode(samples.encode(looks, HOUR), HOUR)
    assert [(look.at_us - START_US) / 1e6 for look in found] == at


def steady(dice: random.Random) -> list[Sample]:
    """120 looks, 30 s apart but for what a machine and a network do to them."""
    latencies = [dice.lognormvariate(3, 0.5) * 1000 for _ in range(120)]
    return [
        Sample(round(START_US + 7e6 + n * 30e6 + abs(dice.gauss(0, 5000)) + us), "healthy", None, round(us))
        for n, us in enumerate(latencies)
    ]


def test_an_hour_of_steady_looks_takes_less_than_two_and_a_half_bytes_each() -> None:
    dice = random.Random(8420)
    sizes = [len(samples.encode(steady(dice), HOUR)) for _ in range(50)]
    assert max(sizes) <= 120 * 2.5


def test_a_day_of_failures_costs_hardly_more() -> None:
    looks = [
        Sample(START_US + n * 30_000_000, "error", ("refused", "timeout", "http-500")[n % 3], 1000)
        for n in range(120)
    ]
    assert len(samples.encode(looks, HOUR)) < 120


@pytest.mark.parametrize("damaged", [b"", b"\x02", b"\x01\xff\xff"])
def test_what_is_no_blob_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"version 1|damaged"):
        samples.decode(damaged, HOUR)


@given(st.integers(-(2**40), 2**40))
def test_zigzag_is_undone(number: int) -> None:
    assert unzigzag(zigzag(number)) == number
    assert zigzag(number) >= 0


# --- the journal -----------------------------------------------------------------------------------

AT = datetime(1970, 1, 1, tzinfo=UTC) + HOUR * timedelta(hours=1)


def saw(evidence: Evidence, microseconds: int) -> Observation:
    at = AT + timedelta(microseconds=microseconds)
    return Observation(
        monitor=MonitorId("m"), source=Source.PROBE, started_at=at, ended_at=at, evidence=evidence
    )


def test_the_journal_keeps_looks_to_the_microsecond_and_metrics_to_seven_digits() -> None:
    looks = [
        (7, saw(Evidence.ok("", latency=timedelta(microseconds=1501), metrics={"a": 0.1, "b": 1e300}), 1)),
        (255, saw(Evidence.fail("http-500", "", metrics={"a": -2.5}), 3_599_999_999)),
        (7, saw(Evidence.inconclusive("no-route", ""), 2)),
    ]
    part = journal.unpack(journal.pack(looks), HOUR)
    assert list(part.samples()) == [
        (7, Sample(START_US + 1, "healthy", None, 1501)),
        (255, Sample(START_US + 3_599_999_999, "error", "http-500", None)),
        (7, Sample(START_US + 2, "unknown", "no-route", None)),
    ]
    begins = part.numbers()
    assert [part.metrics(place, begins) for place in range(3)] == [
        {"a": 0.1, "b": 3.402823e38},
        {"a": -2.5},
        {},
    ]
    assert list(part.places(7)) == [0, 2]
    assert part.sample(2) == Sample(START_US + 2, "unknown", "no-route", None)


def test_a_damaged_part_of_the_journal_is_refused() -> None:
    with pytest.raises(ValueError, match="damaged"):
        journal.unpack(b"\xff\x00", HOUR)
