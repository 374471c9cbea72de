"""Where a silent sender can be asked whether it is still there: an http, https or tcp address."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, PlainSerializer

from defib.plugin import BuildContext, Monitor
from defib_plugins.display import mask_url
from defib_plugins.http_endpoint import HttpMonitor, HttpOptions
from defib_plugins.tcp_port import TcpMonitor, TcpOptions

_EXAMPLE = "write for example http://worker.lan:8000/health or tcp://worker.lan:5000"


def checked_address(address: str) -> str:
    """The address itself.

    :raises ValueError: nobody can be asked there.
    """
    _options(address)
    return address


ProbeAddress = Annotated[str, AfterValidator(checked_address), PlainSerializer(mask_url, return_type=str)]
"""Where a sender can be asked; credentials in it are never shown."""


def open_probe(address: str, context: BuildContext) -> Monitor:
    """The monitor that looks there."""
    options = _options(address)
    return HttpMonitor(options, context) if isinstance(options, HttpOptions) else TcpMonitor(options, context)


def _options(address: str) -> HttpOptions | TcpOptions:
    try:
        parts = urlsplit(address)
        if parts.scheme == "tcp" and not (parts.path or parts.query or parts.fragment or parts.username):
            return TcpOptions.model_validate({"host": parts.hostname, "port": parts.port})
        if parts.scheme in ("http", "https"):
            return HttpOptions(url=address)
    except ValueError:  # and pydantic's ValidationError, whose words are for other options
        pass
    raise ValueError(f"not an address where a sender can be asked; {_EXAMPLE}")
