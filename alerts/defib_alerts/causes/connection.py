"""No connection comes about, or none that holds."""

from defib.plugin import N_
from defib_alerts.advice import (
    ASK,
    DISK_SPACE,
    EXPLAIN,
    LISTENING,
    LOAD,
    LOG,
    NETWORK,
    PG_ACTIVITY,
    PG_READY,
    PROCESS,
    RESTART,
    line,
)
from defib_alerts.causes.row import CauseAdvice

ROWS = (
    CauseAdvice(
        causes=("refused",),
        families=("database",),
        brief=N_("connection refused"),
        meaning=N_(
            "Its host answers, but nothing listens on the port: PostgreSQL does not run or listens elsewhere."
        ),
        lines=(PROCESS, LOG, LISTENING, RESTART, DISK_SPACE),
    ),
    CauseAdvice(
        causes=("refused",),
        brief=N_("connection refused"),
        meaning=N_(
            "Its host answers, but nothing listens on the port: the process is gone or still starting."
        ),
        lines=(PROCESS, LOG, LISTENING, RESTART),
    ),
    CauseAdvice(
        causes=("socket-missing",),
        brief=N_("its socket is gone"),
        meaning=N_("The socket it should listen on does not exist: the process is gone."),
        lines=(PROCESS, LOG, RESTART),
    ),
    CauseAdvice(
        causes=("reset", "bad-response", "connect-failed"),
        brief=N_("the connection broke"),
        meaning=N_(
            "The connection broke: it crashes on requests, is restarting, or something in between cuts in."
        ),
        lines=(LOG, PROCESS, NETWORK),
    ),
    CauseAdvice(
        causes=("timeout",),
        families=("database",),
        brief=N_("no answer in time"),
        meaning=N_(
            "It did not answer in time: overloaded, blocked by locks, out of disk, or packets are lost."
        ),
        lines=(PG_READY, PG_ACTIVITY, LOAD, DISK_SPACE, NETWORK),
    ),
    CauseAdvice(
        causes=("timeout",),
        families=("check",),
        brief=N_("the check did not end in time"),
        meaning=N_("The check did not end in time."),
        lines=(ASK, LOAD, line(N_("Give it more time if it needs it: raise its `timeout`.")), EXPLAIN),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("timeout",),
        families=("docker",),
        brief=N_("the Docker daemon does not answer"),
        meaning=N_("The Docker daemon did not answer in time: it hangs or waits for its disk."),
        lines=(
            line(N_("See whether it answers: {command}"), "docker version"),
            line(N_("Read its last words: {command}"), "journalctl -u docker -n 50 --no-pager"),
        ),
    ),
    CauseAdvice(
        causes=("timeout",),
        brief=N_("no answer in time"),
        meaning=N_("It did not answer in time: it hangs, is overloaded, or packets are lost on the way."),
        lines=(NETWORK, LOAD, LOG, RESTART),
    ),
    CauseAdvice(
        causes=("unreachable",),
        brief=N_("no way to its host"),
        meaning=N_("Packets do not reach it: its host is off, or something on the way there is broken."),
        lines=(
            line(
                N_("See where packets end: {command}"),
                "mtr -rwc 5 $host",
                otherwise=N_("See where packets end: `mtr` or `traceroute`."),
            ),
            line(N_("See whether its host runs: console, hypervisor or provider's panel.")),
            line(N_("Check firewalls and routes on the way.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("dns-*",),
        brief=N_("its name is not resolved"),
        meaning=N_("Its name has no address."),
        lines=(
            line(N_("Ask the resolver: {command}"), "getent ahosts $host", "getent ahosts NAME"),
            line(N_("Look for a typing error, an expired domain or a record that was removed.")),
            line(N_("Check this host's resolvers: {command}"), "cat /etc/resolv.conf"),
        ),
        is_complete=True,
    ),
)
