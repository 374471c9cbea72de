"""Units of systemd, and processes."""

from defib.plugin import N_
from defib_alerts.advice import LOG, PROCESS, RESTART, line
from defib_alerts.causes.row import CauseAdvice

ROWS = (
    CauseAdvice(
        causes=("unit-not-found", "unit-masked", "unit-broken"),
        brief=N_("systemd cannot start it"),
        meaning=N_(
            "systemd cannot start it: the unit was removed, renamed, switched off or written wrongly."
        ),
        lines=(
            line(
                N_("See what systemd knows of it: {command}"),
                "systemctl cat $unit",
                "systemctl list-unit-files",
            ),
            line(N_("Check the unit's name in the configuration.")),
            line(N_("Was its package removed or updated?")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("unit-failed",),
        brief=N_("the unit has failed"),
        meaning=N_("It ended with an error, and systemd has given up on it."),
        lines=(
            LOG,
            PROCESS,
            line(
                N_("After the repair: {command}"),
                "systemctl reset-failed $unit && systemctl start $unit",
                otherwise=N_("After the repair: `systemctl reset-failed`, then start it."),
            ),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("unit-inactive",),
        brief=N_("the unit is stopped"),
        meaning=N_("It is stopped."),
        lines=(
            line(
                N_("Start it, if it should run: {command}"),
                "systemctl start $unit",
                otherwise=N_("Start it, if it should run."),
            ),
            LOG,
            line(N_("Ask who stopped it, and why.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("activating",),
        title=N_("{name} takes long to start"),
        meaning=N_("It is starting and not ready yet."),
        lines=(LOG, PROCESS),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("process-gone", "too-few-processes"),
        brief=N_("its process is gone"),
        meaning=N_("Its process ended or was killed."),
        lines=(
            LOG,
            PROCESS,
            line(N_("See whether the kernel killed it: {command}"), "journalctl -k -n 30 --no-pager"),
            RESTART,
        ),
    ),
    CauseAdvice(
        causes=("too-many-processes",),
        brief=N_("too many of its processes run"),
        meaning=N_("More of its processes run than should: it was started twice, or old ones do not end."),
        lines=(PROCESS, LOG, RESTART),
    ),
)
