"""Real PostgreSQL clusters: made once by ``initdb``, copied for every use, with SCRAM passwords on."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg

from defib_testkit import postgres_binaries, processes
from defib_testkit.ports import free_port
from defib_testkit.waiting import wait_until

USER = "defib"
PASSWORD = "test-kit-password"
_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 30
shared_buffers = 16MB
timezone = 'UTC'
# Nothing here needs to survive a power cut.
fsync = off
synchronous_commit = off
full_page_writes = off
# So that a killed server leaves no segment in /dev/shm.
dynamic_shared_memory_type = mmap
"""


class PostgresTemplate:
    """A data folder from ``initdb`` (half a second), to copy clusters from (a tenth of one)."""

    def __init__(self) -> None:
        self.account = postgres_binaries.account()
        # Not in pytest's folders: they are closed to the account that the server runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="dfb-pg-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "template"
        try:
            self.binaries = postgres_binaries.find(self.account, self.folder)
            self._init()
        except BaseException:  # a skip, for one
            self.close()
            raise

    def _init(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self.account.own(password)
        self.data.mkdir(mode=0o700)
        self.account.own(self.data)
        options = ["--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256"]
        options += [
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--wal-segsize",
            "1",
            "--no-sync",
            "--no-instructions",
        ]
        command = [*self.account.prefix, str(self.binaries / "initdb"), "-D", str(self.data), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed with status {done.returncode}: {done.stderr}")

    def close(self) -> None:
        shutil.rmtree(self.folder)


class PostgresCluster:
    """One cluster on a port of its own; not running when made.

    ``folder`` holds the data, the socket, the log and the start script; it is short enough for a socket's path.
    """

    def __init__(self, template: PostgresTemplate) -> None:
        self._account = template.account
        self._binaries = template.binaries
        self.folder = Path(tempfile.mkdtemp(prefix="dfb-pg-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.data = self.folder / "data"
        self.sockets = self.folder / "s"
        self.log = self.folder / "postgres.log"
        self.sockets.mkdir()
        self.log.touch()
        subprocess.run(["cp", "-a", str(template.data), str(self.data)], check=True, timeout=30)
        for path in (self.sockets, self.log):
            self._account.own(path)
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(port=self.port, sockets=self.sockets))

    @property
    def start_argv(self) -> list[str]:
        """The command that starts the server, detached, and returns when it takes connections."""
        server = ["-D", str(self.data), "-l", str(self.log), "-w", "-t", "30", "start"]
        return [*self._account.prefix, str(self._binaries / "pg_ctl"), *server]

    def start_script(self) -> Path:
        """Write ``start-postgres.sh``, mode 0755, owned by who runs the tests, that does ``start_argv``."""
        script = self.folder / "start-postgres.sh"
        script.write_text(f"#!/bin/sh\ncd /\nexec {shlex.join(self.start_argv)}\n")
        script.chmod(0o755)
        return script

    @property
    def dsn(self) -> str:
        """URL of the ``postgres`` database over TCP, with the superuser's password."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def socket_dsn(self) -> str:
        """The same database over the Unix socket."""
        return f"postgresql://{USER}:{PASSWORD}@/postgres?host={self.sockets}&port={self.port}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as superuser, outside a transaction; its rows, if it has any."""
        with psycopg.connect(self.dsn_of(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description is not None else []

    @property
    def pid(self) -> int | None:
        """Process id of the running postmaster; None when it does not run."""
        lines = self._lock_file()
        pid = int(lines[0]) if lines else None
        return pid if pid is not None and processes.is_running(pid) else None

    def start(self) -> None:
        """Start, and return when it takes connections; nothing if it runs."""
        if self.pid is not None:
            return
        done = subprocess.run(self.start_argv, capture_output=True, text=True, timeout=40, cwd="/")
        if done.returncode != 0:
            log = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"pg_ctl start failed: {done.stdout}{done.stderr}\n{log}")

    def stop(self, mode: str = "immediate") -> None:
        """Stop, and return when it is gone; nothing if it does not run.

        :param mode: ``immediate`` drops everything at once, ``fast`` shuts down cleanly.
        """
        pid = self.pid
        if pid is None:
            return
        self.thaw()
        number = {"immediate": signal.SIGQUIT, "fast": signal.SIGINT}[mode]
        self._end(pid, number)

    def kill(self) -> None:
        """SIGKILL the postmaster, and return when it and its orphans are gone; the lock file stays behind."""
        pid = self.pid
        if pid is not None:
            self._end(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP the postmaster and all its processes: connections are taken and nobody answers."""
        processes.freeze(*self._family())

    def thaw(self) -> None:
        processes.thaw(*self._family())

    def close(self) -> None:
        """Stop, and remove all that is left: files, and the shared memory of a server that was killed."""
        self.stop()
        lines = self._lock_file()
        if len(lines) > 6:
            segment = lines[6].split()[1]
            subprocess.run(["ipcrm", "-m", segment], capture_output=True, timeout=5)
        shutil.rmtree(self.folder)

    def _lock_file(self) -> list[str]:
        """Lines of ``postmaster.pid``: process id first, key and id of the shared memory in the seventh."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _family(self) -> list[int]:
        pid = self.pid
        if pid is None:
            return []
        return [pid, *(child.pid for child in psutil.Process(pid).children())]

    def _end(self, postmaster: int, number: signal.Signals) -> None:
        """End the postmaster and wait for its children too, which go on their own when it does."""
        family = self._family()
        processes.end(postmaster, number=number, timeout=15)
        what = f"server processes {family} to end"
        wait_until(lambda: not any(map(processes.is_running, family)), 10, what)
        for pid in family:
            processes.reap(pid)


class PostgresDatabase:
    """A database in a running cluster, made empty and dropped with whoever is still connected."""

    def __init__(self, cluster: PostgresCluster) -> None:
        self._cluster = cluster
        self.name = f"test_{os.urandom(6).hex()}"
        self.dsn = cluster.dsn_of(self.name)
        cluster.execute(f"CREATE DATABASE {self.name} TEMPLATE template0")

    def close(self) -> None:
        self._cluster.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
