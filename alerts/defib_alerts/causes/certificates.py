"""TLS and its certificates."""

from defib.plugin import N_
from defib_alerts.advice import CERTIFICATE, LOG, Line, line
from defib_alerts.causes.row import CauseAdvice

RENEWAL: tuple[Line, ...] = (
    line(N_("Renew it, `certbot renew` or as its authority does it, and reload the service.")),
    CERTIFICATE,
    line(N_("Find out why it was not renewed by itself: {command}"), "systemctl list-timers --all"),
)

ROWS = (
    CauseAdvice(
        causes=("tls-expired",),
        brief=N_("its certificate has expired"),
        meaning=N_("Its certificate has expired, and clients refuse to talk to it. A restart does not help."),
        lines=RENEWAL,
        is_complete=True,
    ),
    CauseAdvice(
        causes=("cert-expir*", "tls-expiring"),
        title=N_("{name} has a certificate that expires soon"),
        meaning=N_("A restart does not help: the certificate has to be renewed before it expires."),
        lines=RENEWAL,
        is_complete=True,
    ),
    CauseAdvice(
        causes=("tls-not-yet-valid",),
        brief=N_("its certificate is not valid yet"),
        meaning=N_("Its certificate is not valid yet: it was installed early, or a clock is wrong."),
        lines=(line(N_("Compare the clocks of both hosts: {command}"), "timedatectl"), CERTIFICATE),
        is_complete=True,
    ),
    CauseAdvice(
        causes=("tls-handshake",),
        brief=N_("no encrypted connection"),
        meaning=N_(
            "No encrypted connection could be made: no common protocol, or the port does not speak TLS."
        ),
        lines=(
            CERTIFICATE,
            LOG,
            line(N_("See whether the port speaks TLS at all, and which versions it allows.")),
        ),
    ),
    CauseAdvice(
        causes=("tls-*",),
        brief=N_("its certificate is not trusted"),
        meaning=N_(
            "Its certificate is not trusted: another name, an unknown authority, or an incomplete chain."
        ),
        lines=(
            CERTIFICATE,
            line(N_("Install the whole chain, and a certificate for the name that clients use.")),
            line(N_("With an authority of your own, tell it to this monitor.")),
        ),
        is_complete=True,
    ),
)
