"""A network bridge with a subnet of its own, for one Docker daemon."""

import ipaddress
import json
import random
import subprocess

_POOL = ipaddress.IPv4Network("100.64.0.0/10")
"""Shared address space (RFC 6598): not used by private networks, nor by Docker's own defaults."""


class DockerBridge:
    """Exists from construction to :meth:`close`; needs root and iproute2."""

    def __init__(self, suffix: str) -> None:
        """
        :param suffix: makes the name unique; names of interfaces have at most 15 characters.
        """
        self.name = f"dfb{suffix}"[:15]
        _ip("link", "add", "name", self.name, "type", "bridge")
        try:
            _ip("address", "add", f"{_unused_subnet()[1]}/24", "dev", self.name)
            _ip("link", "set", self.name, "up")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        _ip("link", "delete", self.name)


def _unused_subnet() -> ipaddress.IPv4Network:
    """A /24 that no address of this machine and no route (but the default) touches, drawn at random."""
    taken = [
        ipaddress.IPv4Network(route["dst"], strict=False)
        for route in json.loads(_ip("-json", "-4", "route", "show", "table", "all"))
        if route["dst"] != "default"
    ]
    candidates = list(_POOL.subnets(new_prefix=24))
    random.SystemRandom().shuffle(candidates)
    return next(subnet for subnet in candidates if not any(subnet.overlaps(other) for other in taken))


def _ip(*arguments: str) -> str:
    """Run ``ip``; its output.

    :raises RuntimeError: with what it said.
    """
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout
