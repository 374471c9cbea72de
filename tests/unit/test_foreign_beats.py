"""What clients of other monitors may send: durations, pings, check fields, names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.rules.slugs import as_slug
from defib_plugins import gatus_receiver, healthchecks_fields, kuma_push_receiver
from defib_plugins.heartbeat import HeartbeatOptions
from defib_plugins.receiving import RefusedError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["name", "slug", "tags", "desc", "timeout", "grace", "schedule", "tz", "methods", "unique", "success_kw",
     "filter_http_body", "filter_default_fail"]
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("", None), ("0", 0.0), ("10s", 10_000.0), ("1m30.5s", 90_500.0), ("250ms", 250.0), ("1h", 3_600_000.0),
        ("1.5us", 0.0015), (".5s", 500.0),
    ],
)  # fmt: skip
def test_a_duration_of_go_is_read(text: str, milliseconds: float | None) -> None:
    assert gatus_receiver.milliseconds(text) == (
        milliseconds if milliseconds is None else pytest.approx(milliseconds)
    )


@given(st.text(alphabet="0123456789.-+eEnumshµ ", max_size=30) | st.text(max_size=30))
def test_no_duration_and_no_ping_raises_anything_but_a_refusal(text: str) -> None:
    for read in (gatus_receiver.milliseconds, kuma_push_receiver.milliseconds):
        try:
            found = read(text)
        except RefusedError:
            continue
        assert found is None or 0 <= found < 1e24


@given(JSON | st.dictionaries(FIELDS, JSON, max_size=5))
def test_no_fields_raise_anything_but_a_refusal(data: object) -> None:
    try:
        fields = healthchecks_fields.read(data)
    except RefusedError:
        return
    assert {"grace"} <= fields.options({}).keys()


@given(timeout=st.integers(60, 31_536_000), grace=st.integers(60, 31_536_000))
def test_good_fields_are_good_options(timeout: int, grace: int) -> None:
    fields = healthchecks_fields.read({"timeout": timeout, "grace": grace, "methods": "POST"})

    options = HeartbeatOptions.model_validate(fields.options({}))

    assert options.every is not None
    assert options.grace is not None
    assert (options.every.total_seconds(), options.grace.total_seconds()) == (timeout, grace)
    assert options.only_post


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Weekly Sync!", "weekly-sync"), ("db.backup_1", "db.backup_1"), ("Ünïque", "unique"), ("--a--", "a"),
        ("日本", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_name_makes_a_slug(name: str, slug: str) -> None:
    assert as_slug(name) == slug


@given(st.text())
def test_a_slug_can_stand_in_an_address_and_makes_itself(name: str) -> None:
    slug = as_slug(name)

    assert slug == "" or (re.fullmatch(r"[a-z0-9][a-z0-9._-]*", slug) and len(slug) <= 80)
    assert as_slug(slug) == slug
