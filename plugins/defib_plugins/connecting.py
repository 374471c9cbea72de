"""A TCP connection to a name with several addresses, without leaving any of them out."""

import asyncio
import socket
from collections.abc import Sequence

Address = tuple[int, tuple[object, ...]]
"""Family and what :meth:`socket.socket.connect` takes."""


async def resolve(host: str, port: int) -> Sequence[Address]:
    """The addresses of ``host``; an address is its own, without a thread.

    :raises socket.gaierror: it has none, or the resolver does not answer.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise
    except OSError as error:  # EAI_SYSTEM, whose errno is often a leftover of something else
        raise socket.gaierror(socket.EAI_SYSTEM, "the resolver failed") from error
    return [(entry[0], entry[4]) for entry in found]


async def connect(addresses: Sequence[Address], deadline: float) -> socket.socket:
    """A connected, non-blocking socket to the first of ``addresses`` that answers.

    The time left is shared among the addresses left, so that a silent one does not hide a good one.

    :param deadline: on the event loop's clock; for a single address the caller's own timeout does.
    :raises OSError: a single address, and it refused.
    :raises ExceptionGroup: several; holds one OSError for each, TimeoutError among them.
    """
    if len(addresses) == 1:
        return await _connect(*addresses[0])
    failures: list[OSError] = []
    loop = asyncio.get_running_loop()
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            async with asyncio.timeout((deadline - loop.time()) / left):
                return await _connect(*address)
        except OSError as error:
            failures.append(error)
    raise ExceptionGroup("no address answers", failures)


async def _connect(family: int, address: tuple[object, ...]) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:  # cancelled, too: the socket must not outlive the look
        connection.close()
        raise
    return connection
