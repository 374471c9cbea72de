"""A real systemd, the first process of a machine that exists in namespaces only."""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from defib_testkit.requirement import require
from defib_testkit.waiting import wait_until

ROOT = Path(__file__).parents[3]
_BOOT = Path(__file__).with_name("systemd_boot.sh")
_VENDOR_UNITS = Path("/usr/lib/systemd/system")
_PARTS = {
    "systemd": Path("/usr/lib/systemd/systemd"),
    "dbus": Path("/usr/bin/dbus-daemon"),
    "polkitd": Path("/usr/lib/polkit-1/polkitd"),
}
_KEPT_UNITS = ("*.target", "dbus.service", "dbus.socket", "polkit.service", "systemd-journald*")
_WANTED_UNITS = ("dbus.socket", "systemd-journald.socket", "systemd-journald-dev-log.socket")
_JOURNAL_RIGHTS = ("systemd-tmpfiles", "--create", "--prefix=/run/log/journal")
_HOW = "run the tests as root in a machine or container that allows namespaces, control groups and mounts"
_USERS = 65536
_MOUNT_FAILED = 32  #: exit status of mount(8)
_NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup")
_FOLDERS = (
    "dev", "etc/defib", "etc/defib-agent", "etc/polkit-1/rules.d", "etc/systemd/system", "home", "nothing", "old",
    "opt/defib/bin", "proc", "root", "run", "srv/packages", "srv/repository", "sys", "tmp", "usr", "var/lib/defib",
    "var/tmp",
)  # fmt: skip
_SOURCES = ("orchestrator", "plugins", "strategies", "alerts", "reports", "agent")


class SystemdMachine:
    """The machine, booted when made, in about a second: systemd, its journal, D-Bus and polkit.

    It has this machine's programs, an ``/etc`` and ``/var`` of its own, a network that is its loopback, and Defib in
    ``/opt/defib`` as ``README.md`` installs it, with the user and the units of ``deploy/``, none of them started. It
    ends with the process that made it, and leaves nothing mounted.

    Skips the test where no machine can be made; the packages it takes are required.
    """

    def __init__(self) -> None:
        _check_possible()
        for package, program in _PARTS.items():
            if not program.exists():
                require(str(program), f"apt install {package}")
        self._group = _new_group()
        self.root = Path(
            tempfile.mkdtemp(prefix="dfb-systemd-")
        )  #: its root folder, without /dev, /run and /tmp
        self.log = self.root / "boot.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0
        try:
            self._furnish()
            self._boot()
        except BaseException:
            self.close()
            raise

    # --- using it ----------------------------------------------------------------------------------

    def run(
        self,
        *argv: str,
        user: str = "root",
        timeout: float = 30.0,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end."""
        return subprocess.run(
            [*self._enter(user), *argv], capture_output=True, text=True, timeout=timeout, check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8", "SYSTEMD_PAGER": "", **(environment or {})},
        )  # fmt: skip

    def _enter(self, user: str) -> list[str]:
        enter = ["nsenter", "--target", str(self._init), *_NAMESPACES, "--"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return enter if user == "root" else [*enter, *become]

    def put_systemctl(self, folder: Path, *, user: str = "root") -> None:
        """Make ``folder/systemctl`` a program of this machine that is the ``systemctl`` of that one."""
        program = folder / "systemctl"
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*self._enter(user), "/usr/bin/systemctl"])} "$@"\n')
        program.chmod(0o755)

    def systemctl(self, *arguments: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", *arguments, timeout=timeout)

    def add_unit(self, name: str, text: str) -> None:
        """Add a unit, or replace it; :meth:`reload` makes it known.

        :param name: also ``defib.service.d/quick.conf``, for a drop-in.
        """
        file = self.root / "etc/systemd/system" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    @contextlib.contextmanager
    def polkit_rule(self, text: str) -> Iterator[None]:
        """Have a rule in force meanwhile."""
        file = self.root / "etc/polkit-1/rules.d/50-defib.rules"
        file.write_text(text)
        self.systemctl("try-restart", "polkit")
        try:
            yield
        finally:
            file.unlink()
            self.systemctl("try-restart", "polkit")

    def clear(self) -> None:
        """Take away all units that were added, whatever they do."""
        folder = self.root / "etc/systemd/system"
        added = [path for path in folder.iterdir() if path.name not in self._shipped]
        names = [path.name for path in added if not path.is_dir() and "@" not in path.name]
        for verb in (("kill", "--signal=SIGKILL"), ("stop",), ("reset-failed",)):
            self.systemctl(*verb, "--", *names)
        for path in added:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.reload()

    def mark_out_of_memory(self, unit: str) -> None:
        """What systemd-oomd does to a unit before it kills it, so that systemd knows why it ended."""
        for name in ("user.oomd_ooms", "user.oomd_kill"):
            os.setxattr(self._group / "system.slice" / unit, name, b"1")

    def reload(self) -> None:
        """``systemctl daemon-reload``."""
        done = self.systemctl("daemon-reload")
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit."""
        shown = self.systemctl("show", f"--property={','.join(properties)}", "--", unit).stdout
        return dict(line.split("=", 1) for line in shown.splitlines())

    def wait_for(self, unit: str, timeout: float = 20.0, **properties: str) -> dict[str, str]:
        """Return the named properties of a unit when they have these values.

        :raises TimeoutError: with the end of its log.
        """
        try:
            wait_until(
                lambda: self.show(unit, *properties) == properties, timeout, f"{unit} to be {properties}",
                pause=0.1,
            )  # fmt: skip
        except TimeoutError as error:
            error.add_note(f"{self.show(unit, *properties)}\n{self.journal(unit)}")
            raise
        return properties

    def main_pid(self, unit: str) -> int:
        """The main process of a unit, as the machine counts them."""
        return int(self.show(unit, "MainPID")["MainPID"])

    def signal(self, unit: str, number: signal.Signals) -> None:
        """Send a signal to the main process of a unit, behind systemd's back."""
        done = self.run("kill", f"-{number}", str(self.main_pid(unit)))
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def journal(self, unit: str, lines: int = 40) -> str:
        """The end of a unit's log."""
        return self.run("journalctl", "--quiet", f"--unit={unit}", f"--lines={lines}", "--output=cat").stdout

    def close(self) -> None:
        """End every process, and leave nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None
        _remove_group(self._group)
        shutil.rmtree(self.root)

    # --- making it ---------------------------------------------------------------------------------

    def _furnish(self) -> None:
        root = self.root
        root.chmod(0o755)
        for name in _FOLDERS:
            (root / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            (root / name).symlink_to(f"usr/{name}")
        (root / "var/run").symlink_to("/run")
        units = root / "units"
        units.mkdir()
        for pattern in _KEPT_UNITS:
            for unit in _VENDOR_UNITS.glob(pattern):
                if unit.is_file():
                    shutil.copy(unit, units, follow_symlinks=False)
        wanted = units / "multi-user.target.wants"
        wanted.mkdir()
        for name in _WANTED_UNITS:
            (wanted / name).symlink_to(f"../{name}")
        for file in (ROOT / "deploy/systemd").glob("defib*.*"):
            shutil.copy(file, root / "etc/systemd/system")
        self._shipped = {path.name for path in (root / "etc/systemd/system").iterdir()}
        shutil.copytree("/usr/lib/sysusers.d", root / "etc/sysusers.d")
        (root / "etc/systemd/system/defib.sysusers").rename(root / "etc/sysusers.d/defib.conf")
        (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
        (root / "etc/systemd/journald.conf").write_text("[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n")
        for name in ("passwd", "group"):
            shutil.copy(Path("/etc") / name, root / "etc")
        subprocess.run(["systemd-sysusers", f"--root={root}"], check=True, capture_output=True, timeout=30)
        self._install()

    def _install(self) -> None:
        """Defib, from this checkout and this Python's packages."""
        base = Path(sys.base_prefix)
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        mounts = {ROOT: "srv/repository", Path(sysconfig.get_path("purelib")): "srv/packages"}
        if not base.is_relative_to("/usr"):
            mounts[base] = str(base)[1:]
            (self.root / mounts[base]).mkdir(parents=True)
        (self.root / "mounts").write_text("".join(f"{there} {here}\n" for there, here in mounts.items()))
        venv = self.root / "opt/defib"
        (venv / "pyvenv.cfg").write_text(f"home = {base}/bin\n")
        (venv / "bin/python").symlink_to(base / "bin" / python)
        uid, gid = self._ids("passwd")["defib"], self._ids("group")["defib"]
        for folder, owner in (("etc/defib", 0), ("var/lib/defib", uid)):
            os.chown(self.root / folder, owner, gid)
            (self.root / folder).chmod(0o750)
        packages = venv / "lib" / python / "site-packages"
        packages.mkdir(parents=True)
        paths = [*(f"/srv/repository/{source}" for source in _SOURCES), "/srv/packages"]
        (packages / "defib.pth").write_text("".join(f"{path}\n" for path in paths))
        shutil.copytree(ROOT / "recovery_scripts", venv / "share/defib/recovery_scripts")
        for name, module in (("defib", "defib.cli.main"), ("defib-agent", "defib_agent.cli")):
            self._add_program(name, f"import sys\n\nfrom {module} import main\n\nsys.exit(main())\n")
        self._add_program("heartbeat_cron.py", (ROOT / "heartbeat_cron.py").read_text().partition("\n")[2])

    def _ids(self, database: str) -> dict[str, int]:
        lines = (self.root / "etc" / database).read_text().splitlines()
        return {name: int(number) for name, _, number, *_ in (line.split(":") for line in lines)}

    def _add_program(self, name: str, text: str) -> None:
        file = self.root / "opt/defib/bin" / name
        file.write_text(f"#!/opt/defib/bin/python\n{text}")
        file.chmod(0o755)

    def _boot(self) -> None:
        join = f'echo $$ >"{self._group}/cgroup.procs" && exec "$@"'
        isolate = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            *_NAMESPACES,
            "--propagation",
            "private",
            "--fork",
        ]
        boot = ["/bin/sh", str(_BOOT), str(self.root), "multi-user.target"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", join, "sh", *isolate, "--kill-child=SIGKILL", *boot],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        process = self._process
        wait_until(lambda: process.poll() is not None or self._has_booted(), 30, "systemd to boot")
        if process.poll() == _MOUNT_FAILED:
            pytest.skip(f"a file system cannot be mounted: {self.log.read_text().strip()}; {_HOW}")
        if process.poll() is not None:
            raise RuntimeError(f"systemd ended with {process.returncode}:\n{self.log.read_text()[-3000:]}")
        for argv in (("systemctl", "start", "systemd-journald"), _JOURNAL_RIGHTS):
            done = self.run(*argv)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")

    def _has_booted(self) -> bool:
        assert self._process is not None
        [self._init] = [child.pid for child in psutil.Process(self._process.pid).children()] or [0]
        if not self._init or not self.path("/run/systemd/private").exists():
            return False
        return self.systemctl("is-system-running").stdout.strip() == "running"

    def path(self, inside: str) -> Path:
        """A file of the machine, as this process reaches it."""
        return Path(f"/proc/{self._init}/root{inside}")


def _check_possible() -> None:
    """Skip where no machine can be made, whatever ``DEFIB_TEST_REQUIRE`` says: no package can change that."""
    if os.geteuid() != 0:
        pytest.skip(f"only root can boot systemd in namespaces; {_HOW}")
    known = sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    if known < _USERS:
        pytest.skip(f"only {known} user ids are known in this user namespace; {_HOW}")
    probe = ["unshare", *_NAMESPACES, "--propagation", "private", "--fork", "--mount-proc"]
    tried = subprocess.run(
        [*probe, "mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"], capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    if tried.returncode != 0:
        pytest.skip(f"no namespaces can be made: {tried.stderr.strip()}; {_HOW}")


def _new_group() -> Path:
    """A control group of our own for all that the machine runs; skips where none can be made."""
    mounted = [part.mountpoint for part in psutil.disk_partitions(all=True) if part.fstype == "cgroup2"]
    if not mounted:
        pytest.skip(f"no cgroup2 file system is mounted; {_HOW}")
    group = Path(mounted[0]) / f"defib-test-{secrets.token_hex(4)}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}; {_HOW}")
    return group


def _remove_group(group: Path) -> None:
    """Its processes have been killed; the last of them may still be going."""
    ends_at = time.monotonic() + 10
    while group.exists():
        with contextlib.suppress(OSError):
            for folder, _, _ in os.walk(group, topdown=False):
                Path(folder).rmdir()
        if group.exists() and time.monotonic() > ends_at:
            raise TimeoutError(f"{group} still has processes: {(group / 'cgroup.procs').read_text()!r}")
