"""The options of all monitors: what they take, what they refuse, and what they never show."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from defib.plugin import BuildContext, Family
from defib_plugins import (
    command,
    docker_container,
    heartbeat,
    host,
    http_endpoint,
    postgres,
    process,
    systemd_unit,
    tcp_port,
)
from defib_plugins.postgres import address_of
from monitor_kit import build

MODULES = {
    "command": command,
    "docker": docker_container,
    "heartbeat": heartbeat,
    "host": host,
    "http": http_endpoint,
    "postgres": postgres,
    "process": process,
    "systemd": systemd_unit,
    "tcp": tcp_port,
}
MINIMAL: dict[str, dict[str, Any]] = {
    "command": {"argv": ["/bin/true"]},
    "docker": {"container": "gateway"},
    "heartbeat": {"every": "30s"},
    "host": {},
    "http": {"url": "http://localhost:8000/health"},
    "postgres": {"dsn": "postgresql://defib@localhost/app"},
    "process": {"program": "nginx"},
    "systemd": {"unit": "nginx"},
    "tcp": {"host": "localhost", "port": 22},
}
COMMON_KEYS = {
    "id", "name", "type", "tags", "requires", "requires_any",
    "recovery", "enabled", "strategy", "interval", "timeout", "confirm",
    "recover_confirm", "fail_threshold", "recovery_threshold", "detector", "summary",
}  # fmt: skip
"""Keys of every monitor; they never reach its type."""

kinds = pytest.mark.parametrize("kind", MODULES)


def options_of(kind: str, **options: Any) -> Any:
    (monitor_type,) = MODULES[kind].defib_monitors()
    return monitor_type.options.model_validate(options)


def test_kinds_and_families_are_what_configurations_and_alerts_know() -> None:
    types = [monitor_type for module in MODULES.values() for monitor_type in module.defib_monitors()]

    assert {monitor_type.kind: monitor_type.family for monitor_type in types} == {
        "command": Family.CHECK,
        "docker": Family.DOCKER,
        "heartbeat": Family.JOB,
        "host": Family.HOST,
        "http": Family.AGENT,
        "postgres": Family.DATABASE,
        "process": Family.PROCESS,
        "systemd": Family.SERVICE,
        "tcp": Family.NETWORK,
    }


@kinds
def test_the_least_that_must_be_said_suffices(kind: str) -> None:
    options_of(kind, **MINIMAL[kind])


@kinds
def test_an_unknown_key_is_a_mistake(kind: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        options_of(kind, **MINIMAL[kind], tiemout="5s")


@kinds
def test_no_key_is_one_of_those_that_every_monitor_has(kind: str) -> None:
    (monitor_type,) = MODULES[kind].defib_monitors()
    keys = {field.alias or name for name, field in monitor_type.options.model_fields.items()}

    assert keys & COMMON_KEYS == set()


@kinds
def test_the_schema_can_be_published_and_describes_every_key(kind: str) -> None:
    (monitor_type,) = MODULES[kind].defib_monitors()
    schema = monitor_type.options.model_json_schema(by_alias=True)

    json.dumps(schema)
    models = [schema, *schema.get("$defs", {}).values()]
    assert [
        key for model in models for key, value in model["properties"].items() if "description" not in value
    ] == []


@kinds
def test_options_can_be_dumped_and_read_again(kind: str) -> None:
    options = options_of(kind, **MINIMAL[kind])
    dumped = options.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    assert json.loads(json.dumps(dumped)) == dumped


@kinds
def test_a_monitor_is_made_without_looking_at_anything(kind: str) -> None:
    (monitor_type,) = MODULES[kind].defib_monitors()

    assert monitor_type.create(options_of(kind, **MINIMAL[kind]), BuildContext(base=Path("/nowhere"))).target


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (
            "http",
            {
                "url": "https://user:hunter2@localhost/x?token=hunter2",
                "headers": {"Authorization": "Bearer hunter2"},
                "body": "hunter2",
            },
        ),
        ("postgres", {"dsn": "postgresql://defib:hunter2@localhost/app?password=hunter2"}),
        ("command", {"argv": ["/bin/check"], "env": {"PASSWORD": "hunter2"}}),
    ],
)
def test_secrets_are_neither_printed_nor_dumped(kind: str, options: dict[str, Any]) -> None:
    parsed = options_of(kind, **options)

    assert "hunter2" not in repr(parsed)
    assert "hunter2" not in json.dumps(parsed.model_dump(mode="json", by_alias=True))


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (http_endpoint, {"url": "ftp://host/"}, "not an address that can be asked"),
        (http_endpoint, {"url": "http:///x"}, "not an address that can be asked"),
        (http_endpoint, {"url": "http://host:99999/"}, "not an address that can be asked"),
        (http_endpoint, {"url": "http://host/a b"}, "not an address that can be asked"),
        (http_endpoint, {"url": "http://host/a\r\nX: y"}, "not an address that can be asked"),
        (http_endpoint, {"url": "http://a..b/"}, "not an address that can be asked"),
        (http_endpoint, {"url": "http://h/", "headers": {"A b": "c"}}, "is not a header name"),
        (
            http_endpoint,
            {"url": "http://h/", "headers": {"A": "b\r\nC: d"}},
            "the value of header A has characters",
        ),
        (http_endpoint, {"url": "http://h/", "headers": {"Content-Length": "1"}}, "is Defib's own"),
        (http_endpoint, {"url": "http://h/", "method": "DELETE"}, "'GET', 'HEAD'"),
        (tcp_port, {"host": "h", "port": 0}, "greater than or equal to 1"),
        (tcp_port, {"host": "a b", "port": 1}, "should match pattern"),
        (postgres, {"dsn": "mysql://h/x"}, "not a PostgreSQL address; write for example postgresql://"),
        (postgres, {"dsn": "postgresql://u:hunter2/x@h/app"}, "in a password as %2F"),
        (postgres, {"dsn": "postgresql://u:12/hunter2@h/app"}, "in a password as %2F"),
        (postgres, {"dsn": "postgresql://u:12#hunter2@h/app"}, "in a password as %2F"),
        (postgres, {"dsn": "postgresql://u:12?hunter2@h/app"}, "not an address"),
        (postgres, {"dsn": "just words"}, "neither an address nor libpq's key=value words"),
        (postgres, {"dsn": ""}, "empty; write for example postgresql://"),
        (postgres, {"dsn": "postgresql://h/x", "limits": {"connections": 101}}, "less than or equal to 100"),
        (docker_container, {"container": "a/b"}, "should match pattern"),
        (docker_container, {"container": "a", "docker_host": "ssh://h"}, "not a Docker address"),
        (docker_container, {"container": "a", "docker_host": "tcp://u:p@h:1"}, "not a Docker address"),
        (process, {}, "nothing to look for"),
        (process, {"program": "a", "count": {"min": 3, "max": 2}}, r"max \(2\) is less than min \(3\)"),
        (process, {"program": "a", "limits": {"memory": "lots"}}, "is not a size"),
        (systemd_unit, {"unit": "-rf"}, "should match pattern"),
        (systemd_unit, {"unit": "a b"}, "should match pattern"),
        (systemd_unit, {"unit": "../x"}, "should match pattern"),
        (command, {"argv": []}, "at least 1 item"),
        (command, {"argv": ["a\0b"]}, "should match pattern"),
        (command, {"argv": [""]}, "the program is empty"),
        (host, {"limits": {"load": 0}}, "greater than 0"),
    ],
)
def test_wrong_options_are_refused_with_a_remedy(
    module: ModuleType, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build(module, **options)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "host", "target"),
    [
        ("postgresql://u:p@db.example.com:5432/app", "db.example.com", "db.example.com:5432/app"),
        ("postgres://db/app", "db", "db/app"),
        ("postgresql://u@[::1]:5432/app", "::1", "[::1]:5432/app"),
        ("postgresql:///app?host=/run/postgresql", "", "/run/postgresql/app"),
        ("postgresql://%2Frun%2Fpostgresql/app", "", "/run/postgresql/app"),
        ("postgresql://", "", "local socket"),
        ("postgresql://u:p@ss@one:5432,two:5433/app", "one:5432,two", "one:5432,two:5433/app"),
        ("host=db password=a://b@c dbname=app", "db", "db/app"),
        ("host=db port=5433 user=u password='p q' dbname=app", "db", "db:5433/app"),
        ("host = '/run/pg' dbname = app", "", "/run/pg/app"),
        ("dbname=app", "", "local socket/app"),
    ],
)
def test_a_dsn_shows_its_address_alone(dsn: str, host: str, target: str) -> None:
    assert address_of(dsn) == (host, target)


@pytest.mark.parametrize(
    ("unit", "name"),
    [("nginx", "nginx.service"), ("nginx.service", "nginx.service"), ("a@b", "a@b.service"), ("x.timer", "x.timer"),
     ("org.app", "org.app.service")],
)  # fmt: skip
def test_a_unit_without_a_type_is_a_service(unit: str, name: str) -> None:
    assert options_of("systemd", unit=unit).unit == name


def test_a_socket_is_an_address_of_a_docker_daemon() -> None:
    assert (
        options_of("docker", container="a", docker_host="/run/docker.sock").docker_host
        == "unix:///run/docker.sock"
    )
    assert options_of("docker", container="a").docker_host is None


def test_targets_and_hosts_are_told() -> None:
    remote = build(docker_container, container="web", docker_host="tcp://10.0.0.5:2375")
    web = build(http_endpoint, url="http://u:p@example.com/x")

    assert (remote.target, remote.host) == ("web at 10.0.0.5", "10.0.0.5")
    assert (web.target, web.host) == ("http://example.com/x", "example.com")
    assert build(tcp_port, host="::1", port=22).target == "[::1]:22"
    assert build(command, argv=["/usr/bin/check_mysql", "-p", "hunter2"]).target == "check_mysql"
    assert (
        build(process, pidfile="run/app.pid", program="app", base=Path("/srv")).target
        == "/srv/run/app.pid app"
    )
