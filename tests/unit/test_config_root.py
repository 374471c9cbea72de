"""The plain keys at the top, and the defaults."""

from datetime import timedelta
from pathlib import Path

import pytest

from config_kit import load, mistakes
from defib.model.monitor import RecoveryMode
from defib.model.settings import DeadManSettings, ObserverSettings, Retention, ServerSettings


def test_an_empty_configuration_has_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, "")

    assert settings.timezone == "UTC"
    assert settings.store == f"sqlite:///{tmp_path}/defib.db"
    assert settings.server == ServerSettings(host="127.0.0.1", port=8420, public_url="")
    assert settings.strategy == "normal"
    assert list(settings.strategies) == ["aggressive", "normal", "conservative"]
    assert settings.recovery_mode is RecoveryMode.DRY_RUN
    assert settings.retention == Retention(raw=timedelta(days=7), events=None)
    assert (settings.channels, settings.routes, settings.reports, settings.script_folders) == ((), (), (), ())


def test_sections_left_empty_are_as_good_as_absent(tmp_path: Path) -> None:
    text = "server:\nretention:\ndefaults:\nstrategies:\nchannels:\nroutes:\nreports:\nstore:\ntimezone:\n"

    assert load(tmp_path, text).server == ServerSettings()
    assert load(tmp_path, "defaults: {recovery: , strategy: }\n").recovery_mode is RecoveryMode.DRY_RUN


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "Asia/Hongkong",
            "'Asia/Hongkong' is not a time zone of the IANA database; did you mean 'Asia/Hong_Kong'?",
        ),
        (
            "europe/berlin",
            "'europe/berlin' is not a time zone of the IANA database; did you mean 'Europe/Berlin'?",
        ),
        ("Europe", "'Europe' is not a time zone of the IANA database; did you mean "),
        ("../../etc/passwd", "'../../etc/passwd' is not a time zone of the IANA database; write one such as"),
        (
            "'+01:00'",
            "'+01:00' is not a time zone of the IANA database; write one such as 'Europe/Berlin' or 'UTC'",
        ),
    ],
)
def test_an_unknown_time_zone_names_the_nearest(written: str, message: str, tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, f"timezone: {written}\n")

    assert mistake.startswith(f"1: timezone: {message}")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("sqlite:////var/lib/defib/x.db", "sqlite:////var/lib/defib/x.db"),
        ("postgresql://user:pass@host/database", "postgresql://user:pass@host/database"),
        ("postgresql:///database?host=/run/postgresql", "postgresql:///database?host=/run/postgresql"),
    ],
)
def test_absolute_stores_stay_as_they_are(written: str, url: str, tmp_path: Path) -> None:
    assert load(tmp_path, f"store: {written}\n").store == url


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "mysql://user:hunter2@host/database",
            "must be sqlite:///defib.db (relative to the configuration) or postgresql://user@host/database",
        ),
        (
            "postgresql+asyncpg://user:hunter2@host/database",
            "must be sqlite:///defib.db (relative to the configuration) or postgresql://user@host/database",
        ),
        (
            "defib.db",
            "must be sqlite:///defib.db (relative to the configuration) or postgresql://user@host/database",
        ),
        (
            "postgresql://",
            "must be sqlite:///defib.db (relative to the configuration) or postgresql://user@host/database",
        ),
        ("postgres://user:hunter2@host/database", "begins with postgres://; write postgresql://"),
        (
            "sqlite://",
            "must name a file, such as sqlite:///defib.db; a store in memory would forget everything",
        ),
        (
            "'sqlite:///:memory:'",
            "must name a file, such as sqlite:///defib.db; a store in memory would forget everything",
        ),
    ],
)
def test_a_store_of_another_kind_is_refused_without_showing_it(
    written: str, message: str, tmp_path: Path
) -> None:
    assert mistakes(tmp_path, f"store: {written}\n") == [f"1: store: {message}"]


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("0.0.0.0:80", "0.0.0.0", 80), ("'[::1]:8420'", "::1", 8420), ("localhost:0", "localhost", 0)],
)
def test_the_server_listens_on_host_and_port(listen: str, host: str, port: int, tmp_path: Path) -> None:
    server = load(tmp_path, f"server: {{listen: {listen}}}\n").server

    assert (server.host, server.port) == (host, port)


@pytest.mark.parametrize(
    "listen", ["8420", "':8420'", "127.0.0.1", "'::1:8420'", "127.0.0.1:65536", "http://x:1", "'*:80'"]
)
def test_an_address_to_listen_on_needs_host_and_port(listen: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"server: {{listen: {listen}}}\n") == [
        "1: server.listen: must be host:port with a port up to 65535, such as 127.0.0.1:8420, 0.0.0.0:8420 for "
        "every address of this machine, or [::1]:8420"
    ]


