"""PostgreSQL, once it can be reached."""

from defib.plugin import N_
from defib_alerts.advice import DISK_SPACE, LOG, PG_ACTIVITY, ROTATED, line
from defib_alerts.causes.row import CauseAdvice

ROWS = (
    CauseAdvice(
        causes=("auth-failed",),
        brief=N_("login refused"),
        meaning=N_(
            "It is up and refused the login: the password, the user or pg_hba.conf is wrong. A restart does not help."
        ),
        lines=(
            line(
                N_("Check the user and the password of Defib's configuration (`dsn`) against the server's.")
            ),
            line(N_("See which rule refused: the server's log names the line of `pg_hba.conf`.")),
            ROTATED,
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("no-database",),
        brief=N_("the database does not exist"),
        meaning=N_("PostgreSQL is up, but the database does not exist. A restart does not help."),
        lines=(
            line(N_("List what is there: {command}"), "psql -l"),
            line(N_("Check the name in Defib's configuration (`dsn`).")),
            LOG,
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("starting-up", "shutting-down"),
        brief=N_("takes no connections now"),
        meaning=N_(
            "PostgreSQL runs, but takes no connections yet or any more; replaying a long log takes its time."
        ),
        lines=(LOG, DISK_SPACE, line(N_("Wait while its log shows progress: a restart would begin anew."))),
    ),
    CauseAdvice(
        causes=("too-many-connections", "connections"),
        title=N_("{name} is running out of connections"),
        meaning=N_("Nearly all of its connections are taken; when all are, applications are turned away."),
        lines=(
            PG_ACTIVITY,
            line(N_("Find the application that keeps connections idle, and put a pool in front of it.")),
            line(N_("Raise `max_connections` only with memory to spare.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("replication-lag",),
        title=N_("{name} lags behind in replication"),
        meaning=N_("A standby is behind: after a fail-over the newest writes would be missing."),
        lines=(
            line(
                N_("See which and how far: {command}"),
                "psql -c 'SELECT application_name, replay_lag FROM pg_stat_replication'",
            ),
            line(N_("Check the network and the disk of the standby.")),
            line(N_("Look for a long query on the standby that holds it back.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("transaction-age",),
        title=N_("{name} has a transaction that takes too long"),
        meaning=N_("It keeps old rows from being cleaned up and may block others."),
        lines=(
            PG_ACTIVITY,
            line(N_("End it with `SELECT pg_terminate_backend(PID)` if nobody needs it.")),
            line(N_("Set `idle_in_transaction_session_timeout` against the next one.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("query-failed", "no-statistics"),
        brief=N_("the query fails"),
        meaning=N_("It lets us in, but the query fails: a missing table or right, or a server in trouble."),
        lines=(
            line(N_("Run the query by hand as the same user, with `psql`.")),
            line(N_("Check the user's rights; `GRANT pg_monitor` allows the statistics.")),
            LOG,
        ),
        is_complete=True,
    ),
)
