"""Which messages may wake somebody."""

from defib.model.alert import AlertKind, Severity
from defib.rules.alerting.notice import HANDS, Notice

_LOUD = frozenset({AlertKind.DOWN, AlertKind.RELAPSED})


def is_quiet(notice: Notice, *, is_recovering: bool) -> bool:
    """Whether a message is delivered without a sound.

    While Defib repairs a fault nobody needs to get up: it says so itself when it has not succeeded within three
    minutes, or has given up, and that is loud. An end is good news, and good news can wait till the morning.

    :param is_recovering: Defib is going to act on the fault by itself.
    """
    if notice.is_end or notice.event in HANDS or notice.severity is Severity.INFO:
        return True
    return (notice.event in _LOUD and is_recovering) or notice.severity is Severity.LOW
