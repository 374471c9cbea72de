"""What an agent is told to do: built in, by a file, by the environment, by the command line; the later one counts."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from defib_agent.errors import SettingsError

PREFIX = "DEFIB_AGENT_"
AGENT, DAEMON, HOST = "agent", "daemon", "host-agent"
HTTP, WEBSOCKET, BOTH, UNIX = "http", "websocket", "both", "unix"
TRANSPORTS: Mapping[str, tuple[str, ...]] = {
    AGENT: (HTTP, WEBSOCKET, BOTH),
    DAEMON: (UNIX, HTTP),
    HOST: (HTTP, WEBSOCKET, BOTH),
}
"""Protocol → how it can travel; the first is the default."""
_ALSO_CALLED = {"a": AGENT, "b": DAEMON, "d": HOST, "host": HOST, "ws": WEBSOCKET}
_MOST_FILE_BYTES = 1024 * 1024
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedAction:
    """Something that the server may have done here, by its name."""

    argv: tuple[str, ...]
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting. Keys of the file are called as the fields are; durations are seconds, or ``30s``, ``5m``."""

    server_url: str = "http://127.0.0.1:8420"
    api_token: str = field(default="", repr=False)  #: an ingest token, or the registration key
    agent_id: str = ""  #: "" lets the server choose
    agent_name: str = ""  #: shown to people; the host name by default
    tags: tuple[str, ...] = ()
    pool: str = ""
    interval: float = 30.0
    protocol: str = AGENT
    transport: str = ""  #: "" is the protocol's first
    socket_path: str = ""  #: of Defib on this machine, for the transport ``unix``
    state_folder: str = ""  #: where the token that was given to us is kept; "" chooses a fitting one
    buffer_size: int = 240  #: beats that wait while the server is away
    timeout: float = 10.0  #: for one answer
    ca_file: str = ""  #: certificates to trust in place of the system's, for a server with one of its own
    auto_start: bool = True  #: the window starts to beat at once
    run_as_service: bool = False  #: go on trying where a person would rather be told: a refused token
    second_opinion: bool = (
        False  #: look at targets for the server, when it asks whether only it cannot reach them
    )
    actions: Mapping[str, AllowedAction] = field(
        default_factory=dict
    )  #: name → what the server may have done here

    @property
    def has_stream(self) -> bool:
        return self.transport in (WEBSOCKET, BOTH)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings in force.

    :param path: a JSON or YAML file.
    :param environ: ``DEFIB_AGENT_<SETTING>`` in it; the process's by default.
    :param given: those that are not None count most.
    :raises SettingsError: names the key, where it stands, and what it may be.
    """
    said: dict[str, tuple[str, object]] = {}
    if path is not None:
        said |= {key: (f"{path}: {key}", value) for key, value in _read_file(path).items()}
    for name, value in (os.environ if environ is None else environ).items():
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in ("CONFIG", "GUI"):
            said[name.removeprefix(PREFIX).lower()] = (name, value)
    said |= {key: (key, value) for key, value in given.items() if value is not None}
    known = {item.name for item in fields(Settings)}
    for key, (place, _) in said.items():
        if key not in known:
            raise SettingsError(f"{place}: there is no such setting; there are {', '.join(sorted(known))}")
    return _checked(
        replace(Settings(), **{key: _read(key, place, value) for key, (place, value) in said.items()})
    )


def _read_file(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_FILE_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {getattr(error, 'strerror', '') or error}") from None
    if len(text) > _MOST_FILE_BYTES:
        raise SettingsError(f"{path}: is longer than {_MOST_FILE_BYTES} bytes; is it the right file?")
    data = _parse(path, text)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: must hold settings, 'name: value' on each line")
    return {str(key): value for key, value in data.items()}


def _parse(path: Path, text: str) -> object:
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise SettingsError(f"{path}: is no valid JSON: {error}") from None
    try:
        import yaml
    except ImportError:
        raise SettingsError(
            f"{path}: YAML needs PyYAML (pip install pyyaml); or write a .json file"
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is no valid YAML: {' '.join(str(error).split())}") from None


# --- each value ------------------------------------------------------------------------------------


def _text(place: str, value: object) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value).strip()
    raise SettingsError(f"{place}: must be text")


def _flag(place: str, value: object) -> bool:
    words = {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }
    found = words.get(str(value).strip().lower())
    if found is None:
        raise SettingsError(f"{place}: must be true or false")
    return found


def _seconds(place: str, value: object) -> float:
    text = str(value).strip().lower()
    unit = next(
        (name for name in _UNITS if text.endswith(name) and text.removesuffix(name).strip()[-1:].isdigit()),
        "s",
    )
    try:
        found = float(text.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        found = -1.0
    if isinstance(value, bool) or not 0 < found <= 7 * 86400:
        raise SettingsError(
            f"{place}: must be a time of more than nothing and at most 7d; write for example 30s"
        )
    return found


def _size(place: str, value: object) -> int:
    try:
        found = int(str(value))
    except ValueError:
        found = 0
    if isinstance(value, bool) or not 1 <= found <= 100_000:
        raise SettingsError(f"{place}: must be a number from 1 to 100000")
    return found


def _words(place: str, value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise SettingsError(f"{place}: must be a list: [web, london]")
    return tuple(word for item in items if (word := _text(place, item)))


def _actions(place: str, value: object) -> Mapping[str, AllowedAction]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise SettingsError(
            f"{place}: must name actions: {{restart-web: {{argv: [systemctl, restart, web]}}}}"
        )
    return {str(name): _action(f"{place}.{name}", item) for name, item in value.items()}


def _action(place: str, value: object) -> AllowedAction:
    if isinstance(value, AllowedAction):
        return value
    body = {"argv": value} if isinstance(value, list) else value
    if not isinstance(body, dict) or set(body) - {"argv", "timeout"}:
        raise SettingsError(f"{place}: must have 'argv', and may have 'timeout'")
    argv = body.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(item, str | int) for item in argv):
        raise SettingsError(
            f"{place}.argv: must be a program and its arguments, as a list; no shell reads them"
        )
    words = tuple(str(item) for item in argv)
    if not os.path.isabs(words[0]):
        raise SettingsError(f"{place}.argv: {words[0]!r} must be the program's whole path, from / on")
    return AllowedAction(argv=words, timeout_s=_seconds(f"{place}.timeout", body.get("timeout", 60)))


_READERS: Mapping[str, Callable[[str, object], Any]] = {
    "tags": _words, "interval": _seconds, "timeout": _seconds, "buffer_size": _size, "auto_start": _flag,
    "run_as_service": _flag, "second_opinion": _flag, "actions": _actions,
}  # fmt: skip


def _read(key: str, place: str, value: object) -> Any:
    return _READERS.get(key, _text)(place, value)


# --- all together ----------------------------------------------------------------------------------


def _checked(settings: Settings) -> Settings:
    protocol = _one_of("protocol", settings.protocol, tuple(TRANSPORTS))
    can = TRANSPORTS[protocol]
    transport = _one_of("transport", settings.transport or can[0], can, f" with the protocol {protocol}")
    url = settings.server_url.rstrip("/")
    _check_url(url)
    if transport == UNIX and not settings.socket_path:
        raise SettingsError(
            "socket_path: the transport unix needs it: what 'server.unix_socket' of Defib says"
        )
    if settings.agent_id and (not settings.agent_id.isprintable() or "/" in settings.agent_id):
        raise SettingsError("agent_id: becomes part of an address and must hold no '/'")
    if protocol == DAEMON and transport == HTTP and not settings.agent_id:
        raise SettingsError("agent_id: the protocol daemon over http needs one")
    if (settings.actions or settings.second_opinion) and (protocol != AGENT or transport == HTTP):
        raise SettingsError(
            "actions, second_opinion: are asked for over a WebSocket; set 'protocol: agent' and 'transport: both'"
        )
    return replace(settings, protocol=protocol, transport=transport, server_url=url)


def _one_of(key: str, value: str, allowed: tuple[str, ...], more: str = "") -> str:
    word = _ALSO_CALLED.get(value.lower(), value.lower())
    if word not in allowed:
        raise SettingsError(f"{key}: {value!r} must be one of {', '.join(allowed)}{more}")
    return word


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if (
        not is_good
        or not url.isascii()
        or not url.isprintable()
        or " " in url
        or parts.query
        or parts.fragment
    ):
        raise SettingsError("server_url: must be an address like https://defib.example.com")
    if parts.username or parts.password:
        raise SettingsError("server_url: must hold no password; put the token into api_token")
