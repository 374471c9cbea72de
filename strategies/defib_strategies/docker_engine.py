"""Talks to Docker through its SDK: in a thread, bounded, with one exactly named container at a time."""

import asyncio
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from defib.plugin import ActionRefusedError, DefibError, masked

if TYPE_CHECKING:
    from docker import APIClient, DockerClient
    from docker.models.containers import Container

T = TypeVar("T")

_ADDRESS = re.compile(r"unix:///\S+|(?:tcp|https?)://[^\s@/]+/?")
_AMBIGUOUS = (
    "provided prefix"  # "multiple IDs found with provided prefix: 2", up to Docker 20.10 with status 500
)
_SHORT_ID_LENGTH = 12  # what `docker ps` shows
_PUT_BACK_S = 20.0
_LEAST_WAIT_S = 0.05  # a socket timeout of 0 would mean "do not wait at all"


class DockerError(DefibError):
    """Docker cannot be reached or did not do it; the message is for people."""


class Conversation:
    """The calls of one action, in a thread, within its time.

    Before each call it looks whether the action was given up meanwhile, so that nothing happens behind its back.
    """

    def __init__(self, host: str | None, timeout: timedelta) -> None:
        self._host = host
        self._deadline = time.monotonic() + timeout.total_seconds()
        self._given_up = threading.Event()
        self._put_back_until: float | None = None
        self._client: DockerClient | None = None

    def container(self, name: str) -> "Container":
        """The one container of that name or id, inspected.

        Docker itself also takes the beginning of an id; a typing error would then act on a stranger.

        :raises ActionRefusedError: there is none, or Docker found another one.
        """
        from docker.errors import APIError, NotFound

        remedy = "correct 'container'; 'docker ps --all' shows the names"
        try:
            found = self._next_call().containers.get(name)
        except NotFound as error:
            raise ActionRefusedError(f"Docker has no container {name}; {remedy}") from error
        except APIError as error:
            if error.status_code != 400 and _AMBIGUOUS not in str(error.explanation):
                raise
            raise ActionRefusedError(
                f"{name} does not name one container: {error.explanation}; {remedy}"
            ) from error
        if name not in (found.name, found.id, (found.id or "")[:_SHORT_ID_LENGTH]):
            raise ActionRefusedError(
                f"Docker has no container {name}, only {found.name} has such an id; {remedy}"
            )
        return found

    def act_on(self, container: "Container", *, engine_takes: timedelta = timedelta(0)) -> "Container":
        """The container, for one more call.

        :param engine_takes: what the SDK adds to the timeout of the call by itself (the stop timeout of a restart).
        :raises TimeoutError: no time is left.
        """
        self._next_call(engine_takes)
        return container

    def others(self) -> "Iterator[Container]":
        """Every container, running or not, each inspected."""
        yield from self._next_call().containers.list(all=True, ignore_removed=True)

    def api(self) -> "APIClient":
        """The engine's API below the SDK's objects, for one more call."""
        return self._next_call().api

    @property
    def is_local(self) -> bool:
        """Whether the daemon is on this machine."""
        address = self._host or os.environ.get("DOCKER_HOST") or ""
        return address == "" or address.startswith("unix:")

    @contextmanager
    def putting_back(self) -> Iterator[None]:
        """Inside, calls may begin for :data:`_PUT_BACK_S` more, also when the action was given up.

        For what undoes a half of the action: leaving off between two calls would do more harm.
        """
        self._put_back_until = time.monotonic() + _PUT_BACK_S
        try:
            yield
        finally:
            self._put_back_until = None

    def give_up(self) -> None:
        """Let no further call begin."""
        self._given_up.set()

    def close(self) -> None:
        """Close the connections; called in the thread."""
        if self._client is not None:
            self._client.close()

    def _next_call(self, engine_takes: timedelta = timedelta(0)) -> "DockerClient":
        """The client, its timeout set to what is left."""
        if self._client is None:
            self._client = _connect(self._host, self._left_s())
        timeout_s = max(self._left_s() - engine_takes.total_seconds(), _LEAST_WAIT_S)
        self._client.api.timeout = timeout_s  # type: ignore[assignment]  # requests takes fractions, the stubs do not
        return self._client

    def _left_s(self) -> float:
        if self._put_back_until is not None:
            return max(self._put_back_until - time.monotonic(), _LEAST_WAIT_S)
        left_s = self._deadline - time.monotonic()
        if left_s <= 0 or self._given_up.is_set():
            raise TimeoutError
        return left_s


async def converse(host: str | None, timeout: timedelta, work: Callable[[Conversation], T]) -> T:
    """Run ``work`` in a thread, at most for ``timeout``.

    The thread of a call that hangs ends by itself a little later, by the socket timeout of the SDK.

    :param host: address of the daemon; None for ``DOCKER_HOST`` and its companions, else the local default.
    :raises TimeoutError: it took too long; a call that had begun may still be carried out by Docker.
    :raises DockerError: Docker cannot be reached, or refused.
    :raises ActionRefusedError: from ``work``.
    """
    conversation = Conversation(host, timeout)
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            return await asyncio.to_thread(_work, conversation, work, host)
    finally:
        conversation.give_up()


def _work(conversation: Conversation, work: Callable[[Conversation], T], host: str | None) -> T:
    import requests
    from docker.errors import APIError, DockerException

    try:
        return work(conversation)
    except APIError as error:
        raise DockerError(f"Docker refused: {error.explanation or error}") from error
    except (DockerException, requests.RequestException, OSError) as error:
        if _is_timeout(error):
            raise TimeoutError from error
        raise DockerError(f"cannot talk to Docker at {_place(host)}: {_why(error)}") from error
    finally:
        conversation.close()


def _connect(host: str | None, timeout_s: float) -> "DockerClient":
    """The SDK, once the daemon has told its version."""
    import docker
    from docker.constants import DEFAULT_UNIX_SOCKET
    from docker.utils import kwargs_from_env

    options: dict[str, Any] = {"base_url": host} if host is not None else dict(kwargs_from_env())
    address = options.get("base_url", DEFAULT_UNIX_SOCKET).removeprefix("http+")
    if address.startswith("unix://"):
        _look_for_listener(address.removeprefix("unix://"), timeout_s)
    return docker.DockerClient(**options | {"timeout": timeout_s})


def _look_for_listener(path: str, timeout_s: float) -> None:
    """Fail with the system's own words where nobody listens; the SDK would leave its socket open then."""
    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(timeout_s)
        knock.connect(path)


def _place(host: str | None) -> str:
    return masked(host or os.environ.get("DOCKER_HOST") or "its local socket")


def checked_address(address: str) -> str:
    """An address as the SDK takes it; the path of a socket is one too.

    :raises ValueError: it is none.
    """
    if address.startswith("/"):
        return f"unix://{address}"
    if not _ADDRESS.fullmatch(address):
        raise ValueError(
            "is no address of Docker; write for example unix:///var/run/docker.sock or tcp://10.0.0.5:2375"
        )
    return address


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and what caused it, however libraries wrapped it: by ``from``, by context, as an argument."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        inner = next((argument for argument in error.args if isinstance(argument, BaseException)), None)
        error = error.__cause__ or error.__context__ or inner
    return chain


def _is_timeout(error: BaseException) -> bool:
    import requests

    return any(isinstance(link, TimeoutError | requests.Timeout) for link in _chain(error))


def _why(error: BaseException) -> str:
    for link in _chain(error):
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
    return masked(str(error))
