"""What to do about a fault: lines that several causes share, and the table by sort of component.

The words of a line are a message of the catalogue; commands are the same in every language. A command is written as
one would type it, with ``$name`` for what the facts may tell (:mod:`defib_alerts.names`), which is quoted for the
shell when it is filled in.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

from defib.plugin import N_, Catalogue

Command = str | tuple[str, ...]
"""One to be run, or several that stand side by side."""


@dataclass(frozen=True, slots=True)
class Line:
    """One recommendation."""

    text: str  #: ``{command}`` stands for the command; code in the text itself stands in backticks
    commands: tuple[Command, ...] = ()  #: the first counts whose names are all known
    otherwise: "Line | None" = None  #: where none of them is; None: then there is no such line


def line(text: str, *commands: Command, otherwise: str | Line = "") -> Line:
    """A line as the tables write it."""
    last = Line(otherwise) if isinstance(otherwise, str) else otherwise
    return Line(text, commands, last if last.text else None)


def said(advice: Line, names: Mapping[str, str], words: Catalogue) -> str:
    """The line in words, with its command; "" where too little is known for it."""
    if not advice.commands:
        return words.gettext(advice.text)
    for command in advice.commands:
        parts = (command,) if isinstance(command, str) else command
        if all(needed(part) <= names.keys() for part in parts):
            quoted = {name: shlex.quote(value) for name, value in names.items()}
            typed = words.listed(f"`{Template(part).substitute(quoted)}`" for part in parts)
            return words.gettext(advice.text).format(command=typed)
    return "" if advice.otherwise is None else said(advice.otherwise, names, words)


def needed(command: str) -> frozenset[str]:
    """The names that a command mentions."""
    return frozenset(Template(command).get_identifiers())


PROCESS = line(
    N_("See whether it runs: {command}"),
    "systemctl status $unit",
    "docker ps -a --filter name=$container",
    "pgrep -af $process",
    otherwise=N_("See whether its process runs."),
)
LOG = line(
    N_("Read its last words: {command}"),
    "journalctl -u $unit -n 50 --no-pager",
    "docker logs --tail 50 $container",
    otherwise=N_("Read the end of its log."),
)
RESTART = line(
    N_("Try a restart: {command}"),
    "systemctl restart $unit",
    "docker restart $container",
    otherwise=line(
        N_("Try a restart; {command} shows what Defib would do."), "defib recover $monitor --dry-run"
    ),
)
NETWORK = line(
    N_("Check the way to it from here: {command}"),
    "curl -v --max-time 10 $url",
    "nc -vz $host $port",
    "ping -c 3 $host",
    otherwise=N_("Check the network between this host and it."),
)
LISTENING = line(N_("See on its host who listens there: {command}"), "ss -ltnp 'sport = :$port'", "ss -ltnp")
ASK = line(N_("Ask it yourself: {command}"), "curl -i --max-time 10 $url", "defib check $monitor")
LOAD = line(N_("Look for what is busy on its host: {command}"), ("top -o %CPU", "free -h", "vmstat 1 5"))
PROCESS_RESOURCES = line(
    N_("Look at what it uses: {command}"),
    ("systemctl status $unit", "systemd-cgtop"),
    "docker stats --no-stream $container",
    ("top -o %CPU", "top -o %MEM"),
)
CONTAINER_STATE = line(
    N_("See how it ended: {command}"),
    "docker inspect -f '{{json .State}}' $container",
    "docker ps -a --no-trunc",
)
CONTAINER_RESOURCES = line(
    N_("Look at what it uses: {command}"), "docker stats --no-stream $container", "docker stats --no-stream"
)
DISK_SPACE = line(N_("Check the disk space where it keeps its data: {command}"), ("df -h", "df -i"))
PG_READY = line(N_("Ask the server itself: {command}"), "pg_isready -h $host -p $port", "pg_isready")
PG_ACTIVITY = line(
    N_("See who is connected and doing what: {command}"),
    'psql -c "SELECT pid, usename, state, now() - xact_start AS age, left(query, 60) FROM pg_stat_activity '
    'ORDER BY age DESC NULLS LAST"',
)
CERTIFICATE = line(
    N_("Look at what it presents: {command}"),
    "openssl s_client -connect $host:$port -servername $host </dev/null | openssl x509 -noout -subject -issuer -dates",
    "openssl s_client -connect $host:443 -servername $host </dev/null | openssl x509 -noout -subject -issuer -dates",
    otherwise=N_("Look at what it presents with `openssl s_client`."),
)
EXPLAIN = line(N_("See every decision and its reason: {command}"), "defib explain $monitor")
BUSY = line(
    N_("Find what is busy: {command}"), "ps -eo pid,user,pcpu,rss,etime,comm --sort=-pcpu | head -n 15"
)
BIG_FOLDERS = line(
    N_("Find what takes the space: {command}"),
    "du -xh --max-depth=2 $path | sort -h | tail -n 20",
    "du -xh --max-depth=2 / | sort -h | tail -n 20",
)
WAY_TO_DEFIB = line(N_("Check its host's way to Defib: name, firewall, proxy, token."))
BY_HAND = line(N_("Run it by hand and watch how it ends."))
DEPENDENCIES = line(N_("Check what it depends on: database, disk, other services."))
ROTATED = line(N_("Was a password or token rotated? Then rotate it for Defib too."))

# --- by sort of component --------------------------------------------------------------------------

WHEN_DOWN: Mapping[str, tuple[Line, ...]] = {
    "agent": (PROCESS, LOG, RESTART, NETWORK),
    "database": (PROCESS, LOG, DISK_SPACE, RESTART),
    "docker": (CONTAINER_STATE, LOG, CONTAINER_RESOURCES, RESTART),
    "service": (PROCESS, LOG, RESTART),
    "process": (PROCESS, LOG, LOAD, RESTART),
    "host": (
        LOAD,
        DISK_SPACE,
        line(N_("Read the kernel's messages: {command}"), "dmesg -T --level=err,warn | tail -n 30"),
    ),
    "network": (NETWORK, LISTENING, PROCESS),
    "job": (
        line(
            N_("See whether its schedule still starts it: {command}"),
            ("systemctl list-timers --all", "crontab -l"),
        ),
        LOG,
        BY_HAND,
        line(N_("If it runs but does not report, check its way to Defib and the address it reports to.")),
    ),
    "check": (ASK, line(N_("Look at what the check names in its output.")), EXPLAIN),
}

WHEN_DEGRADED: Mapping[str, tuple[Line, ...]] = {
    "agent": (PROCESS_RESOURCES, line(N_("Tune the size of the agent's model.")), LOAD),
    "database": (PG_ACTIVITY, LOAD, DISK_SPACE),
    "docker": (CONTAINER_RESOURCES, LOG, LOAD),
    "host": (LOAD, DISK_SPACE),
    "network": (NETWORK, LOAD),
}

WHEN_ANY: tuple[Line, ...] = (PROCESS, LOG, RESTART)
"""For a sort of component that has no table of its own."""

# --- by event --------------------------------------------------------------------------------------

WHEN_RECOVERED = (
    line(
        N_("Find the cause while the trail is fresh: {command}"),
        "journalctl -u $unit --since $trail_start_journal --no-pager",
        "docker logs --since $trail_start $container",
        otherwise=N_("Find the cause while the trail is fresh: read its log from shortly before the fault."),
    ),
    EXPLAIN,
)

WHEN_FLAPPING = (
    line(
        N_(
            "Look for what comes and goes with it: memory that fills up, a limit of connections, a restart that is "
            "scheduled, a dependency that flaps too."
        )
    ),
)

WHEN_STOPPED = (
    line(
        N_("If nobody meant to, see who did it: {command}"),
        "journalctl -u $unit -n 50 --no-pager",
        otherwise=line(
            N_("If nobody meant to, see how it ended: {command}"),
            "docker inspect -f '{{json .State}}' $container",
            otherwise=N_("If nobody meant to, start it again."),
        ),
    ),
    line(N_("If it is to stay stopped, write `enabled: false` at its monitor.")),
)

NEEDS_HUMAN = (
    line(
        N_("Once it is repaired, Defib sees that by itself; {command} looks at once."), "defib check $monitor"
    ),
    EXPLAIN,
)

TAKE_IT_ON = line(N_("Take it on, so that nobody else is called: {command}"), "defib ack $monitor")

WHEN_SICK = (
    LOAD,
    line(
        N_("Read Defib's own log, which says what holds it up: {command}"),
        "journalctl -u defib -n 50 --no-pager",
    ),
    line(
        N_("Give it more of the machine, or let it look less often: {command}"),
        "defib strategy set conservative",
    ),
)

WHEN_CUT_OFF = (
    line(
        N_("Look at the link and the route of the machine that Defib runs on: {command}"),
        "ip -brief address; ip route",
    ),
    line(N_("See whether names are resolved there: {command}"), "getent hosts example.com"),
)

WHEN_CHANNEL_BROKEN = (
    line(N_("Try it out, and see what the far end answers: {command}"), "defib test-alert --channel $name"),
    line(N_("What it could not deliver is kept: repair it, and send that again from the page of alerts.")),
)

WHEN_TOGETHER = (
    line(
        N_(
            "Look first at what they have in common: the host, its network, a database, a certificate, a deployment."
        )
    ),
    line(N_("If one of them needs another, say so with `requires:`; then only the cause is told.")),
    EXPLAIN,
)
