"""A small company that Defib watches: an agent, a database and a container, each with a way to bring it back.

Mails go to a real SMTP server, messages to a Bot API double, and Defib itself runs as its users run it: as
passes of ``heartbeat_cron.py`` or as ``defib serve``, in processes of their own.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml

from defib.errors import StoreError
from defib.model.ids import MonitorId
from defib.store import Reader, open_database
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.ports import free_port
from defib_testkit.postgres_cluster import PostgresCluster
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.telegram_api import TelegramApi
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

ROOT = Path(__file__).parents[3]
CONTAINER = "gateway"
QUICK = {
    "interval": "1s", "timeout": "2s", "confirm": ["200ms", "300ms"], "recover_confirm": "200ms",
    "fail_threshold": 3, "recovery_threshold": 2,
}  # fmt: skip


class Company:
    """What is watched, who is told, and the Defib that watches."""

    def __init__(
        self, folder: Path, *, hold: str = "300ms", start_timeout: str = "15s", mode: str = "auto",
        timeout: str = "2s",
    ) -> None:  # fmt: skip
        self.folder = folder
        self.config = folder / "defib.yaml"
        self.port = free_port()
        self.daemon: subprocess.Popen[bytes] | None = None
        self.launcher: tuple[str, ...] = ()  #: before the daemon's command line: ip netns exec …
        self.environment: dict[str, str] = {}  #: of the daemon, beside ours
        self.log = folder / "defib.log"
        self._policy = {
            "mode": mode, "hold": hold, "cooldown": "500ms", "start_timeout": start_timeout, "probation": "1s",
        }  # fmt: skip
        self._settings: dict[str, Any] = {
            "timezone": "Asia/Hong_Kong",
            "server": {"listen": f"127.0.0.1:{self.port}"},
            "strategies": {"quick": QUICK | {"timeout": timeout}},
            "defaults": {"strategy": "quick", "recovery_scripts": str(folder)},
            "monitors": [],
            "channels": {},
        }

    # --- what is watched ---------------------------------------------------------------------------

    def watch(self, monitor: Mapping[str, Any], *ladder: Mapping[str, Any]) -> None:
        """Add a monitor; with a ladder it is recovered."""
        recovery = {"recovery": self._policy | {"ladder": list(ladder)}} if ladder else {}
        self._settings["monitors"].append({**monitor, **recovery})
        self.write()

    def add_monitors(self, monitors: Iterable[Mapping[str, Any]]) -> None:
        """Add many, without a recovery of ours; the configuration is written once."""
        self._settings["monitors"].extend(dict(monitor) for monitor in monitors)
        self.write()

    def watch_agent(self, victim: Victim) -> None:
        script = victim.restart_script(self.folder)
        agent = {"id": "main", "name": "Main Agent", "type": "http", "url": victim.url}
        self.watch(agent, {"script": {"file": script.name, "timeout": "10s"}})

    def watch_database(self, postgres: PostgresCluster) -> None:
        database = {"id": "db", "name": "Orders", "type": "postgres", "dsn": postgres.dsn}
        self.watch(database, {"command": {"argv": postgres.start_argv, "timeout": "20s"}})

    def watch_container(self, docker: DockerEngine) -> None:
        container = {"id": "gateway", "name": "Gateway", "type": "docker", "container": CONTAINER}
        self.watch({**container, "docker_host": docker.base_url}, {"docker": {"action": "restart"}})

    def tell(self, mail: SmtpServer, telegram: TelegramApi | None = None) -> None:
        """Send every alert to these."""
        self._settings["channels"]["mail"] = {
            "type": "email", "smtp": f"smtp://{mail.host}:{mail.port}", "from": "Defib <defib@example.com>",
            "to": ["ops@example.com"],
        }  # fmt: skip
        if telegram is not None:
            self._settings["channels"]["chat"] = {
                "type": "telegram", "token": telegram.token, "chat_id": -1001234, "api_url": telegram.origin,
            }  # fmt: skip
        self.write()

    def channel(self, name: str, **options: Any) -> None:
        """Add a channel, or change options of one."""
        self._settings["channels"].setdefault(name, {}).update(options)
        self.write()

    def set(self, **settings: Any) -> None:
        """Replace top-level keys of the configuration."""
        self._settings.update(settings)
        self.write()

    def replace(self, settings: Mapping[str, Any]) -> None:
        """Use these settings and no others."""
        self._settings = dict(settings)
        self.write()

    def write(self) -> None:
        self.config.write_text(yaml.safe_dump(self._settings, sort_keys=False))

    # --- running Defib -----------------------------------------------------------------------------

    def argv(self, *arguments: str) -> list[str]:
        """A command line of Defib."""
        return [sys.executable, "-m", "defib.cli.main", "-c", str(self.config), *arguments]

    def defib(
        self, *arguments: str, timeout: float = 90.0, config: Path | Literal["own"] | None = "own"
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        :param config: the configuration to name; None names none.
        """
        path = self.config if config == "own" else config
        named = [] if path is None else ["-c", str(path)]
        argv = [sys.executable, "-m", "defib.cli.main", *named, *arguments]
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout, cwd=self.folder, check=False
        )

    def run_pass(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One pass, as cron runs it."""
        argv = [sys.executable, str(ROOT / "heartbeat_cron.py"), "-c", str(self.config), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, cwd=self.folder, check=False)

    def start_pass(self) -> subprocess.Popen[bytes]:
        """Start one pass and do not wait for it."""
        argv = [sys.executable, str(ROOT / "heartbeat_cron.py"), "-c", str(self.config), "--all"]
        with self.log.open("ab") as log:
            return subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)

    def serve(self, *, wait: bool = True) -> None:
        """Start the daemon; with ``wait``, return when it serves."""
        argv = [*self.launcher, *self.argv("serve")]
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                argv, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={**os.environ, **self.environment},
            )  # fmt: skip
        if wait:
            daemon = self.daemon
            wait_until(lambda: daemon.poll() is not None or self.answers(), 20, "defib serve to answer")
            if daemon.poll() is not None:
                raise RuntimeError(
                    f"defib serve ended with {daemon.returncode}:\n{self.log.read_text()[-3000:]}"
                )

    def answers(self) -> bool:
        try:
            return self.fetch("/livez").status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path: str, *, status: int = 200) -> Any:
        """JSON from the daemon's API; the answer must have this HTTP status."""
        response = self.fetch(path)
        assert response.status_code == status, response.text
        return response.json()

    def fetch(self, path: str) -> httpx.Response:
        """Whatever the daemon answers."""
        # Without verify=False a client loads every authority's certificate: 20 ms, more than the answer takes.
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=10, verify=False)

    def kill(self) -> None:
        """SIGKILL to the daemon."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM to the daemon; its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        daemon, self.daemon = self.daemon, None
        if daemon is None:
            return 0
        daemon.send_signal(number)
        return daemon.wait(timeout=60)

    # --- what Defib knows --------------------------------------------------------------------------

    def looks(self, monitor: str | None = None) -> list[dict[str, Any]]:
        """The looks of a monitor, or of all, that are in the store, oldest first; none before there is one."""
        if not self.store.exists():
            return []
        try:
            database = open_database(f"sqlite:///{self.store}", migrate=False)
        except StoreError:  # not migrated yet
            return []
        try:
            return Reader(database).samples(
                since=datetime(2000, 1, 1, tzinfo=UTC), until=datetime(2100, 1, 1, tzinfo=UTC),
                monitor=None if monitor is None else MonitorId(monitor),
            )  # fmt: skip
        finally:
            database.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the store; none before there is one."""
        path = self.store
        if not path.exists():
            return []
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:  # not migrated yet
            return []
        finally:
            connection.close()

    def write_rows(self, statement: str) -> None:
        """Change the store behind Defib's back, while it does not run."""
        with closing(sqlite3.connect(self.store)) as connection, connection:
            connection.execute(statement)

    @property
    def store(self) -> Path:
        """The file of the store."""
        return Path(
            self._settings.get("store", f"sqlite:///{self.folder}/defib.db").removeprefix("sqlite:///")
        )

    def state(self, monitor: str) -> str | None:
        found = self.rows("SELECT state FROM health WHERE monitor = ?", monitor)
        return str(found[0][0]) if found else None

    def wait_for(self, monitor: str, state: str, timeout: float = 30.0) -> None:
        """Return when the store says that ``monitor`` is in ``state``.

        :raises TimeoutError: with the end of the daemon's log.
        """
        try:
            wait_until(lambda: self.state(monitor) == state, timeout, f"{monitor} to be {state}")
        except TimeoutError as error:
            if self.log.exists():
                error.add_note(self.log.read_text(errors="replace")[-4000:])
            raise

    def wait_for_rows(self, query: str, expected: list[tuple[Any, ...]], timeout: float = 30.0) -> None:
        """Return when a query gives exactly these rows."""
        wait_until(lambda: self.rows(query) == expected, timeout, f"{query} to give {expected}")

    def report(self, day: str = "today") -> Any:
        """The daily report's numbers."""
        done = self.defib("report", "--date", day, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def close(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.stop()
