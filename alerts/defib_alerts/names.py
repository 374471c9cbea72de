"""The names that commands in recommendations may mention: only those that are known for sure. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from urllib.parse import urlsplit

from defib.plugin import AlertFacts
from defib_alerts.wording import one_line

_DOCKER = re.compile(r"\bdocker(?: --host \S+)? (?:restart|start|kill)(?: -t \d+| --signal \S+)* (\w[\w.-]*)")
_SYSTEMCTL = re.compile(
    r"\bsystemctl(?: --\w\S*)* (?:restart|reload|start|reset-failed)(?: --)? ([\w@:\\][\w@:.\\-]*)"
)
_HOST_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})")
_DISK = re.compile(r"(?:^|\b)(?:disk|inodes of) (/\S*) at ")
_TRAIL_STARTS_BEFORE = timedelta(minutes=1)

_FROM_FACTS = {
    "container": ("container", "container_name"),
    "unit": ("unit",),
    "process": ("process", "process_name"),
    "host": ("host", "hostname"),
    "port": ("port",),
    "path": ("path", "mount", "mountpoint", "partition"),
}


def known_names(facts: AlertFacts) -> Mapping[str, str]:
    """Every name that the facts tell, each on one line: ``monitor``, ``unit``, ``container``, ``host``, …

    What evidence says of the target comes first; then the target's address; then the recovery ladder, whose
    commands name the unit or container behind a monitor that only knows a URL.
    """
    names: dict[str, str] = {}
    for name, value in _candidates(facts):
        text = one_line(value.replace("`", ""), limit=200)
        if text and (name != "port" or text.isdecimal()):  # it may stand inside quotes
            names.setdefault(name, text)
    return names


def _candidates(facts: AlertFacts) -> Iterator[tuple[str, str]]:
    yield "name", facts.monitor_name
    yield "monitor", facts.monitor
    trail_start = (facts.since - _TRAIL_STARTS_BEFORE).astimezone(UTC)
    yield "trail_start", f"{trail_start:%Y-%m-%dT%H:%M:%SZ}"  # as docker wants it
    yield "trail_start_journal", f"{trail_start:%Y-%m-%d %H:%M:%S UTC}"  # as journalctl wants it
    for name, keys in _FROM_FACTS.items():
        for key in keys:
            if (value := facts.facts.get(key)) not in (None, ""):
                yield name, str(value)
    if disk := _DISK.search(facts.summary):
        yield "path", disk[1]
    yield from _of_target(facts)
    for name, command in (("container", _DOCKER), ("unit", _SYSTEMCTL)):
        if found := command.search(facts.recovery):
            yield name, found[1].rstrip(".")


def _of_target(facts: AlertFacts) -> Iterator[tuple[str, str]]:
    match facts.monitor_kind:
        case "docker":
            yield "container", facts.target.partition(" at ")[0]
        case "systemd":
            yield "unit", facts.target
        case "process":
            yield "process", facts.target
    if facts.target.startswith(("http://", "https://")):
        yield "url", facts.target
    if "://" in facts.target:
        try:
            address = urlsplit(facts.target)
            host, port = address.hostname, address.port
        except ValueError:  # not an address after all: nothing is known
            return
        if host:
            yield "host", host
        if port:
            yield "port", str(port)
    elif found := _HOST_PORT.search(facts.target):
        yield "host", found["host"].strip("[]")
        yield "port", found["port"]
