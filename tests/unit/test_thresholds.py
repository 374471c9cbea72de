"""Limits that must be exceeded for a while, and sizes."""

from datetime import timedelta

import pytest

from defib.plugin import Evidence, Grade
from defib_plugins.thresholds import Limits, Reading, format_size, parse_size, present


def cpu(value: float, limit: float | None = 90.0) -> Reading:
    return Reading(name="cpu", value=value, limit=limit, text=f"CPU at {value} %", limit_text=f"{limit} %")


def disk(value: float, place: str = "/") -> Reading:
    return Reading(
        name="disk",
        value=value,
        limit=85.0,
        text=f"disk {place} at {value} %",
        limit_text="85 %",
        grade=Grade.SCHEDULED,
        key=place,
    )


def judged(limits: Limits, *readings: Reading, at: float = 0.0) -> Evidence:
    return limits.judge(readings, at, summary="fine", metrics={"cpu_percent": 1.0}, facts={"disk": 1})


def test_within_the_limits_all_is_well() -> None:
    assert judged(Limits(), cpu(90.0), disk(85.0)) == Evidence.ok(
        "fine", metrics={"cpu_percent": 1.0}, facts={"disk": 1}
    )


def test_a_number_without_a_limit_is_never_over_it() -> None:
    assert not cpu(100.0, None).is_over


def test_beyond_a_limit_is_degraded() -> None:
    evidence = judged(Limits(), cpu(91.0))

    assert (evidence.is_degraded, evidence.cause, evidence.grade) == (True, "cpu", Grade.WEAK)
    assert evidence.summary == "CPU at 91.0 % (limit 90.0 %)"


def test_a_disk_running_full_is_scheduled() -> None:
    evidence = judged(Limits(), disk(99.0, "/var"))

    assert (evidence.cause, evidence.grade) == ("disk", Grade.SCHEDULED)


def test_what_a_restart_may_cure_is_the_cause_beside_what_it_never_cures() -> None:
    evidence = judged(Limits(), disk(99.0), disk(90.0, "/var"), cpu(95.0))

    assert (evidence.cause, evidence.grade) == ("cpu", Grade.WEAK)
    assert evidence.summary == (
        "disk / at 99.0 % (limit 85 %); disk /var at 90.0 % (limit 85 %); CPU at 95.0 % (limit 90.0 %)"
    )


def test_a_limit_must_be_exceeded_for_the_whole_time() -> None:
    limits = Limits(timedelta(seconds=60))

    assert not judged(limits, cpu(95.0), at=0).is_degraded
    assert not judged(limits, cpu(95.0), at=59.9).is_degraded
    assert judged(limits, cpu(95.0), at=60).summary == "CPU at 95.0 % (limit 90.0 %) for at least 1m"


def test_a_break_starts_the_time_anew() -> None:
    limits = Limits(timedelta(seconds=60))
    judged(limits, cpu(95.0), at=0)
    judged(limits, cpu(10.0), at=50)

    assert not judged(limits, cpu(95.0), at=60).is_degraded
    assert not judged(limits, cpu(95.0), at=119).is_degraded
    assert judged(limits, cpu(95.0), at=120).is_degraded


def test_each_partition_has_a_time_of_its_own() -> None:
    limits = Limits(timedelta(seconds=60))
    judged(limits, disk(90.0, "/"), at=0)
    evidence = judged(limits, disk(90.0, "/"), disk(90.0, "/var"), at=60)

    assert evidence.summary == "disk / at 90.0 % (limit 85 %) for at least 1m"


@pytest.mark.parametrize(
    ("written", "size_bytes"),
    [
        (1, 1),
        ("1", 1),
        ("52428800", 52428800),
        ("500MB", 500_000_000),
        ("512 MiB", 536_870_912),
        ("1.5G", 1_500_000_000),
        ("2GiB", 2_147_483_648),
        ("10k", 10_000),
        ("1KiB", 1024),
        ("3TB", 3_000_000_000_000),
        ("7B", 7),
    ],
)
def test_sizes_are_read(written: object, size_bytes: int) -> None:
    assert parse_size(written) == size_bytes


@pytest.mark.parametrize("written", ["", "MB", "-1", 0, -5, "5 apples", True, None, 1.5, "0", "1PB", "1e3"])
def test_what_is_no_size_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match="such as 500MB or 2GiB"):
        parse_size(written)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (52_428_800, "52.4 MB"),
        (999_700, "1 MB"),
        (270_552_530_944, "271 GB"),
        (5e15, "5e+03 TB"),
    ],
)
def test_sizes_are_told_shortly(size_bytes: float, text: str) -> None:
    assert format_size(size_bytes) == text


def test_only_known_numbers_are_metrics() -> None:
    assert present(a=1.0, b=None, c=0.0) == {"a": 1.0, "c": 0.0}
