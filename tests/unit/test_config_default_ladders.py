"""``recovery: auto`` without a ladder: what each type of monitor does by itself, or says that it cannot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config_kit import NoOptions, load, mistakes_of, real_registry, toy_registry
from defib import config
from defib.hookspecs import DefaultRung, MonitorType
from defib.model.monitor import Family, RecoveryMode, RecoveryPolicy
from defib.registry import Kinds, Registry

DOCKER = "{id: gateway, type: docker, container: openclaw-gateway, recovery: %s}"
SYSTEMD = "{id: main, type: systemd, unit: openclaw-main, recovery: %s}"


def policy(folder: Path, monitor: str, before: str = "", registry: Registry | None = None) -> RecoveryPolicy:
    path = folder / "defib.yaml"
    path.write_text(f"{before}monitors:\n  - {monitor}\n", encoding="utf-8")
    return config.load(path, registry or real_registry(), {}).monitors[0].recovery


def refused(folder: Path, monitor: str, registry: Registry | None = None) -> list[str]:
    return mistakes_of(folder, folder / "defib.yaml", lambda: policy(folder, monitor, registry=registry))


def rungs(found: RecoveryPolicy) -> list[tuple[str, Mapping[str, Any], int]]:
    return [
        (rung.kind, rung.options.model_dump(exclude_unset=True, mode="json"), rung.max_uses)
        for rung in found.ladder
    ]


@pytest.mark.parametrize("written", ["auto", "{mode: auto}", "{mode: auto, max_attempts: 2}"])
def test_auto_is_enough_for_a_container(written: str, tmp_path: Path) -> None:
    found = policy(tmp_path, DOCKER % written)

    assert found.mode is RecoveryMode.AUTO
    assert rungs(found) == [
        ("docker", {"action": "restart"}, 1),
        ("docker", {"action": "kill-start"}, 2),
    ]


def test_auto_is_enough_for_a_unit(tmp_path: Path) -> None:
    assert rungs(policy(tmp_path, SYSTEMD % "auto")) == [
        ("systemd", {"action": "restart"}, 1),
        ("systemd", {"action": "reset-failed"}, 2),
    ]


def test_a_process_is_restarted_by_the_command_it_names(tmp_path: Path) -> None:
    monitor = "{id: app, type: process, program: app, restart: [/bin/sh, /opt/app/start], recovery: auto}"

    assert rungs(policy(tmp_path, monitor)) == [("process", {"argv": ["/bin/sh", "/opt/app/start"]}, 2)]


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app@127.0.0.1:5432/app",
        "postgresql://app@localhost/app",
        "postgresql:///app",
        "host=/run/postgresql",
    ],
)
def test_a_database_is_diagnosed_and_started_only_if_it_is_gone(dsn: str, tmp_path: Path) -> None:
    found = policy(tmp_path, f"{{id: db, type: postgres, dsn: '{dsn}', recovery: auto}}")

    assert rungs(found) == [
        ("postgres", {"action": "diagnose"}, 1),
        ("postgres", {"action": "start"}, 2),
    ]
    assert found.ladder[0].timeout == timedelta(seconds=5)


def test_a_rehearsal_has_the_same_ladder(tmp_path: Path) -> None:
    found = policy(tmp_path, DOCKER % "dry-run")

    assert found.mode is RecoveryMode.DRY_RUN
    assert [kind for kind, _, _ in rungs(found)] == ["docker", "docker"]


@pytest.mark.parametrize("written", ["off", "[]", "{mode: auto, ladder: []}"])
def test_no_ladder_is_added_where_none_is_wanted(written: str, tmp_path: Path) -> None:
    assert policy(tmp_path, DOCKER % written).ladder == ()


def test_a_ladder_of_ones_own_is_all_there_is(tmp_path: Path) -> None:
    assert rungs(policy(tmp_path, DOCKER % "[docker: {action: recreate}]")) == [
        ("docker", {"action": "recreate"}, 2)
    ]


def test_auto_in_the_defaults_arms_nobody_who_does_not_say_so(tmp_path: Path) -> None:
    before = "defaults: {recovery: auto}\n"

    assert policy(tmp_path, "{id: gateway, type: docker, container: gateway}", before).ladder == ()
    assert len(policy(tmp_path, DOCKER % "{max_attempts: 2}", before).ladder) == 2


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [
        (
            "{id: web, type: http, url: 'http://localhost:8000/health', recovery: auto}",
            "what would repair a monitor of type http is not known by itself; write the rungs, for example "
            "'recovery: {mode: auto, ladder: [systemd: {unit: main}]}'",
        ),
        (
            "{id: job, type: heartbeat, every: 30s, recovery: {mode: auto, hold: 5s}}",
            "what would repair a monitor of type heartbeat is not known by itself; write the rungs, for example "
            "'recovery: {mode: auto, ladder: [systemd: {unit: main}]}'",
        ),
        (
            "{id: app, type: process, program: app, recovery: auto}",
            "how this process is restarted is not known; write 'restart: [/opt/app/restart]' at the monitor, or the "
            "rungs of a ladder",
        ),
        (
            "{id: db, type: postgres, dsn: 'postgresql://app:hunter2@db.example.com/app', recovery: auto}",
            "PostgreSQL at db.example.com/app may be on another machine, so what could start it is not known; write "
            "the rungs of a ladder, for example '- postgres: {action: start, unit: postgresql@15-main}'",
        ),
    ],
)
def test_a_type_that_cannot_help_itself_says_what_to_write(
    monitor: str, expected: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, monitor) == [f"2: monitors[0].recovery: {expected}"]


def test_a_unit_whose_restart_is_no_recovery_is_refused_with_its_reason(tmp_path: Path) -> None:
    assert refused(tmp_path, "{id: t, type: systemd, unit: multi-user.target, recovery: auto}") == [
        "2: monitors[0].recovery: multi-user.target is a target, and restarting one is no recovery; name a service"
    ]


def test_where_auto_comes_from_the_defaults_it_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "defib.yaml"
    path.write_text(
        "defaults: {recovery: auto}\nmonitors:\n"
        "  - {id: w, type: http, url: 'http://localhost/', recovery: {hold: 5s}}\n",
        encoding="utf-8",
    )

    (warning,) = config.load(path, real_registry(), {}).warnings

    assert "monitors[0].recovery: what would repair a monitor of type http is not known by itself" in warning


# --- types of third parties ----------------------------------------------------------------------------


def third_party(ladder: Any) -> Registry:
    """The toys, and a monitor type of somebody else with its own default ladder."""
    toys = toy_registry()
    kind = MonitorType(
        kind="ldap", summary="A directory", family=Family.SERVICE, options=NoOptions,
        create=lambda options, context: object(),  # type: ignore[arg-type, return-value]
        ladder=ladder,
    )  # fmt: skip
    origins = {**toys.monitors.origins, "ldap": next(iter(toys.monitors.origins.values()))}
    return replace(toys, monitors=Kinds("monitor type", {**toys.monitors.items, "ldap": kind}, origins))


def with_rungs(*found: DefaultRung) -> Registry:
    def ladder(options: NoOptions) -> Sequence[DefaultRung]:
        return found

    return third_party(ladder)


LDAP = "{id: dir, type: ldap, recovery: auto}"


def test_a_third_party_declares_its_own_ladder(tmp_path: Path) -> None:
    rung = DefaultRung(action="restart", options={"unit": "slapd"}, timeout=timedelta(minutes=2), max_uses=5)

    (found,) = policy(tmp_path, LDAP, registry=with_rungs(rung)).ladder

    assert (found.kind, found.timeout, found.max_uses) == ("restart", timedelta(minutes=2), 5)
    assert found.options.unit == "slapd"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        (
            with_rungs(DefaultRung(action="ansible")),
            "the default ladder of ldap needs the recovery action 'ansible', which no plugin offers; write the rungs, "
            "for example 'recovery: {mode: auto, ladder: [systemd: {unit: main}]}'",
        ),
        (
            with_rungs(DefaultRung(action="restart", options={"unti": "slapd"})),
            "the default ladder of ldap does not fit the recovery action 'restart' (Extra inputs are not permitted); "
            "write the rungs, for example 'recovery: {mode: auto, ladder: [systemd: {unit: main}]}'",
        ),
        (
            with_rungs(),
            "what would repair a monitor of type ldap is not known by itself; write the rungs, for example "
            "'recovery: {mode: auto, ladder: [systemd: {unit: main}]}'",
        ),
        (
            third_party(lambda options: options.hunter2),
            "plugin toys (defib 0.1.0) fails to make the default ladder with AttributeError; this is a fault of the "
            "plugin, and --debug shows where",
        ),
    ],
)
def test_a_third_partys_mistake_is_told_with_a_way_out(
    registry: Registry, expected: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, LDAP, registry) == [f"2: monitors[0].recovery: {expected}"]


def test_a_type_without_a_ladder_may_still_be_rehearsed_or_off(tmp_path: Path) -> None:
    for mode in ("dry-run", "off"):
        settings = load(tmp_path, f"monitors: [{{id: a, type: beat, recovery: {mode}}}]\n")
        assert settings.monitors[0].recovery.ladder == ()
        assert settings.warnings == ()
