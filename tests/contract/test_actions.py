"""What every recovery action promises, held against all that are built in."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    ActionType,
    BuildContext,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
    masked,
)
from defib_strategies import (
    command_action,
    docker_action,
    http_action,
    postgres_action,
    process_action,
    script_action,
    systemd_action,
)
from defib_testkit import processes
from defib_testkit.ports import free_port
from defib_testkit.systemctl_double import SystemctlDouble
from defib_testkit.waiting import async_wait_until

MODULES = (
    systemd_action, docker_action, script_action, command_action, postgres_action, process_action, http_action,
)  # fmt: skip
TYPES: dict[str, ActionType] = {each.kind: each for module in MODULES for each in module.defib_actions()}
MONITOR = MonitorSpec(id=MonitorId("m"), name="M", kind="http", family=Family.AGENT, options=Options())

Make = Callable[[], Action]


def context(timeout_s: float) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={}, execute=ProcessExecutor(), clock=SystemClock()
    )


class Workshop:
    """Makes each action against a target that fails or one that hangs."""

    def __init__(
        self, folder: Path, silent_socket: Path, silent_port: int, systemctl: SystemctlDouble
    ) -> None:
        self._scripts = folder / "recovery_scripts"
        self._scripts.mkdir(mode=0o755)
        self._folder = folder
        self._silent_socket = silent_socket
        self._silent_port = silent_port
        self._systemctl = systemctl

    def failing(self, name: str) -> Action:
        self._systemctl.failed("broken.service", ActiveEnterTimestamp="", InvocationID="")
        self._systemctl.on_start("broken.service", "fail")
        missing = str(self._folder / "docker.sock")
        return self._make(name, script="exit 3", docker_host=missing, port=free_port())

    def hanging(self, name: str) -> Action:
        self._systemctl.running("broken.service")
        self._systemctl.fault("hang-jobs")
        return self._make(
            name, script="sleep 600", docker_host=str(self._silent_socket), port=self._silent_port
        )

    def _make(self, name: str, *, script: str, docker_host: str, port: int) -> Action:
        dsn = f"postgresql://app:hunter2@127.0.0.1:{port}/app"
        path = self._scripts / "restart.sh"
        path.write_text(f"#!/bin/sh\n: > {self._folder}/ran\n{script}\n")
        path.chmod(0o755)
        kind, options = {
            "systemd": ("systemd", {"unit": "broken"}),
            "docker": ("docker", {"container": "no-such", "docker_host": docker_host}),
            "script": ("script", {"file": "restart.sh", "args": ["password=hunter2"]}),
            "command": ("command", {"argv": ["/bin/sh", str(path), "--token", "hunter2"]}),
            "postgres": ("postgres", {"dsn": dsn}),
            "process": (
                "process",
                {"argv": ["/bin/sh", str(path), "--token", "hunter2"], "pidfile": "app.pid"},
            ),
            "http": (
                "http",
                {"url": f"http://app:hunter2@127.0.0.1:{port}/x", "headers": {"X-Key": "hunter2"}},
            ),
            "postgres diagnosis": ("postgres", {"action": "diagnose", "dsn": dsn}),
            "postgres in a container": ("postgres", {"container": "db", "docker_host": docker_host}),
        }[name]
        made: Action = TYPES[kind].create(
            TYPES[kind].options.model_validate(options),
            MONITOR,
            BuildContext(base=self._folder, script_folders=(self._scripts,)),
        )
        return made

    @property
    def has_run(self) -> bool:
        return (self._folder / "ran").exists() or bool(self._systemctl.calls)


ACTIONS = (
    "systemd", "docker", "script", "command", "process", "http", "postgres", "postgres diagnosis",
    "postgres in a container",
)  # fmt: skip
RUNNING_COMMANDS = ("systemd", "script", "command", "process")
each_action = pytest.mark.parametrize("name", ACTIONS)
each_type = pytest.mark.parametrize("kind", TYPES)


@pytest.fixture
def workshop(
    tmp_path: Path, kit_tmp: Path, systemctl: SystemctlDouble, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    monkeypatch.setenv("PATH", str(systemctl.folder), prepend=":")
    silent_socket = kit_tmp / "silent.sock"
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        unix.bind(str(silent_socket))
        unix.listen()
        yield Workshop(tmp_path, silent_socket, tcp.getsockname()[1], systemctl)


# --- the descriptor ------------------------------------------------------------------------------------


def test_the_kinds_are_those_of_the_interface() -> None:
    assert sorted(TYPES) == ["command", "docker", "http", "postgres", "process", "script", "systemd"]


@each_type
def test_the_summary_is_one_line(kind: str) -> None:
    assert 0 < len(TYPES[kind].summary) <= 100
    assert "\n" not in TYPES[kind].summary


@each_type
def test_every_option_is_described_in_the_published_schema(kind: str) -> None:
    schema = json.loads(json.dumps(TYPES[kind].options.model_json_schema()))

    assert schema["additionalProperties"] is False
    assert schema["properties"]
    assert [name for name, option in schema["properties"].items() if not option.get("description")] == []


@each_type
def test_an_unknown_option_is_a_mistake(kind: str) -> None:
    with pytest.raises(ValidationError, match="restrat"):
        TYPES[kind].options.model_validate({"restrat": True})


def test_importing_all_of_them_loads_none_of_the_heavy_libraries() -> None:
    names = [module.__name__ for module in MODULES]
    program = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(sorted({'docker', 'requests', 'psycopg', 'httpx', 'psutil'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, timeout=30)

    assert done.stdout == "[]\n", done.stderr


# --- the action ----------------------------------------------------------------------------------------


@each_action
def test_the_description_is_one_line_without_secrets(workshop: Workshop, name: str) -> None:
    description = workshop.failing(name).description

    assert description
    assert "\n" not in description
    assert "hunter2" not in description


@each_action
async def test_making_and_checking_it_executes_nothing(workshop: Workshop, name: str) -> None:
    workshop.failing(name).check()

    assert not workshop.has_run


@each_action
async def test_a_failure_is_a_result(workshop: Workshop, name: str) -> None:
    result = await workshop.failing(name).run(context(10.0))

    assert result.exit_status not in (0, None)
    assert not result.timed_out
    assert "hunter2" not in result.output


@each_action
async def test_a_target_that_hangs_is_given_up_in_time(workshop: Workshop, name: str) -> None:
    action, began = workshop.hanging(name), time.monotonic()

    result = await action.run(context(0.4))

    assert (result.exit_status, result.timed_out) == (None, True)
    assert time.monotonic() - began < 2.0


@each_action
async def test_a_cancelled_action_ends_at_once_with_its_processes(workshop: Workshop, name: str) -> None:
    before = processes.children()
    started: asyncio.Queue[int] = asyncio.Queue()
    frame = replace(context(0.8), execute=ProcessExecutor(started.put))
    running = asyncio.create_task(workshop.hanging(name).run(frame))
    command = await started.get() if name in RUNNING_COMMANDS else None
    await asyncio.sleep(0)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await async_wait_until(lambda: command not in processes.children(), what="the command to be reaped")
    await async_wait_until(
        lambda: not any(map(processes.is_running, processes.children() - before)),
        what="its children to be gone",
    )


@each_action
async def test_the_identity_is_told_or_unknown(workshop: Workshop, name: str) -> None:
    assert await workshop.failing(name).identity() is None


@each_action
async def test_it_can_run_again(workshop: Workshop, name: str) -> None:
    action = workshop.failing(name)

    first, second = await action.run(context(10.0)), await action.run(context(10.0))

    assert first.exit_status == second.exit_status


# --- masking -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to hide", "nothing to hide"),
        ("postgresql://app:hunter2@db/app", "postgresql://app:***@db/app"),
        ("at redis://:hunter2@cache:6379, gave up", "at redis://:***@cache:6379, gave up"),
        ("https://example.com:8443/x", "https://example.com:8443/x"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
        ("password: hunter2", "password: ***"),
        ("api_key='hunter 2' next", "api_key=*** next"),
        ("SECRET_KEY = hunter2", "SECRET_KEY = ***"),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ("sent Bearer hunter2 along", "sent Bearer *** along"),
        ('"Authorization": "Basic aHVudGVyMg==", "x": 1', '"Authorization": ***, "x": 1'),
        ("{'apiKey': 'hunter2', 'user': 'app'}", "{'apiKey': ***, 'user': 'app'}"),
        ('{"db_password":"hunter2","port":5432}', '{"db_password":***,"port":5432}'),
        ("GET /x?access_token=hunter2", "GET /x?access_token=***"),
        ("run --api-key hunter2 --verbose", "run --api-key *** --verbose"),
        ("run --no-password --verbose", "run --no-password --verbose"),
        ("https://hunter2@sentry.example.com/5", "https://***@sentry.example.com/5"),
        ("postgresql://app@db/app", "postgresql://app@db/app"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIhunter2\n-----END RSA",
            "-----BEGIN RSA PRIVATE KEY-----*** RSA",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIhunter2\ncut", "-----BEGIN PRIVATE KEY-----***"),
        ("the bot 123456789:AAEhBP0av28frZ8vqQmcK3xYRT1QdOtWWhI ran", "the bot *** ran"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "***"),
        ("password authentication failed for user app", "password authentication failed for user app"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_a_known_secret_is_masked_wherever_it_stands() -> None:
    assert masked("it was hunter2, wasn't it", ["", "hunter2"]) == "it was ***, wasn't it"
    assert masked("at /p%40ss%2F?", ["p@ss/"]) == "at /***?"
    assert masked("hunter22 and hunter2", ["hunter2", "hunter22"]) == "*** and ***"


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "_",
        "://x:",
        "password",
        "--token ",
        "'",
        "password='\\",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
        "https://",
    ],
)
def test_masking_stays_fast_on_hostile_output(unit: str) -> None:
    hostile = unit * (65_536 // len(unit))
    began = time.monotonic()

    masked(hostile)

    assert time.monotonic() - began < 2.0