def test_the_public_address_ends_without_a_slash(tmp_path: Path) -> None:
    assert load(tmp_path, "server: {public_url: 'https://x.example/defib/'}\n").server.public_url == (
        "https://x.example/defib"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("x.example", "must be the address people open, such as https://health.example.com"),
        ("'https://x.example/?a=b'", "must be the address people open, such as https://health.example.com"),
        (
            "https://me:hunter2@x.example",
            "must not hold a user name or password: it is shown in alerts; write it without them",
        ),
    ],
)
def test_a_public_address_is_a_plain_web_address(url: str, message: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"server: {{public_url: {url}}}\n") == [f"1: server.public_url: {message}"]


def test_history_is_kept_for_a_time_or_forever(tmp_path: Path) -> None:
    assert load(tmp_path, "retention: {raw: forever, events: 13mo}\n").retention == Retention(
        raw=None, events=timedelta(days=390)
    )


def test_retention_is_longer_than_nothing(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "retention: {raw: 0, events: 7}\n") == [
        "1: retention.raw: must be longer than nothing; write for example 10s; or write 'forever'",
        "1: retention.events: 7 is not a duration; write a number with its unit, such as 250ms, 15s, 5m, 2h or "
        "7d; or write 'forever'",
    ]


def test_the_global_strategy_must_exist(tmp_path: Path) -> None:
    assert (
        load(tmp_path, "defaults: {strategy: mine}\nstrategies: {mine: {interval: 5m}}\n").strategy == "mine"
    )
    assert mistakes(tmp_path, "defaults: {strategy: agressive}\n") == [
        "1: defaults.strategy: unknown strategy 'agressive'; did you mean 'aggressive'?"
    ]


def test_recovery_has_a_global_mode(tmp_path: Path) -> None:
    assert load(tmp_path, "defaults: {recovery: {mode: auto}}\n").recovery_mode is RecoveryMode.AUTO
    assert load(tmp_path, "defaults: {recovery: off}\n").recovery_mode is RecoveryMode.OFF


@pytest.mark.parametrize(
    "text",
    [
        "watch: true\n",
        "defaults: {interval: 5s}\n",
    ],
)
def test_keys_this_version_does_not_know_are_mistakes(text: str, tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, text)

    assert ": unknown key; known keys: " in mistake or ": unknown key; did you mean " in mistake


def test_sections_of_the_wrong_shape_say_which_they_want(tmp_path: Path) -> None:
    text = "server: x\ndefaults: []\nstrategies: x\nmonitors: {}\nchannels: []\nroutes: {}\nreports: []\n"

    assert mistakes(tmp_path, text) == [
        "1: server: must be a mapping; write lines of 'key: value' below it",
        "2: defaults: must be a mapping; write lines of 'key: value' below it",
        "3: strategies: must be a mapping; write lines of 'name: …' below it",
        "4: monitors: must be a list; write each monitor as '- id: …' with its keys below",
        "5: channels: must be a mapping; write each channel as 'name: {type: …}'",
        "6: routes: must be a list; write each route as '- {match: {…}, channels: […]}'",
        "7: reports: must be a mapping; write each report as 'daily: {cron: …, channels: […]}'",
    ]


# --- observer --------------------------------------------------------------------------------------


def test_the_observer_has_anchors_and_a_dead_man(tmp_path: Path) -> None:
    text = """
observer:
  anchors: ["1.1.1.1:443", "[2606:4700:4700::1111]:53"]
  dead_man: {url: "https://hc-ping.example.com/3f2c", every: 2m}
"""

    observer = load(tmp_path, text).observer

    assert observer.anchors == (("1.1.1.1", 443), ("2606:4700:4700::1111", 53))
    assert observer.dead_man == DeadManSettings(
        url="https://hc-ping.example.com/3f2c", every=timedelta(minutes=2)
    )
    assert "3f2c" not in repr(observer)


def test_nobody_outside_is_asked_unless_it_is_configured(tmp_path: Path) -> None:
    assert load(tmp_path, "").observer == ObserverSettings(anchors=(), dead_man=None)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{anchors: [one.one.one.one:443]}", "must be a numeric address and a port, such as 1.1.1.1:443"),
        ("{anchors: [1.1.1.1]}", "must be a numeric address and a port, such as 1.1.1.1:443"),
        ("{anchors: ['1.1.1.1:0']}", "must be a numeric address and a port, such as 1.1.1.1:443"),
        ("{dead_man: {}}", "is missing"),
        ("{dead_man: {url: hunter2}}", "is not an address; write https://host/path as the service shows it"),
        ("{dead_man: {url: 'http://h/x', every: 0}}", "must be longer than nothing"),
    ],
)
def test_a_mistake_about_the_observer_says_what_to_write(written: str, message: str, tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, f"observer: {written}\n")

    assert message in mistake
    assert "hunter2" not in mistake
