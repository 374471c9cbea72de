"""Whatever a configuration says, it is loaded or refused with mistakes; nothing else ever comes out."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from config_kit import real_registry, toy_registry
from defib import config
from defib.errors import ConfigError, Mistake
from defib.registry import Registry

WORDS = st.sampled_from(
    [
        "a", "b", "web", "beat", "http", "heartbeat", "tcp", "mail", "email", "normal", "restart", "script", "systemd",
        "docker", "5s", "0", "1h30m", "auto", "off", "forever", "0 8 * * *", "Europe/Berlin", "http://x", "90%", "${A}",
        "${file:x}", "$${", "",
    ]
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "id", "name", "type", "url", "host", "port", "every", "cron", "timezone", "expect", "status", "limits", "to",
        "interval", "timeout", "confirm", "strategy", "base", "detector", "tags", "requires", "enabled", "recovery",
        "mode", "ladder", "restart", "script", "systemd", "file", "unit", "args", "match", "severity", "kind",
        "monitors", "channels", "continue", "listen", "raw", "events", "daily", "recovery_scripts", "smtp", "from",
    ]
)  # fmt: skip
VALUES = st.recursive(
    WORDS
    | st.none()
    | st.booleans()
    | st.integers(-5, 70000)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | WORDS | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=25,
)
SECTIONS = st.sampled_from(
    [
        "timezone", "store", "server", "defaults", "strategies", "monitors", "channels", "routes", "reports",
        "retention", "other",
    ]
)  # fmt: skip
MONITORS = st.lists(
    st.fixed_dictionaries({"id": WORDS, "type": WORDS}).flatmap(
        lambda base: st.dictionaries(KEYS, VALUES, max_size=5).map(lambda more: {**more, **base})
    ),
    max_size=4,
)
CONFIGURATIONS = st.dictionaries(SECTIONS, VALUES, max_size=5) | st.fixed_dictionaries(
    {"monitors": MONITORS},
    optional={"channels": VALUES, "routes": VALUES, "strategies": VALUES, "defaults": VALUES},
)


def load_or_refuse(value: dict[str, Any], registry: Registry) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "defib.yaml"
        path.write_text(json.dumps(value), encoding="utf-8")
        mistakes = mistakes_of(path, registry)
    lines = [mistake.line or 0 for mistake in mistakes]
    assert lines == sorted(lines)
    assert all("\n" not in str(mistake) for mistake in mistakes)


def mistakes_of(path: Path, registry: Registry) -> tuple[Mistake, ...]:
    try:
        config.load(path, registry, {"A": "a"})
    except ConfigError as error:
        return error.mistakes
    return ()


@settings(deadline=None)
@given(CONFIGURATIONS)
def test_any_configuration_is_loaded_or_refused(value: dict[str, Any]) -> None:
    load_or_refuse(value, toy_registry())


@settings(deadline=None)
@given(CONFIGURATIONS)
def test_any_configuration_of_the_built_in_plugins_is_loaded_or_refused(value: dict[str, Any]) -> None:
    load_or_refuse(value, real_registry())
