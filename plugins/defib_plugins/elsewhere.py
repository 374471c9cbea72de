"""Addresses that mean the same on other hosts, for second opinions. Pure."""

import ipaddress
from urllib.parse import urlsplit

from defib_plugins.display import mask_url

_PORTS = {"http": 80, "https": 443}


def of_port(host: str, port: int | None) -> tuple[str, str] | None:
    """A port elsewhere; None for one of this machine, and for what is no address."""
    if not host or port is None or _is_here(host):
        return None
    return "tcp", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def of_url(url: str) -> tuple[str, str] | None:
    """A web address elsewhere; its port alone where the address holds anything that is not for everybody."""
    parts = urlsplit(url)
    port = of_port(parts.hostname or "", parts.port or _PORTS.get(parts.scheme))
    if port is None or parts.query or parts.username is not None or mask_url(url) != url:
        return port
    return "http", url


def _is_here(host: str) -> bool:
    if host.rstrip(".") == "localhost" or host.startswith("/"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
