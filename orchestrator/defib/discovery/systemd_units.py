"""Which services of systemd are worth watching."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from defib.discovery.seen import Unit

LOCAL_FOLDER = Path("/etc/systemd/system")
TIMEOUT_S = 2.0
INTERESTING = (
    "apache2", "caddy", "docker", "haproxy", "httpd", "mariadb", "memcached", "mongod", "mosquitto", "mysql",
    "mysqld", "nats-server", "nginx", "openclaw-*", "php*-fpm", "postgresql*", "rabbitmq-server", "redis*", "ssh",
    "sshd", "valkey*",
)  # fmt: skip
"""Names that people count on, without ``.service``; others only when they failed or are the administrator's."""
_OWN = "defib*"
_NAME = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_:.@\\-]{0,240}\.service")


async def listed(environ: Mapping[str, str]) -> str:
    """What ``systemctl list-units`` prints about services; "" where systemd does not run the machine."""
    program = shutil.which("systemctl", path=environ.get("PATH"))
    if program is None:
        return ""
    command = (program, "list-units", "--type=service", "--plain", "--no-legend", "--no-pager", "--full")
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**environ, "LC_ALL": "C"},
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return output.decode(errors="replace") if process.returncode == 0 else ""


def local_names(folder: Path = LOCAL_FOLDER) -> frozenset[str]:
    """The services that the administrator wrote; links lead to those of packages and to aliases."""
    try:
        return frozenset(
            file.name for file in folder.glob("*.service") if file.is_file() and not file.is_symlink()
        )
    except OSError:
        return frozenset()


def read(listing: str, local: Collection[str]) -> list[Unit]:
    """The units of :func:`listed` that run and matter, and those that failed; by name.

    :param local: names of the administrator's units; ``agent@.service`` stands for all of its instances.
    """
    units: list[Unit] = []
    for line in listing.splitlines():
        words = line.split(maxsplit=4)
        if len(words) < 4 or not _NAME.fullmatch(name := words[0]):
            continue
        load, active, sub = words[1:4]
        stem = name.removesuffix(".service")
        is_local = name in local or f"{stem.partition('@')[0]}@.service" in local
        is_failed = active == "failed"
        is_running = active in ("active", "reloading") and sub in ("running", "reload")
        matters = is_local or any(fnmatchcase(stem, pattern) for pattern in INTERESTING)
        if load == "loaded" and not fnmatchcase(stem, _OWN) and (is_failed or (is_running and matters)):
            units.append(Unit(name=name, is_failed=is_failed, is_local=is_local))
    return sorted(units, key=lambda unit: unit.name)
