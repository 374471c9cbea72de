"""What is watched: keys of every monitor, the options of its type, and what monitors need of one another."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from config_kit import WebOptions, load, mistakes, toy_registry
from defib import config
from defib.config.requirements import cycles
from defib.errors import ConfigError
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec, RecoveryPolicy

KNOWN_KEYS = (
    "anything, body, confirm, detector, enabled, expect, "
    "fail_threshold, from, group, id, interval, level, limit"
)


def test_a_short_monitor_has_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, "monitors:\n  - {id: main, type: web, url: http://x}\n")

    assert settings.monitors == (
        MonitorSpec(
            id=MonitorId("main"), name="main", kind="web", family=Family.AGENT, options=WebOptions(url="http://x"),
            strategy=None, overrides={}, tags=frozenset(), requires=(), recovery=RecoveryPolicy(), enabled=True,
        ),
    )  # fmt: skip
    assert settings.warnings == ()


def test_a_long_monitor_keeps_its_own_keys_its_strategy_and_its_options_apart(tmp_path: Path) -> None:
    text = """
monitors:
  - id: db.main_1-a
    name: "Main: the database"
    type: web
    url: http://x
    from: me
    expect: {status: 204, answers: {"$.queue.depth": "< 100"}, within: 1.5s}
    to: [a, b]
    share: 85%
    body: {status: 201}
    limit: [1, 2]
    password: hunter2
    anything: {a: [1, yes, null]}
    strategy: aggressive
    interval: 1m
    timeout: 250ms
    confirm: [1s, 2s]
    recover_confirm: 3s
    fail_threshold: 4
    recovery_threshold: 5
    detector: consecutive
    tags: [one, two]
    requires: other
    enabled: no
  - {id: other, type: beat, tags: single}
