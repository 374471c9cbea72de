"""Those who report by themselves: agents, hosts, jobs and checks."""

from defib.plugin import N_
from defib_alerts.advice import BY_HAND, LOG, PROCESS, PROCESS_RESOURCES, WAY_TO_DEFIB, WHEN_DOWN, line
from defib_alerts.causes.row import CauseAdvice, Trouble

ROWS = (
    CauseAdvice(
        causes=("missed-beat",),
        families=("agent", "host"),
        title=N_("{name} went silent"),
        trouble=Trouble.SILENT,
        meaning=N_("It reports by itself and has stopped: it is gone, hangs, or cannot reach Defib."),
        lines=(PROCESS, LOG, WAY_TO_DEFIB, PROCESS_RESOURCES),
    ),
    CauseAdvice(
        causes=("agent-error",),
        title=N_("{name} reports an error"),
        meaning=N_("The agent is there, and says itself that something is wrong."),
        lines=(LOG, PROCESS_RESOURCES),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("stream-closed",),
        title=N_("{name} lost its connection"),
        meaning=N_(
            "Its connection ended without a word: it crashed, its host went away, or the network between."
        ),
        lines=(PROCESS, LOG, WAY_TO_DEFIB),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("silent-sender",),
        title=N_("{name} is silent and does not answer"),
        trouble=Trouble.SILENT,
        meaning=N_(
            "It stopped reporting, and where it can be asked nobody answers well: it is gone, or hangs."
        ),
        lines=(PROCESS, LOG, PROCESS_RESOURCES),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("answers-without-beats",),
        title=N_("{name} answers but does not report"),
        trouble=Trouble.SILENT,
        meaning=N_("It is there, but what sends its beats has stopped, or cannot reach Defib."),
        lines=(LOG, WAY_TO_DEFIB),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("missed-beat", "late-beat"),
        title=N_("{name} did not report in time"),
        trouble=Trouble.OVERDUE,
        meaning=N_("It should have reported by now: it was not started, still runs, or cannot reach Defib."),
        lines=WHEN_DOWN["job"],
        is_complete=True,
    ),
    CauseAdvice(
        causes=("ran-too-long",),
        title=N_("{name} runs too long"),
        trouble=Trouble.RUNNING,
        meaning=N_(
            "It said that it began, and has not said that it ended: it hangs, or has more to do than before."
        ),
        lines=(
            LOG,
            line(
                N_("See what it waits for, a lock or the network: {command}"),
                "ps -eo pid,etime,stat,wchan:20,cmd",
            ),
            line(N_("If it simply takes longer now, raise `max_runtime`.")),
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("ran-twice", "ran-early"),
        title=N_("{name} ran when it was not expected"),
        meaning=N_(
            "It reported outside its schedule: it was started by hand, is scheduled twice, or its clock is wrong."
        ),
        lines=(
            line(
                N_("Look for a second entry, on another host too: {command}"),
                ("crontab -l", "systemctl list-timers"),
            ),
            LOG,
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("stopped",),
        title=N_("{name} was stopped on purpose"),
        meaning=N_("It said that it is being stopped. Defib leaves it stopped."),
        lines=(line(N_("Start it again when that is wanted; the next beat ends this.")),),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("job-failed",),
        title=N_("{name} failed"),
        meaning=N_("It reported by itself that it failed."),
        lines=(LOG, BY_HAND, line(N_("Check what it needs: disk, credentials, services."))),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("warning",),
        title=N_("{name} warns"),
        meaning=N_("The check sees a value past its warning limit."),
        lines=WHEN_DOWN["check"],
        is_complete=True,
    ),
    CauseAdvice(
        causes=("critical", "exit-*"),
        title=N_("{name} fails"),
        meaning=N_("The check itself says that something is wrong."),
        lines=WHEN_DOWN["check"],
        is_complete=True,
    ),
)
