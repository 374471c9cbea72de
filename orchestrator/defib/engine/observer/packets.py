"""The smallest questions that show whether somebody is there: a connection, a ping, a DNS query, a line of HTTP.

Answers are yes or no. What keeps this process from asking at all (no file descriptors, no memory) is raised.
"""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

SERVER_FAILURE = 2  #: response code of DNS
_ECHO_REQUEST = 8
_OWN_TROUBLE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

Address = tuple[str, int]


class OwnTroubleError(OSError):
    """This process or machine is out of what it takes to ask."""


def raise_own_trouble(error: OSError) -> None:
    """:raises OwnTroubleError: ``error`` is one of our own."""
    if error.errno in _OWN_TROUBLE:
        raise OwnTroubleError(error.errno, error.strerror) from error


@contextmanager
def _socket(host: str, kind: socket.SocketKind, protocol: int = 0) -> Iterator[socket.socket]:
    """A non-blocking socket for a numeric ``host``.

    :raises OwnTroubleError: no socket could be had.
    """
    try:
        opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind, protocol)
    except OSError as error:
        raise_own_trouble(error)
        raise
    with opened:
        opened.setblocking(False)
        yield opened


async def is_alive_at(address: Address, timeout: float) -> bool:
    """Whether anything answers a TCP connection; a refusal is an answer."""
    try:
        async with asyncio.timeout(timeout):
            with _socket(address[0], socket.SOCK_STREAM) as tcp:
                await asyncio.get_running_loop().sock_connect(tcp, address)
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    except OwnTroubleError:
        raise
    except OSError:  # TimeoutError is one
        return False
    return True


async def answers_http(address: Address, timeout: float) -> bool:
    """Whether an HTTP server answers, no matter what."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            with _socket(address[0], socket.SOCK_STREAM) as tcp:
                await loop.sock_connect(tcp, address)
                await loop.sock_sendall(tcp, b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return bool(await loop.sock_recv(tcp, 512))
    except OwnTroubleError:
        raise
    except OSError:
        return False


async def answers_ping(host: str, timeout: float) -> bool:
    """Whether ``host`` (IPv4) answers an ICMP echo request; False also where the kernel lets us send none."""
    request = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, 0, 1)
    request = request[:2] + struct.pack("!H", _checksum(request)) + request[4:]
    try:
        async with asyncio.timeout(timeout):
            with _socket(host, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as ping:
                ping.connect((host, 0))
                ping.send(request)
                return bool(await asyncio.get_running_loop().sock_recv(ping, 64))
    except OwnTroubleError:
        raise
    except OSError:  # among them EACCES: not in the groups of net.ipv4.ping_group_range
        return False


def _checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071) of a packet of even length."""
    words: tuple[int, ...] = struct.unpack(f"!{len(packet) // 2}H", packet)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


async def ask_resolver(address: Address, timeout: float) -> int | None:
    """Ask a DNS server for the name servers of the root, which every resolver knows; None without an answer.

    :return: the response code of RFC 1035: 0 no error, :data:`SERVER_FAILURE`, 3 no such name, 5 refused.
    """
    query = os.urandom(2) + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack("!HH", 2, 1)
    try:
        async with asyncio.timeout(timeout):
            with _socket(address[0], socket.SOCK_DGRAM) as udp:
                udp.connect(address)
                udp.send(query)
                while True:
                    answer = await asyncio.get_running_loop().sock_recv(udp, 4096)
                    if len(answer) >= 12 and answer[:2] == query[:2] and answer[2] & 0x80:
                        return answer[3] & 0x0F
    except OwnTroubleError:
        raise
    except OSError:
        return None
