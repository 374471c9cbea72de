"""Ladders, policies and modes."""

from datetime import timedelta
from pathlib import Path

import pytest

from config_kit import RestartOptions, load, mistakes
from defib.model.monitor import OnRelapse, RecoveryMode, RecoveryPolicy, Rung
from defib.model.settings import RecoveryLimits

MONITOR = "monitors:\n  - id: a\n    type: beat\n    recovery: %s\n"


def policy(folder: Path, written: str, before: str = "") -> RecoveryPolicy:
    return load(folder, before + MONITOR % written).monitors[0].recovery


def test_a_list_is_the_ladder(tmp_path: Path) -> None:
    assert policy(tmp_path, "[restart: {unit: main, action: reload}, restart: ]") == RecoveryPolicy(
        mode=RecoveryMode.DRY_RUN,
        ladder=(
            Rung(kind="restart", options=RestartOptions(unit="main", action="reload")),
            Rung(kind="restart", options=RestartOptions()),
        ),
    )


def test_a_rung_has_limits_of_its_own_beside_its_options(tmp_path: Path) -> None:
    (rung,) = policy(tmp_path, "[restart: {unit: x, timeout: 5s, idempotent: no, max_uses: 7}]").ladder

    assert rung == Rung(
        kind="restart",
        options=RestartOptions(unit="x"),
        timeout=timedelta(seconds=5),
        idempotent=False,
        max_uses=7,
    )


def test_a_mapping_sets_the_policy_beside_the_ladder(tmp_path: Path) -> None:
    written = """
      mode: auto
      hold: 8s
      cooldown: 0
      max_attempts: 5
      window: 1h
      start_timeout: 2m
      probation: 30s
      max_relapses: 3
      on_relapse: stop
      max_per_day: 20
      ladder:
        - restart: {unit: main}
"""
    assert policy(tmp_path, written) == RecoveryPolicy(
        mode=RecoveryMode.AUTO,
        ladder=(Rung(kind="restart", options=RestartOptions(unit="main")),),
        hold=timedelta(seconds=8),
        cooldown=timedelta(0),
        max_attempts=5,
        window=timedelta(hours=1),
        start_timeout=timedelta(minutes=2),
        probation=timedelta(seconds=30),
        max_relapses=3,
        on_relapse=OnRelapse.STOP,
        max_per_day=20,
    )


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("auto", "auto"),
        ("dry-run", "dry-run"),
        ("off", "off"),
        ("Off", None),
        ("false", "off"),
        ("{mode: off}", "off"),
        ("{mode: 'off'}", "off"),
    ],
)
def test_a_word_is_the_mode(written: str, mode: str | None, tmp_path: Path) -> None:
    if mode is None:
        assert mistakes(tmp_path, MONITOR % written) == [
            "4: monitors[0].recovery.mode: must be 'auto', 'dry-run' or 'off'; did you mean 'off'?"
        ]
    else:
        assert policy(tmp_path, written.replace("auto", "{mode: auto, ladder: [restart: ]}")).mode == mode


def test_defaults_hold_where_a_monitor_says_nothing(tmp_path: Path) -> None:
    before = "defaults:\n  recovery: {mode: auto, cooldown: 1m, max_attempts: 1}\n"

    assert policy(tmp_path, "[restart: ]", before).mode is RecoveryMode.AUTO
    assert policy(tmp_path, "[restart: ]", before).cooldown == timedelta(minutes=1)
    assert policy(tmp_path, "", before) == RecoveryPolicy(
        mode=RecoveryMode.AUTO, cooldown=timedelta(minutes=1), max_attempts=1
    )


@pytest.mark.parametrize(("general", "own"), [("off", "auto"), ("auto", "off")])
def test_the_own_mode_of_a_monitor_wins(general: str, own: str, tmp_path: Path) -> None:
    before = f"defaults: {{recovery: {{mode: {general}}}}}\n"

    assert policy(tmp_path, f"{{mode: {own}, ladder: [restart: ]}}", before).mode == own


