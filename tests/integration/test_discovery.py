"""``defib init`` looks at real servers, a real Docker and a stand-in for systemd."""

import asyncio
import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import config_kit
from defib import config
from defib.discovery import docker_containers, document, finders, health_urls, looking, systemd_units
from defib.discovery.finding import Found
from defib.discovery.listening import listening
from defib.discovery.seen import Answer, Listener, Unit
from defib_testkit import processes, victim
from defib_testkit.ports import free_port
from defib_testkit.requirement import require
from defib_testkit.waiting import wait_until

if TYPE_CHECKING:
    from defib_testkit.docker_engine import DockerEngine
    from defib_testkit.systemctl_double import SystemctlDouble
    from defib_testkit.victim_handle import Victim

_PONG = """#!{python} -IS
import socket
server = socket.create_server(("127.0.0.1", {port}))
while True:
    connection, _ = server.accept()
    with connection:
        if connection.recv(100):
            connection.sendall(b"+PONG\\r\\n")
"""


@pytest.fixture
def redis(kit_tmp: Path) -> Iterator[int]:
    """The port of a program called ``redis-server`` that answers PING."""
    port = free_port()
    program = kit_tmp / "redis-server"
    program.write_text(_PONG.format(python=os.path.realpath(sys.executable), port=port))
    program.chmod(0o755)
    process = subprocess.Popen([program], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: port in {item.port for item in listening()}, 10, "the server to listen")
        yield port
    finally:
        processes.end(process.pid)
        process.wait(timeout=5)