"""
    monitor, other = load(tmp_path, text).monitors
    options = monitor.options

    assert (monitor.id, monitor.name, monitor.strategy) == ("db.main_1-a", "Main: the database", "aggressive")
    assert monitor.overrides == {
        "interval": timedelta(minutes=1), "timeout": timedelta(milliseconds=250),
        "confirm": (timedelta(seconds=1), timedelta(seconds=2)), "recover_confirm": timedelta(seconds=3),
        "fail_threshold": 4, "recovery_threshold": 5, "detector": "consecutive",
    }  # fmt: skip
    assert (sorted(monitor.tags), list(monitor.requires), monitor.enabled) == (
        ["one", "two"],
        ["other"],
        False,
    )
    assert isinstance(options, WebOptions)
    assert (options.sender, options.to, options.share, options.limit) == ("me", ("a", "b"), 85, (1, 2))
    assert options.expect.answers == {"$.queue.depth": "< 100"}
    assert options.expect.within == timedelta(seconds=1.5)
    assert options.anything == {"a": [1, "yes", None]}
    assert options.password is not None
    assert options.password.get_secret_value() == "hunter2"
    assert other.tags == {"single"}


def test_one_wait_may_stand_without_a_list_and_none_is_a_list_too(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: a, type: beat, confirm: 2s}\n  - {id: b, type: beat, confirm: []}\n"

    one, none = load(tmp_path, text).monitors

    assert one.overrides == {"confirm": (timedelta(seconds=2),)}
    assert none.overrides == {"confirm": ()}


@pytest.mark.parametrize("written", ["Main", "'Main Agent!'", "-a", "'…'", "a" * 101, "''"])
def test_an_id_is_short_and_plain_and_a_remedy_is_shown(written: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"monitors:\n  - {{id: {written}, type: beat}}\n") == [
        "2: monitors[0].id: must consist of lower-case letters, digits, '.', '_' and '-', begin with a letter "
        "or digit, and be at most 100 characters long; write for example 'main-agent' and put other text into 'name'"
    ]


@pytest.mark.parametrize("number", ["1.10", "42", "1e3"])
def test_an_id_that_is_read_as_a_number_wants_quotes(number: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"monitors:\n  - {{id: {number}, type: beat}}\n") == [
        "2: monitors[0].id: must be text, but is read as a number; put it in quotes"
    ]
    assert load(tmp_path, f"monitors:\n  - {{id: '{number}', type: beat}}\n").monitors[0].id == number


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            "{type: web}",
            "3: monitors[0].url: is missing; where to look, such as http://localhost:8000/health",
        ),
        ("{type: web, url: x, prot: 5}", "4: monitors[0].prot: unknown key; did you mean 'port'?"),
        (
            "{type: web, url: x, INTERVAL: 5s}",
            "4: monitors[0].INTERVAL: unknown key; did you mean 'interval'?",
        ),
        ("{type: web, url: x, sender: me}", "4: monitors[0].sender: unknown key; known keys: " + KNOWN_KEYS),
        ("{type: beat, zzz: x}", "4: monitors[0].zzz: unknown key; known keys: confirm, detector, enabled, "),
        ("{type: web, url: x, port: many}", "4: monitors[0].port: must be a whole number"),
        ("{type: web, url: x, port: 1.5}", "4: monitors[0].port: must be a whole number"),
        ("{type: web, url: x, port: [1]}", "4: monitors[0].port: must be a whole number, not a list"),
        ("{type: web, url: x, port: }", "4: monitors[0].port: is empty; write a value, or remove the key"),
        ("{type: web, url: , port: 1}", "4: monitors[0].url: is empty; write a value, or remove the key"),
        (
            "{type: web, url: 5}",
            "4: monitors[0].url: must be text, but is read as a number; put it in quotes",
        ),
        (
            "{type: web, url: true}",
            "4: monitors[0].url: must be text, but is read as true or false; put it in quotes",
        ),
        ("{type: web, url: {a: 1}}", "4: monitors[0].url: must be text, not a mapping"),
        ("{type: web, url: x, share: 120%}", "4: monitors[0].share: must be less than or equal to 100"),
        ("{type: web, url: x, to: ops}", "4: monitors[0].to: must be a list; write [first, second]"),
        (
            "{type: web, url: x, to: {a: 1}}",
            "4: monitors[0].to: must be a list, not a mapping; write [first, second]",
        ),
        (
            "{type: web, url: x, to: [a, 5]}",
            "4: monitors[0].to[1]: must be text, but is read as a number; put it in quotes",
        ),
        (
            "{type: web, url: x, level: hihg}",
            "4: monitors[0].level: must be 'low' or 'high'; did you mean 'high'?",
        ),
        (
            "{type: web, url: x, expect: 200}",
            "4: monitors[0].expect: must be a mapping; write lines of 'key: value' below it",
        ),
        (
            "{type: web, url: x, expect: {statsu: 2}}",
            "4: monitors[0].expect.statsu: unknown key; did you mean 'status'?",
        ),
        (
            "{type: web, url: x, expect: {within: 5}}",
            "4: monitors[0].expect.within: 5 is not a duration; write a number with its unit, such as 250ms, "
            "15s, 5m, 2h or 7d",
        ),
        (
            "{type: web, url: x, expect: {answers: {'$.a': 5}}}",
            '4: monitors[0].expect.answers["$.a"]: must be text, but is read as a number; put it in quotes',
        ),
        (
            "{type: web, url: x, body: {statsu: 5}}",
            "4: monitors[0].body.statsu: unknown key; did you mean 'status'?",
        ),
        ("{type: web, url: x, body: 5}", "4: monitors[0].body: must be text or a mapping"),
        ("{type: web, url: x, limit: many}", "4: monitors[0].limit: must be a whole number or a list"),
        ("{type: web, url: x, limit: [1, many]}", "4: monitors[0].limit[1]: must be a whole number"),
        ("{type: web, url: none}", "3: monitors[0]: needs 'to' when the url is none; add names to it"),
        ("{type: web, url: 'ftp:x'}", "3: monitors[0]: cannot look at ftp:x; write an http:// address"),
        (
            "{type: web, url: x, password: 1234}",
            "4: monitors[0].password: must be text, but is read as a number; put it in quotes",
        ),
        ("{type: web, url: many, to: [a]}", "4: monitors[0].to: must name two at least; add another"),
        ("{type: web, url: many}", "3: monitors[0]: to: must name two at least; add another"),
        (
            "{type: web, url: x, body: x, expect: {status: 205}}",
            "4: monitors[0].expect.status: 205 comes without a body; remove one of them",
        ),
        ("{url: x}", "3: monitors[0].type: is missing; write one of beat, web"),
        ("{type: [web]}", "4: monitors[0].type: must be text, not a list"),
        (
            "{type: wbe}",
            "4: monitors[0].type: unknown monitor type 'wbe'; did you mean 'web'? known are beat, web; plugin "
            "ldap (defib-ldap 2.0) did not load: ModuleNotFoundError: No module named 'ldap3'",
        ),
        (
            "{type: beat, strategy: nromal}",
            "4: monitors[0].strategy: unknown strategy 'nromal'; did you mean 'normal'?",
        ),
        (
            "{type: beat, detector: phi}",
            "4: monitors[0].detector: unknown detector 'phi'; known detectors: consecutive",
        ),
        (
            "{type: beat, interval: 500ms}",
            "4: monitors[0].interval: must be at least 1s; faster polling costs more than it finds",
        ),
        (
            "{type: beat, timeout: 0}",
            "4: monitors[0].timeout: must be longer than nothing; write for example 10s",
        ),
        (
            "{type: beat, fail_threshold: 0}",
            "4: monitors[0].fail_threshold: must be greater than or equal to 1",
        ),
        (
            "{type: beat, confirm: [1s, soon]}",
            "4: monitors[0].confirm[1]: 'soon' is not a duration; write a number with its unit, such as 250ms, "
            "15s, 5m, 2h or 7d",
        ),
        (
            "{type: beat, interval: 99999999999999mo}",
            "4: monitors[0].interval: must not be longer than 100 years; write for example 7d",
        ),
        ("{type: beat, enabled: perhaps}", "4: monitors[0].enabled: must be true or false"),
        (
            "{type: beat, tags: {a: b}}",
            "4: monitors[0].tags: must be a list, not a mapping; write [first, second]",
        ),
    ],
)
def test_a_mistake_has_its_line_its_path_and_its_remedy(keys: str, expected: str, tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, f"monitors:\n  # a comment\n  - id: a\n    <<: {keys}\n")

    assert mistake.startswith(expected)


def test_what_is_no_mapping_is_told_once(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "monitors:\n  - web\n  - [a]\n  -\n") == [
        "2: monitors[0]: must be a mapping; write lines of 'key: value' below it",
        "3: monitors[1]: must be a mapping; write lines of 'key: value' below it",
        "4: monitors[2].id: is missing; a name for good: its history hangs on it",
    ]


def test_all_mistakes_of_a_monitor_are_told_at_once(tmp_path: Path) -> None:
    text = """
