"""Docker: its daemon and its containers."""

from defib.plugin import N_
from defib_alerts.advice import CONTAINER_RESOURCES, CONTAINER_STATE, DISK_SPACE, LOG, RESTART, line
from defib_alerts.causes.row import CauseAdvice

ROWS = (
    CauseAdvice(
        causes=("oom-killed",),
        brief=N_("killed for want of memory"),
        meaning=N_("The kernel killed it because it used more memory than it may."),
        lines=(
            line(
                N_("See its limit: {command}"),
                "systemctl show $unit -p MemoryMax -p MemoryPeak",
                "docker inspect -f '{{.HostConfig.Memory}}' $container",
                otherwise=line(N_("See how much memory there is: {command}"), "free -h"),
            ),
            line(
                N_("See what was killed and why: {command}"),
                "journalctl -k --grep 'out of memory|oom-kill' -n 20 --no-pager",
            ),
            line(N_("Raise the limit or find the leak: a restart alone only helps until the next time.")),
            LOG,
        ),
    ),
    CauseAdvice(
        causes=("container-missing",),
        brief=N_("the container does not exist"),
        meaning=N_(
            "There is no container of that name: it was removed or renamed. A restart cannot bring it back."
        ),
        lines=(
            line(N_("See what is there: {command}"), "docker ps -a"),
            line(N_("Create it again: `docker compose up -d`, or as it was created.")),
            line(N_("If it was removed on purpose, remove its monitor.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("docker-*",),
        brief=N_("the Docker daemon is in trouble"),
        meaning=N_("The Docker daemon itself is in trouble, and with it perhaps every container."),
        lines=(
            line(N_("See whether it runs: {command}"), "systemctl status docker"),
            line(N_("Read its last words: {command}"), "journalctl -u docker -n 50 --no-pager"),
            DISK_SPACE,
            line(
                N_("Try a restart: {command}; containers without a restart policy stay down."),
                "systemctl restart docker",
            ),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("unhealthy",),
        brief=N_("its own health check fails"),
        meaning=N_("The container runs, but its own health check fails."),
        lines=(
            line(
                N_("Read what the check says: {command}"),
                "docker inspect -f '{{json .State.Health}}' $container",
                "docker inspect",
            ),
            LOG,
            RESTART,
        ),
    ),
    CauseAdvice(
        causes=("restarting", "unit-restarting"),
        brief=N_("it restarts again and again"),
        meaning=N_("It starts and dies again and again: what makes it die is in its log."),
        lines=(
            LOG,
            CONTAINER_STATE,
            line(N_("Undo the newest change of its version, configuration or secrets.")),
        ),
    ),
    CauseAdvice(
        causes=("paused",),
        brief=N_("somebody paused it"),
        meaning=N_("Somebody paused it: it exists but does not run."),
        lines=(
            line(N_("Continue it: {command}"), "docker unpause $container", otherwise=N_("Continue it.")),
            line(N_("Ask who paused it, and why.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("exited-*",),
        brief=N_("it ended with exit code {code}"),
        meaning=N_("The container does not run any more."),
        lines=(LOG, CONTAINER_STATE, RESTART, CONTAINER_RESOURCES),
    ),
    CauseAdvice(
        causes=("dead", "removing", "created"),
        brief=N_("the container does not run"),
        meaning=N_("The container does not run any more."),
        lines=(LOG, CONTAINER_STATE, RESTART, CONTAINER_RESOURCES),
    ),
)
