"""Finding and talking to the daemon that owns a store."""

import gc
import getpass
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from defib.engine.boot import process_started
from defib.errors import DefibError, UsageError
from defib.model.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a daemon listens, and the token that lets its own user steer it."""

    url: str
    token: str
    pid: int
    pid_started: float | None


def _file(settings: Settings) -> Path:
    if settings.store.startswith("sqlite:///"):
        return Path(settings.store.removeprefix("sqlite:///") + ".daemon")
    return settings.base / ".defib.daemon"


@contextmanager
def announced(settings: Settings, url: str, token: str) -> Iterator[None]:
    """Say where this daemon listens, in a file that only its user can read."""
    path = _file(settings)
    pid = os.getpid()
    address = Address(url=url, token=token, pid=pid, pid_started=process_started(pid))
    text = json.dumps(asdict(address))
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_text() == text:  # else another daemon has taken over
                path.unlink()


def actor() -> str:
    """Who works on this command line, for the audit log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"{user} (command line)"


def find(settings: Settings) -> "Daemon | None":
    """The daemon that runs on this store; None when none does."""
    try:
        address = Address(**json.loads(_file(settings).read_text()))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise UsageError(
            f"{error.filename}: a daemon of another user runs here; run this command as that user"
        ) from error
    except (ValueError, TypeError):
        return None
    started = process_started(address.pid)
    if started is None or (address.pid_started is not None and abs(started - address.pid_started) > 0.05):
        return None  # left behind by one that was killed
    return Daemon(address)


class Daemon:
    """A running daemon, over its API."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def get(self, path: str, **query: str | int) -> Any:
        return self._request("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, timeout: float = 30.0) -> Any:
        return self._request("POST", path, body=body or {}, timeout=timeout)

    def delete(self, path: str) -> Any:
        return self._request("DELETE", path, body={})

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._request("PUT", path, body=body)

    def _request(
        self, method: str, path: str, *, query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None, timeout: float = 30.0,
    ) -> Any:  # fmt: skip
        import httpx

        try:
            response = httpx.request(
                method, f"{self.address.url}{path}", params=query, json=body, timeout=timeout, trust_env=False,
                headers={
                    "Authorization": f"Bearer {self.address.token}",
                    "Defib-Actor": actor().encode("ascii", "backslashreplace").decode(),
                },
            )  # fmt: skip
        except httpx.HTTPError as error:
            raise DefibError(
                f"the daemon at {self.address.url} does not answer: {str(error) or type(error).__name__}"
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        raise _refusal(response.status_code, response.text)


def quoted(part: str) -> str:
    """A part of a path, whatever its characters are."""
    return quote(part, safe="")


def _refusal(status: int, text: str) -> DefibError:
    try:
        problem = json.loads(text)
    except ValueError:
        return DefibError(f"the daemon answered {status}")
    detail = problem.get("detail") or problem.get("title") or f"the daemon answered {status}"
    return UsageError(detail) if status in (400, 404, 422) else DefibError(detail)


def collect_seldom() -> None:
    """Have the garbage collector look at what stays for good as seldom as can be.

    With a thousand monitors a full collection holds up every check, beat and decision for a tenth of a second, and
    finds next to nothing: hardly anything here refers to itself. What was loaded until now is never looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 20, 500)