monitors:
  - id: A
    type: web
    strategy: fast
    url: http://x
    port: x
    interval: soon
    requires: [nobody]
    recovery:
      - restart: {unti: x}
      - script: {file: missing.sh}
"""
    found = mistakes(tmp_path, text)

    assert [mistake.split(": ")[1] for mistake in found] == [
        "monitors[0].id", "monitors[0].strategy", "monitors[0].port", "monitors[0].interval", "monitors[0].requires[0]",
        "monitors[0].recovery[0].restart.unti",
    ]  # fmt: skip


def test_a_script_is_checked_even_when_the_id_is_wrong(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: A, type: beat, recovery: [{script: {file: x.sh}}]}\n"

    assert mistakes(tmp_path, text)[1] == (
        "2: monitors[0].recovery[0].script: no script x.sh for unnamed in 0 folders"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "crash",
            "plugin toys (defib 0.1.0) fails to build it with RuntimeError; this is a fault of the plugin, and "
            "--debug shows where",
        ),
        ("crash-schema", "cannot be checked: the schema fails with ArithmeticError; --debug shows where"),
    ],
)
def test_a_plugin_that_crashes_is_a_mistake_that_repeats_none_of_its_words(
    url: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"monitors:\n  - {{id: a, type: web, url: {url}}}\n")

    assert str(caught.value) == f"{tmp_path}/defib.yaml:2: monitors[0]: {message}"
    assert "hunter2" in str(caught.value.__cause__)


def test_an_id_is_used_once(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: a, type: beat}\n  - {id: b, type: beat}\n  - {id: a, type: beat}\n"

    assert mistakes(tmp_path, text) == [
        "4: monitors[2].id: 'a' is the id of another monitor already (defib.yaml:2)"
    ]


def test_monitors_cannot_require_themselves_or_one_another_or_nobody(tmp_path: Path) -> None:
    text = """monitors:
  - {id: a, type: beat, requires: [b]}
  - {id: b, type: beat, requires: [c, d]}
  - {id: c, type: beat, requires: a}
  - {id: d, type: beat, requires: [d]}
  - {id: e, type: beat, requires: [a, dd, nothing]}