def test_acting_with_an_empty_ladder_warns_where_it_was_asked_for(tmp_path: Path) -> None:
    warned = load(tmp_path, MONITOR % "{mode: auto, ladder: []}").warnings
    silent = load(tmp_path, "defaults: {recovery: auto}\nmonitors: [{id: a, type: beat}]\n").warnings

    assert warned == (
        f"{tmp_path}/defib.yaml:4: monitors[0].recovery: mode is auto but the ladder is empty: nothing will be "
        "repaired; add a rung",
    )
    assert silent == ()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("maybe", "recovery.mode: must be 'auto', 'dry-run' or 'off'"),
        ("true", "recovery.mode: must be 'auto', 'dry-run' or 'off'"),
        ("{mdoe: auto}", "recovery.mdoe: unknown key; did you mean 'mode'?"),
        ("{ladr: []}", "recovery.ladr: unknown key; did you mean 'ladder'?"),
        ("{max_attempts: 0}", "recovery.max_attempts: must be greater than or equal to 1"),
        ("{window: 0}", "recovery.window: must be longer than nothing; write for example 10s"),
        (
            "{ladder: {restart: {}}}",
            "recovery.ladder: must be a list of rungs; write for example '- systemd: {unit: main}'",
        ),
        (
            "{restart: {}}",
            "recovery.restart: unknown key; known keys: cooldown, hold, ladder, max_attempts, "
            "max_per_day, max_relapses, mode, on_relapse, probation, start_timeout, window",
        ),
        (
            "[restart]",
            "recovery[0]: a rung is an action with its options; write for example '- systemd: {unit: main}'",
        ),
        (
            "[{}]",
            "recovery[0]: a rung is an action with its options; write for example '- systemd: {unit: main}'",
        ),
        ("[restart: main]", "recovery[0].restart: must be a mapping; write lines of 'key: value' below it"),
        ("[restart: [a]]", "recovery[0].restart: must be a mapping; write lines of 'key: value' below it"),
        (
            "[{restart: {}, timeout: 5s}]",
            "recovery[0]: a rung is one action, but this has restart, timeout; timeout, idempotent and max_uses "
            "stand inside the action's own braces",
        ),
        (
            "[{restart: {}, script: {file: x}}]",
            "recovery[0]: a rung is one action, but this has restart, script; begin each with a '-' of its own",
        ),
        (
            "[{restart: {}}, {restrat: {}}]",
            "recovery[1].restrat: unknown recovery action 'restrat'; did you mean 'restart'? known are restart, "
            "script; plugin ldap (defib-ldap 2.0) did not load: ModuleNotFoundError: No module named 'ldap3'",
        ),
        ("[restart: {unti: x}]", "recovery[0].restart.unti: unknown key; did you mean 'unit'?"),
        ("[restart: {timout: 5s}]", "recovery[0].restart.timout: unknown key; did you mean 'timeout'?"),
        (
            "[restart: {timeout: 0}]",
            "recovery[0].restart.timeout: must be longer than nothing; write for example 10s",
        ),
        ("[restart: {max_uses: 0}]", "recovery[0].restart.max_uses: must be greater than or equal to 1"),
        ("[script: ]", "recovery[0].script.file: is missing; its name"),
        (
            "{ladder: [script: {file: no.sh}]}",
            "recovery.ladder[0].script: no script no.sh for a in 0 folders",
        ),
    ],
)
def test_a_mistake_in_a_ladder_has_its_path(written: str, expected: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, MONITOR % written) == [f"4: monitors[0].{expected}"]


def test_mistakes_in_the_defaults_are_told_too(tmp_path: Path) -> None:
    text = "defaults:\n  recovery:\n    mode: sometimes\n    ladder: []\n    cooldwn: 1s\n"

    assert mistakes(tmp_path, text) == [
        "3: defaults.recovery.mode: must be 'auto', 'dry-run' or 'off'",
        "4: defaults.recovery.ladder: unknown key; known keys: cooldown, hold, max_attempts, "
        "max_per_day, max_relapses, mode, on_relapse, probation, start_timeout, window",
        "5: defaults.recovery.cooldwn: unknown key; did you mean 'cooldown'?",
    ]


def test_a_script_is_looked_for_in_the_folders_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "restart.sh").write_text("true\n", encoding="utf-8")
    before = "defaults: {recovery_scripts: scripts}\n"

    assert len(policy(tmp_path, "[script: {file: restart.sh}]", before).ladder) == 1
    assert mistakes(tmp_path, before + MONITOR % "[script: {file: other.sh}]") == [
        "5: monitors[0].recovery[0].script: no script other.sh for a in 1 folders"
    ]


def test_scripts_are_not_looked_for_while_their_folders_are_in_doubt(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "defaults: {recovery_scripts: 5}\n" + MONITOR % "[script: {file: x.sh}]") == [
        "1: defaults.recovery_scripts: must be a list; write [first, second]"
    ]


def test_what_recovery_may_do_at_once_is_bounded_for_all_monitors_together(tmp_path: Path) -> None:
    text = "recovery: {concurrent: 1, refill: 2m, group_share: 0.5}\n" + MONITOR % "off"

    limits = load(tmp_path, text).recovery_limits

    assert limits == RecoveryLimits(concurrent=1, refill=timedelta(minutes=2), group_share=0.5)
    assert limits.burst == 10


def test_a_share_is_one_of_a_whole(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, "recovery: {share: 20}\n" + MONITOR % "off")

    assert mistake.startswith("1: recovery.share: ")


def test_a_monitor_names_its_group(tmp_path: Path) -> None:
    [spec] = load(tmp_path, MONITOR % "off" + "    group: nodes\n").monitors

    assert spec.group == "nodes"
