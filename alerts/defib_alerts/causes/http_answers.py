"""It answers over HTTP, but not as it should."""

from defib.plugin import N_
from defib_alerts.advice import ASK, DEPENDENCIES, LOAD, LOG, PROCESS, RESTART, ROTATED, line
from defib_alerts.causes.row import CauseAdvice

ROWS = (
    CauseAdvice(
        causes=("http-401", "http-403", "http-407"),
        brief=N_("HTTP {code}: access refused"),
        meaning=N_(
            "It is up and refuses us: the credentials of the check are wrong or have expired. A restart does not help."
        ),
        lines=(ASK, line(N_("Check the headers and credentials of the monitor's configuration.")), ROTATED),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("http-404", "http-410"),
        brief=N_("HTTP {code}: address not found"),
        meaning=N_(
            "It is up but does not know the address: another version was deployed, or the path is wrong."
        ),
        lines=(ASK, line(N_("Compare the path in the configuration with what the service offers now.")), LOG),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("http-429", "http-503"),
        brief=N_("HTTP {code}: overloaded or not ready"),
        meaning=N_("It answers that it has too much to do or is not ready."),
        lines=(LOAD, LOG, ASK, line(N_("If it is still starting, give it time before restarting it."))),
    ),
    CauseAdvice(
        causes=("http-502", "http-504"),
        brief=N_("HTTP {code}: the service behind the proxy is silent"),
        meaning=N_("A proxy in front of it answers, and says that the service behind does not."),
        lines=(
            PROCESS,
            LOG,
            line(N_("Read the proxy's error log: it names the address that is silent.")),
            RESTART,
        ),
    ),
    CauseAdvice(
        causes=("http-5??",),
        brief=N_("HTTP {code}"),
        meaning=N_(
            "It runs and answers, but with an error of its own: look into its log before restarting it."
        ),
        lines=(LOG, ASK, DEPENDENCIES, RESTART),
    ),
    CauseAdvice(
        causes=("http-3??", "too-many-redirects"),
        brief=N_("redirected elsewhere"),
        meaning=N_("It sends us elsewhere instead of answering."),
        lines=(ASK, line(N_("Write the final address into the configuration, or allow redirects."))),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("http-*",),
        brief=N_("HTTP {code}"),
        meaning=N_("It is up but does not accept the request."),
        lines=(
            ASK,
            line(N_("Compare the request in the configuration with what the service expects now.")),
            LOG,
        ),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("health-fail", "health-warn"),
        brief=N_("its own health check fails"),
        meaning=N_("It runs, and reports by itself what is wrong."),
        lines=(ASK, LOG, DEPENDENCIES, RESTART),
    ),
    CauseAdvice(
        causes=("wrong-*", "bad-json"),
        brief=N_("wrong answer"),
        meaning=N_("It answers, but not what it should."),
        lines=(ASK, LOG, DEPENDENCIES, RESTART),
    ),
    CauseAdvice(
        causes=("slow",),
        title=N_("{name} is slow"),
        meaning=N_("It answers rightly, but takes longer than its limit."),
    ),
)
