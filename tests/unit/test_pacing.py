"""How often each of many may do something."""

import pytest

from defib.rules.pacing import MOST_KNOWN, Allowances, source


def test_so_many_at_once_and_then_one_each_second() -> None:
    allowances = Allowances(per_second=1.0, at_once=3)

    assert [allowances.spend("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert allowances.spend("a", 100.5) == pytest.approx(0.5)
    assert allowances.spend("a", 101.0) == 0.0
    assert allowances.spend("a", 101.0) == pytest.approx(1.0)
    assert allowances.spend("b", 101.0) == 0.0
    assert [allowances.spend("a", 1000.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_of_very_many_the_ones_seen_longest_ago_are_forgotten() -> None:
    allowances = Allowances(per_second=0.001, at_once=1)
    for number in range(MOST_KNOWN + 1):
        assert allowances.spend(str(number), 0.0) == 0.0

    assert allowances.spend("0", 0.0) == 0.0
    assert allowances.spend(str(MOST_KNOWN), 0.0) > 0.0


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_an_address_of_version_six_stands_for_its_network(host: str, who: str) -> None:
    assert source(host) == who
