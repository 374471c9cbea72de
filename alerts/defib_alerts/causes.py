"""What each cause of a fault means and what helps against it: the table by cause."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from defib_alerts.advice import (
    ASK,
    CERTIFICATE,
    CONTAINER_RESOURCES,
    CONTAINER_STATE,
    DISK_SPACE,
    EXPLAIN,
    LISTENING,
    LOAD,
    LOG,
    NETWORK,
    PG_ACTIVITY,
    PG_READY,
    PROCESS,
    PROCESS_RESOURCES,
    RESTART,
    WHEN_DOWN,
    Line,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseAdvice:
    """What some causes mean, and what helps."""

    causes: tuple[str, ...]  #: codes of evidence; ``*`` stands for anything, ``?`` for one character
    meaning: str  #: one or two sentences for the description
    title: str = ""  #: what follows the monitor's name in the title, instead of ``is down``
    trouble: str = "has been failing"  #: what follows it in the description, before ``since``
    families: tuple[str, ...] = ()  #: only for these; empty: for all
    lines: tuple[Line, ...] = ()  #: best first
    is_complete: bool = False  #: the lines by sort of component (look, restart) would add nothing


DEPENDENCIES: Line = "Check what it depends on: database, disk, other services."
ROTATED: Line = "Was a password or token rotated? Then rotate it for Defib too."
DOCKER_LOG: Line = "Read its last words: `journalctl -u docker -n 50 --no-pager`"
RENEWAL: tuple[Line, ...] = (
    "Renew it, `certbot renew` or as its authority does it, and reload the service.",
    CERTIFICATE,
    "Find out why it was not renewed by itself: `systemctl list-timers --all`",
)

CAUSES: tuple[CauseAdvice, ...] = (
    # --- the connection ---
    CauseAdvice(
        causes=("refused",),
        families=("database",),
        meaning="Its host answers, but nothing listens on the port: PostgreSQL does not run or listens elsewhere.",
        lines=(PROCESS, LOG, LISTENING, RESTART, DISK_SPACE),
    ),
    CauseAdvice(
        causes=("refused",),
        meaning="Its host answers, but nothing listens on the port: the process is gone or still starting.",
        lines=(PROCESS, LOG, LISTENING, RESTART),
    ),
    CauseAdvice(
        causes=("socket-missing",),
        meaning="The socket it should listen on does not exist: the process is gone.",
        lines=(PROCESS, LOG, RESTART),
    ),
    CauseAdvice(
        causes=("reset", "bad-response", "connect-failed"),
        meaning="The connection broke: it crashes on requests, is restarting, or something in between cuts in.",
        lines=(LOG, PROCESS, NETWORK),
    ),
    CauseAdvice(
        causes=("timeout",),
        families=("database",),
        meaning="It did not answer in time: overloaded, blocked by locks, out of disk, or packets are lost.",
        lines=(PG_READY, PG_ACTIVITY, LOAD, DISK_SPACE, NETWORK),
    ),
    CauseAdvice(
        causes=("timeout",),
        families=("check",),
        meaning="The check did not end in time.",
        lines=(ASK, LOAD, "Give it more time if it needs it: raise its `timeout`", EXPLAIN),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("timeout",),
        families=("docker",),
        meaning="The Docker daemon did not answer in time: it hangs or waits for its disk.",
        lines=(
            "See whether it answers: `docker version`",
            DOCKER_LOG,
        ),
    ),
    CauseAdvice(
        causes=("timeout",),
        meaning="It did not answer in time: it hangs, is overloaded, or packets are lost on the way.",
        lines=(NETWORK, LOAD, LOG, RESTART),
    ),
    CauseAdvice(
        causes=("unreachable",),
        meaning="Packets do not reach it: its host is off, or something on the way there is broken.",
        lines=(
            (
                "See where packets end: `mtr -rwc 5 {{ host|sh }}`",
                "See where packets end: `mtr` or `traceroute`",
            ),
            "See whether its host runs: console, hypervisor or provider's panel.",
            "Check firewalls and routes on the way.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("dns-*",),
        meaning="Its name has no address.",
        lines=(
            ("Ask the resolver: `getent ahosts {{ host|sh }}`", "Ask the resolver: `getent ahosts NAME`"),
            "Look for a typing error, an expired domain or a record that was removed.",
            "Check this host's resolvers: `cat /etc/resolv.conf`",
        ),
        is_complete=True,
    ),
    # --- certificates ---
    CauseAdvice(
        causes=("tls-expired",),
        meaning="Its certificate has expired, and clients refuse to talk to it. A restart does not help.",
        lines=RENEWAL,
        is_complete=True,
    ),
    CauseAdvice(
        causes=("cert-expir*", "tls-expiring"),
        title="has a certificate that expires soon",
        meaning="A restart does not help: the certificate has to be renewed before it expires.",
        lines=RENEWAL,
        is_complete=True,
    ),
    CauseAdvice(
        causes=("tls-not-yet-valid",),
        meaning="Its certificate is not valid yet: it was installed early, or a clock is wrong.",
        lines=("Compare the clocks of both hosts: `timedatectl`", CERTIFICATE),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("tls-handshake",),
        meaning="No encrypted connection could be made: no common protocol, or the port does not speak TLS.",
        lines=(CERTIFICATE, LOG, "See whether the port speaks TLS at all, and which versions it allows."),
    ),
    CauseAdvice(
        causes=("tls-*",),
        meaning="Its certificate is not trusted: another name, an unknown authority, or an incomplete chain.",
        lines=(
            CERTIFICATE,
            "Install the whole chain, and a certificate for the name that clients use.",
            "With an authority of your own, tell it to this monitor.",
        ),
        is_complete=True,
    ),
    # --- HTTP answers ---
    CauseAdvice(
        causes=("http-401", "http-403", "http-407"),
        meaning="It is up and refuses us: the credentials of the check are wrong or have expired. "
        "A restart does not help.",
        lines=(ASK, "Check the headers and credentials of the monitor's configuration.", ROTATED),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("http-404", "http-410"),
        meaning="It is up but does not know the address: another version was deployed, or the path is wrong.",
        lines=(ASK, "Compare the path in the configuration with what the service offers now.", LOG),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("http-429", "http-503"),
        meaning="It answers that it has too much to do or is not ready.",
        lines=(LOAD, LOG, ASK, "If it is still starting, give it time before restarting it."),
    ),
    CauseAdvice(
        causes=("http-502", "http-504"),
        meaning="A proxy in front of it answers, and says that the service behind does not.",
        lines=(PROCESS, LOG, "Read the proxy's error log: it names the address that is silent.", RESTART),
    ),
    CauseAdvice(
        causes=("http-5??",),
        meaning="It runs and answers, but with an error of its own: look into its log before restarting it.",
        lines=(LOG, ASK, DEPENDENCIES, RESTART),
    ),
    CauseAdvice(
        causes=("http-3??", "too-many-redirects"),
        meaning="It sends us elsewhere instead of answering.",
        lines=(ASK, "Write the final address into the configuration, or allow redirects."),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("http-*",),
        meaning="It is up but does not accept the request.",
        lines=(ASK, "Compare the request in the configuration with what the service expects now.", LOG),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("health-fail", "health-warn"),
        meaning="It runs, and reports by itself what is wrong.",
        lines=(ASK, LOG, DEPENDENCIES, RESTART),
    ),
    CauseAdvice(
        causes=("wrong-*", "bad-json"),
        meaning="It answers, but not what it should.",
        lines=(ASK, LOG, DEPENDENCIES, RESTART),
    ),
    CauseAdvice(
        causes=("slow",),
        title="is slow",
        meaning="It answers rightly, but takes longer than its limit.",
    ),
    # --- PostgreSQL ---
    CauseAdvice(
        causes=("auth-failed",),
        meaning="It is up and refused the login: the password, the user or pg_hba.conf is wrong. "
        "A restart does not help.",
        lines=(
            "Check the user and the password of Defib's configuration (`dsn`) against the server's.",
            "See which rule refused: the server's log names the line of `pg_hba.conf`",
            ROTATED,
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("no-database",),
        meaning="PostgreSQL is up, but the database does not exist. A restart does not help.",
        lines=("List what is there: `psql -l`", "Check the name in Defib's configuration (`dsn`).", LOG),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("starting-up", "shutting-down"),
        meaning="PostgreSQL runs, but takes no connections yet or any more; replaying a long log takes its time.",
        lines=(LOG, DISK_SPACE, "Wait while its log shows progress: a restart would begin anew."),
    ),
    CauseAdvice(
        causes=("too-many-connections", "connections"),
        title="is running out of connections",
        meaning="Nearly all of its connections are taken; when all are, applications are turned away.",
        lines=(
            PG_ACTIVITY,
            "Find the application that keeps connections idle, and put a pool in front of it.",
            "Raise `max_connections` only with memory to spare.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("replication-lag",),
        title="lags behind in replication",
        meaning="A standby is behind: after a fail-over the newest writes would be missing.",
        lines=(
            "See which and how far: `psql -c 'SELECT application_name, replay_lag FROM pg_stat_replication'`",
            "Check the network and the disk of the standby.",
            "Look for a long query on the standby that holds it back.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("transaction-age",),
        title="has a transaction that takes too long",
        meaning="It keeps old rows from being cleaned up and may block others.",
        lines=(
            PG_ACTIVITY,
            "End it with `SELECT pg_terminate_backend(PID)` if nobody needs it.",
            "Set `idle_in_transaction_session_timeout` against the next one.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("query-failed", "no-statistics"),
        meaning="It lets us in, but the query fails: a missing table or right, or a server in trouble.",
        lines=(
            "Run the query by hand as the same user, with `psql`",
            "Check the user's rights; `GRANT pg_monitor` allows the statistics.",
            LOG,
        ),
        is_complete=True,
    ),
    # --- containers ---
    CauseAdvice(
        causes=("oom-killed",),
        meaning="The kernel killed it because it used more memory than it may.",
        lines=(
            (
                "See its limit: `systemctl show {{ unit|sh }} -p MemoryMax -p MemoryPeak`",
                "See its limit: `docker inspect -f '{% raw %}{{.HostConfig.Memory}}{% endraw %}' {{ container|sh }}`",
                "See how much memory there is: `free -h`",
            ),
            "See what was killed and why: `journalctl -k --grep 'out of memory|oom-kill' -n 20 --no-pager`",
            "Raise the limit or find the leak: a restart alone only helps until the next time.",
            LOG,
        ),
    ),
    CauseAdvice(
        causes=("container-missing",),
        meaning="There is no container of that name: it was removed or renamed. A restart cannot bring it back.",
        lines=(
            "See what is there: `docker ps -a`",
            "Create it again: `docker compose up -d`, or as it was created.",
            "If it was removed on purpose, remove its monitor.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("docker-*",),
        meaning="The Docker daemon itself is in trouble, and with it perhaps every container.",
        lines=(
            "See whether it runs: `systemctl status docker`",
            DOCKER_LOG,
            DISK_SPACE,
            "Try a restart: `systemctl restart docker`; containers without a restart policy stay down.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("unhealthy",),
        meaning="The container runs, but its own health check fails.",
        lines=(
            (
                "Read what the check says: "
                "`docker inspect -f '{% raw %}{{json .State.Health}}{% endraw %}' {{ container|sh }}`",
                "Read what the check says: `docker inspect`",
            ),
            LOG,
            RESTART,
        ),
    ),
    CauseAdvice(
        causes=("restarting", "unit-restarting"),
        meaning="It starts and dies again and again: what makes it die is in its log.",
        lines=(LOG, CONTAINER_STATE, "Undo the newest change of its version, configuration or secrets."),
    ),
    CauseAdvice(
        causes=("paused",),
        meaning="Somebody paused it: it exists but does not run.",
        lines=(
            ("Continue it: `docker unpause {{ container|sh }}`", "Continue it."),
            "Ask who paused it, and why.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("exited-*", "dead", "removing", "created"),
        meaning="The container does not run any more.",
        lines=(LOG, CONTAINER_STATE, RESTART, CONTAINER_RESOURCES),
    ),
    # --- services and processes ---
    CauseAdvice(
        causes=("unit-not-found", "unit-masked", "unit-broken"),
        meaning="systemd cannot start it: the unit was removed, renamed, switched off or written wrongly.",
        lines=(
            (
                "See what systemd knows of it: `systemctl cat {{ unit|sh }}`",
                "See what systemd knows: `systemctl list-unit-files`",
            ),
            "Check the unit's name in the configuration.",
            "Was its package removed or updated?",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("unit-failed",),
        meaning="It ended with an error, and systemd has given up on it.",
        lines=(
            LOG,
            PROCESS,
            (
                "After the repair: `systemctl reset-failed {{ unit|sh }} && systemctl start {{ unit|sh }}`",
                "After the repair: `systemctl reset-failed`, then start it.",
            ),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("unit-inactive",),
        meaning="It is stopped.",
        lines=(
            ("Start it, if it should run: `systemctl start {{ unit|sh }}`", "Start it, if it should run."),
            LOG,
            "Ask who stopped it, and why.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("activating",),
        title="takes long to start",
        meaning="It is starting and not ready yet.",
        lines=(LOG, PROCESS),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("process-gone", "too-few-processes"),
        meaning="Its process ended or was killed.",
        lines=(LOG, PROCESS, "See whether the kernel killed it: `journalctl -k -n 30 --no-pager`", RESTART),
    ),
    CauseAdvice(
        causes=("too-many-processes",),
        meaning="More of its processes run than should: it was started twice, or old ones do not end.",
        lines=(PROCESS, LOG, RESTART),
    ),
    # --- resources ---
    CauseAdvice(
        causes=("disk", "inodes"),
        title="is running out of disk space",
        meaning="On a full disk databases stop and logs are lost. A restart does not help.",
        lines=(
            (
                "Find what takes the space: `du -xh --max-depth=2 {{ path|sh }} | sort -h | tail -n 20`",
                "Find what takes the space: `du -xh --max-depth=2 / | sort -h | tail -n 20`",
            ),
            "Clean what is safe: `journalctl --vacuum-size=500M`, `docker system df`, old packages and backups.",
            "If there is space but files cannot be made, the inodes are used up: `df -i`",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("memory", "swap"),
        title="is running out of memory",
        meaning="When memory is used up, the kernel kills a process, not always the right one.",
        lines=(
            "Find what takes it: `ps -eo pid,user,rss,comm --sort=-rss | head -n 15`",
            "See whether it grows: a leak needs a restart now and a repair later.",
            "Limit what may grow: `MemoryMax=` of systemd, `--memory` of Docker.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("cpu", "load"),
        title="is overloaded",
        meaning="There is more to do than the processors can do.",
        lines=(
            "Find what is busy: `ps -eo pid,user,pcpu,etime,comm --sort=-pcpu | head -n 15`",
            "High load with idle processors means waiting for disks: `vmstat 1 5`, column wa.",
            "If this is its usual load, move work elsewhere or add processors.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("temperature",),
        title="is too hot",
        meaning="Hot processors slow down, and at last switch off.",
        lines=("See where: `sensors`", "Check fans, dust and the room's cooling.", LOAD),
        is_complete=True,
    ),
    # --- those who report by themselves ---
    CauseAdvice(
        causes=("missed-beat",),
        families=("agent", "host"),
        title="went silent",
        trouble="has been silent",
        meaning="It reports by itself and has stopped: it is gone, hangs, or cannot reach Defib.",
        lines=(
            PROCESS,
            LOG,
            "Check its host's way to Defib: name, firewall, proxy, token.",
            PROCESS_RESOURCES,
        ),
    ),
    CauseAdvice(
        causes=("agent-error",),
        title="reports an error",
        meaning="The agent is there, and says itself that something is wrong.",
        lines=(LOG, PROCESS_RESOURCES),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("stream-closed",),
        title="lost its connection",
        meaning="Its connection ended without a word: it crashed, its host went away, or the network between.",
        lines=(PROCESS, LOG, "Check its host's way to Defib: name, firewall, proxy, token."),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("resources",),
        title="is short of resources",
        meaning="Its host uses more than its limits allow, and has for a while.",
        lines=(
            "Find what is busy: `ps -eo pid,user,pcpu,rss,etime,comm --sort=-pcpu | head -n 15`",
            "Find what takes the disk: `du -xh --max-depth=2 / | sort -h | tail -n 20`",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("silent-sender",),
        title="is silent and does not answer",
        trouble="has been silent",
        meaning="It stopped reporting, and where it can be asked nobody answers well: it is gone, or hangs.",
        lines=(PROCESS, LOG, PROCESS_RESOURCES),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("answers-without-beats",),
        title="answers but does not report",
        trouble="has been silent",
        meaning="It is there, but what sends its beats has stopped, or cannot reach Defib.",
        lines=(LOG, "Check its host's way to Defib: name, firewall, proxy, token."),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("missed-beat", "late-beat"),
        title="did not report in time",
        trouble="has been overdue",
        meaning="It should have reported by now: it was not started, still runs, or cannot reach Defib.",
        lines=WHEN_DOWN["job"],
        is_complete=True,
    ),
    CauseAdvice(
        causes=("ran-too-long",),
        title="runs too long",
        trouble="has been running too long",
        meaning="It said that it began, and has not said that it ended: it hangs, or has more to do than before.",
        lines=(
            LOG,
            "See what it waits for: `ps -eo pid,etime,stat,wchan:20,cmd`, locks, the network.",
            "If it simply takes longer now, raise `max_runtime`.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("ran-twice", "ran-early"),
        title="ran when it was not expected",
        meaning="It reported outside its schedule: it was started by hand, is scheduled twice, or its clock is wrong.",
        lines=("Look for a second entry: `crontab -l`, `systemctl list-timers`, another host.", LOG),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("stopped",),
        title="was stopped on purpose",
        meaning="It said that it is being stopped. Defib leaves it stopped.",
        lines=("Start it again when that is wanted; the next beat ends this.",),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("job-failed",),
        title="failed",
        meaning="It reported by itself that it failed.",
        lines=(
            LOG,
            "Run it by hand and watch how it ends.",
            "Check what it needs: disk, credentials, services.",
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("warning",),
        title="warns",
        meaning="The check sees a value past its warning limit.",
        lines=WHEN_DOWN["check"],
        is_complete=True,
    ),
    CauseAdvice(
        causes=("critical", "exit-*"),
        title="fails",
        meaning="The check itself says that something is wrong.",
        lines=WHEN_DOWN["check"],
        is_complete=True,
    ),
)


def advice_for(cause: str, family: str) -> CauseAdvice | None:
    """The first row for ``cause`` and ``family``; None where only the table by sort of component applies."""
    for row in CAUSES:
        if (not row.families or family in row.families) and any(
            fnmatchcase(cause, code) for code in row.causes
        ):
            return row
    return None