"""
    assert mistakes(tmp_path, text) == [
        "4: monitors[2].requires: the monitors require one another: a → b → c → a; remove one of them",
        "5: monitors[3].requires[0]: monitor 'd' requires itself; remove it here",
        "6: monitors[4].requires[1]: unknown monitor 'dd'; did you mean 'd'?",
        "6: monitors[4].requires[2]: unknown monitor 'nothing'; known ids: a, b, c, d, e",
    ]


def test_a_diamond_is_no_cycle(tmp_path: Path) -> None:
    text = """monitors:
  - {id: a, type: beat, requires: [b, c]}
  - {id: b, type: beat, requires: [d]}
  - {id: c, type: beat, requires: [d]}
  - {id: d, type: beat}
"""
    assert len(load(tmp_path, text).monitors) == 4


def test_long_chains_are_followed_without_recursion() -> None:
    needs = {str(number): (str(number + 1),) for number in range(20_000)} | {"20000": ("0",)}

    (cycle,) = cycles(needs)

    assert len(cycle) == 20_001


def test_a_long_list_of_names_is_cut(tmp_path: Path) -> None:
    text = "monitors:\n" + "".join(f"  - {{id: m{number:02}, type: beat}}\n" for number in range(30))
    text += "  - {id: x, type: beat, requires: [zzz]}\n"

    (mistake,) = mistakes(tmp_path, text)

    assert mistake.endswith("m18, m19 and 11 more")


def test_a_timeout_beyond_the_interval_warns(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: a, type: beat, interval: 2s}\n  - {id: b, type: beat, interval: 2s, timeout: 1s}\n"

    assert load(tmp_path, text).warnings == (
        f"{tmp_path}/defib.yaml:2: monitors[0].interval: a probe may take longer (timeout 5s) than the time to "
        f"the next "
        "one (interval 2s); probes will be skipped",
    )


def test_loading_twice_gives_the_same(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: a, type: web, url: x, recovery: [restart: {unit: u}]}\n"

    assert load(tmp_path, text) == load(tmp_path, text)


def test_a_thousand_monitors_load_within_a_second_of_processor_time(tmp_path: Path) -> None:
    monitor = """  - id: m{0}
    name: Monitor {0}
    type: web
    url: http://localhost:{0}/health
    expect: {{status: 200, answers: {{"$.queue.depth": "< 100"}}, within: 2s}}
    strategy: aggressive
    interval: 30s
    tags: [one, two]
    recovery:
      - restart: {{unit: main-{0}, action: restart}}
      - restart: {{unit: main-{0}, timeout: 30s}}
"""
    path = tmp_path / "defib.yaml"
    path.write_text(
        "monitors:\n" + "".join(monitor.format(number) for number in range(1000)), encoding="utf-8"
    )
    registry = toy_registry()
    spent = []
    for _ in range(3):
        start = time.process_time()
        assert len(config.load(path, registry, {}).monitors) == 1000
        spent.append(time.process_time() - start)

    assert min(spent) < 1.0
