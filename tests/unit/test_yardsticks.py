"""The detectors we measure ours against give the figures that their sources give."""

import pytest

from defib_sim.yardsticks import (
    Akka,
    Wanted,
    bertier,
    configure_for_any_delay,
    configure_for_exponential_delay,
    jacobson_timeouts,
    mistake_recurrence,
    nfd_e,
    phi_akka,
    phi_cassandra,
    phi_exact,
    swim_suspicion_timeout,
)

ARRIVALS = [0.10, 10.30, 20.20, 30.40, 40.25, 50.10]
DAY = 86400.0


def test_nfd_e_expects_by_the_mean_of_the_last_beats() -> None:
    expected = [10.10, 20.20, 30.20, 40.25, 50.2875, 60.2375]
    assert list(nfd_e(ARRIVALS, eta=10.0, n=4)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("mean", "variance", "exponential", "any_delay"),
    [(0.02, 0.02, 9.976, 9.716), (0.02, 0.0004, None, 9.961)],
)
def test_the_configurator_finds_a_third_of_the_detection_time(
    mean: float, variance: float, exponential: float | None, any_delay: float
) -> None:
    wanted = Wanted(detection=30.0, recurrence=30 * DAY, duration=60.0, loss=0.01)

    assert configure_for_any_delay(wanted, variance) == pytest.approx(any_delay, abs=1e-3)
    if exponential is not None:
        assert configure_for_exponential_delay(wanted, mean) == pytest.approx(exponential, abs=1e-3)


@pytest.mark.parametrize(
    ("eta", "loss", "misses", "days"),
    [
        (5, 0.01, 2, 0.585),
        (5, 0.05, 3, 0.49),
        (10, 0.001, 2, 116),
        (10, 0.01, 3, 117),
        (30, 0.01, 1, 0.035),
        (30, 0.01, 2, 3.51),
        (30, 0.05, 2, 0.146),
        (60, 0.001, 1, 0.695),
        (60, 0.01, 3, 701),
    ],
)
def test_mistakes_recur_as_the_table_says(eta: float, loss: float, misses: int, days: float) -> None:
    assert mistake_recurrence(eta, loss, misses) / DAY == pytest.approx(days, rel=0.01)


@pytest.mark.parametrize(
    ("t", "exact", "akka", "cassandra"),
    [
        (1000, 0.301029996, 0.301029996, 0.434294482),
        (1100, 0.799545541, 0.799508321, 0.477723930),
        (1200, 1.643016080, 1.642827885, 0.521153378),
        (1300, 2.869699036, 2.909475326, 0.564582826),
        (1400, 4.499334908, 4.736694583, 0.608012275),
        (1500, 6.542645672, 7.299947394, 0.651441723),
        (1600, 9.005864327, 10.782600858, 0.694871171),
        (2000, 23.118053405, 37.584713053, 0.868588964),
    ],
)
def test_phi_of_three_products(t: float, exact: float, akka: float, cassandra: float) -> None:
    assert phi_exact(t, 1000, 100) == pytest.approx(exact, abs=1e-8)
    assert phi_akka(t, 1000, 100) == pytest.approx(akka, abs=1e-8)
    assert phi_cassandra(t, 1000) == pytest.approx(cassandra, abs=1e-9)


@pytest.mark.parametrize(
    ("threshold", "z"),
    [
        (1, 1.281552),
        (2, 2.326348),
        (3, 3.090232),
        (5, 4.264891),
        (8, 5.612001),
        (10, 6.361341),
        (12, 7.034484),
    ],
)
def test_phi_crosses_its_thresholds_at_these_deviations(threshold: float, z: float) -> None:
    assert phi_exact(z, 0, 1) == pytest.approx(threshold, abs=1e-5)


def test_akka_crosses_eight_early_and_cassandra_at_eighteen_means() -> None:
    assert phi_akka(5.225987, 0, 1) == pytest.approx(8, abs=1e-5)
    assert phi_cassandra(18.42068, 1) == pytest.approx(8, abs=1e-5)


def test_akka_from_beat_to_beat() -> None:
    detector = Akka(estimate=1000, pause=3000, least_deviation=100)
    for at in (0, 1000, 2010, 2990, 4000):
        detector.beat(at)

    assert detector.history == [750, 1250, 1000, 1010, 980, 1010]
    assert detector.deviation == pytest.approx(144.683563, abs=1e-6)
    assert detector.phi(8500) == pytest.approx(3.662671, abs=1e-6)
    assert detector.phi(8500, phi_exact) == pytest.approx(3.561753, abs=1e-6)
    assert detector.phi(8900) == pytest.approx(11.692433, abs=1e-6)
    assert detector.phi(8900, phi_exact) == pytest.approx(9.605844, abs=1e-6)


def test_akka_learns_nothing_from_the_first_interval_after_an_absence() -> None:
    detector = Akka(estimate=1000, pause=0, least_deviation=100)
    for at in (0, 1000, 60_000, 61_000):
        detector.beat(at)

    assert detector.history == [750, 1250, 1000, 1000]


def test_nothing_is_suspicious_before_the_first_beat() -> None:
    assert Akka(estimate=1000, pause=0).phi(1e9) == 0.0


def test_bertier_follows_its_vector() -> None:
    expected = [10.100, 20.300, 30.298, 40.431, 50.46488, 60.466424]
    assert list(bertier(ARRIVALS, eta=10.0, n=4)) == pytest.approx(expected, abs=1e-6)


def test_a_suspicion_shrinks_with_its_confirmations() -> None:
    timeouts = [swim_suspicion_timeout(n, expected=3, least=4, most=24) for n in range(4)]
    assert timeouts == pytest.approx([24, 14, 8.15, 4], abs=5e-3)


def test_jacobson_follows_its_vector() -> None:
    expected = [0.3, 0.2725, 0.240938, 0.542383, 0.474897]
    assert list(jacobson_timeouts([0.1, 0.12, 0.09, 0.4, 0.1])) == pytest.approx(expected, abs=1e-6)
