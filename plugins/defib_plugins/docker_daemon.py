"""Questions to a Docker daemon by the Docker SDK. Heavy to import, blocking: load and call it in a thread."""

import os
import socket
import threading
import time
from typing import Any

import docker
import docker.errors
import requests.exceptions
from docker.utils import kwargs_from_env


class NoSuchContainerError(Exception):
    """The daemon answers, but knows no such container."""


class DaemonError(Exception):
    """The daemon answers, but with an error of its own."""


class Daemon:
    """One daemon. Connects on the first question and again after any failure, so that a restarted one is found.

    :param address: of its socket; None for ``DOCKER_HOST`` and its companions, else the local default.
    """

    def __init__(self, address: str | None) -> None:
        self.address = address or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        self._is_ours = address is not None
        self._api: docker.APIClient | None = None
        self._lock = threading.Lock()  # a requests session is not made for two threads

    def inspect(self, container: str, timeout_s: float) -> dict[str, Any]:
        """The daemon's description of ``container``.

        :param timeout_s: of the whole, connecting included.
        :raises NoSuchContainerError: it does not exist.
        :raises DaemonError: the daemon failed; its own words.
        :raises OSError: the daemon cannot be reached; requests' errors are OSErrors, and hold the system's own.
        :raises docker.errors.DockerException: likewise, while asking for its version.
        :raises TimeoutError: another question is still waiting, or time is up.
        """
        deadline = time.monotonic() + timeout_s
        if not self._lock.acquire(timeout=timeout_s):
            raise TimeoutError
        try:
            self._knock(_left(deadline))
            if self._api is None:
                self._api = self._connect(_left(deadline))
            self._api.timeout = _left(deadline)  # type: ignore[assignment]  # the stubs forget fractions
            try:
                found: dict[str, Any] = self._api.inspect_container(container)
                return found
            except docker.errors.NotFound as error:
                raise NoSuchContainerError(container) from error
            except docker.errors.APIError as error:
                self._disconnect()
                raise DaemonError(str(error.explanation or error)) from error
            except requests.exceptions.RequestException:
                self._disconnect()
                raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Waits for a running question, which is bounded by its own timeout."""
        with self._lock:
            self._disconnect()

    def _knock(self, timeout_s: float) -> None:
        """Connect to the Unix socket and leave: the SDK forgets to close a socket that cannot be connected."""
        if self.address.startswith("unix://"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(timeout_s)
                connection.connect(self.address.removeprefix("unix://"))

    def _connect(self, timeout_s: float) -> docker.APIClient:
        if self._is_ours:
            return docker.APIClient(base_url=self.address, timeout=timeout_s)  # type: ignore[arg-type]
        return docker.APIClient(**kwargs_from_env(), timeout=timeout_s)  # type: ignore[arg-type]

    def _disconnect(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            api.close()


def _left(deadline: float) -> float:
    """:raises TimeoutError: nothing is."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def is_timeout(error: BaseException) -> bool:
    """Whether the daemon accepted the question but did not answer."""
    return isinstance(error, requests.exceptions.Timeout | TimeoutError) or isinstance(
        error.__cause__ or error.__context__, requests.exceptions.Timeout
    )


CONNECTION_ERRORS = (OSError, docker.errors.DockerException)
"""What :meth:`Daemon.inspect` raises when it cannot ask; those of requests are OSErrors."""