@contextlib.contextmanager
def web_server(answers: dict[str, int]) -> Iterator[tuple[Listener, list[str]]]:
    """A web server with these statuses by path, else 404; with the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(answers.get(self.path, 404))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Listener(port=server.server_port), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def look_at(environ: dict[str, str], ports: Collection[int]) -> Found:
    """Discovery with real parts, kept to ``ports``: other tests serve on this machine too."""
    machine = looking.this_machine(environ)
    machine = replace(
        machine,
        listeners=lambda: [listener for listener in listening() if listener.port in ports],
        postgres_sockets=tuple,
    )
    return finders.find(await looking.look(machine))


async def test_servers_are_found_and_the_file_loads(
    make_victim: Callable[[], "Victim"], redis: int, tmp_path: Path
) -> None:
    agent = make_victim()
    agent.start()
    found = await look_at({"PATH": str(tmp_path), "DOCKER_HOST": "ssh://far"}, {agent.port, redis})

    assert {finding.id: (finding.kind, dict(finding.fields)) for finding in found.findings} == {
        "this-host": ("host", {"limits": {"cpu": 90, "memory": 90, "disk": 85, "for": "5m"}}),
        f"http-{agent.port}": ("http", {"url": agent.url, "expect": {"status": 200, "within": "2s"}}),
        f"redis-{redis}": (
            "tcp",
            {"host": "127.0.0.1", "port": redis, "send": "PING\r\n", "expect": "/PONG|NOAUTH/"},
        ),
    }
    path = tmp_path / "defib.yaml"
    path.write_text(document.render(found, "UTC", None))
    settings = config.load(path, config_kit.real_registry(), {})
    assert {str(monitor.id) for monitor in settings.monitors} == {finding.id for finding in found.findings}


@pytest.mark.xdist_group("docker")
async def test_a_container_and_its_port_are_found_and_told_apart(
    docker_engine: "DockerEngine", tmp_path: Path
) -> None:
    web = docker_engine.run("httpd", "-f", "-p", "80", "-h", "/etc", publish=80, name="shop")
    docker_engine.run("sleep", "60", name="k8s_POD_dns")
    port = int(docker_engine.address_of(web, 80).rpartition(":")[2])

    found = await look_at({"PATH": str(tmp_path), "DOCKER_HOST": docker_engine.base_url}, {port})

    findings = {finding.id: finding for finding in found.findings}
    assert list(findings) == ["this-host", "shop", f"shop-{port}"]
    assert findings["shop"].fields == {"container": "shop", "docker_host": docker_engine.base_url}
    assert findings[f"shop-{port}"].requires == ("shop",)
    assert findings[f"shop-{port}"].recovery[0]["docker"] == {
        "container": "shop", "action": "restart", "docker_host": docker_engine.base_url,
    }  # fmt: skip
    assert found.notes == ("Left out: 1 container of Kubernetes or Swarm, which look after their own.",)
    path = tmp_path / "defib.yaml"
    path.write_text(document.render(found, "UTC", None))
    assert len(config.load(path, config_kit.real_registry(), {}).monitors) == 3


@pytest.mark.xdist_group("docker")
async def test_docker_that_hangs_is_told_and_costs_a_second(
    docker_engine: "DockerEngine",
) -> None:
    docker_engine.freeze()
    started = asyncio.get_running_loop().time()

    found, note = await docker_containers.running(str(docker_engine.socket))

    assert (found, note) == ([], f"Docker was not looked at: it does not answer on {docker_engine.socket}.")
    assert asyncio.get_running_loop().time() - started < 2


async def test_docker_without_its_socket_is_told() -> None:
    assert await docker_containers.running("/nonexistent/docker.sock") == (
        [],
        "Docker was not looked at: /nonexistent/docker.sock does not exist.",
    )


async def test_units_are_asked_from_systemctl(systemctl: "SystemctlDouble") -> None:
    systemctl.running("nginx.service")
    systemctl.running("cups.service")
    systemctl.failed("backup.service")
    systemctl.stopped("redis.service")

    listing = await systemd_units.listed({"PATH": f"{systemctl.folder}:{os.environ['PATH']}"})

    assert systemd_units.read(listing, frozenset()) == [
        Unit(name="backup.service", is_failed=True),
        Unit(name="nginx.service"),
    ]


async def test_a_machine_without_systemd_has_no_units(systemctl: "SystemctlDouble") -> None:
    systemctl.fault("no-systemd")

    assert await systemd_units.listed({"PATH": f"{systemctl.folder}:{os.environ['PATH']}"}) == ""
    assert await systemd_units.listed({"PATH": "/nonexistent"}) == ""


def test_the_administrators_units_are_files_and_no_links(tmp_path: Path) -> None:
    (tmp_path / "shop.service").write_text("[Service]\n")
    (tmp_path / "syslog.service").symlink_to(tmp_path / "shop.service")
    (tmp_path / "shop.timer").write_text("[Timer]\n")

    assert systemd_units.local_names(tmp_path) == {"shop.service"}
    assert systemd_units.local_names(tmp_path / "none") == frozenset()


async def test_the_first_path_that_answers_200_is_taken_and_nothing_is_asked_after_it() -> None:
    with web_server({"/api/health": 200, "/": 200}) as (listener, asked):
        answers = await health_urls.ask([listener])

    assert answers == {listener.port: Answer(status=404, path="/api/health")}
    assert asked == ["/health", "/healthz", "/api/health"]


async def test_a_server_without_a_health_url_is_asked_seven_times() -> None:
    with web_server({"/": 401}) as (listener, asked):
        answers = await health_urls.ask([listener])

    assert answers == {listener.port: Answer(status=404)}
    assert len(asked) == 7


async def test_silent_ports_and_foreign_words_cost_little_and_are_no_answer(redis: int) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(never, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    started = asyncio.get_running_loop().time()
    try:
        listeners = [Listener(port=port), Listener(port=redis), Listener(port=free_port())]
        answers = await health_urls.ask(listeners)
    finally:
        silent.close()
        await silent.wait_closed()

    assert answers == {}
    assert asyncio.get_running_loop().time() - started < 2


def test_our_own_ports_are_not_listed() -> None:
    with web_server({}) as (listener, _):
        assert listener.port not in {item.port for item in listening()}


def test_sockets_of_postgres_are_sockets_and_no_lock_files(kit_tmp: Path) -> None:
    (kit_tmp / ".s.PGSQL.5433.lock").write_text("")
    (kit_tmp / ".s.PGSQL.5434").write_text("")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(kit_tmp / ".s.PGSQL.5433"))

        assert looking.postgres_sockets([kit_tmp]) == (kit_tmp / ".s.PGSQL.5433",)


def defib(*arguments: str, folder: Path, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock", "TZ": "Asia/Hong_Kong"}
    return subprocess.run(
        [*before, sys.executable, "-m", "defib.cli.main", *arguments],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_init_writes_a_file_that_validates_for_its_user_and_group_only(tmp_path: Path) -> None:
    done = defib("init", "--no-discover", folder=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Found on this machine:\n"
        "  this-host  host  processor, memory, disks\n"
        "\n"
        "Wrote defib.yaml.\n"
        "Recovery is in dry-run mode: Defib tells what it would repair, and touches nothing.\n"
        "To arm it, change 'mode: dry-run' into 'mode: auto' in defib.yaml.\n"
        "Next: defib serve\n"
    )
    assert stat.S_IMODE((tmp_path / "defib.yaml").stat().st_mode) == 0o640
    assert "timezone: Asia/Hong_Kong\n" in (tmp_path / "defib.yaml").read_text()
    assert defib("validate", folder=tmp_path).returncode == 0


def test_init_replaces_nothing_unless_told_to(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("mine")
    (tmp_path / "my.yaml").chmod(0o666)

    refused = defib("init", "--no-discover", "-o", "my.yaml", folder=tmp_path)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "defib: my.yaml exists; --force replaces it, -o FILE writes elsewhere\n"
    assert (tmp_path / "my.yaml").read_text() == "mine"

    forced = defib("init", "--no-discover", "-o", "my.yaml", "--force", folder=tmp_path)

    assert forced.stdout.endswith("Next: defib -c my.yaml serve\n")
    assert stat.S_IMODE((tmp_path / "my.yaml").stat().st_mode) == 0o640


def test_init_says_where_it_cannot_write(tmp_path: Path) -> None:
    done = defib("init", "--no-discover", "-o", "none/defib.yaml", folder=tmp_path)

    assert done.returncode == 1
    assert done.stderr == (
        "defib: none/defib.yaml cannot be written: No such file or directory; -o FILE writes elsewhere\n"
    )


@pytest.fixture
def own_network() -> tuple[str, ...]:
    """What to run a command behind that gives it a loopback of its own, so that port 8000 is free in it."""
    isolate = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    if shutil.which("unshare") is None or subprocess.run([*isolate, "true"], capture_output=True).returncode:
        require("the right to make network namespaces", "run the tests as root, with iproute2 and util-linux")
    return isolate


_AGENT_AND_INIT = """
import socket, subprocess, sys, time
agent = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], "--port", "8000"])
try:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", 8000)):
                break
        time.sleep(0.01)
    started = time.monotonic()
    status = subprocess.run([sys.executable, "-m", "defib.cli.main", "init"]).returncode
    print(f"took {time.monotonic() - started:.2f} s", file=sys.stderr)
finally:
    agent.kill()
    agent.wait()
sys.exit(status)
"""


def test_an_agent_of_a_standard_installation_is_found_by_init(
    own_network: tuple[str, ...], tmp_path: Path
) -> None:
    environ = {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    done = subprocess.run(
        [*own_network, sys.executable, "-c", _AGENT_AND_INIT, victim.__file__],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "  main       http  http://127.0.0.1:8000/health\n" in done.stdout
    assert float(done.stderr.split()[-2]) < 5
    monitors = config.load(tmp_path / "defib.yaml", config_kit.real_registry(), {}).monitors
    assert [(monitor.id, monitor.name) for monitor in monitors][:2] == [
        ("this-host", "this-host"),
        ("main", "Main Agent"),
    ]
