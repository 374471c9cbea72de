"""Small parts of the server that need no engine."""

import math

import pytest

from defib.engine.views.recent import cell
from defib.web.access import is_loopback
from defib.web.encoding import encode
from defib.web.services import LoginKeys


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True), ("127.8.9.10", True), ("::1", True), ("[::1]", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("example.com", False), ("localhost.com", False),
        ("", False),
    ],
)  # fmt: skip
def test_only_loopback_is_this_machine_alone(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"name": "Grüße", "n": 1.5}, '{"name":"Grüße","n":1.5}'),
        ({"a": [math.nan, {"b": math.inf}, (-math.inf, 1)]}, '{"a":[null,{"b":null},[null,1]]}'),
        (["\ud800"], '["?"]'),
    ],
)
def test_json_is_valid_whatever_is_in_it(data: object, text: str) -> None:
    assert encode(data) == text.encode()


def test_a_login_key_works_once() -> None:
    keys = LoginKeys()
    key = keys.new()

    assert [keys.redeem("other"), keys.redeem(key), keys.redeem(key)] == [False, True, False]


def test_of_too_many_login_keys_the_oldest_go() -> None:
    keys = LoginKeys()
    made = [keys.new() for _ in range(101)]

    assert [keys.redeem(made[0]), keys.redeem(made[1]), keys.redeem(made[100])] == [False, True, True]


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ({}, "none"),
        ({"unknown": 4}, "none"),
        ({"healthy": 5, "unknown": 4}, "ok"),
        ({"healthy": 11, "error": 1}, "some"),
        ({"healthy": 9, "unhealthy": 1}, "bad"),
        ({"error": 1}, "bad"),
    ],
)
def test_an_hour_is_bad_from_a_tenth_of_failures_on(counts: dict[str, int], kind: str) -> None:
    assert cell(counts) == kind
