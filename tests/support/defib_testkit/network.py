"""A little internet of network namespaces, whose links can be cut: Defib at home, a switch, the world behind it.

    home (10.99.0.2) ══ switch ══ world (10.99.0.1, the gateway; targets at 10.99.0.101… and, behind it, at 10.98.0.1…)

Everything lives in namespaces of its own; the machine's network is not touched. Needs root and iproute2.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from defib_testkit.requirement import require

GATEWAY = "10.99.0.1"
NEAR, FAR = "10.99.0.{}", "10.98.0.{}"  # on the link, and behind the gateway
_CLONE_NEWNET = 0x40000000
_NETNS = Path("/run/netns")
_RESOLVERS = Path("/etc/netns")  # of processes started by ``ip netns exec``: ip-netns(8)

Cut = Literal["own", "carrier", "beyond"]
"""Where the network ends: at our own interface, switched off; at the plug, pulled; or behind the switch, where nothing
at home shows it."""


class Network:
    """Three namespaces, from construction to :meth:`close`."""

    def __init__(self, near: int, far: int) -> None:
        """
        :param near: targets on the link; at most 100.
        :param far: targets behind the gateway; at most 250.
        """
        _require()
        mark = f"dfb{os.getpid()}x{os.urandom(2).hex()}"
        self.home, self._switch, self._world = f"{mark}h", f"{mark}s", f"{mark}w"
        self.near = [NEAR.format(101 + number) for number in range(near)]
        self.far = [FAR.format(1 + number) for number in range(far)]
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        for name in (self.home, self._switch, self._world):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        for end, other in ((self.home, "h"), (self._world, "w")):
            _ip(
                "-n",
                self._switch,
                "link",
                "add",
                f"port-{other}",
                "type",
                "veth",
                "peer",
                "eth0",
                "netns",
                end,
            )
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        for port in ("port-h", "port-w"):
            _ip("-n", self._switch, "link", "set", port, "master", "bridge", "up")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        _ip("-n", self._world, "addr", "add", f"{GATEWAY}/24", "dev", "eth0")
        for address in self.near:
            _ip("-n", self._world, "addr", "add", f"{address}/24", "dev", "eth0")
        for address in self.far:
            _ip("-n", self._world, "addr", "add", f"{address}/32", "dev", "lo")
        _ip("-n", self._world, "link", "set", "eth0", "up")
        _ip("-n", self.home, "addr", "add", "10.99.0.2/24", "dev", "eth0")
        self._raise_home()
        folder = _RESOLVERS / self.home
        folder.mkdir(parents=True)
        (folder / "resolv.conf").write_text("nameserver 10.98.0.1\n")

    def _raise_home(self) -> None:
        _ip("-n", self.home, "link", "set", "eth0", "up")
        _ip("-n", self.home, "route", "replace", "default", "via", GATEWAY)

    @property
    def at_home(self) -> tuple[str, ...]:
        """Before a command line: it runs at home."""
        return ("ip", "netns", "exec", self.home)

    @property
    def in_world(self) -> tuple[str, ...]:
        """Before a command line: it runs in the world."""
        return ("ip", "netns", "exec", self._world)

    def cut(self, where: Cut) -> None:
        """Take the network away."""
        match where:
            case "own":
                _ip("-n", self.home, "link", "set", "eth0", "down")
            case "carrier":
                _ip("-n", self._switch, "link", "set", "port-h", "down")
            case "beyond":
                _ip("-n", self._switch, "link", "set", "port-w", "down")

    def mend(self) -> None:
        """Bring it back, with its default route, as a network manager would."""
        for port in ("port-h", "port-w"):
            _ip("-n", self._switch, "link", "set", port, "up")
        self._raise_home()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile belong to home."""
        libc = ctypes.CDLL(None, use_errno=True)
        with (
            Path(f"/proc/self/task/{threading.get_native_id()}/ns/net").open() as before,
            (_NETNS / self.home).open() as home,
        ):
            _enter(libc, home.fileno())
            try:
                yield
            finally:
                _enter(libc, before.fileno())

    def close(self) -> None:
        """Remove everything; what still runs in there must have been ended before."""
        for name in (self.home, self._switch, self._world):
            if (_NETNS / name).exists():
                _ip("netns", "delete", name)
        shutil.rmtree(_RESOLVERS / self.home, ignore_errors=True)
        with contextlib.suppress(OSError):  # somebody else's are in it
            _RESOLVERS.rmdir()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns failed")


def _require() -> None:
    """Skip where namespaces cannot be made."""
    if shutil.which("ip") is None:
        require("ip", "apt install iproute2")
    name = f"dfb{os.getpid()}try{os.urandom(2).hex()}"
    made = subprocess.run(
        ["ip", "netns", "add", name], capture_output=True, text=True, timeout=20, check=False
    )
    if made.returncode:
        require("the right to make network namespaces", f"run as root: {made.stderr.strip()}")
    _ip("netns", "delete", name)
