"""DDSketch: percentiles within two percent, whatever was counted, in whatever order it was merged."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.rules.sketch import ALPHA, Sketch

VALUES = st.lists(st.integers(min_value=0, max_value=4_000_000_000), min_size=1, max_size=300)


def of(values: Sequence[float]) -> Sketch:
    sketch = Sketch()
    sketch.add(values)
    return sketch


@given(VALUES, st.floats(min_value=0, max_value=1))
def test_a_quantile_is_within_two_percent_of_the_value_at_its_rank(values: list[int], q: float) -> None:
    _, (found,) = of(values).quantiles(q)
    rank = int(q * (len(values) - 1))  # the first with a cumulative count above it
    exact = sorted(values)[rank]
    assert abs(found - exact) <= ALPHA * exact * (1 + 1e-9) + (1 if exact <= 1 else 0)


@given(st.lists(VALUES, min_size=1, max_size=6), st.randoms())
def test_merging_in_any_order_is_counting_all_at_once(groups: list[list[int]], dice: random.Random) -> None:
    encoded = [of(group).encode() for group in groups]
    dice.shuffle(encoded)
    merged = Sketch()
    for each in encoded:
        merged.merge(each)
    at_once = Sketch()
    at_once.merge(b"".join(encoded))
    assert merged.counts == at_once.counts == of([value for group in groups for value in group]).counts


@given(VALUES)
def test_what_was_encoded_comes_back(values: list[int]) -> None:
    again = Sketch()
    again.merge(of(values).encode())
    assert again.counts == of(values).counts
    assert again.quantiles() == (len(values), [])


def test_the_buckets_are_those_of_the_formula() -> None:
    # g = 1.02 / 0.98: ceil(ln 1500 / ln g) = ceil(182.81) = 183, and 2 g^183 / (g + 1) = 1481.45
    sketch = of([1500])
    assert sketch.counts.index(1) == 183
    assert sketch.quantiles(0.5) == (1, [pytest.approx(1481.0, abs=1)])


def test_nothing_has_no_quantile_and_a_microsecond_is_zero() -> None:
    assert Sketch().quantiles(0.5) == (0, [])
    assert of([0, 1, 0.5]).counts[0] == 3
    assert of([0, 1]).quantiles(0.99) == (2, [0.0])


def test_an_hour_of_looks_is_about_seventy_bytes() -> None:
    dice = random.Random(8420)
    sizes = [len(of([dice.lognormvariate(10, 0.5) for _ in range(120)]).encode()) for _ in range(100)]
    assert max(sizes) < 90


def test_runs_of_counts_are_as_wide_as_they_need() -> None:
    # bucket 183 as above, ceil(ln 1600 / ln g) = ceil(184.42) = 185 beside it, ceil(ln 10^6 / ln g) = 346 far away
    assert of([1500, 1600, 10**6]).encode() == bytes([183, 0, 3 << 1, 0, 1, 0, 1]) + bytes(
        [90, 1, 1 << 1, 0, 1]
    )
    assert of([1500] * 300).encode() == bytes([183, 0, 1 << 1 | 1, 0]) + bytes([44, 1, 0, 0])


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (b"\xff", "ends within a run"),
        (b"\x00\x00\x04\x00\x01", "no whole run of 2 from bucket 0"),
        (b"\x00\x00\x03\x00\x01\x00\x00", "no whole run of 1 from bucket 0"),
        (b"\x7f\x02\x04\x00\x01\x01", "no whole run of 2 from bucket 639"),
    ],
)
def test_what_is_no_sketch_is_refused(damaged: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Sketch().merge(damaged)
