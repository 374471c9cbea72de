"""What to do about a fault: lines that several causes share, and the table by sort of component.

A line is a Jinja template, or several, of which the first counts whose names are all known. Commands stand
in backticks, which channels with markup show as code; ``|sh`` quotes a name for the shell.
"""

from collections.abc import Mapping

Line = str | tuple[str, ...]


PROCESS: Line = (
    "See whether it runs: `systemctl status {{ unit|sh }}`",
    "See whether it runs: `docker ps -a --filter name={{ container|sh }}`",
    "See whether it runs: `pgrep -af {{ process|sh }}`",
    "See whether its process runs.",
)
LOG: Line = (
    "Read its last words: `journalctl -u {{ unit|sh }} -n 50 --no-pager`",
    "Read its last words: `docker logs --tail 50 {{ container|sh }}`",
    "Read the end of its log.",
)
RESTART: Line = (
    "Try a restart: `systemctl restart {{ unit|sh }}`",
    "Try a restart: `docker restart {{ container|sh }}`",
    "Try a restart; `defib recover {{ monitor|sh }} --dry-run` shows what Defib would do.",
)
NETWORK: Line = (
    "Check the way to it from here: `curl -v --max-time 10 {{ url|sh }}`",
    "Check the way to it from here: `nc -vz {{ host|sh }} {{ port|sh }}`",
    "Check the way to it from here: `ping -c 3 {{ host|sh }}`",
    "Check the network between this host and it.",
)
LISTENING: Line = (
    "See on its host who listens there: `ss -ltnp 'sport = :{{ port }}'`",
    "See on its host who listens: `ss -ltnp`",
)
ASK: Line = (
    "Ask it yourself: `curl -i --max-time 10 {{ url|sh }}`",
    "Ask it yourself: `defib check {{ monitor|sh }}`",
)
LOAD: Line = "Look for what is busy on its host: `top -o %CPU`, `free -h`, `vmstat 1 5`"
PROCESS_RESOURCES: Line = (
    "Look at what it uses: `systemctl status {{ unit|sh }}`, `systemd-cgtop`",
    "Look at what it uses: `docker stats --no-stream {{ container|sh }}`",
    "Look at what its process uses: `top -o %CPU`, `top -o %MEM`",
)
CONTAINER_STATE: Line = (
    "See how it ended: `docker inspect -f '{% raw %}{{json .State}}{% endraw %}' {{ container|sh }}`",
    "See how it ended: `docker ps -a --no-trunc`",
)
CONTAINER_RESOURCES: Line = (
    "See what it uses: `docker stats --no-stream {{ container|sh }}`",
    "See what the containers use: `docker stats --no-stream`",
)
DISK_SPACE: Line = "Check the disk space where it keeps its data: `df -h`, `df -i`"
PG_READY: Line = (
    "Ask the server itself: `pg_isready -h {{ host|sh }} -p {{ port|sh }}`",
    "Ask the server itself: `pg_isready`",
)
PG_ACTIVITY: Line = (
    'See who is connected and doing what: `psql -c "SELECT pid, usename, state, now() - xact_start AS age, '
    'left(query, 60) FROM pg_stat_activity ORDER BY age DESC NULLS LAST"`'
)
CERTIFICATE: Line = (
    "Look at what it presents: `openssl s_client -connect {{ host|sh }}:{{ port|sh }} -servername {{ host|sh }}"
    " </dev/null | openssl x509 -noout -subject -issuer -dates`",
    "Look at what it presents: `openssl s_client -connect {{ host|sh }}:443 -servername {{ host|sh }}"
    " </dev/null | openssl x509 -noout -subject -issuer -dates`",
    "Look at what it presents with `openssl s_client`",
)
EXPLAIN: Line = "See every decision and its reason: `defib explain {{ monitor|sh }}`"

# --- by sort of component --------------------------------------------------------------------------

WHEN_DOWN: Mapping[str, tuple[Line, ...]] = {
    "agent": (PROCESS, LOG, RESTART, NETWORK),
    "database": (PROCESS, LOG, DISK_SPACE, RESTART),
    "docker": (CONTAINER_STATE, LOG, CONTAINER_RESOURCES, RESTART),
    "service": (PROCESS, LOG, RESTART),
    "process": (PROCESS, LOG, LOAD, RESTART),
    "host": (LOAD, DISK_SPACE, "Read the kernel's messages: `dmesg -T --level=err,warn | tail -n 30`"),
    "network": (NETWORK, LISTENING, PROCESS),
    "job": (
        "See whether its schedule still starts it: `systemctl list-timers --all`, `crontab -l`",
        LOG,
        "Run it by hand and watch how it ends.",
        "If it runs but does not report, check its way to Defib and the address it reports to.",
    ),
    "check": (ASK, "Look at what the check names in its output.", EXPLAIN),
}

WHEN_DEGRADED: Mapping[str, tuple[Line, ...]] = {
    "agent": (PROCESS_RESOURCES, "Tune the size of the agent's model.", LOAD),
    "database": (PG_ACTIVITY, LOAD, DISK_SPACE),
    "docker": (CONTAINER_RESOURCES, LOG, LOAD),
    "host": (LOAD, DISK_SPACE),
    "network": (NETWORK, LOAD),
}

WHEN_RECOVERED: tuple[Line, ...] = (
    (
        "Find the cause while the trail is fresh: "
        "`journalctl -u {{ unit|sh }} --since '{{ trail_start_journal }}' --no-pager`",
        "Find the cause while the trail is fresh: `docker logs --since {{ trail_start }} {{ container|sh }}`",
        "Find the cause while the trail is fresh: read its log from shortly before the fault.",
    ),
    EXPLAIN,
)

WHEN_FLAPPING: tuple[Line, ...] = (
    "Look for what comes and goes with it: memory that fills up, a limit of connections, a restart that is "
    "scheduled, a dependency that flaps too.",
)

WHEN_STOPPED: tuple[Line, ...] = (
    (
        "If nobody meant to, see who did it: `journalctl -u {{ unit|sh }} -n 50 --no-pager`",
        "If nobody meant to, see how it ended: "
        "`docker inspect -f '{% raw %}{{json .State}}{% endraw %}' {{ container|sh }}`",
        "If nobody meant to, start it again.",
    ),
    "If it is to stay stopped, write `enabled: false` at its monitor.",
)

NEEDS_HUMAN: tuple[Line, ...] = (
    "Once it is repaired, Defib sees that by itself; `defib check {{ monitor|sh }}` looks at once.",
    EXPLAIN,
)

WHEN_SICK: tuple[Line, ...] = (
    LOAD,
    "Read Defib's own log, which says what holds it up: `journalctl -u defib -n 50 --no-pager`",
    "Give it more of the machine, or let it look less often: `defib strategy set conservative`",
)

WHEN_CUT_OFF: tuple[Line, ...] = (
    "Look at the link and the route of the machine that Defib runs on: `ip -brief address; ip route`",
    "See whether names are resolved there: `getent hosts example.com`",
)

ANY: tuple[Line, ...] = (PROCESS, LOG, RESTART)
"""For a sort of component that has no table of its own."""
