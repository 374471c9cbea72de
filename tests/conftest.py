"""Fixtures over the test kit, and the watch that lets no test leave anything running.

What is costly to start lives as long as the session (with pytest-xdist, one of each per worker) and is handed
out by a function-scoped fixture that puts it back in order afterwards. Everything else is made anew for each
test. Modules of the kit are imported when a fixture needs them, so that unit tests do not wait for them.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from defib_testkit import processes
from defib_testkit.leaks import LeakWatch, Residents
from defib_testkit.turns import Turns

if TYPE_CHECKING:
    from defib_testkit.certificate import Certificate
    from defib_testkit.docker_engine import DockerEngine
    from defib_testkit.postgres_cluster import PostgresCluster, PostgresDatabase, PostgresTemplate
    from defib_testkit.smtp_server import SmtpServer
    from defib_testkit.systemctl_double import SystemctlDouble
    from defib_testkit.systemd_machine import SystemdMachine
    from defib_testkit.telegram_api import TelegramApi
    from defib_testkit.victim_handle import Victim
    from defib_testkit.webhook_sink import WebhookSink


# --- order ---------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Turns(config), "turns")


def pytest_make_parametrize_id(val: object) -> str | None:
    """A name that fits into a line and that each worker finds alike: gzip writes the time into what it packs."""
    if isinstance(val, bytes) and len(val) > 40:
        return f"{len(val)} bytes"
    if isinstance(val, str) and len(val) > 80:
        return f"{' '.join(val[:80].split())}..."
    return None


@pytest.fixture(scope="session")
def residents() -> Residents:
    """Processes that may outlive a test; a session-scoped fixture that starts one adds it here."""
    processes.adopt_orphans()
    return Residents()


@pytest.fixture(autouse=True)
def leaves_nothing_behind(residents: Residents) -> Iterator[None]:
    """Fail a test that leaves a thread, a process or an asyncio task running; daemon threads are let be."""
    watch = LeakWatch(residents)
    with watch.watching_tasks():
        yield
    leftovers = watch.leftovers()
    if leftovers:
        pytest.fail("the test left something behind:\n" + "\n".join(leftovers), pytrace=False)


@pytest.fixture
def kit_tmp() -> Iterator[Path]:
    """A folder with a path short enough for Unix sockets (108 bytes at most), which ``tmp_path`` often has not."""
    folder = Path(tempfile.mkdtemp(prefix="dfb-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


# --- agents and services -------------------------------------------------------------------------------


@pytest.fixture
def make_victim(tmp_path: Path) -> Iterator[Callable[..., "Victim"]]:
    """Make HTTP agents, not running yet; takes ``boot_delay`` in seconds."""
    from defib_testkit.victim_handle import Victim

    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(closing(Victim(tmp_path, **options)))


@pytest.fixture
def victim(make_victim: Callable[..., "Victim"]) -> "Victim":
    """One HTTP agent, answering."""
    victim = make_victim()
    victim.start()
    return victim


@pytest.fixture
def systemctl(kit_tmp: Path) -> "SystemctlDouble":
    """A stand-in for ``systemctl`` without units."""
    from defib_testkit.systemctl_double import SystemctlDouble

    return SystemctlDouble(kit_tmp / "systemctl")


@pytest.fixture(scope="session")
def systemd_machine(residents: Residents) -> Iterator["SystemdMachine"]:
    """A machine that systemd runs, without services of ours; who adds units to it removes them."""
    from defib_testkit.systemd_machine import SystemdMachine

    with closing(SystemdMachine()) as machine:
        residents.allow(str(machine.root))
        yield machine


# --- PostgreSQL ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_template() -> Iterator["PostgresTemplate"]:
    """What clusters are copied from."""
    from defib_testkit.postgres_cluster import PostgresTemplate

    with closing(PostgresTemplate()) as template:
        yield template


@pytest.fixture(scope="session")
def shared_postgres(
    postgres_template: "PostgresTemplate", residents: Residents
) -> Iterator["PostgresCluster"]:
    """The session's cluster; tests take :func:`postgres` or :func:`postgres_database`."""
    from defib_testkit.postgres_cluster import PostgresCluster

    with closing(PostgresCluster(postgres_template)) as cluster:
        residents.allow(str(cluster.folder))
        cluster.start()
        yield cluster


@pytest.fixture
def postgres(shared_postgres: "PostgresCluster") -> Iterator["PostgresCluster"]:
    """The session's cluster, running. A test may stop, freeze or kill it, but changes neither settings nor data."""
    yield shared_postgres
    shared_postgres.thaw()
    shared_postgres.start()


@pytest.fixture
def postgres_database(postgres: "PostgresCluster") -> Iterator["PostgresDatabase"]:
    """An empty database of one's own in the session's cluster."""
    from defib_testkit.postgres_cluster import PostgresDatabase

    with closing(PostgresDatabase(postgres)) as database:
        yield database


@pytest.fixture
def private_postgres(postgres_template: "PostgresTemplate") -> Iterator["PostgresCluster"]:
    """A cluster of one's own, running, to do anything to; a third of a second."""
    from defib_testkit.postgres_cluster import PostgresCluster

    with closing(PostgresCluster(postgres_template)) as cluster:
        cluster.start()
        yield cluster


# --- Docker --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_docker(residents: Residents) -> Iterator["DockerEngine"]:
    """The session's daemon; tests take :func:`docker_engine`."""
    from defib_testkit.docker_engine import DockerEngine

    with closing(DockerEngine()) as engine:
        residents.allow(str(engine.folder))
        yield engine


@pytest.fixture
def docker_engine(shared_docker: "DockerEngine") -> Iterator["DockerEngine"]:
    """A Docker daemon without containers, running. A test may freeze or kill it."""
    yield shared_docker
    shared_docker.clean()


# --- where alerts go -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> "Certificate":
    """A self-signed certificate for localhost and 127.0.0.1."""
    from defib_testkit.certificate import make_certificate

    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def make_smtp_server() -> Iterator[Callable[..., "SmtpServer"]]:
    """Make mail servers; takes ``starttls``, ``tls`` and ``credentials``."""
    from defib_testkit.smtp_server import SmtpServer

    with ExitStack() as stack:

        def make(**options: Any) -> SmtpServer:
            return stack.enter_context(closing(SmtpServer(**options)))

        yield make


@pytest.fixture
def smtp_server(make_smtp_server: Callable[..., "SmtpServer"]) -> "SmtpServer":
    """A mail server without TLS and login."""
    return make_smtp_server()


@pytest.fixture
def telegram_api() -> Iterator["TelegramApi"]:
    """Telegram's Bot API."""
    from defib_testkit.telegram_api import TelegramApi

    with closing(TelegramApi()) as api:
        yield api


@pytest.fixture
def webhook_sink() -> Iterator["WebhookSink"]:
    """A web server that takes webhooks."""
    from defib_testkit.webhook_sink import WebhookSink

    with closing(WebhookSink()) as sink:
        yield sink
