"""Rates between two readings of this machine's counters."""

from dataclasses import replace

from defib_plugins.host_sample import Counters, Rates, rates

BEFORE = Counters(at=100.0, cpu_busy_s=50.0, cpu_total_s=400.0, received_bytes=1000, sent_bytes=5000)


def test_rates_are_what_happened_in_between() -> None:
    after = Counters(at=110.0, cpu_busy_s=55.0, cpu_total_s=420.0, received_bytes=11_000, sent_bytes=5000)

    assert rates(BEFORE, after) == Rates(cpu_percent=25.0, received_bytes_s=1000.0, sent_bytes_s=0.0)


def test_no_time_in_between_gives_no_rates() -> None:
    assert rates(BEFORE, BEFORE) == Rates(cpu_percent=None, received_bytes_s=None, sent_bytes_s=None)


def test_a_counter_that_fell_gives_no_rate() -> None:
    after = replace(BEFORE, at=110.0, received_bytes=10, sent_bytes=6000)

    assert rates(BEFORE, after) == Rates(cpu_percent=None, received_bytes_s=None, sent_bytes_s=100.0)


def test_the_processor_is_never_busier_than_it_can_be() -> None:
    # idle time that falls a little is a known trait of the kernel's counters
    after = replace(BEFORE, at=110.0, cpu_busy_s=60.0, cpu_total_s=409.0)

    assert rates(BEFORE, after).cpu_percent == 100.0
    assert rates(BEFORE, replace(after, cpu_busy_s=49.9)).cpu_percent == 0.0
