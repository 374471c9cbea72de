"""A machine is short of something."""

from defib.plugin import N_
from defib_alerts.advice import BIG_FOLDERS, BUSY, LOAD, line
from defib_alerts.causes.row import CauseAdvice

ROWS = (
    CauseAdvice(
        causes=("disk", "inodes"),
        title=N_("{name} is running out of disk space"),
        meaning=N_("On a full disk databases stop and logs are lost. A restart does not help."),
        lines=(
            BIG_FOLDERS,
            line(
                N_(
                    "Clean what is safe: `journalctl --vacuum-size=500M`, `docker system df`, old packages and backups."
                )
            ),
            line(
                N_("If there is space but files cannot be made, the inodes are used up: {command}"), "df -i"
            ),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("memory", "swap"),
        title=N_("{name} is running out of memory"),
        meaning=N_("When memory is used up, the kernel kills a process, not always the right one."),
        lines=(
            line(N_("Find what takes it: {command}"), "ps -eo pid,user,rss,comm --sort=-rss | head -n 15"),
            line(N_("See whether it grows: a leak needs a restart now and a repair later.")),
            line(N_("Limit what may grow: `MemoryMax=` of systemd, `--memory` of Docker.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("cpu", "load"),
        title=N_("{name} is overloaded"),
        meaning=N_("There is more to do than the processors can do."),
        lines=(
            BUSY,
            line(
                N_("High load with idle processors means waiting for disks: {command}, column wa."),
                "vmstat 1 5",
            ),
            line(N_("If this is its usual load, move work elsewhere or add processors.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("temperature",),
        title=N_("{name} is too hot"),
        meaning=N_("Hot processors slow down, and at last switch off."),
        lines=(
            line(N_("See where: {command}"), "sensors"),
            line(N_("Check fans, dust and the room's cooling.")),
            LOAD,
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("resources",),
        title=N_("{name} is short of resources"),
        meaning=N_("Its host uses more than its limits allow, and has for a while."),
        lines=(BUSY, BIG_FOLDERS),
        is_complete=True,
    ),
)
